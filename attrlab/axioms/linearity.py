"""Linearity: the scores of a linear combination are that combination of the scores, the networks standing side by side."""

from __future__ import annotations

import torch

from attrlab.axioms.axiom import Axiom, Explain, Finding, scale_of
from attrlab.axioms.derive import beside_linear
from attrlab.case import Case

COEFFICIENTS = (2.0, -1.0)
"""α and β, of opposite signs, where a linear branch is set beside the case's network."""


def measure(explain: Explain, case: Case) -> Finding:
    """The largest |A_i(Σ α_k f_k) - Σ α_k A_i(f_k)|, relative to the scale of the scores of sum and branches.

    A case that is a sum of branches is taken as it is; any other gets a branch that is linear in every entry.
    """
    if case.branches:
        joined, branches = case, case.branches
    else:
        (alpha, beta) = COEFFICIENTS
        model, branch = beside_linear(case, alpha=alpha, beta=beta)
        joined, branches = case.derived(model=model), ((alpha, case.model), (beta, branch))
    scores = explain(joined)
    parts = torch.stack([alpha * explain(case.derived(model=network)) for alpha, network in branches])
    wanted = parts.sum(0)
    gap = (scores - wanted).abs()

    def sentence(row: int) -> str:
        player = int(gap[row].argmax())
        terms = " + ".join(f"{alpha:g} A(f{k})" for k, (alpha, _) in enumerate(branches, 1))
        added = "" if case.branches else f" (f1 the function above, f2 linear, joined as {COEFFICIENTS[0]:g} f1 {COEFFICIENTS[1]:+g} f2)"
        return (
            f"for branches side by side{added} the scores must be {terms}, {float(wanted[row, player]):.6g} for player {player}; "
            f"it gets {float(scores[row, player]):.6g}"
        )

    return Finding(violation=gap.amax(1) / scale_of(scores, *parts), scores=scores, sentence=sentence)


LINEARITY = Axiom(
    name="linearity",
    statement="A(α f + β g) = α A(f) + β A(g), with f and g as parallel branches",
    reference="Shapley (1953), additivity; Sundararajan, Taly, Yan (2017), section 3 (linearity)",
    level="structural",
    needs=(),
    measure=measure,
    condition="the branches share no unit; α and β may be negative",
)
