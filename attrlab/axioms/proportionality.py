"""Proportionality: where the function sees features only through their sum, from zero, their credits are as their values."""

from __future__ import annotations

import torch

from attrlab.axioms.axiom import Axiom, Explain, Finding, scale_of
from attrlab.case import Case
from attrlab.errors import NotApplicable
from attrlab.method import players_of


def measure(explain: Explain, case: Case) -> Finding:
    """The largest |A_i - c x_i| over the players of the sum, c the best common factor, relative to the scale of the scores.

    Raises:
        NotApplicable: if in no row two players of the sum have the baseline 0 and a value that is not.
    """
    assert case.summed is not None
    off = players_of((case.baseline != 0).to(case.baseline.dtype), case.feature_mask, case.players) > 0
    member = case.summed & ~(case.summed & off).any(1, keepdim=True)
    value = players_of(case.inputs, case.feature_mask, case.players).masked_fill(~member, 0)
    asked = ((value != 0).sum(1) > 0) & (member.sum(1) > 1)
    if not bool(asked.any()):
        raise NotApplicable("in no row do two players of the sum have the baseline 0 and a value that is not, so there is no proportion")
    scores = explain(case)
    credit = scores.masked_fill(~member, 0)
    factor = (credit * value).sum(1) / (value * value).sum(1).clamp(min=1e-300)
    gap = torch.where(asked.unsqueeze(1), (credit - factor.unsqueeze(1) * value).abs(), 0)

    def sentence(row: int) -> str:
        player = int(gap[row].argmax())
        summed, own, fair = member[row].nonzero().squeeze(1).tolist(), float(value[row, player]), float(factor[row] * value[row, player])
        return (
            f"f depends on players {summed} through their sum, so their credits must be as their values; "
            f"player {player}, of value {own:.6g}, must get {fair:.6g} for the best common factor and gets {float(scores[row, player]):.6g}"
        )

    return Finding(violation=gap.amax(1) / scale_of(scores), scores=scores, sentence=sentence)


PROPORTIONALITY = Axiom(
    name="proportionality",
    statement="f(x) = g(Σ x_i), x' = 0  ⇒  A_i(f, x, x') = c x_i",
    reference="Moulin, Sprumont (2007); Sundararajan, Najmi (2020), section 2 (proportionality)",
    level="functional",
    needs=("summed",),
    measure=measure,
    condition="the baseline is 0 at the players of the sum",
)
