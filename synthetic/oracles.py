"""Exact truth by the shortest road: enumerate every coalition, in plain numpy and fractions, obvious and slow.

What is judged elsewhere in fast torch code is computed here a second time with nothing in common: no torch arithmetic, no
network is ever called. A game on n live players is a table of 2^n values, `values[code]`, where bit k of `code` says that
player live[k] keeps its value. Each attribution has two or three derivations from that table, because an oracle with one
derivation is an opinion. A player none of whose entries differs from the baseline is null by definition and is not enumerated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import permutations, product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from synthetic.environment import GroundTruth
from synthetic.path_oracle import path_integral

__all__ = [
    "coalition_table",
    "count_game_shapley",
    "game_truth",
    "moebius",
    "null_players",
    "path_integral",
    "removal_from_table",
    "shapley_by_orders",
    "shapley_from_moebius",
    "shapley_from_table",
]

Specification = Callable[[np.ndarray], np.ndarray]  # (batch, *features) -> (batch, outputs)
Numbers = np.ndarray | Tensor

LIMIT = 16
"""Most live players of one row that are enumerated: 65 536 coalitions take about a second in numpy."""

BLOCK = 4096
"""Coalitions that the specification is asked for at once."""

ROUNDING = 1e-9
"""A difference of two values below this, relative to the largest |value|, is float64 rounding and counts as zero."""


def coalition_table(
    specification: Specification,
    inputs: np.ndarray,  # (*features), one row
    baseline: np.ndarray,  # (*features)
    feature_mask: np.ndarray,  # (*features) int, -1 for none
    target: int,
    *,
    limit: int = LIMIT,
) -> tuple[list[int], np.ndarray]:  # live players, (2 ** len(live),)
    """Return the players that can change anything in this row, and the value of each of their coalitions.

    Raises:
        ValueError: if more than `limit` players are live, or an entry of no player differs from its baseline.
    """
    differs = inputs != baseline
    if (differs & (feature_mask < 0)).any():
        raise ValueError(
            f"an entry of no player (feature_mask -1) must have baseline == inputs, or no coalition decides its value "
            f"(got {int((differs & (feature_mask < 0)).sum())} such entries)"
        )
    live = sorted({int(player) for player in feature_mask[differs]})
    if len(live) > limit:
        raise ValueError(
            f"enumeration asks 2^n coalitions and is limited to {limit} players that differ from the baseline; use fewer players, "
            f"a closed form such as count_game_shapley, or raise limit (got {len(live)})"
        )
    seat = np.full(int(feature_mask.max(initial=-1)) + 2, len(live))
    seat[live] = range(len(live))
    values = [
        _values(specification, inputs, baseline, seat[feature_mask], target, np.arange(start, min(start + BLOCK, 2 ** len(live))))
        for start in range(0, 2 ** len(live), BLOCK)
    ]
    return live, np.concatenate(values)


def _values(
    specification: Specification, inputs: np.ndarray, baseline: np.ndarray, seat: np.ndarray, target: int, codes: np.ndarray
) -> np.ndarray:
    """Ask the specification for a block of codes; an entry whose seat is beyond the last bit equals its baseline anyway."""
    kept = (codes.reshape(-1, *[1] * seat.ndim) >> seat) & 1
    return np.asarray(specification(np.where(kept == 1, inputs, baseline)))[:, target].astype(np.float64)


def shapley_from_table(values: np.ndarray) -> np.ndarray:  # (2^n,) -> (n,)
    """φ_k = Σ_{S∌k} |S|! (n-|S|-1)! / n! (v(S∪k) - v(S)), the Shapley value (Shapley 1953).

    Summed as the mean over sizes of the mean over coalitions of that size, so that dyadic values stay exact for longest.
    """
    n, codes, size = _bits(values)
    scores = np.zeros(n)
    for k, without in _without_each(n, codes):
        by_size = np.bincount(size[without], weights=values[without | 1 << k] - values[without], minlength=n)
        scores[k] = sum(total / math.comb(n - 1, s) for s, total in enumerate(by_size)) / n
    return scores


def shapley_by_orders(values: np.ndarray) -> np.ndarray:  # (2^n,) -> (n,)
    """The Shapley value as the average marginal contribution over all n! orders of joining, in exact fractions.

    Raises:
        ValueError: if n > 7, beyond 5 040 orders.
    """
    n, _, _ = _bits(values)
    if n > 7:
        raise ValueError(f"n! orders are averaged for at most 7 players; use shapley_from_table (got {n})")
    exact, total = [Fraction(float(v)) for v in values], [Fraction(0)] * n
    for order in permutations(range(n)):
        code = 0
        for player in order:
            total[player] += exact[code | 1 << player] - exact[code]
            code |= 1 << player
    return np.array([float(t / math.factorial(n)) for t in total])


def moebius(values: np.ndarray) -> np.ndarray:  # (2^n,) -> (2^n,)
    """Harsanyi dividends d(S) = Σ_{T⊆S} (-1)^{|S|-|T|} v(T), by the subset transform; v(S) = Σ_{T⊆S} d(T)."""
    n, codes, _ = _bits(values)
    dividends = np.array(values, dtype=np.float64)
    for k, without in _without_each(n, codes):
        dividends[without | 1 << k] -= dividends[without]
    return dividends


def shapley_from_moebius(dividends: np.ndarray) -> np.ndarray:  # (2^n,) -> (n,)
    """φ_k = Σ_{S∋k} d(S) / |S|: a unanimity game is shared equally by its members, and the value is linear."""
    n, codes, size = _bits(dividends)
    return np.array([(dividends[without | 1 << k] / size[without | 1 << k]).sum() for k, without in _without_each(n, codes)])


def removal_from_table(values: np.ndarray) -> np.ndarray:  # (2^n,) -> (n,)
    """v(N) - v(N without k) for each player k."""
    n, _, _ = _bits(values)
    full = len(values) - 1
    return np.array([values[full] - values[full & ~(1 << k)] for k in range(n)])


def null_players(values: np.ndarray) -> np.ndarray:  # (2^n,) -> (n,) bool
    """Players that change no coalition's value by joining it."""
    n, codes, _ = _bits(values)
    bound = _rounding(values)
    null = [(abs(values[without | 1 << k] - values[without]) <= bound).all() for k, without in _without_each(n, codes)]
    return np.array(null, dtype=bool)


