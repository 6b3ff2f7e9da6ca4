"""A refutation may not rest on a path that runs along a kink, where rounding decides a slope and not the function.

The input of such a row is off the kinks, but on a part of the segment from the baseline some unit stays at 0, and each of two equal
questions may see it on another side.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

POINTS = 97
"""Points of the segment that are looked at: the pieces of networks with numbers in {-1, 0, 1} are far longer than the distance of two."""

ZERO = 1e-12
"""Rounding of sums of small integers times t."""


def runs_along_a_kink(
    model: nn.Module,
    inputs: Tensor,  # (batch, *features)
    baseline: Tensor,  # (batch, *features)
) -> Tensor:  # (batch,) bool
    """Whether some ReLU is at 0 at two neighbouring points between baseline and input, and so all along between them."""
    t = (torch.arange(POINTS, dtype=inputs.dtype, device=inputs.device) + 0.5**0.5) / POINTS  # no break of a path is irrational
    path = baseline.unsqueeze(1) + t.view(1, -1, *[1] * (inputs.dim() - 1)) * (inputs - baseline).unsqueeze(1)
    found = torch.zeros(len(inputs), dtype=torch.bool, device=inputs.device)
    seen: list[Tensor] = []
    hooks = [
        part.register_forward_pre_hook(lambda _, given: seen.append(given[0])) for part in model.modules() if isinstance(part, nn.ReLU)
    ]
    try:
        with torch.no_grad():
            model(path.flatten(0, 1))
    finally:
        for hook in hooks:
            hook.remove()
    for before in seen:
        zero = before.view(len(inputs), POINTS, -1).abs() < ZERO
        found |= (zero[:, 1:] & zero[:, :-1]).flatten(1).any(1)
    return found
