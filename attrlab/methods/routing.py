"""Distillation-guided routing: a gate for every neuron, opened only as far as the network's own answer asks for."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from attrlab.errors import InvalidInput
from attrlab.games.game import Model
from attrlab.methods.descent import Progress, momentum_descent
from attrlab.methods.masked_rows import require_number
from attrlab.methods.neurons import Neurons, gated, kept_share, marginal_contributions, split_like
from attrlab.methods.pathways import gated_gradient
from attrlab.methods.sampled_gradients import require_count

MOMENTUM, LARGEST = 0.9, 100.0
"""Of the descent on gates, and the bound they are held below."""


def cdrp_gradient(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    feature_mask: Tensor | None = None,  # (batch, *features) int64, -1 for none
    sparsity: float = 0.85,
    steps: int = 1000,
    lr: float = 0.01,
    l1: float = 0.01,
    progress: Progress | None = None,
) -> Tensor:  # (batch, *features), in the dtype of inputs
    """Distillation-guided routing: gates of neurons that keep the network's own answer at least cost, and the gradient through the largest.

    Minimised is KL(softmax f(x), softmax f_gates(x)) + l1 Σ gates over gates in [0, 100], from ones; of one output, the squared
    difference relative to f(x)² instead of the divergence.

    Args:
        model: maps (rows, *features) to (rows, outputs), with rectified units.
        inputs: the explained rows.
        target: which output of each row the gradient is of; the gates are found for all outputs.
        feature_mask: as `pathway_gradient`.
        sparsity: share of all neurons of a row that are silenced.
        steps: of gradient descent with momentum 0.9.
        lr: its step size.
        l1: weight of the sum of gates.
        progress: called as progress(steps done, steps in all).

    Returns:
        Signed slopes, in units of output per unit of input.

    Raises:
        InvalidInput, NotApplicable: as `pathway_gradient`.

    Reference:
        Wang, Su, Zhang and Hu (2018), "Interpret neural networks by identifying critical data routing paths", equation 2; as a pathway,
        Khakzar et al. (2021), as `pathway_gradient`.

    Differs from the paper in: a neuron has a gate, not a channel.

    Example:
        >>> first = lambda x: torch.relu(3 * x[:, :1] + x[:, 1:2]) - 0.1 * torch.relu(x[:, 2:])
        >>> cdrp_gradient(first, torch.ones(1, 3), target=torch.tensor([0]), sparsity=0.5, steps=20)
        tensor([[3., 1., 0.]])
    """
    require_count("steps", steps, what="the number of steps of descent")
    require_number("lr", lr, what="a step size", beyond=True)
    require_number("l1", l1, what="the weight of the gates")
    if not 0 <= sparsity < 1:
        raise InvalidInput(f"sparsity is the share of neurons that is silenced, in [0, 1) (got {sparsity!r})")
    gates = routing_gates(model, inputs, target=target, steps=steps, lr=lr, l1=l1, progress=progress)
    return gated_gradient(model, inputs, target, kept_share(gates, 1 - sparsity, feature_mask))


def routing_gates(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,)
    steps: int = 1000,
    lr: float = 0.01,
    l1: float = 0.01,
    progress: Progress | None = None,
) -> tuple[Tensor, ...]:  # of each layer, (batch, *units)
    """The gates of `cdrp_gradient`, all of them."""
    layers = marginal_contributions(model, inputs, target)
    with torch.no_grad():
        wanted = model(inputs)

    def slope(flat: Tensor, _: int) -> Tensor:
        with torch.enable_grad():
            leaf = flat.detach().requires_grad_()
            point = inputs.detach().clone().requires_grad_()  # what rectifiers are told apart by
            with Neurons(gated(split_like(leaf, layers))):
                loss = _distillation(model(point), wanted).sum()
            (found,) = torch.autograd.grad(loss, leaf)
        return found + l1

    start = torch.ones_like(torch.cat([values.flatten(1) for values in layers], 1))
    found = momentum_descent(slope, start, steps=steps, lr=lr, momentum=MOMENTUM, bounds=(0.0, LARGEST), progress=progress)
    return split_like(found, layers)


def _distillation(outputs: Tensor, wanted: Tensor) -> Tensor:  # (batch,)
    """How far the gated network's answer is from the network's own."""
    if outputs.shape[1] > 1:
        return functional.kl_div(outputs.log_softmax(1), wanted.log_softmax(1), log_target=True, reduction="none").sum(1)
    scale = torch.where(wanted[:, 0] != 0, wanted[:, 0], 1)
    return ((outputs[:, 0] - wanted[:, 0]) / scale).square()
