"""Sign consistency: a feature that stands above its baseline, and can only raise the function, gets no negative credit."""

from __future__ import annotations

from attrlab.axioms.axiom import Axiom, Explain, Finding, scale_of
from attrlab.case import Case
from attrlab.errors import NotApplicable
from attrlab.method import players_of


def measure(explain: Explain, case: Case) -> Finding:
    """The largest -A_i over the players i in which f is non-decreasing and that stand at or above their baseline, relative to the scale.

    Raises:
        NotApplicable: if no such player stands above its baseline.
    """
    assert case.monotone is not None
    above = case.inputs - case.baseline
    below = players_of((above < 0).to(above.dtype), case.feature_mask, case.players) > 0
    risen = players_of((above > 0).to(above.dtype), case.feature_mask, case.players) > 0
    owed = case.monotone & risen & ~below
    if not bool(owed.any()):
        raise NotApplicable("no player in which f is monotone stands above its baseline, so no sign is required")
    scores = explain(case)
    against = (-scores).clamp(min=0).masked_fill(~owed, 0)
    return Finding(
        violation=against.amax(1) / scale_of(scores),
        scores=scores,
        sentence=lambda row: (
            f"f does not fall as player {int(against[row].argmax())} rises, which stands above its baseline and must get at least 0; "
            f"it gets {-float(against[row].amax()):.6g}"
        ),
    )


SIGN_CONSISTENCY = Axiom(
    name="sign_consistency",
    statement="f non-decreasing in x_i, x_i ≥ x'_i  ⇒  A_i(f, x, x') ≥ 0",
    reference="Friedman, Moulin (1999), positivity; Lundström, Huang, Razaviyayn (2022), section 4 (non-decreasing positivity)",
    level="functional",
    needs=("monotone",),
    measure=measure,
    condition="a player in which f is non-decreasing stands above its baseline",
)
