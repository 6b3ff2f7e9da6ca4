"""The Rescale rule of a maximum: its rise is credited to the winner of the input and to the winner of the baseline.

From y' to y the value goes by way of max(y, y'): the winner of the input gets max(y, y') - y', the winner of the baseline y - max(y, y'),
each as a multiplier of its own difference. Both are then at most 1 in size, and windows may overlap.

Reference:
    Lundberg and others, the SHAP library's DeepExplainer, and Captum's DeepLift, for windows that do not overlap.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from attrlab.errors import NotApplicable
from attrlab.methods.calls import Call
from attrlab.methods.stacked_halves import require_halves, swapped

ZERO = 1e-10
"""A difference below this is none, as in the paper's implementation and in Captum: the derivative stands for the multiplier."""


def maximum_rule(
    call: Call,
) -> Tensor:  # shaped like the call's output
    """Values at the winners of both halves, each with its multiplier.

    Raises:
        NotApplicable: if the call is neither max pooling, nor amax or max over named dimensions, nor of two; or is over the batch.
    """
    require_halves(call)
    sign = -1.0 if call.name in ("amin", "min", "minimum") else 1.0
    if "pool" in call.name:
        values, index = _pooled(call)
    elif call.name in ("amax", "amin", "max", "min", "maximum", "minimum"):
        values, index = _reduced(call, sign)
    else:
        raise NotApplicable(f"{call.name!r} has no Rescale rule; max pooling, amax and maximum have one (got {call.name!r})")
    shape = call.output.shape
    index = index.detach()
    here, there = values.gather(-1, index), values.gather(-1, swapped(index))
    mine, others = here.detach(), swapped(here.detach())
    top = torch.maximum(mine, others)
    from_mine = _share(here, values, index, top - others, at_rest=(mine >= others).to(mine.dtype))
    from_theirs = _share(there, values, swapped(index), mine - top, at_rest=torch.zeros_like(mine))
    return sign * (from_mine * here + from_theirs * there).view(shape)


def _share(value: Tensor, values: Tensor, index: Tensor, rise: Tensor, *, at_rest: Tensor) -> Tensor:
    """The multiplier of one winner: its part of the rise over its own difference."""
    change = value.detach() - swapped(values.detach()).gather(-1, index)
    return torch.where(change.abs() > ZERO, rise / torch.where(change == 0, 1.0, change), at_rest)


def _pooled(call: Call) -> tuple[Tensor, Tensor]:
    """The pool's input, (2 batch, channels, positions), and the position of every window's winner."""
    name = call.name.removesuffix("_with_indices")
    keywords = {key: value for key, value in call.keywords.items() if key != "return_indices"}
    dims = int(name[-2])
    places = 6 if "adaptive" not in name else 2
    with torch.no_grad():
        pool = getattr(functional, name)
        _, index = pool(call.x.detach(), *call.arguments[1:places], **keywords, return_indices=True)
    return call.x.flatten(-dims), index.flatten(-dims)


def _reduced(call: Call, sign: float) -> tuple[Tensor, Tensor]:
    """The reduced values, the candidates in the last dimension, and the winner among them."""
    given = [*call.arguments[1:], *call.keywords.values()]
    if given and isinstance(given[0], Tensor):
        first, second = call.arguments[0].expand_as(call.output), given[0].expand_as(call.output)
        values = sign * torch.stack([first, second], -1)
        return values, values.detach().argmax(-1, keepdim=True)
    dim = call.keywords.get("dim", call.arguments[1] if len(call.arguments) > 1 else None)
    dims = (dim,) if isinstance(dim, int) else tuple(dim or ())
    if not dims or 0 in dims or -call.x.dim() in dims:
        raise NotApplicable(f"{call.name!r} takes a maximum over the batch, so rows depend on each other; name its dim (got dim={dim!r})")
    kept = call.x.movedim(dims, tuple(range(-len(dims), 0)))
    values = sign * kept.flatten(-len(dims))
    return values, values.detach().argmax(-1, keepdim=True)
