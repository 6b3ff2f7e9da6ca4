"""Images are drawn sparse from blocks of uniform numbers, so that a row does not depend on how many rows are drawn with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from synthetic.images.heads import MODULAR, Head

EXACT_COUNTS = 2048
"""Up to this total count the modulo head's partial sums, below n^2 in quarters, fit into float32's 24 bits."""

RESERVED = 5
"""Uniform numbers of a row before those of its counts: which output, which class, which of it, whether tied, spare."""


@dataclass(frozen=True, kw_only=True)
class Draw:
    """How many patches of each colour an image has; bounds are inclusive, a patch is a square of `patch` x `patch` pixels."""

    size: int
    distractors: int
    counts: tuple[int, int]
    distraction: tuple[int, int]
    head: Head
    patch: int = 1
    correlation: float = 0.0

    @property
    def cells(self) -> int:
        """How many places for patches an image has along a side."""
        return self.size // self.patch

    @property
    def most(self) -> int:
        """The largest number of patches of an image."""
        largest = max(self.distraction[1], self.counts[1] if self.correlation else 0)
        return self.head.colours * self.counts[1] + self.distractors * largest

    @property
    def threshold(self) -> int:
        """The least number of patches with enough pixels for the threshold."""
        return -(-self.head.threshold // self.patch**2)


def inclusive(knob: str, value: Any) -> tuple[int, int]:
    """Return the bounds of a number of pixels.

    Raises:
        ValueError: if they are not two integers, 0 <= least <= largest.
    """
    bounds = tuple(value) if isinstance(value, (tuple, list)) else ()
    if len(bounds) != 2 or not all(isinstance(bound, int) for bound in bounds) or not 0 <= bounds[0] <= bounds[1]:
        raise ValueError(f"{knob} is the least and the largest number of pixels, such as (1, 4) (got {value!r})")
    return bounds[0], bounds[1]


def at_density(density: float | None, *, cells: int, colours: int) -> tuple[int, int] | None:
    """The bounds of each colour's count with which, on average, about this share of the image is coloured; None for None.

    Raises:
        ValueError: if it is not a share that leaves background and reaches one pixel of a colour.
    """
    if density is None:
        return None
    mean = density * cells / colours
    if not mean >= 1 or not density <= 2 / 3:
        raise ValueError(
            f"density is the share of coloured pixels and sets counts and distraction; write {colours / cells:.3g} to 0.666, so that there "
            f"is room and each of {colours} colours has a pixel (got {density!r})"
        )
    return max(1, math.ceil(mean / 2)), math.floor(3 * mean / 2)


def require_patch(patch: int, size: int) -> None:
    """Check that squares of this side fit into an image.

    Raises:
        ValueError: if not.
    """
    if not isinstance(patch, int) or not 1 <= patch <= size:
        raise ValueError(f"patch is the side of the coloured squares, 1 to {size} pixels (got {patch!r})")


def require_drawable(draw: Draw) -> None:
    """Check that the images fit, and that no output is constant.

    Raises:
        ValueError: if not.
    """
    if not 0 <= draw.correlation <= 1:
        raise ValueError(f"correlation is how often distractors are as many as the first target, 0 to 1 (got {draw.correlation!r})")
    if draw.most > draw.cells**2:
        raise ValueError(
            f"up to {draw.most} coloured squares do not fit into {draw.cells}x{draw.cells}; lower counts or distraction, or raise size "
            f"(got counts={draw.counts}, distraction={draw.distraction}, size={draw.size}, patch={draw.patch})"
        )
    low, high = draw.counts
    if draw.head.name == "threshold" and not low < draw.threshold <= high:
        raise ValueError(
            f"threshold must be above the least and not above the largest number of target pixels, or the output is constant "
            f"(got threshold={draw.head.threshold}, counts={draw.counts}, patch={draw.patch})"
        )
    if draw.head.name == "dominant" and low == high:
        raise ValueError(f"one colour can only dominate if counts vary, such as (1, 4) (got {draw.counts})")
    if draw.head.name == "modulo" and draw.head.colours * high * draw.patch**2 > EXACT_COUNTS:
        raise ValueError(
            f"the modulo of up to {EXACT_COUNTS} pixels is exact in float32, whose 24 bits hold the sum of the steps; lower counts, or "
            f"write head='long-division', which has no such bound (got up to {draw.head.colours * high * draw.patch**2})"
        )
    if draw.head.name in MODULAR and draw.patch**2 % draw.head.modulus == 0:
        raise ValueError(
            f"squares of {draw.patch}x{draw.patch} pixels always count 0 mod {draw.head.modulus}; choose another patch or modulus "
            f"(got patch={draw.patch}, modulus={draw.head.modulus})"
        )


def draw_labels(
    draw: Draw,
    n: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:  # (n, size, size) int64: the number of each pixel's colour; (n,) int64: the output that is explained
    """Draw n images, as numbers of palette colours; the squares of an image are placed without replacement.

    Raises:
        ValueError: if n < 1.
    """
    colours = draw.head.colours + draw.distractors
    placing, own, counting = uniform_blocks((draw.cells**2, RESERVED, colours), n, generator)
    counts = _target_counts(draw, counting[:, : draw.head.colours], own)
    others = whole(counting[:, draw.head.colours :], draw.distraction)
    others = torch.where((own[:, 3] < draw.correlation)[:, None], counts[:, :1], others)
    cells = scatter_colours(torch.cat([counts, others], 1), placing, most=draw.most).view(n, draw.cells, draw.cells)
    labels = cells.repeat_interleave(draw.patch, 1).repeat_interleave(draw.patch, 2) if draw.patch > 1 else cells
    margin = draw.size - labels.shape[1]
    return torch.nn.functional.pad(labels, (0, margin, 0, margin)) if margin else labels, whole(own[:, 0], (0, draw.head.outputs - 1))


def uniform_blocks(widths: Sequence[int], n: int, generator: torch.Generator) -> list[Tensor]:
    """Uniform numbers in [0, 1) of these widths, each (n, width) from its own stream, so that none depends on n or another's width.

    Raises:
        ValueError: if n < 1.
    """
    if n < 1:
        raise ValueError(f"a batch has at least one row (got n={n})")
    seeds = torch.randint(2**62, (len(widths),), generator=generator).tolist()
    streams = [torch.Generator().manual_seed(seed) for seed in seeds]
    return [torch.rand(n, width, generator=stream, dtype=torch.float64) for width, stream in zip(widths, streams, strict=True)]


def whole(
    uniform: Tensor,  # (...) in [0, 1)
    bounds: tuple[Any, Any],  # inclusive; integers or tensors that broadcast
) -> Tensor:  # (...) int64
    """Turn uniform numbers into equally likely integers."""
    low, high = bounds
    drawn: Tensor = low + torch.floor(uniform * (high - low + 1))
    return drawn.long()


def scatter_colours(
    counts: Tensor,  # (n, colours) int64
    places: Tensor,  # (n, cells) uniform
    *,
    most: int,
) -> Tensor:  # (n, cells) int64
    """Give counts[k] random cells the number k + 1 and the others 0, without replacement; at most `most` cells in all."""
    seats = torch.arange(max(1, most)).expand(len(counts), -1).contiguous()
    last = counts.cumsum(1)  # seat s has the first colour whose cumulative count exceeds s
    colour = torch.searchsorted(last, seats, right=True) + 1
    colour = torch.where(seats < last[:, -1:], colour, 0)
    chosen = places.topk(max(1, most), dim=1).indices
    return torch.zeros(places.shape, dtype=torch.int64).scatter_(1, chosen, colour)


def _target_counts(draw: Draw, uniform: Tensor, own: Tensor) -> Tensor:  # (n, targets)
    """Uniform counts, corrected so that neither the zeros nor the ones of a head dominate."""
    low, high = draw.counts
    counts, coin = whole(uniform, draw.counts), own[:, 1] < 0.5
    if draw.head.name == "and":
        missing = whole(own[:, 2], (0, draw.head.colours - 1))
        return counts.masked_fill(coin[:, None] & (torch.arange(draw.head.colours) == missing[:, None]), 0)
    if draw.head.name in MODULAR:
        return _fewer_zeros(counts, coin, draw)
    if draw.head.name == "threshold":
        return torch.where(coin[:, None], whole(uniform, (low, draw.threshold - 1)), whole(uniform, (draw.threshold, high)))
    if draw.head.name == "dominant":
        return _one_winner(uniform, own, draw)
    return counts


def _fewer_zeros(counts: Tensor, rows: Tensor, draw: Draw) -> Tensor:
    """Half of the rows whose total is a multiple of m lose or gain a square of the first colour."""
    low, high = draw.counts
    if low == high:
        return counts
    change = torch.where(counts[:, 0] < high, 1, -1)
    zero = (counts.sum(1) * draw.patch**2 % draw.head.modulus == 0) & rows
    return torch.cat([counts[:, :1] + (change * zero)[:, None], counts[:, 1:]], 1)


def _one_winner(uniform: Tensor, own: Tensor, draw: Draw) -> Tensor:
    """Each colour is the only largest one equally often."""
    low, high = draw.counts
    counts, winner = whole(uniform, (low, high - 1)), whole(own[:, 1:2], (0, draw.head.colours - 1))
    rivals = counts.scatter(1, winner, -1).amax(1, keepdim=True)
    return counts.scatter(1, winner, whole(own[:, 2:3], (rivals + 1, high)))
