"""Images are drawn sparse: a few coloured pixels on the background, so that every coalition of them can be enumerated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from synthetic.oracles import LIMIT


@dataclass(frozen=True, kw_only=True)
class Draw:
    """How many pixels of each colour an image has; bounds are inclusive."""

    size: int
    targets: int
    distractors: int
    counts: tuple[int, int]
    distraction: tuple[int, int]
    head: str
    modulus: int

    @property
    def most(self) -> int:
        """The largest number of coloured pixels of an image."""
        return self.targets * self.counts[1] + self.distractors * self.distraction[1]


def inclusive(knob: str, value: Any) -> tuple[int, int]:
    """Return the bounds of a number of pixels.

    Raises:
        ValueError: if they are not two integers, 0 <= least <= largest.
    """
    bounds = tuple(value) if isinstance(value, (tuple, list)) else ()
    if len(bounds) != 2 or not all(isinstance(bound, int) for bound in bounds) or not 0 <= bounds[0] <= bounds[1]:
        raise ValueError(f"{knob} is the least and the largest number of pixels, such as (1, 4) (got {value!r})")
    return bounds[0], bounds[1]


def require_room(draw: Draw, *, players: int) -> None:
    """Check that the images fit, and that their coloured players can be enumerated.

    Raises:
        ValueError: if they do not, or cannot.
    """
    if draw.most > draw.size**2:
        raise ValueError(
            f"up to {draw.most} coloured pixels do not fit into {draw.size}x{draw.size}; lower counts or distraction, or raise size "
            f"(got counts={draw.counts}, distraction={draw.distraction}, size={draw.size})"
        )
    live = min(draw.most, players)
    if live > LIMIT:
        raise ValueError(
            f"the truth enumerates 2^n coalitions of n coloured players, at most {LIMIT} of them; lower counts or distraction so that all "
            f"colours together have at most {LIMIT} pixels (got up to {live})"
        )


def draw_labels(
    draw: Draw,
    n: int,
    generator: torch.Generator,
) -> Tensor:  # (n, size, size) int64: the number of each pixel's colour
    """Draw n images, as numbers of palette colours; the pixels of an image are placed without replacement."""
    counts = torch.cat([_target_counts(draw, n, generator), _uniform(draw.distraction, (n, draw.distractors), generator)], 1)
    place = torch.rand(n, draw.size**2, generator=generator, dtype=torch.float64).argsort(1)
    seats = torch.arange(draw.size**2).expand(n, -1).contiguous()
    last = counts.cumsum(1)  # seat s has the first colour whose cumulative count exceeds s
    colour = torch.searchsorted(last, seats, right=True) + 1
    colour = torch.where(seats < last[:, -1:], colour, 0)
    return torch.zeros_like(colour).scatter_(1, place, colour).view(n, draw.size, draw.size)


def _target_counts(draw: Draw, n: int, generator: torch.Generator) -> Tensor:  # (n, targets)
    """Uniform counts, corrected so that neither the zeros nor the ones of a head dominate."""
    counts = _uniform(draw.counts, (n, draw.targets), generator)
    coin = torch.rand(n, generator=generator, dtype=torch.float64) < 0.5
    if draw.head == "and":
        return _one_missing(counts, coin, generator)
    if draw.head == "modulo":
        return _fewer_zeros(counts, coin, draw)
    return counts


def _one_missing(counts: Tensor, rows: Tensor, generator: torch.Generator) -> Tensor:
    """In half of the rows one colour, drawn at random, is absent and the conjunction is 0."""
    missing = torch.randint(counts.shape[1], (len(counts),), generator=generator)
    return counts.masked_fill(rows[:, None] & (torch.arange(counts.shape[1]) == missing[:, None]), 0)


def _fewer_zeros(counts: Tensor, rows: Tensor, draw: Draw) -> Tensor:
    """Half of the rows whose total is a multiple of m lose or gain a pixel of the first colour."""
    low, high = draw.counts
    if low == high:
        return counts
    change = torch.where(counts[:, 0] < high, 1, -1)
    zero = (counts.sum(1) % draw.modulus == 0) & rows
    return torch.cat([counts[:, :1] + (change * zero)[:, None], counts[:, 1:]], 1)


def _uniform(bounds: tuple[int, int], shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randint(bounds[0], bounds[1] + 1, shape, generator=generator)
