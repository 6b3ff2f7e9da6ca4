"""Calls that bundle several steps are run step by step, so that each step gets the rule of its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from attrlab.errors import NotApplicable


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Attention softmax(q kᵀ / √d) v."""
    if dropout_p or enable_gqa:
        raise NotApplicable(
            f"scaled_dot_product_attention has a rule without dropout and grouped keys only (got {dropout_p=}, {enable_gqa=})"
        )
    scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -torch.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
    return torch.softmax(scores, -1) @ value


def _gated(input: Tensor, dim: int = -1) -> Tensor:
    """The product a sigmoid(b) of the halves (a, b)."""
    first, second = input.chunk(2, dim)
    return first * torch.sigmoid(second)


DECOMPOSED: Mapping[str, Callable[..., Tensor]] = {"scaled_dot_product_attention": _attention, "glu": _gated}
"""By the name of the call."""
