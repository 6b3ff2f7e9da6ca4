"""Saturation: of several causes each of which is enough, each gets credit, though none is missed alone."""

from __future__ import annotations

import torch

from attrlab.axioms.axiom import Axiom, Explain, Finding
from attrlab.axioms.derive import without
from attrlab.axioms.some_credit import shortfall
from attrlab.case import Case
from attrlab.errors import NotApplicable
from attrlab.methods.operations import outputs_at


def measure(explain: Explain, case: Case) -> Finding:
    """Whether a redundant player gets less than a millionth of what all of them do, from 0 to 1 (no credit at all).

    Raises:
        NotApplicable: if in no row the redundant players together change the output.
    """
    assert case.redundant is not None
    with torch.no_grad():
        effect = outputs_at(case.model, case.inputs, case.target) - outputs_at(case.model, without(case, case.redundant), case.target)
    if not bool((effect.abs() > 1e-6).any()):
        raise NotApplicable("in no row do the redundant players change the output, so there is nothing to credit them with")
    scores = explain(case)
    lacking = shortfall(scores, effect.unsqueeze(1).expand_as(scores)).masked_fill(~case.redundant, 0)
    redundant = case.redundant

    def sentence(row: int) -> str:
        player, members = int(lacking[row].argmax()), redundant[row].nonzero().squeeze(1).tolist()
        return (
            f"each of the players {members} has the effect {float(effect[row]):.6g} alone, so none of them may get 0; "
            f"player {player} gets {float(scores[row, player]):.6g}"
        )

    return Finding(violation=lacking.amax(1), scores=scores, sentence=sentence)


SATURATION = Axiom(
    name="saturation",
    statement="f(x) = h(Σ a_i (x_i - x'_i)), each term positive and one of them as good as all  ⇒  A_i(f, x, x') ≠ 0 for each",
    reference="Shrikumar et al. (2017), section 2; Khakzar et al. (2022), section 4 (f = OR(x_1, x_2))",
    level="functional",
    needs=("redundant",),
    measure=measure,
    condition="the redundant players together change the output",
)
