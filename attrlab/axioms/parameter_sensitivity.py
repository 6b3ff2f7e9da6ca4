"""Parameter sensitivity: a network with other weights is another network, and its scores are not the same picture again."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from attrlab.axioms.axiom import Axiom, Explain, Finding
from attrlab.case import Case

DRAWS = 12
"""How often the weights are drawn again; a correlation is averaged over the draws, with its sign."""

BOUND = 0.9
"""A mean correlation above this is no change. For scores whose order the weights decide it is a mean of 12 numbers around 0."""


def measure(explain: Explain, case: Case) -> Finding:
    """By how much the mean correlation of the scores with those of re-drawn networks exceeds 0.9, as a share of what is left to 1.

    All floating-point parameters are drawn from a normal distribution of their own root mean square, from fixed seeds.
    """
    scores = explain(case)
    again = torch.stack([_correlation(scores, explain(case.derived(model=redrawn(case.model, seed)))) for seed in range(DRAWS)])
    mean = again.mean(0)
    return Finding(
        violation=((mean - BOUND) / (1 - BOUND)).clamp(min=0),
        scores=scores,
        sentence=lambda row: (
            f"over {DRAWS} networks with re-drawn weights the scores must change; "
            f"their mean correlation with these is {float(mean[row]):.3f}, must be at most {BOUND:g}"
        ),
    )


def redrawn(model: nn.Module, seed: int) -> nn.Module:
    """A copy of `model` whose parameters are drawn anew, each tensor from a normal distribution of its own size."""
    other = copy.deepcopy(model)
    stream = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in other.parameters():
            if parameter.is_floating_point():
                noise = torch.randn(parameter.shape, generator=stream, dtype=torch.float64)
                parameter.copy_((noise * float(parameter.double().square().mean().sqrt().clamp(min=0.5))).to(parameter))
    return other


def _correlation(one: Tensor, two: Tensor) -> Tensor:
    """Pearson's correlation over the players of each row; 0 where either is constant."""
    one, two = one - one.mean(1, keepdim=True), two - two.mean(1, keepdim=True)
    size = (one.norm(dim=1) * two.norm(dim=1)).clamp(min=1e-30)
    flat = (one.abs().amax(1) < 1e-12) | (two.abs().amax(1) < 1e-12)
    correlation: Tensor = ((one * two).sum(1) / size).masked_fill(flat, 0)
    return correlation


PARAMETER_SENSITIVITY = Axiom(
    name="parameter_sensitivity",
    statement="the mean of corr(A(f_θ), A(f_θ')) over re-drawn θ' is at most 0.9",
    reference="Adebayo et al. (2018), section 3 (model parameter randomisation test)",
    level="statistical",
    needs=("parameters",),
    measure=measure,
    condition="at least three players, and weights that are parameters",
)
