"""One noise stream per row: what a row is given depends on its own seed alone, not on its batch, its place in it, or the device.

The stream is a counter-based generator (SplitMix64 of seed and counter), so rows are drawn all at once and nothing is drawn from
any generator with a state.
"""

from __future__ import annotations

from math import log2, prod

import torch
from torch import Tensor

_GOLDEN, _FIRST, _SECOND = (value - (1 << 64) for value in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def row_uniform(seeds: Tensor, shape: tuple[int, ...], *, dtype: torch.dtype = torch.float64) -> Tensor:
    """Independent uniforms in [0, 1) of shape (rows, *shape), row r drawn from the stream of seeds[r].

    As many leading bits are drawn as the significand of `dtype` holds, 53 for float64, so that none is rounded up to 1.

    Reference:
        Steele, Lea, Flood (2014), "Fast splittable pseudorandom number generators", figure 16 (the mixing function).
    """
    counter = torch.arange(1, prod(shape) + 1, device=seeds.device, dtype=torch.int64)
    state = _mix(seeds.to(torch.int64).view(-1, 1)) + counter * _GOLDEN
    digits = 1 - round(log2(torch.finfo(dtype).eps))
    bits = _shift(_mix(state), 64 - digits)
    return (bits.to(torch.float64) * 2.0**-digits).to(dtype).view(len(seeds), *shape)


def _mix(value: Tensor) -> Tensor:
    value = (value ^ _shift(value, 30)) * _FIRST
    value = (value ^ _shift(value, 27)) * _SECOND
    return value ^ _shift(value, 31)


def _shift(value: Tensor, by: int) -> Tensor:
    """Logical shift to the right; int64's own shift is arithmetic."""
    return (value >> by) & ((1 << (64 - by)) - 1)
