"""Scores that differ by no more than rounding are tied, and a tie is never decided by index.

Two players with the same true score come out of a summation 1e-17 apart, in an order that depends on where they stand. Whatever
reads an order off scores (curves, rank correlations, areas under precision and recall) therefore reads it here: sorted scores
fall into blocks, a new block beginning where the gap is beyond rounding, and only blocks have an order.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attrlab.errors import InvalidInput

ROUNDINGS = 64
"""Scores are tied within this many units of rounding (of their own number type) of the row's largest magnitude: a score is a sum of up
to about 10^4 terms, whose rounding errors add up like the square root of their number, to about 10^2 halves."""

BY_DIGITS = 2**15
"""How many numbers it takes for torch to sort integers by digits."""

_BITS = {torch.float32: torch.int32, torch.float64: torch.int64}
"""Integers of as many bits."""


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Players of each row in order, in blocks of ties. Positions count from 0; players that are not present stand last.

    Attributes:
        order: the player at each position.
        first: the position at which the block of this position begins.
        last: the position at which it ends.
        count: how many players are present.
        defined: rows whose present players all have finite scores; the others are ranked as if every such score were 0.
    """

    order: Tensor  # (batch, players) int64
    first: Tensor  # (batch, players) int64
    last: Tensor  # (batch, players) int64
    count: Tensor  # (batch,) int64
    defined: Tensor  # (batch,) bool

    def of_players(
        self,
        positions: Tensor,  # (batch, players): a value for each position
    ) -> Tensor:  # (batch, players): that value for each player
        """Carry a value from positions back to players."""
        return torch.empty_like(positions).scatter_(1, self.order, positions)

    def positions(self) -> Tensor:  # (batch, players) int64
        """Every row's positions, counted from 0."""
        return torch.arange(self.order.shape[1], device=self.order.device).expand_as(self.order)

    def inside(self) -> Tensor:  # (batch, players) bool
        """Positions that hold a present player."""
        return self.positions() < self.count.unsqueeze(1)


def rank(
    scores: Tensor,  # (batch, players)
    present: Tensor,  # (batch, players) bool
    *,
    descending: bool = True,
) -> Ranking:
    """Order the present players of each row by score, in blocks of ties.

    Raises:
        InvalidInput: if the shapes differ, or scores are not floating-point.
    """
    if not scores.is_floating_point():
        raise InvalidInput(f"scores must be floating-point: write scores.double() (got {scores.dtype})")
    if scores.shape != present.shape or scores.dim() != 2:
        raise InvalidInput(
            f"scores must be (batch, players), like present, {tuple(present.shape)}: write players_of(scores, feature_mask, players) "
            f"(got {tuple(scores.shape)})"
        )
    finite = scores.isfinite()
    values = torch.where(finite & present, scores, 0)
    key, order = _sorted(torch.where(present, -values if descending else values, torch.inf))
    gap = key.diff(dim=1) > rounding_of(values)
    begins = torch.cat([torch.ones_like(present[:, :1]), gap], 1)
    ends = torch.cat([gap, torch.ones_like(present[:, :1])], 1)
    position = torch.arange(scores.shape[1], device=scores.device).expand_as(order)
    return Ranking(
        order=order,
        first=torch.where(begins, position, 0).cummax(1).values,
        last=torch.where(ends, position, scores.shape[1]).flip(1).cummin(1).values.flip(1),
        count=present.sum(1),
        defined=(finite | ~present).all(1),
    )


def _sorted(keys: Tensor) -> tuple[Tensor, Tensor]:
    """Each row ascending and where its values stood, equal ones in the order of their places.

    On a CPU, integers in one dimension are sorted by their digits, three to four times as fast as rows of numbers are by comparison: the
    bits of a number, of a negative one turned around, are ascending integers. Those of a float32 are sorted with the row put before
    them, those of a float64 all at once, and then by row.
    """
    if keys.is_cuda or keys.dtype not in _BITS or keys.numel() < BY_DIGITS:
        return keys.sort(dim=1, stable=True)
    rows, players = keys.shape
    bits = (keys + 0.0).view(_BITS[keys.dtype])  # 0 added, -0 is 0
    ascending = torch.where(bits < 0, bits ^ torch.iinfo(bits.dtype).max, bits)
    first = torch.arange(rows, device=keys.device).unsqueeze(1)
    if bits.dtype == torch.int32:
        place = ((ascending.long() - torch.iinfo(torch.int32).min) | (first << 32)).flatten().argsort(stable=True)
    else:
        place = ascending.flatten().argsort(stable=True)
        row = place.div(players, rounding_mode="floor")
        place = place[row.to(torch.int16 if rows < 2**15 else torch.int64).argsort(stable=True)]  # fewer digits are sorted sooner
    order = place.view(rows, players) - first * players
    return keys.gather(1, order), order


def rounding_of(
    values: Tensor,  # (batch, players)
) -> Tensor:  # (batch, 1)
    """What is rounding in each row: `ROUNDINGS` units of its largest magnitude."""
    largest = values.abs().amax(1, keepdim=True) if values.shape[1] else values.new_zeros(len(values), 1)
    return ROUNDINGS * torch.finfo(values.dtype).eps * largest


def average_ranks(
    scores: Tensor,  # (batch, players)
    present: Tensor,  # (batch, players) bool
) -> Tensor:  # (batch, players) float64
    """Ascending ranks from 1, ties sharing their average; NaN for absent players and where a row has a non-finite score."""
    ranking = rank(scores, present, descending=False)
    ranks = ranking.of_players((ranking.first + ranking.last).double() / 2 + 1)
    return ranks.masked_fill(~present | ~ranking.defined.unsqueeze(1), torch.nan)
