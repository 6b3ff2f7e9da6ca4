"""A backward rule is the derivative of a surrogate: the true value goes forward, the surrogate's derivative comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def with_value(surrogate: Tensor, value: Tensor) -> Tensor:
    """Return `value`, connected by the derivative of `surrogate`.

    Raises:
        ValueError: if the shapes differ.
    """
    if surrogate.shape != value.shape:
        raise ValueError(f"a rule returns a tensor shaped like the call's output, {tuple(value.shape)} (got {tuple(surrogate.shape)})")
    valued: Tensor = _Valued.apply(surrogate, value.detach())  # type: ignore[no-untyped-call]
    return valued


def change_signal(value: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Return `value`, connected so that a signal s arriving at it goes on as change(s): with this a rule sees or alters the signal."""
    changed: Tensor = _Changed.apply(value, change)  # type: ignore[no-untyped-call]
    return changed


class _Valued(torch.autograd.Function):
    """The value of one tensor with the derivative of another."""

    @staticmethod
    def forward(ctx: Any, surrogate: Tensor, value: Tensor) -> Tensor:
        del ctx, surrogate
        return value.clone()  # a tensor of its own, which the network may write into

    @staticmethod
    def backward(ctx: Any, *signal: Tensor) -> tuple[Tensor, None]:
        del ctx
        return signal[0], None


class _Changed(torch.autograd.Function):
    """The identity, with a function of the signal as its backward pass."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.change = change
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *signal: Tensor) -> tuple[Tensor, None]:
        return ctx.change(signal[0]), None
