"""Completeness: the scores of a row sum to the difference that the input makes to the output."""

from __future__ import annotations

import torch

from attrlab.axioms.axiom import Axiom, Explain, Finding, scale_of
from attrlab.case import Case
from attrlab.methods.operations import outputs_at


def measure(explain: Explain, case: Case) -> Finding:
    """|Σ_i A_i - (f(x) - f(x'))|, relative to the scale of scores and outputs."""
    scores = explain(case)
    with torch.no_grad():
        at_input = outputs_at(case.model, case.inputs, case.target)
        at_baseline = outputs_at(case.model, case.baseline, case.target)
    total, required = scores.sum(1), at_input - at_baseline
    return Finding(
        violation=(total - required).abs() / scale_of(scores, at_input, at_baseline),
        scores=scores,
        sentence=lambda row: f"the scores must sum to f(x) - f(x') = {float(required[row]):.6g}; they sum to {float(total[row]):.6g}",
    )


COMPLETENESS = Axiom(
    name="completeness",
    statement="Σ_i A_i(f, x, x') = f(x) - f(x')",
    reference=(
        "Sundararajan, Taly, Yan (2017), section 3 (completeness); Shapley (1953), efficiency; "
        "Shrikumar et al. (2017), summation-to-delta; Lundberg, Lee (2017), local accuracy"
    ),
    level="functional",
    needs=(),
    measure=measure,
)
