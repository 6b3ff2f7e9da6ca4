"""Gradient methods: the derivative of the explained output at the input itself, alone or times the input."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attrlab.methods.operations import outputs_at


def gradient(
    model: nn.Module,
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
        >>> gradient(nn.Linear(2, 1), torch.zeros(3, 2), target=torch.zeros(3, dtype=torch.int64)).shape
        torch.Size([3, 2])
    """
    with torch.enable_grad():
        point = inputs.detach().clone().requires_grad_()
        total = outputs_at(model, point, target).sum()
        if not total.requires_grad:
            return torch.zeros_like(inputs)
        (slope,) = torch.autograd.grad(total, point, allow_unused=True)
    return torch.zeros_like(inputs) if slope is None else slope


def input_x_gradient(
    model: nn.Module,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,)
) -> Tensor:  # (batch, *features)
    """Gradient times input: A_i = x_i · ∂f_target(x) / ∂x_i.

    Returns scores in units of the output. A feature whose value is 0 gets 0, whatever its baseline.

    Reference:
        Shrikumar, Greenside, Shcherbina, Kundaje (2016), "Not just a black box", section 2.

    Example:
        >>> input_x_gradient(nn.Linear(2, 1), torch.zeros(3, 2), target=torch.zeros(3, dtype=torch.int64)).abs().sum().item()
        0.0
    """
    return inputs * gradient(model, inputs, target=target)
