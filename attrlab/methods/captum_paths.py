"""Integrated gradients as Captum computes them: the peer that the laboratory's own implementation is compared with.

Captum 0.9 holds nodes and weights of the quadrature in float32, so in float64 it carries an error of about 1e-7 of the scores' size; its
trapezoid rule, not offered here, has weights that sum to 1 - 1/n.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attrlab.methods.operations import reads
from attrlab.methods.sampled_gradients import require_count

EXPANDED_BYTES = 64 << 20
"""Captum expands the batch n_steps times; above this size it is told to work through it in parts."""


def captum_integrated_gradients(
    model: nn.Module,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,)
    baseline: Tensor,  # (batch, *features)
    n_steps: int = 50,
) -> Tensor:  # (batch, *features)
    """Integrated gradients by Captum's IntegratedGradients with Gauss-Legendre nodes, its default.

    Args:
        model: maps (rows, *features) to (rows, outputs).
        inputs: the rows that are explained.
        target: which output of each row.
        baseline: where the paths begin.
        n_steps: number of gradients per row.

    Returns:
        Scores in units of the output.

    Raises:
        InvalidInput: if n_steps is not a whole number of at least 1.

    Example:
        >>> rows, double = torch.tensor([[3.0]]), lambda x: 2 * x
        >>> captum_integrated_gradients(double, rows, target=torch.tensor([0]), baseline=torch.zeros(1, 1)).round(decimals=3)
        tensor([[6.]])

    Reference:
        Sundararajan, Taly, Yan (2017), "Axiomatic attribution for deep networks", equation 1; Kokhlikyan et al. (2020), "Captum".

    Differs from the paper in: Gauss-Legendre nodes instead of a Riemann sum, and in float64 weights that were rounded to float32.
    """
    require_count("n_steps", n_steps, what="the number of quadrature nodes")
    if not len(inputs) or not reads(model, inputs[:1]):
        return torch.zeros_like(inputs)
    from captum.attr import IntegratedGradients  # heavy: imports matplotlib

    expanded = inputs.numel() * inputs.element_size() * n_steps
    rows = max(len(inputs), EXPANDED_BYTES * len(inputs) * n_steps // max(expanded, 1))
    with torch.enable_grad():
        scores: Tensor = IntegratedGradients(model).attribute(
            inputs.detach().clone(),
            baselines=baseline,
            target=target,
            n_steps=n_steps,
            internal_batch_size=rows if expanded > EXPANDED_BYTES else None,
        )
    return scores.detach()
