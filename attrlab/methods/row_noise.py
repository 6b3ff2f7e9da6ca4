"""Noise of a row that stays where it is when the row is padded: the k-th entry that counts has the k-th normal of the row's stream.

A stream read in the order of a tensor's memory gives an entry other noise as soon as the largest graph of the batch has one node more.
Here what counts is numbered by itself, and every number has its normals for all samples beside one another.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from attrlab.randomness import row_uniform


def counted_normal(
    seeds: Tensor,  # (rows,) int64
    *,
    samples: int,
    count: int,
    dtype: torch.dtype,
) -> Tensor:  # (rows, samples, count)
    """Independent standard normals; those of the first numbers do not depend on how many follow (Box and Muller 1958)."""
    radius, angle = row_uniform(seeds, (count, samples, 2)).unbind(3)
    drawn = (-2 * torch.log1p(-radius)).sqrt() * torch.cos(2 * math.pi * angle)
    return drawn.movedim(1, 2).to(dtype)


def entry_normal(
    seeds: Tensor,  # (rows,) int64
    owned: Tensor,  # (rows, *features) bool
    *,
    samples: int,
    dtype: torch.dtype,
) -> Tensor:  # (rows, samples, *features)
    """Standard normals at the entries that are owned, numbered in the order of their places; 0 elsewhere."""
    flat = owned.flatten(1)
    drawn = counted_normal(seeds, samples=samples, count=flat.shape[1], dtype=dtype)
    if not bool(flat.all()):
        number = (flat.cumsum(1) - 1).clamp(min=0).unsqueeze(1).expand_as(drawn)
        drawn = drawn.gather(2, number) * flat.unsqueeze(1)
    return drawn.reshape(len(seeds), samples, *owned.shape[1:])


def unit_normal(
    seeds: Tensor,  # (rows,) int64
    shape: tuple[int, ...],  # (channels, *positions)
    *,
    samples: int,
    dtype: torch.dtype,
) -> Tensor:  # (rows, samples, channels, *positions)
    """Standard normals of a layer's units, numbered position by position, so that further positions change none."""
    channels, *positions = shape
    drawn = counted_normal(seeds, samples=samples, count=math.prod(shape), dtype=dtype)
    return drawn.view(len(seeds), samples, *positions, channels).movedim(-1, 2)
