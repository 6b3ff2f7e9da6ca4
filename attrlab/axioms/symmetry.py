"""Symmetry: features that the function treats alike, with equal inputs and baselines, get equal credit."""

from __future__ import annotations

import torch

from attrlab.axioms.axiom import Axiom, Explain, Finding, orbit_extremes, scale_of
from attrlab.case import Case


def measure(explain: Explain, case: Case) -> Finding:
    """The largest |A_i - A_j| over exchangeable players i, j, relative to the scale of the scores."""
    assert case.orbit is not None
    orbit, scores = case.orbit, explain(case)
    low, high, size = orbit_extremes(orbit, scores)
    gap = torch.where(size > 1, high - low, 0)

    def sentence(row: int) -> str:
        mine = (orbit[row] == int(gap[row].argmax())).nonzero().squeeze(1)
        one, two = int(mine[scores[row, mine].argmin()]), int(mine[scores[row, mine].argmax()])
        return (
            f"f is symmetric in players {one} and {two}, which must get the same; "
            f"they get {float(scores[row, one]):.6g} and {float(scores[row, two]):.6g}"
        )

    return Finding(violation=gap.amax(1) / scale_of(scores), scores=scores, sentence=sentence)


SYMMETRY = Axiom(
    name="symmetry",
    statement="f symmetric in (i, j), x_i = x_j, x'_i = x'_j  ⇒  A_i(f, x, x') = A_j(f, x, x')",
    reference="Shapley (1953), symmetry; Sundararajan, Taly, Yan (2017), section 4 (symmetry-preserving)",
    level="functional",
    needs=("orbit",),
    measure=measure,
)
