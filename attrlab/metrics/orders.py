"""Inside a block of equal scores an attribution states no order, so what is read there is the mean over all orders of the block.

A curve that is straight across a tie is not that mean: where three equal players only count together (an AND), every order keeps the
output until the last of them comes, and the straight line lies beside all of them. Here a point inside a block is the mean worth over
all ways of taking so many of its players, which is what random tie-breaking converges to: exact in blocks of few live players
(`tie_blocks`), and estimated in larger ones from `ORDERS` fixed orders, each beside its reverse. Those orders are the same for every
row, so that no row depends on its batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from attrlab.errors import NotApplicable
from attrlab.games.curves import Curve, Mode, Order, require_options
from attrlab.games.game import Game
from attrlab.games.plan import Jobs, Levels, concatenate
from attrlab.games.ranking import Ranking, rank
from attrlab.games.value import Value, worth
from attrlab.metrics.answers import Answers, Asked, asked
from attrlab.metrics.tie_blocks import Blocks, Tables, exact_blocks, means, tables_of

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
    require_options(order, mode, ranking, steps, otherwise="one player at a time")
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
    ranks = ranked.of_players(ranked.positions()).repeat(2 * orders, 1, 1)
    row, position = ((ranked.last > ranked.first) & ranked.inside()).nonzero(as_tuple=True)
    player = ranked.order[row, position]
    block = (row * players + ranked.first[row, position]) * players
    for rank_of, place in zip(ranks, (*places, *(players - 1 - places)), strict=True):
        arriving = player[(block + place[player]).argsort()]  # a block keeps its positions, so rows and blocks stay where they are
        rank_of[row, arriving] = position
    return ranks


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
    blocks: Blocks
    ranks: Tensor  # (orders, batch, players) int64: the orders over which the other points are averaged


@dataclass(frozen=True, kw_only=True)
class _Read:
    """What the network answered along a ranking, before a value function is chosen."""

    points: _Points
    tables: Tables
    sample: Tensor  # (jobs,) int64
    logits: Tensor  # (jobs, outputs): the levels of each order, then the tables


def _points(game: Game, scores: Tensor, order: Order, ranking: str, steps: int | None) -> _Points:
    scores = scores.detach().to(game.inputs.device)
    ranked = rank(scores.abs() if ranking == "absolute" else scores, game.present, descending=order == "morf")
    counts = _counts(ranked, steps)
    begin = _start_of(ranked, counts)
    inside = counts > begin
    blocks = exact_blocks(game, ranked, begin, inside)
    exact = inside & (blocks.at.gather(1, begin.clamp(max=blocks.at.shape[1] - 1)) >= 0)
    ranks = seeded_ranks(ranked) if bool((inside & ~exact).any()) else ranked.of_players(ranked.first).unsqueeze(0)
    return _Points(ranked=ranked, counts=counts, begin=begin, exact=exact, blocks=blocks, ranks=ranks)


def _read(answers: Answers, points: _Points, mode: Mode) -> _Read:
    """Ask for every coalition that the mean curve needs."""
    tables = tables_of(points.blocks, points.ranked, mode)
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
        values[points.exact] = means(read.tables, found[levels:], points.begin, counts, points.exact)
    undefined = ~points.ranked.defined | (points.ranked.count == 0)
    return Curve(
        fraction=counts.double() / points.ranked.count.clamp(min=1).unsqueeze(1),
        value=values.masked_fill(undefined.unsqueeze(1), torch.nan),
        valid=torch.cat([torch.ones_like(counts[:, :1], dtype=torch.bool), counts.diff(dim=1) > 0], 1) & ~undefined.unsqueeze(1),
        forwards=answers.forwards,
    )


def _start_of(ranked: Ranking, counts: Tensor) -> Tensor:  # (batch, points) int64
    """Where the block that holds a point begins; the point itself, where it stands between blocks."""
    first = torch.where(ranked.inside(), ranked.first, ranked.count.unsqueeze(1))
    start = first.gather(1, counts.clamp(max=first.shape[1] - 1))
    return torch.where(counts < ranked.count.unsqueeze(1), start, counts)
