"""How relevance passes what is not linear: an activation hands on what it received, and a norm is the linear map of its constant scale."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from attrlab.errors import NotApplicable
from attrlab.methods.calls import POWERS, Call, vanishes_at_zero

_NORMS = {
    "layer_norm": ("input", "normalized_shape", "weight", "bias", "eps"),
    "rms_norm": ("input", "normalized_shape", "weight", "eps"),
    "group_norm": ("input", "num_groups", "weight", "bias", "eps"),
}


def handed_on(call: Call) -> Tensor:
    """R_in = R_out: the signal times f(x) / x (Bach et al. 2015); a function with f(0) ≠ 0 is linearised at x, and the rest is lost.

    The linearisation keeps a softmax written with exp and a division equal to the softmax itself, of which AttnLRP takes the same
    first-order term (Achtibat et al. 2024, proposition 3.1).
    """
    if call.name in POWERS and vanishes_at_zero(call):
        exponent: float = [*call.arguments, *call.keywords.values()][1]
        return call.output / exponent
    if call.name in ("relu", "leaky_relu", "prelu", "abs") or not vanishes_at_zero(call):
        return call.output
    x, y = call.x.detach(), call.output.detach()
    ratio = torch.where(x == 0, 0, y / torch.where(x == 0, 1, x))
    return call.x * ratio + torch.where(x == 0, call.output, 0)


def constant_scale(call: Call) -> Tensor:
    """(x - mean) weight / scale, the scale held constant (Ali et al. 2022, equation 8); a bias keeps its share.

    Raises:
        NotApplicable: for an instance norm.
    """
    if call.name not in _NORMS:
        raise NotApplicable(f"{call.name} has no relevance rule; write it as a group norm with one group per channel (got {call.name!r})")
    given = {**dict(zip(_NORMS[call.name], call.arguments, strict=False)), **call.keywords}
    normed = _normed(call.x, given, centre=call.name != "rms_norm")
    weight: Tensor | None = given.get("weight")
    if weight is None:
        return normed
    return normed * (weight.view(-1, *[1] * (normed.dim() - 2)) if call.name == "group_norm" else weight)


def _normed(x: Tensor, given: dict[str, Any], *, centre: bool) -> Tensor:
    parts = x.reshape(len(x), given["num_groups"], -1) if "num_groups" in given else x.flatten(-len(given["normalized_shape"]))
    centred = parts - parts.mean(-1, keepdim=True) if centre else parts
    least = given.get("eps")
    least = (1e-5 if centre else torch.finfo(x.dtype).eps) if least is None else least
    return (centred * (centred.detach().square().mean(-1, keepdim=True) + least).rsqrt()).view_as(x)