def count_game_shapley(value: Callable[[tuple[int, ...]], Any], sizes: Sequence[int]) -> np.ndarray:  # (groups,)
    """The Shapley value of one member of each group, where v depends only on how many members of each group are present.

    φ_g = Σ_n [Π_j C(N_j - δ_jg, n_j)] s! (T-s-1)! / T! (v(n + 1_g) - v(n)), with n_g < N_g, s = Σ n_j, T = Σ N_j: exact in
    Π N_j terms instead of 2^T. An empty group's members do not exist; their entry is 0.

    Args:
        value: v of a tuple of counts; any number that `Fraction` takes.
        sizes: N_j, the members of each group.
    """
    total = sum(sizes)
    exact = {counts: Fraction(value(counts)) for counts in product(*(range(size + 1) for size in sizes))}
    share = [math.factorial(s) * math.factorial(total - s - 1) for s in range(total)]
    scores = []
    for group, size in enumerate(sizes):
        others = [n - (j == group) for j, n in enumerate(sizes)]
        numerator = Fraction(0)
        for counts in product(*(range(n + 1) for n in others)) if size else ():
            joined = tuple(n + (j == group) for j, n in enumerate(counts))
            numerator += math.prod(map(math.comb, others, counts)) * share[sum(counts)] * (exact[joined] - exact[counts])
        scores.append(float(numerator / math.factorial(total)))
    return np.array(scores)


def game_truth(
    specification: Specification,
    inputs: Numbers,  # (batch, *features)
    baseline: Numbers,  # (batch, *features)
    feature_mask: Numbers,  # (batch, *features) int
    target: Numbers,  # (batch,) int
    *,
    players: int,
    independent: Numbers | None = None,  # (batch, players) or (players,) bool
    orbit: Numbers | None = None,  # (batch, players) or (players,) int
    integrated_gradients: Numbers | None = None,  # (batch, *features)
    limit: int = LIMIT,
) -> GroundTruth:
    """Return the truth of every row by enumeration of its live players; entries of a player sum into the player.

    Raises:
        ValueError: as `coalition_table`, or if a player that is stated to be independent changes some coalition's value.
    """
    x, x0, owner, chosen = (_array(a) for a in (inputs, baseline, feature_mask, target))
    shapley, removal = np.zeros((2, len(x), players))
    support = np.zeros((len(x), players), dtype=bool)
    for row in range(len(x)):
        live, values = coalition_table(specification, x[row], x0[row], owner[row], int(chosen[row]), limit=limit)
        if live:
            scores, bound = shapley_from_table(values), _rounding(values)
            shapley[row, live] = np.where(abs(scores) <= bound, 0.0, scores)
            removal[row, live] = removal_from_table(values)
            support[row, live] = ~null_players(values)
    free = np.broadcast_to(np.asarray(False if independent is None else _array(independent), dtype=bool), support.shape)
    if (free & support).any():
        row, player = np.argwhere(free & support)[0]
        raise ValueError(f"player {player} of row {row} is stated to be independent but changes the value of some coalition")
    scores_by_convention = {"shapley": shapley, "removal": removal}
    if integrated_gradients is not None:
        scores_by_convention["integrated_gradients"] = _per_player(_array(integrated_gradients), owner, players)
    return GroundTruth(
        support=torch.from_numpy(support),
        sign=torch.from_numpy(np.sign(shapley).astype(np.int8)),
        attributions={name: torch.from_numpy(scores) for name, scores in scores_by_convention.items()},
        independent=torch.from_numpy(free.copy()),
        orbit=torch.from_numpy(np.broadcast_to(np.asarray(-1 if orbit is None else _array(orbit), dtype=np.int64), support.shape).copy()),
    )


def _per_player(scores: np.ndarray, feature_mask: np.ndarray, players: int) -> np.ndarray:
    """Sum the entries of each player of each row; entries of no player are left out."""
    flat, owner = scores.reshape(len(scores), -1), feature_mask.reshape(len(scores), -1)
    return np.stack([((owner == player) * flat).sum(1) for player in range(players)], axis=1).astype(np.float64)


def _bits(values: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """The number of players of a table, its codes, and the size of each coalition."""
    n = len(values).bit_length() - 1
    if len(values) != 1 << n:
        raise ValueError(f"a coalition table has one value per subset, 2^n of them (got {len(values)})")
    codes = np.arange(1 << n)
    return n, codes, sum(((codes >> k) & 1 for k in range(n)), start=np.zeros_like(codes))


def _without_each(n: int, codes: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Each player with the codes of the coalitions it is not in."""
    return [(k, codes[(codes >> k) & 1 == 0]) for k in range(n)]


def _rounding(values: np.ndarray) -> float:
    return ROUNDING * float(abs(values).max(initial=0.0))


def _array(values: Numbers) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
