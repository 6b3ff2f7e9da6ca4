"""Where a value depends only on how many players of each kind are present, its exact Shapley values need a product of counts, not 2^n.

A player's kind is what it changes when it joins: (+1, 0) a pixel of the first colour, (0, -1) a pixel that covers one of the second, a
tuple of sums a patch. Kinds that change nothing are null; an additive value gives each player its own change; any other is summed
over the states of the kinds in exact fractions. Images with the same kinds share one computation.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from synthetic.environment import GroundTruth
from synthetic.oracles import count_game_shapley

STATES = 200_000
"""Most states of one image's game: about ten seconds of fractions."""

Value = Callable[[np.ndarray], np.ndarray]  # (states, sums) int64 -> (states,)
Scores = tuple[np.ndarray, np.ndarray, np.ndarray]


def count_truth(
    value: Callable[[int], Value],
    start: np.ndarray,  # (batch, sums) int64: the sums of the baseline
    change: np.ndarray,  # (batch, players, sums) int64: what each player adds by joining
    target: np.ndarray,  # (batch,) int64
    *,
    additive: bool,
) -> GroundTruth:
    """Return support, sign, Shapley values and removal effects; with `additive` the path integral too, which is the same number.

    Args:
        value: for each target, the output as a function of sums.
        start: where the empty coalition stands.
        change: 0 for a player that equals its baseline.
        target: which output of each row.
        additive: the value is linear in the sums.

    Raises:
        ValueError: if a row's kinds have more than 200 000 states together.
    """
    batch, players, sums = change.shape
    kinds, kind = np.unique(change.reshape(-1, sums), axis=0, return_inverse=True)
    kind = kind.reshape(batch, players)
    sizes = np.stack([(kind == k).sum(1) for k in range(len(kinds))], axis=1)
    sizes[:, ~kinds.any(1)] = 0
    keys, where = np.unique(np.concatenate([sizes, start, target[:, None]], axis=1), axis=0, return_inverse=True)
    solve = _additive if additive else _enumerated
    tables = [solve(value(int(key[-1])), key[-1 - sums : -1], kinds, key[: len(kinds)]) for key in keys]
    shapley, removal, support = (np.take_along_axis(np.stack(part)[where.ravel()], kind, axis=1) for part in zip(*tables, strict=True))
    return _truth(shapley, removal, support, additive=additive)


def _truth(shapley: np.ndarray, removal: np.ndarray, support: np.ndarray, *, additive: bool) -> GroundTruth:
    scores = {"shapley": shapley, "removal": removal} | ({"integrated_gradients": shapley} if additive else {})
    return GroundTruth(
        support=torch.from_numpy(support),
        sign=torch.from_numpy(np.sign(shapley).astype(np.int8)),
        attributions={name: torch.from_numpy(part.copy()) for name, part in scores.items()},
        independent=torch.zeros(support.shape, dtype=torch.bool),
        orbit=torch.full(support.shape, -1, dtype=torch.int64),
    )


def _additive(value: Value, start: np.ndarray, kinds: np.ndarray, sizes: np.ndarray) -> Scores:  # each (kinds,)
    alone = np.where(sizes > 0, value(start + kinds) - value(start[None]), 0).astype(np.float64)
    return alone, alone, alone != 0


def _enumerated(value: Value, start: np.ndarray, kinds: np.ndarray, sizes: np.ndarray) -> Scores:  # each (kinds,)
    present = np.flatnonzero(sizes)
    scores = np.zeros((2, len(kinds)))
    support = np.zeros(len(kinds), dtype=bool)
    shape = tuple(int(size) + 1 for size in sizes[present])
    if math.prod(shape) > STATES:
        raise ValueError(
            f"the Shapley values of kinds of players are summed over the states of all kinds, at most {STATES} of them; draw fewer "
            f"coloured pixels, colours or kinds of patches (got {math.prod(shape)} states of {len(shape)} kinds)"
        )
    states = np.indices(shape).reshape(len(shape), math.prod(shape)).T
    table = np.asarray(value(start + states @ kinds[present])).reshape(shape)
    scores[0, present] = count_game_shapley(lambda counts: table[counts].item(), [size - 1 for size in shape])
    for axis, kind in enumerate(present):
        scores[1, kind] = table.flat[-1] - table[tuple(-2 if a == axis else -1 for a in range(len(shape)))]
        support[kind] = bool(np.diff(table, axis=axis).any())
    return scores[0], scores[1], support


def by_kind(labels: Tensor) -> Tensor:  # (batch, players, pixels) int64 -> (batch, players) int64
    """Number the players so that those whose pixels have equal labels, in order, have equal numbers."""
    radix = int(labels.max()) + 1
    if radix ** labels.shape[-1] < 2**62:
        return (labels * radix ** torch.arange(labels.shape[-1])).sum(-1)
    return torch.from_numpy(np.unique(labels.flatten(0, 1).numpy(), axis=0, return_inverse=True)[1].reshape(labels.shape[:2]))
