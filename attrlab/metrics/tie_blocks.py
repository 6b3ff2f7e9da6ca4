"""The mean over all orders of a block of equal scores is exact where few of its players matter.

With m players in the block, l of them live (able to change the input), and j taken, the mean worth over all ways of taking them is

    E(j) = sum over s of  C(l, s) C(m - l, j - s) / C(m, j)  *  mean of v over the s-subsets of the live ones,

from the 2^l coalitions of the live ones behind everyone that stands before the block.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from attrlab.games.curves import Mode
from attrlab.games.game import Game
from attrlab.games.ranking import Ranking

EXACT = 8
"""Live players up to which the mean over a block's orders is computed from all its coalitions."""


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """The blocks that are read exactly: those inside which a point is needed and that hold few live players."""

    row: Tensor  # (blocks,) int64
    start: Tensor  # (blocks,) int64, position of the first player
    size: Tensor  # (blocks,) int64
    live: Tensor  # (blocks,) int64
    at: Tensor  # (batch, players) int64: position -> its block, or -1
    member: Tensor  # (blocks, EXACT) int64: the live player of each bit, or -1


@dataclass(frozen=True, kw_only=True)
class Tables:
    """A plan: every subset of each block's live players, behind the players that stand before the block."""

    blocks: Blocks
    first: Tensor  # (batch, players) int64: player -> position at which its block begins
    order: Tensor  # (batch, players) int64
    block: Tensor  # (jobs,) int64
    code: Tensor  # (jobs,) int64
    mode: Mode
    distinct: bool = field(default=False, init=False)

    def __len__(self) -> int:
        return len(self.code)

    @property
    def sample(self) -> Tensor:
        """The row of each job's block."""
        return self.blocks.row[self.block]

    def keys(self, zobrist: Tensor) -> Tensor:
        """The prefix sum at the block's start, and the numbers of the taken members."""
        row, start = self.blocks.row, self.blocks.start
        prefix = torch.cat([zobrist.new_zeros(len(zobrist), 1), zobrist.gather(1, self.order).cumsum(1)], 1)
        member = self.blocks.member
        numbers = zobrist[row.unsqueeze(1), member.clamp(min=0)].masked_fill(member < 0, 0)
        taken = prefix[row, start][self.block] + (numbers[self.block] * self.bits(self.code)).sum(1)
        return taken if self.mode == "insertion" else zobrist.sum(1)[self.sample] - taken

    def keep(self, selection: Tensor) -> Tensor:
        """Compare each player's block with the job's, and put in those of its members whose bit is 1."""
        block = self.block[selection]
        taken = self.first[self.blocks.row[block]] < self.blocks.start[block].unsqueeze(1)
        job, bit = self.bits(self.code[selection]).nonzero(as_tuple=True)
        taken[job, self.blocks.member[block[job], bit]] = True
        return taken if self.mode == "insertion" else ~taken

    def bits(
        self,
        code: Tensor,  # (rows,) int64
    ) -> Tensor:  # (rows, EXACT) int64, 0 or 1
        """Which live players of its block each code takes."""
        return code.unsqueeze(1) >> torch.arange(EXACT, device=code.device) & 1


def exact_blocks(
    game: Game,
    ranked: Ranking,
    begin: Tensor,  # (batch, points) int64: where the block that holds a point begins
    inside: Tensor,  # (batch, points) bool: points that lie inside of it
) -> Blocks:
    """The blocks with a needed point inside and at most `EXACT` live players."""
    live = game.live.gather(1, ranked.order) & ranked.inside()
    before = torch.cat([torch.zeros_like(ranked.count).unsqueeze(1), live.long().cumsum(1)], 1)
    behind = before.gather(1, ranked.last + 1) - before.gather(1, ranked.first)
    needed = torch.zeros_like(live.byte()).scatter_reduce_(1, begin.clamp(max=live.shape[1] - 1), inside.byte(), "amax")  # no bits on CUDA
    heads = needed.bool() & (ranked.first == ranked.positions()) & ranked.inside() & (behind <= EXACT)
    row, start = heads.nonzero(as_tuple=True)
    at = torch.full_like(ranked.order, -1)
    at[row, start] = torch.arange(len(row), device=live.device)
    at = at.gather(1, ranked.first).masked_fill(~ranked.inside(), -1)
    own, position = (live & (at >= 0)).nonzero(as_tuple=True)
    member = torch.full((len(row), EXACT), -1, device=live.device)
    bit = before[own, position] - before[own, ranked.first[own, position]]
    member[at[own, position], bit] = ranked.order[own, position]
    size = ranked.last[row, start] - start + 1
    return Blocks(row=row, start=start, size=size, live=behind[row, start], at=at, member=member)


def tables_of(
    blocks: Blocks,
    ranked: Ranking,
    mode: Mode,
) -> Tables:
    """All codes of all blocks, block by block."""
    codes = torch.ones_like(blocks.live) << blocks.live
    block = torch.arange(len(codes), device=codes.device).repeat_interleave(codes)
    start = (codes.cumsum(0) - codes)[block]
    return Tables(
        blocks=blocks,
        first=ranked.of_players(torch.where(ranked.inside(), ranked.first, ranked.order.shape[1])),
        order=ranked.order,
        block=block,
        code=torch.arange(len(block), device=codes.device) - start,
        mode=mode,
    )


def means(
    tables: Tables,
    values: Tensor,  # (jobs,) float64: what the jobs of the tables are worth
    begin: Tensor,  # (batch, points) int64
    counts: Tensor,  # (batch, points) int64: players taken at each point
    exact: Tensor,  # (batch, points) bool
) -> Tensor:  # (exact points,) float64
    """E(j) at every point inside a block that is read exactly."""
    blocks = tables.blocks
    taken = tables.bits(tables.code).sum(1)
    sums = values.new_zeros(len(blocks.row), EXACT + 1).index_put_((tables.block, taken), values, accumulate=True)
    sizes = torch.arange(EXACT + 1, device=values.device)
    live, size = blocks.live.unsqueeze(1), blocks.size.unsqueeze(1)
    by_size = sums / _choose(live, sizes.expand_as(sums)).clamp(min=1)
    row, _ = exact.nonzero(as_tuple=True)
    block = blocks.at[row, begin[exact]]
    j = (counts - begin)[exact].unsqueeze(1)
    live, size = live[block], size[block]
    share = _choose(live, sizes) * _choose(size - live, j - sizes) / _choose(size, j).clamp(min=1)
    return (share * by_size[block]).sum(1)


def _choose(n: Tensor, k: Tensor) -> Tensor:
    """Binomial coefficients in float64, 0 outside of 0 <= k <= n; whole numbers up to 2^53 are exact."""
    n, k = n.double(), k.double()
    fits = (k >= 0) & (k <= n)
    k = torch.where(fits, k, 0)
    found = (torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)).exp()
    return torch.where(fits, torch.where(found < 2**40, found.round(), found), 0)
