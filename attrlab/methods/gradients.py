"""Gradient methods: the derivative of the explained output at the input itself, alone or times how far the input is from a reference."""

from __future__ import annotations

import torch
from torch import Tensor

from attrlab.games.game import Model
from attrlab.methods.operations import outputs_at


def gradient(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,)
) -> Tensor:  # (batch, *features)
    """Signed gradient: A_i = ∂f_target(x) / ∂x_i.

    Returns scores in units of output per unit of input. Where f does not depend on x at all, 0.

    Reference:
        Simonyan, Vedaldi, Zisserman (2014), "Deep inside convolutional networks", section 3.
    Differs from the paper in:
        the sign is kept and channels are not reduced; the paper's saliency map is the absolute value, maximised over channels.

    Example:
        >>> gradient(lambda x: x**2, torch.tensor([[3.0]]), target=torch.tensor([0]))
        tensor([[6.]])
    """
    with torch.enable_grad():
        point = inputs.detach().clone().requires_grad_()
        total = outputs_at(model, point, target).sum()
        if not total.requires_grad:
            return torch.zeros_like(inputs)
        (slope,) = torch.autograd.grad(total, point, allow_unused=True)
    return torch.zeros_like(inputs) if slope is None else slope


def absolute_gradient(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,)
) -> Tensor:  # (batch, *features)
    """Saliency: A_i = |∂f_target(x) / ∂x_i|.

    Returns scores in units of output per unit of input; no score is negative.

    Reference:
        Simonyan, Vedaldi, Zisserman (2014), "Deep inside convolutional networks", section 3.1.
    Differs from the paper in:
        channels are not reduced to their maximum: a pixel's score is the sum over its channels, as every player's is.

    Example:
        >>> model = lambda x: -2 * x
        >>> absolute_gradient(model, torch.zeros(1, 1), target=torch.tensor([0]))
        tensor([[2.]])
    """
    return gradient(model, inputs, target=target).abs()


def input_x_gradient(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,)
) -> Tensor:  # (batch, *features)
    """Gradient times input: A_i = x_i · ∂f_target(x) / ∂x_i.

    Returns scores in units of the output. A feature whose value is 0 gets 0, whatever its baseline.

    Reference:
        Shrikumar, Greenside, Shcherbina, Kundaje (2016), "Not just a black box", section 2.

    Example:
        >>> input_x_gradient(lambda x: x**2, torch.tensor([[3.0]]), target=torch.tensor([0]))
        tensor([[18.]])
    """
    return inputs * gradient(model, inputs, target=target)


def gradient_x_difference(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,)
    baseline: Tensor,  # (batch, *features)
) -> Tensor:  # (batch, *features)
    """Gradient times the difference from the baseline: A_i = (x_i - x'_i) · ∂f_target(x) / ∂x_i, the linear estimate of f(x) - f(x').

    Returns scores in units of the output; input_x_gradient is the case x' = 0.

    Reference:
        Shrikumar, Greenside, Kundaje (2017), "Learning important features through propagating activation differences", section 2.2.3;
        as "gradient x (x - x')", a one-step path method with its node at the input.

    Example:
        >>> model = lambda x: 2 * x
        >>> gradient_x_difference(model, torch.ones(1, 1), target=torch.tensor([0]), baseline=torch.full((1, 1), 4.0))
        tensor([[-6.]])
    """
    return (inputs - baseline) * gradient(model, inputs, target=target)
