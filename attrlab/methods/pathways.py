"""Gradients of the pathway that matters: the network with all but the neurons that contribute to this output silenced."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from attrlab.errors import InvalidInput
from attrlab.games.game import Model
from attrlab.methods.descent import Progress
from attrlab.methods.masked_rows import require_number
from attrlab.methods.neurons import (
    gated,
    integrated_contributions,
    kept_share,
    marginal_contributions,
    passed,
)
from attrlab.methods.sampled_gradients import require_count

Contribution = Literal["marginal", "integrated"]


def pathway_gradient(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    feature_mask: Tensor | None = None,  # (batch, *features) int64, -1 for none
    sparsity: float = 0.85,
    contribution: Contribution = "marginal",
    n_steps: int = 10,
) -> Tensor:  # (batch, *features), in the dtype of inputs
    """PathwayGrad: the gradient of the network in which only the neurons of largest contribution are kept.

    Args:
        model: maps (rows, *features) to (rows, outputs), with rectified units.
        inputs: the explained rows.
        target: which output of each row.
        feature_mask: of rows (positions, columns), so that neurons at positions without a player, as padding has, are not counted.
        sparsity: share of all neurons of a row that are silenced; the paper studies 0.8 to 0.99.
        contribution: "marginal", |a ∂f/∂a| (NeuronMCT), or "integrated", |a times its mean slope while its layer grows from 0 to 1|
            (NeuronIntGrad).
        n_steps: midpoints of that integral, for each layer.

    Returns:
        Signed slopes, in units of output per unit of input.

    Raises:
        InvalidInput: if a hyperparameter is out of range.
        NotApplicable: if the network has no rectified units, or rows depend on their batch.

    Reference:
        Khakzar, Baselizadeh, Khanduja, Rupprecht, Kim and Navab (2021), "Neural response interpretation through the lens of critical
        pathways", sections 3 and 4.

    Differs from the paper in: channels are not reduced to the one of largest magnitude; the integral runs from 0 to 1.

    Example:
        >>> first = lambda x: torch.relu(3 * x[:, :1] + x[:, 1:2]) - 0.1 * torch.relu(x[:, 2:])
        >>> pathway_gradient(first, torch.ones(1, 3), target=torch.tensor([0]), sparsity=0.5)
        tensor([[3., 1., 0.]])
    """
    how = _how(sparsity, contribution, n_steps)
    return gated_gradient(model, inputs, target, critical_pathway(model, inputs, target=target, feature_mask=feature_mask, **how))


def prune_gradient(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    feature_mask: Tensor | None = None,  # (batch, *features) int64, -1 for none
    sparsity: float = 0.85,
    portion: float = 0.01,
    progress: Progress | None = None,
) -> Tensor:  # (batch, *features), in the dtype of inputs
    """PruneGrad: neurons are silenced a few at a time, scored anew after each time, and the gradient is that of what remains.

    Args:
        model: maps (rows, *features) to (rows, outputs), with rectified units.
        inputs: the explained rows.
        target: which output of each row.
        feature_mask: of rows (positions, columns), so that neurons at positions without a player, as padding has, are not counted.
        sparsity: share of all neurons of a row that are silenced in the end.
        portion: share that is silenced at a time.
        progress: called as progress(times done, times in all).

    Returns:
        Signed slopes, in units of output per unit of input.

    Raises:
        InvalidInput, NotApplicable: as `pathway_gradient`.

    Reference:
        Khakzar, Baselizadeh, Khanduja, Kim and Navab (2019), "Explaining neural networks via perturbing important learned features",
        section 2.

    Differs from the paper in: the map is the pruned network's gradient, its response to a small perturbation, with its sign.

    Example:
        >>> first = lambda x: torch.relu(3 * x[:, :1] + x[:, 1:2]) - 0.1 * torch.relu(x[:, 2:])
        >>> prune_gradient(first, torch.ones(1, 3), target=torch.tensor([0]), sparsity=0.5)
        tensor([[3., 1., 0.]])
    """
    _how(sparsity, "marginal", 1)
    require_number("portion", portion, what="the share of neurons that is silenced at a time", most=1, beyond=True)
    times = max(1, math.ceil(sparsity / portion - 1e-9))
    scores = marginal_contributions(model, inputs, target)
    for time in range(1, times + 1):
        gates = kept_share(scores, 1 - min(sparsity, time * portion), feature_mask)
        if progress is not None:
            progress(time, times)
        if time < times:
            scores = tuple(
                torch.where(gate > 0, score, -1.0)
                for gate, score in zip(gates, marginal_contributions(model, inputs, target, gates), strict=True)
            )
    return gated_gradient(model, inputs, target, gates)


def critical_pathway(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,)
    feature_mask: Tensor | None = None,  # (batch, *features) int64, -1 for none
    sparsity: float = 0.85,
    contribution: Contribution = "marginal",
    n_steps: int = 10,
) -> tuple[Tensor, ...]:  # of each layer, (batch, *units), 1 or 0
    """Which neurons of each row `pathway_gradient` keeps; arguments and errors are its own."""
    _how(sparsity, contribution, n_steps)
    if contribution == "marginal":
        return kept_share(marginal_contributions(model, inputs, target), 1 - sparsity, feature_mask)
    return kept_share(integrated_contributions(model, inputs, target, n_steps=n_steps), 1 - sparsity, feature_mask)


def gated_gradient(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    target: Tensor,  # (batch,)
    gates: Sequence[Tensor],  # of each layer, (batch, *units)
) -> Tensor:  # (batch, *features)
    """The gradient of the network whose neurons are multiplied by gates."""
    with torch.enable_grad():
        point = inputs.detach().clone().requires_grad_()
        total = passed(model, point, target, gated(gates)).outputs.sum()
        (slope,) = torch.autograd.grad(total, point, allow_unused=True) if total.requires_grad else (None,)
    return torch.zeros_like(inputs) if slope is None else slope


def _how(sparsity: float, contribution: Contribution, n_steps: int) -> dict[str, Any]:
    if not 0 <= sparsity < 1:
        raise InvalidInput(f"sparsity is the share of neurons that is silenced, in [0, 1) (got {sparsity!r})")
    if contribution not in ("marginal", "integrated"):
        raise InvalidInput(f"contribution is 'marginal' or 'integrated' (got {contribution!r})")
    require_count("n_steps", n_steps, what="the number of midpoints")
    return {"sparsity": sparsity, "contribution": contribution, "n_steps": n_steps}
