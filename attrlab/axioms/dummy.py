"""Dummy, on the functional level: a feature on which the function does not depend anywhere gets no credit."""

from __future__ import annotations

from attrlab.axioms.axiom import Axiom, Explain, Finding, scale_of
from attrlab.case import Case


def measure(explain: Explain, case: Case) -> Finding:
    """The largest |A_i| over the players i that the function ignores, relative to the scale of the scores."""
    assert case.independent is not None
    scores = explain(case.model)
    credit = scores.abs().masked_fill(~case.independent, 0)
    worst = credit.amax(1)
    return Finding(
        violation=worst / scale_of(scores),
        scores=scores,
        sentence=lambda row: (
            f"player {int(credit[row].argmax())} does not change f anywhere and must get 0; "
            f"it gets {float(scores[row, credit[row].argmax()]):.6g}"
        ),
    )


DUMMY = Axiom(
    name="dummy",
    statement="f does not depend on x_i  ⇒  A_i(f, x, x') = 0",
    reference="Sundararajan, Taly, Yan (2017), section 2 (sensitivity(b)); Shapley (1953), null player",
    level="functional",
    needs=("independent",),
    measure=measure,
)
