"""Inputs and baselines run stacked through a network, so that at every call each half sees the other."""

from __future__ import annotations

import torch
from torch import Tensor

from attrlab.errors import NotApplicable
from attrlab.methods.calls import Call, depends


def difference(
    value: Tensor,  # (2 rows, ...)
) -> Tensor:  # (rows, ...)
    """Input half minus baseline half."""
    mine, others = value.detach().chunk(2)
    return mine - others


def mean_of_both(
    value: Tensor,  # (2 rows, ...) if it depends on the input
) -> Tensor:  # shaped like value
    """The mean of both halves, at both."""
    return (value.detach() + swapped(value.detach())) / 2 if depends(value) else value


def swapped(
    value: Tensor,  # (2 rows, ...)
) -> Tensor:  # (2 rows, ...)
    """The halves in the other order."""
    return torch.cat(tuple(reversed(value.chunk(2))))


def require_halves(call: Call) -> None:
    """Refuse a call on something of which the first dimension is not that of the stacked rows, or a whole number of each.

    Raises:
        NotApplicable: with the shape.
    """
    factors = [value for value in (call.x, call.other) if isinstance(value, Tensor) and depends(value)]
    for value in factors:
        if value.dim() == 0 or value.shape[0] % 2:
            raise NotApplicable(
                f"{call.name!r} is called on something whose first dimension is not that of the rows; keep rows first "
                f"(got {tuple(value.shape)})"
            )
