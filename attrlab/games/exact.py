"""Where every coalition can be asked, values are exact, and nothing needs to be sampled.

Only live players enter the table: a player whose absence changes nothing is a null player of the game, with value 0 exactly. Rows with
equally many live players are computed together. Shapley values are sums of marginal contributions, so that a
null player's is a sum of exact zeros, and no rounding decides where it ranks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from attrlab.errors import NotApplicable
from attrlab.games.evaluate import Progress, evaluate
from attrlab.games.game import Game
from attrlab.games.plan import Selected, Without
from attrlab.games.subsets import AllSubsets
from attrlab.games.value import Value, worth

LIMIT = 20
"""Live players up to which a table is made: 2^20 forwards and 8 MiB of values per row."""

BLOCK = 2**18
"""Coalitions that are held at a time; tables of several rows are made together up to here."""


DIFFERENCES = 17
"""Players over whose coalitions the algebra works at a time: 1 MiB of differences and as much of weights."""


@dataclass(frozen=True, kw_only=True)
class CoalitionValues:
    """The worth of every coalition of the live players of some rows.

    Attributes:
        rows: which rows of the game.
        members: the live players of each; bit i of a code is the i-th of them.
        values: `values[t, code]` is the worth of the coalition `code` of row `rows[t]`.
    """

    rows: Tensor  # (tables,) int64
    members: Tensor  # (tables, width) int64
    values: Tensor  # (tables, 2^width) float64


def coalition_values(
    game: Game,
    *,
    limit: int = LIMIT,
    value: Value = "logit",
    progress: Progress | None = None,
) -> Iterator[CoalitionValues]:
    """Ask a game for every coalition of its live players, rows of equally many live players together.

    Args:
        game: what is asked.
        limit: the largest number of live players that is enumerated.
        value: the worth of a coalition, as `value.worth` takes it.
        progress: called as progress(coalitions done, coalitions in all).

    Raises:
        NotApplicable: if a row has more live players than `limit`; named before anything is evaluated.
    """
    counts = game.live.sum(1)
    _require_few(counts, limit)
    total, done = int((2.0**counts).sum()), 0
    for width in sorted(set(counts.tolist())):
        for rows in (counts == width).nonzero().squeeze(1).split(max(1, BLOCK >> width)):
            yield _table(game, rows, width, value, _shifted(progress, done, total))
            done += len(rows) << width


def shapley(
    game: Game,
    *,
    limit: int = LIMIT,
    value: Value = "logit",
    progress: Progress | None = None,
) -> Tensor:  # (batch, players) float64
    """The Shapley value of every player, exactly: phi_i = sum over S without i of |S|! (n-|S|-1)! / n! * (v(S + i) - v(S)).

    Absent and dead players score 0.

    Raises:
        NotApplicable: if a row has more live players than `limit`.

    Reference:
        Shapley, "A value for n-person games", 1953.
    """
    scores = torch.zeros(game.present.shape, dtype=torch.float64, device=game.inputs.device)
    for table in coalition_values(game, limit=limit, value=value, progress=progress):
        scores[table.rows.unsqueeze(1), table.members] = shapley_of_table(table.values)
    return scores


def shapley_of_table(
    values: Tensor,  # (..., 2^n)
) -> Tensor:  # (..., n) float64
    """Shapley values of full coalition tables, player by player: one difference and one product with the weights of sizes.

    Differences are taken a block at a time, so that beside the table no memory grows with it.
    """
    values = values.double().contiguous()
    players = values.shape[-1].bit_length() - 1
    weights = _weights(players, values.device)
    gains = values.new_empty(*values.shape[:-1], weights.shape[1])
    scores = [values.new_zeros(values.shape[:-1])] * players
    for player in range(players):
        for others, (without, joined) in enumerate(_blocks(values, player, weights.shape[1])):
            torch.sub(joined, without, out=gains.view(joined.shape))
            scores[player] = scores[player] + gains @ weights[others.bit_count()]
    return torch.stack(scores, -1) if players else values.new_zeros(*values.shape[:-1], 0)


def moebius(
    values: Tensor,  # (..., 2^n)
) -> Tensor:  # (..., 2^n) float64
    """The Moebius transform, or Harsanyi dividends: m(S) = sum over T in S of (-1)^(|S|-|T|) v(T).

    Reference:
        Harsanyi, "A simplified bargaining model for the n-person cooperative game", 1963.
    """
    dividends = values.double().clone(memory_format=torch.contiguous_format)
    for player in range(values.shape[-1].bit_length() - 1):
        pairs = _pairs(dividends, player)
        pairs[..., 1, :] -= pairs[..., 0, :]
    return dividends


def shapley_from_moebius(
    dividends: Tensor,  # (..., 2^n)
) -> Tensor:  # (..., n) float64
    """Shapley values share each dividend equally among its members: phi_i = sum over S with i of m(S) / |S|."""
    players = dividends.shape[-1].bit_length() - 1
    shares = dividends.double().contiguous() / _sizes(players, dividends.device).clamp(min=1)
    scores = [_pairs(shares, player)[..., 1, :].sum((-1, -2)) for player in range(players)]
    return torch.stack(scores, -1) if players else shares.new_zeros(*shares.shape[:-1], 0)


def removal(
    game: Game,
    *,
    value: Value = "logit",
    progress: Progress | None = None,
) -> Tensor:  # (batch, players), in the game's dtype
    """The effect of removing one player: v(N) - v(N without i). Absent and dead players score 0."""
    rows, player = game.live.nonzero(as_tuple=True)
    everyone = torch.arange(len(game), device=rows.device)
    sample = torch.cat([everyone, rows])
    jobs = Without(sample=sample, player=torch.cat([torch.full_like(everyone, -1), player]), players=game.players)
    values = worth(evaluate(game, jobs, progress=progress).logits, game.target[sample], value=value)
    scores = values.new_zeros(game.present.shape)
    scores[rows, player] = values[: len(game)][rows] - values[len(game) :]
    return scores


def _table(game: Game, rows: Tensor, width: int, value: Value, progress: Progress | None) -> CoalitionValues:
    """One table for each row, filled a bounded number of coalitions at a time."""
    members = game.live[rows].nonzero()[:, 1].view(len(rows), width)
    plan = AllSubsets(rows=rows, members=members, players=game.players, distinct=True)
    values = torch.empty(len(plan), dtype=torch.float64, device=rows.device)
    for start in range(0, len(plan), BLOCK):
        stop = min(start + BLOCK, len(plan))
        part = plan if len(plan) <= BLOCK else Selected(plan=plan, index=torch.arange(start, stop, device=rows.device))
        target = game.target[rows].unsqueeze(1).expand(-1, (stop - start) // len(rows)).flatten()
        found = evaluate(game, part, progress=_shifted(progress, start, len(plan)))
        values[start:stop] = worth(found.logits, target, value=value)
    return CoalitionValues(rows=rows, members=members, values=values.view(len(rows), 1 << width))


def _shifted(progress: Progress | None, before: int, total: int) -> Progress | None:
    return None if progress is None else lambda done, _: progress(before + done, total)


def _pairs(table: Tensor, player: int) -> Tensor:  # (..., 2^n) -> (..., 2^(n-player-1), 2, 2^player), a view
    """Coalitions without the player and with it, side by side in the dimension before the last."""
    return table.view(*table.shape[:-1], -1, 2, 1 << player)


def _sizes(players: int, device: torch.device) -> Tensor:  # (2^players,) float64
    """The size of every coalition, in the order of its code."""
    sizes = torch.zeros(1, dtype=torch.float64, device=device)
    for _ in range(players):
        sizes = torch.cat([sizes, sizes + 1])
    return sizes


def _blocks(values: Tensor, player: int, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Coalitions of the others, `size` at a time in the order of their code, without the player and with it."""
    if 1 << player < size:
        table = values.view(*values.shape[:-1], -1, size >> player, 2, 1 << player)
        for block in range(table.shape[-4]):
            yield table[..., block, :, 0, :], table[..., block, :, 1, :]
        return
    table = values.view(*values.shape[:-1], -1, 2, (1 << player) // size, size)
    for above in range(table.shape[-4]):
        for block in range(table.shape[-2]):
            yield table[..., above, 0, block, :], table[..., above, 1, block, :]


@lru_cache(maxsize=4)
def _weights(players: int, device: torch.device) -> Tensor:  # (1 + the players of no block, the coalitions of a block) float64
    """The weight s! (n-s-1)! / n! = 1 / (n C(n-1, s)) of every coalition of a block, in the order of their code.

    Row b is for blocks whose coalitions all have b members beside those that tell them apart.
    """
    within = min(players - 1, DIFFERENCES)
    if players == 0:
        return torch.zeros(1, 0, dtype=torch.float64, device=device)
    by_size = torch.tensor([1 / (players * math.comb(players - 1, size)) for size in range(players)], dtype=torch.float64, device=device)
    sizes = _sizes(within, device).long()
    return torch.stack([by_size[sizes + others] for others in range(players - within)])


def _require_few(counts: Tensor, limit: int) -> None:
    if len(counts) and int(counts.max()) > limit:
        row = int(counts.argmax())
        raise NotApplicable(
            f"row {row} has {int(counts[row])} live players, and all coalitions are asked only up to {limit}: group entries into fewer "
            f"players in feature_mask, or write limit={int(counts[row])} for 2^{int(counts[row])} forwards"
        )
