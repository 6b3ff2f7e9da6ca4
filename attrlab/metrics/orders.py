"""Inside a block of equal scores an attribution states no order, so what is read there is the mean over all orders of the block.

A curve that is straight across a tie is not that mean: where three equal players only count together (an AND), every order keeps the
output until the last of them comes, and the straight line lies beside all of them. Here a point inside a block is the mean worth over
all ways of taking so many of its players, which is what random tie-breaking converges to. With m players in the block, l of them live
(able to change the input), and j taken, that is

    E(j) = sum over s of  C(l, s) C(m - l, j - s) / C(m, j)  *  mean of v over the s-subsets of the live ones,

exact from 2^l coalitions up to `EXACT` live players; in larger blocks it is estimated from `ORDERS` fixed orders, each beside its
reverse. Those orders are the same for every row, so that no row depends on its batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.games.curves import Curve, Mode, Order
from attrlab.games.game import Game
from attrlab.games.plan import Jobs, Levels, concatenate
from attrlab.games.ranking import Ranking, rank
from attrlab.games.value import Value, worth
from attrlab.metrics.answers import Answers, Asked, asked

EXACT = 8
"""Live players up to which the mean over a block's orders is computed from all its coalitions."""

ORDERS = 4
"""Orders by which larger blocks are read, each with its reverse."""

SEED = 0x7135
"""Where the fixed orders come from."""


def mean_curve(
    game: Asked,
    scores: Tensor,  # (batch, players)
    *,
    order: Order = "morf",
    mode: Mode = "deletion",
    ranking: Literal["signed", "absolute"] = "signed",
    steps: int | None = None,
    value: Value = "logit",
) -> Curve:
    """Follow the mean worth over all orders that the scores leave open, one point per player or `steps` of them.

    Args:
        game: what is asked.
        scores: of the players.
        order: "morf", most relevant (largest score) first, or "lerf", least relevant first.
        mode: "deletion" starts from the whole input and removes, "insertion" starts from nothing and adds.
        ranking: by the score as it is, or by its absolute value.
        steps: None takes players one at a time; T reads the curve after round(t n / T) of a row's n players, t = 0, ..., T.
        value: the worth of a coalition.

    Returns:
        A curve whose rows are NaN where scores are not finite or there is no player.

    Raises:
        InvalidInput: if an option is unknown, `steps` is not positive, or scores are not (batch, players).

    Reference:
        Samek et al., "Evaluating the visualization of what a deep neural network has learned", 2017, section III; Petsiuk et al., "RISE",
        2018, section 4. Differs from both in ties and in that fractions are those of the row's own players.
    """
    _require_options(order, mode, ranking, steps)
    known = asked(game)
    name = ("mean_curve", order, ranking, steps)
    if known.game.players == 0:
        raise NotApplicable("no row has a player, so there is no order to follow: give feature_mask a player (got players=0)")
    points = known.reduced(scores, name, lambda: _points(known.game, scores, order, ranking, steps))
    read = known.reduced(scores, (*name, mode), lambda: _read(known, points, mode))
    return known.reduced(scores, (*name, mode, value), lambda: _curve(known, read, value))


def seeded_ranks(
    ranked: Ranking,
    *,
    orders: int = ORDERS,
) -> Tensor:  # (2 x orders, batch, players) int64
    """Ranks of the players in which ties are broken by fixed random keys, the same for every row, each order beside its reverse."""
    players, device = ranked.order.shape[1], ranked.order.device
    keys = torch.rand(orders, players, generator=torch.Generator().manual_seed(SEED), dtype=torch.float64).to(device)
    places = keys.argsort(dim=1, stable=True).argsort(dim=1)
    ranks = ranked.of_players(_positions(ranked)).repeat(2 * orders, 1, 1)
    row, position = ((ranked.last > ranked.first) & ranked.inside()).nonzero(as_tuple=True)
    player = ranked.order[row, position]
    block = (row * players + ranked.first[row, position]) * players
    for rank_of, place in zip(ranks, (*places, *(players - 1 - places)), strict=True):
        arriving = player[(block + place[player]).argsort()]  # a block keeps its positions, so rows and blocks stay where they are
        rank_of[row, arriving] = position
    return ranks


