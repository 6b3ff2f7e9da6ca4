"""Gradient descent on one problem per row: elementwise updates, so that each row follows the trajectory it would have alone.

No norm is taken and nothing is clipped across rows; a slope is that of the sum over rows.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Slope = Callable[[Tensor, int], Tensor]
"""slope(point, step) -> like point."""

Progress = Callable[[int, int], None]
"""progress(steps done, steps in all)."""

BETA, EPSILON = (0.9, 0.999), 1e-8
"""Adam's constants (Kingma and Ba, 2015), as torch has them."""


def adam(
    slope: Slope,
    point: Tensor,  # (rows, *parameters)
    *,
    steps: int,
    lr: float,
    bounds: tuple[float, float] | None = None,
    progress: Progress | None = None,
) -> Tensor:  # (rows, *parameters)
    """Adam from `point`, held inside of `bounds` after every step."""
    point, first, second = point.clone(), torch.zeros_like(point), torch.zeros_like(point)
    for step in range(steps):
        towards = slope(point, step)
        first.lerp_(towards, 1 - BETA[0])
        second.mul_(BETA[1]).addcmul_(towards, towards, value=1 - BETA[1])
        size = second.sqrt().div_((1 - BETA[1] ** (step + 1)) ** 0.5).add_(EPSILON)
        point.addcdiv_(first, size, value=-lr / (1 - BETA[0] ** (step + 1)))
        if bounds is not None:
            point.clamp_(*bounds)
        if progress is not None:
            progress(step + 1, steps)
    return point


def momentum_descent(
    slope: Slope,
    point: Tensor,  # (rows, *parameters)
    *,
    steps: int,
    lr: float,
    momentum: float,
    dampening: float = 0.0,
    bounds: tuple[float, float] | None = None,
    progress: Progress | None = None,
) -> Tensor:  # (rows, *parameters)
    """Gradient descent with momentum v <- momentum v + (1 - dampening) slope, which starts at the first slope, as torch's SGD."""
    point, velocity = point.clone(), torch.zeros_like(point)
    for step in range(steps):
        towards = slope(point, step)
        velocity = towards.clone() if step == 0 else momentum * velocity + (1 - dampening) * towards
        point.sub_(velocity, alpha=lr)
        if bounds is not None:
            point.clamp_(*bounds)
        if progress is not None:
            progress(step + 1, steps)
    return point
