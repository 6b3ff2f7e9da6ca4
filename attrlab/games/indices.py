"""Power indices and interaction indices are means of discrete derivatives over coalitions, each with its own weight of sizes.

Of a full coalition table, the derivative of a player is v(S + i) - v(S), that of a pair v(S + ij) - v(S + i) - v(S + j) + v(S). They
are taken before they are summed, so that a null player's and a pair without interaction get a sum of exact zeros.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

WeightOfSize = Callable[[int, int], float]
"""The weight of a coalition by its size s and the number of players n."""


def shapley_interaction_weight(size: int, players: int) -> float:
    """The weight s! (n - s - 2)! / (n - 1)!: Grabisch and Roubens 1999, definition 5 for pairs."""
    return 1 / ((players - 1) * math.comb(players - 2, size))


def shapley_taylor_weight(size: int, players: int) -> float:
    """The weight 2/n / C(n-1, s): Sundararajan, Dhamdhere and Agarwal 2020, equation 3 for order 2."""
    return 2 / (players * math.comb(players - 1, size))


def banzhaf_interaction_weight(size: int, players: int) -> float:
    """The weight 2^-(n - 2), whatever the size: Grabisch and Roubens 1999."""
    del size
    return 2.0 ** (2 - players)


def banzhaf_of_table(
    values: Tensor,  # (..., 2^n)
) -> Tensor:  # (..., n) float64
    """Banzhaf values of full coalition tables: the mean of v(S + i) - v(S) over the 2^(n-1) coalitions S of the others."""
    values = values.double().contiguous()
    players = values.shape[-1].bit_length() - 1
    found = [values.new_zeros(values.shape[:-1])] * players
    for player in range(players):
        pairs = values.view(*values.shape[:-1], -1, 2, 1 << player)
        found[player] = (pairs[..., 1, :] - pairs[..., 0, :]).mean((-1, -2))
    return torch.stack(found, -1) if players else values.new_zeros(*values.shape[:-1], 0)


def interactions_of_table(
    values: Tensor,  # (..., 2^n)
    weight: WeightOfSize,
) -> Tensor:  # (..., n, n) float64
    """Interactions of all pairs of full coalition tables: the sum over S without i and j of weight(|S|, n) times the pair's derivative.

    The diagonal is 0.
    """
    values = values.double().contiguous()
    players = values.shape[-1].bit_length() - 1
    found = values.new_zeros(*values.shape[:-1], players, players)
    if players < 2:
        return found
    by_size = torch.tensor([weight(size, players) for size in range(players - 1)], dtype=torch.float64, device=values.device)
    weights = by_size[_sizes(players - 2, values.device)]
    for low in range(players):
        halves = values.view(*values.shape[:-1], -1, 2, 1 << low)
        slope = (halves[..., 1, :] - halves[..., 0, :]).flatten(-2)
        for high in range(low, players - 1):
            quarters = slope.view(*slope.shape[:-1], -1, 2, 1 << high)
            pair = (quarters[..., 1, :] - quarters[..., 0, :]).flatten(-2) @ weights
            found[..., low, high + 1] = found[..., high + 1, low] = pair
    return found


def _sizes(players: int, device: torch.device) -> Tensor:  # (2^players,) int64
    sizes = torch.zeros(1, dtype=torch.int64, device=device)
    for _ in range(players):
        sizes = torch.cat([sizes, sizes + 1])
    return sizes