@dataclass(frozen=True, kw_only=True)
class _Blocks:
    """The blocks that are read exactly: those inside which a point is needed and that hold few live players."""

    row: Tensor  # (blocks,) int64
    start: Tensor  # (blocks,) int64, position of the first player
    size: Tensor  # (blocks,) int64
    live: Tensor  # (blocks,) int64
    at: Tensor  # (batch, players) int64: position -> its block, or -1
    member: Tensor  # (blocks, EXACT) int64: the live player of each bit, or -1


@dataclass(frozen=True, kw_only=True)
class _Tables:
    """A plan: every subset of each block's live players, behind the players that stand before the block."""

    blocks: _Blocks
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
        taken = prefix[row, start][self.block] + (numbers[self.block] * self._bits(self.code)).sum(1)
        return taken if self.mode == "insertion" else zobrist.sum(1)[self.sample] - taken

    def keep(self, selection: Tensor) -> Tensor:
        """Compare each player's block with the job's, and put in those of its members whose bit is 1."""
        block = self.block[selection]
        taken = self.first[self.blocks.row[block]] < self.blocks.start[block].unsqueeze(1)
        job, bit = self._bits(self.code[selection]).nonzero(as_tuple=True)
        taken[job, self.blocks.member[block[job], bit]] = True
        return taken if self.mode == "insertion" else ~taken

    def _bits(self, code: Tensor) -> Tensor:  # (rows,) -> (rows, EXACT) int64, 0 or 1
        return code.unsqueeze(1) >> torch.arange(EXACT, device=code.device) & 1


def _counts(ranked: Ranking, steps: int | None) -> Tensor:  # (batch, points) int64
    """How many players are taken at each point; the last is repeated in rows of fewer players."""
    count = ranked.count.unsqueeze(1)
    if steps is None:
        return torch.arange(ranked.order.shape[1] + 1, device=count.device).clamp(max=count)
    return (2 * torch.arange(steps + 1, device=count.device) * count + steps) // (2 * steps)


@dataclass(frozen=True, kw_only=True)
class _Points:
    """Where a curve along a ranking is read, whichever way it runs."""

    ranked: Ranking
    counts: Tensor  # (batch, points) int64
    begin: Tensor  # (batch, points) int64: where the block that holds a point begins
    exact: Tensor  # (batch, points) bool: points inside of blocks that are read exactly
    blocks: _Blocks
    ranks: Tensor  # (orders, batch, players) int64: the orders over which the other points are averaged


@dataclass(frozen=True, kw_only=True)
class _Read:
    """What the network answered along a ranking, before a value function is chosen."""

    points: _Points
    tables: _Tables
    sample: Tensor  # (jobs,) int64
    logits: Tensor  # (jobs, outputs): the levels of each order, then the tables


def _points(game: Game, scores: Tensor, order: Order, ranking: str, steps: int | None) -> _Points:
    scores = scores.detach().to(game.inputs.device)
    ranked = rank(scores.abs() if ranking == "absolute" else scores, game.present, descending=order == "morf")
    counts = _counts(ranked, steps)
    begin = _start_of(ranked, counts)
    inside = counts > begin
    blocks = _exact_blocks(game, ranked, begin, inside)
    exact = inside & (blocks.at.gather(1, begin.clamp(max=blocks.at.shape[1] - 1)) >= 0)
    ranks = seeded_ranks(ranked) if bool((inside & ~exact).any()) else ranked.of_players(ranked.first).unsqueeze(0)
    return _Points(ranked=ranked, counts=counts, begin=begin, exact=exact, blocks=blocks, ranks=ranks)


def _read(answers: Answers, points: _Points, mode: Mode) -> _Read:
    """Ask for every coalition that the mean curve needs."""
    tables = _tables(points.blocks, points.ranked, mode)
    threshold = torch.where(points.exact, points.begin, points.counts)
    plans: list[Jobs] = [Levels(rank=one, threshold=threshold, mode=mode) for one in points.ranks]
    joined = concatenate(*plans, tables) if len(tables) else concatenate(*plans)
    return _Read(points=points, tables=tables, sample=joined.sample, logits=answers.ask(joined))


def _curve(answers: Answers, read: _Read, value: Value) -> Curve:
    """The mean curve of one value function."""
    found = worth(read.logits, answers.game.target[read.sample], value=value).double()
    points, counts = read.points, read.points.counts
    levels = len(points.ranks) * counts.numel()
    values = found[:levels].view(-1, *counts.shape).mean(0)
    if len(read.tables):
        values[points.exact] = _means(read.tables, found[levels:], points.begin, counts, points.exact)
    undefined = ~points.ranked.defined | (points.ranked.count == 0)
    return Curve(
        fraction=counts.double() / points.ranked.count.clamp(min=1).unsqueeze(1),
        value=values.masked_fill(undefined.unsqueeze(1), torch.nan),
        valid=torch.cat([torch.ones_like(counts[:, :1], dtype=torch.bool), counts.diff(dim=1) > 0], 1) & ~undefined.unsqueeze(1),
        forwards=answers.forwards,
    )


def _positions(ranked: Ranking) -> Tensor:  # (batch, players) int64
    return torch.arange(ranked.order.shape[1], device=ranked.order.device).expand_as(ranked.order)


def _start_of(ranked: Ranking, counts: Tensor) -> Tensor:  # (batch, points) int64
    """Where the block that holds a point begins; the point itself, where it stands between blocks."""
    first = torch.where(ranked.inside(), ranked.first, ranked.count.unsqueeze(1))
    start = first.gather(1, counts.clamp(max=first.shape[1] - 1))
    return torch.where(counts < ranked.count.unsqueeze(1), start, counts)


def _exact_blocks(game: Game, ranked: Ranking, begin: Tensor, inside: Tensor) -> _Blocks:
    """The blocks with a needed point inside and at most `EXACT` live players."""
    live = game.live.gather(1, ranked.order) & ranked.inside()
    before = torch.cat([torch.zeros_like(ranked.count).unsqueeze(1), live.long().cumsum(1)], 1)
    behind = before.gather(1, ranked.last + 1) - before.gather(1, ranked.first)
    needed = torch.zeros_like(live.byte()).scatter_reduce_(1, begin.clamp(max=live.shape[1] - 1), inside.byte(), "amax")  # no bits on CUDA
    heads = needed.bool() & (ranked.first == _positions(ranked)) & ranked.inside() & (behind <= EXACT)
    row, start = heads.nonzero(as_tuple=True)
    at = torch.full_like(ranked.order, -1)
    at[row, start] = torch.arange(len(row), device=live.device)
    at = at.gather(1, ranked.first).masked_fill(~ranked.inside(), -1)
    own, position = (live & (at >= 0)).nonzero(as_tuple=True)
    member = torch.full((len(row), EXACT), -1, device=live.device)
    bit = before[own, position] - before[own, ranked.first[own, position]]
    member[at[own, position], bit] = ranked.order[own, position]
    size = ranked.last[row, start] - start + 1
    return _Blocks(row=row, start=start, size=size, live=behind[row, start], at=at, member=member)


def _tables(blocks: _Blocks, ranked: Ranking, mode: Mode) -> _Tables:
    """All codes of all blocks, block by block."""
    codes = torch.ones_like(blocks.live) << blocks.live
    block = torch.arange(len(codes), device=codes.device).repeat_interleave(codes)
    start = (codes.cumsum(0) - codes)[block]
    return _Tables(
        blocks=blocks,
        first=ranked.of_players(torch.where(ranked.inside(), ranked.first, ranked.order.shape[1])),
        order=ranked.order,
        block=block,
        code=torch.arange(len(block), device=codes.device) - start,
        mode=mode,
    )


def _means(tables: _Tables, table: Tensor, begin: Tensor, counts: Tensor, exact: Tensor) -> Tensor:  # (exact points,) float64
    """E(j) at every point inside a block that is read exactly."""
    blocks = tables.blocks
    bits = tables.code.unsqueeze(1) >> torch.arange(EXACT, device=table.device)
    taken = (bits & 1).sum(1)
    sums = table.new_zeros(len(blocks.row), EXACT + 1).index_put_((tables.block, taken), table, accumulate=True)
    sizes = torch.arange(EXACT + 1, device=table.device)
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


def _require_options(order: str, mode: str, ranking: str, steps: int | None) -> None:
    for name, got, known in (
        ("order", order, ("morf", "lerf")),
        ("mode", mode, ("deletion", "insertion")),
        ("ranking", ranking, ("signed", "absolute")),
    ):
        if got not in known:
            raise InvalidInput(f"{name} is {' or '.join(map(repr, known))} (got {got!r})")
    if steps is not None and steps < 1:
        raise InvalidInput(f"steps is a positive number, or None for one player at a time (got {steps})")
