"""Slow, obvious twins of the coalition methods, from their definitions: one row, one coalition, one pair at a time, in numpy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy.optimize import minimize

from tests.reference import Kept, Worth, subsets


def banzhaf(worth: Worth, players: Sequence[int]) -> dict[int, float]:
    """The mean marginal contribution over all coalitions of the others."""
    found = {}
    for player in players:
        others = [p for p in players if p != player]
        gains = [worth(kept | {player}) - worth(kept) for kept in subsets(others)]
        found[player] = sum(gains) / len(gains)
    return found


def derivative(worth: Worth, kept: Kept, i: int, j: int) -> float:
    """What i and j do together at a coalition, beyond what each does."""
    return worth(kept | {i, j}) - worth(kept | {i}) - worth(kept | {j}) + worth(kept)


def shapley_interaction(worth: Worth, players: Sequence[int], i: int, j: int) -> float:
    """Grabisch and Roubens 1999: the Shapley value's weights for a game in which i and j arrive as one."""
    others, n = [p for p in players if p not in (i, j)], len(players)
    weight = [math.factorial(s) * math.factorial(n - s - 2) / math.factorial(n - 1) for s in range(n - 1)]
    return sum(weight[len(kept)] * derivative(worth, kept, i, j) for kept in subsets(others))


def shapley_taylor(worth: Worth, players: Sequence[int], i: int, j: int) -> float:
    """Sundararajan et al. 2020: 2/n sum of derivatives over C(n - 1, s)."""
    others, n = [p for p in players if p not in (i, j)], len(players)
    return 2 / n * sum(derivative(worth, kept, i, j) / math.comb(n - 1, len(kept)) for kept in subsets(others))


def best_quadratic(worth: Worth, players: Sequence[int]) -> np.ndarray:
    """The quadratic function of presence that is nearest to a game over all coalitions: constants left out, pairs off the diagonal."""
    pairs = list(combinations(range(len(players)), 2))
    presence = np.array([[float(p in kept) for p in players] for kept in subsets(players)])
    columns = [np.ones(len(presence)), *presence.T, *(presence[:, i] * presence[:, j] for i, j in pairs)]
    found = np.linalg.lstsq(np.stack(columns, 1), np.array([worth(kept) for kept in subsets(players)]), rcond=None)[0]
    matrix = np.diag(found[1 : len(players) + 1])
    for (i, j), value in zip(pairs, found[len(players) + 1 :], strict=True):
        matrix[i, j] = matrix[j, i] = value
    return matrix


def lime(worth: Worth, players: Sequence[int], *, width: float, samples: float, alpha: float, power: int = 2) -> np.ndarray:
    """The coefficients that minimise the weighted squared error over all masks plus alpha |phi|^power, the intercept free.

    Squares are those of a regression on `samples` masks, absolute values those of scikit-learn's Lasso. Found by descent on the
    objective itself for a lasso, which is split into positive and negative parts, and by the normal equations for a ridge.
    """
    masks = subsets(players)
    presence = np.array([[float(p in kept) for p in players] for kept in masks])
    values = np.array([worth(kept) for kept in masks])
    distance = np.array([1 - math.sqrt(len(kept) / len(players)) for kept in masks])
    weight = np.exp(-(distance**2) / (2 * width**2))
    if power == 1:
        return _lasso(presence, values, weight / weight.sum(), alpha)
    weight *= samples / len(masks)
    design = np.concatenate([np.ones((len(masks), 1)), presence], 1)
    penalty = alpha * np.diag([0.0] + [1.0] * len(players))
    found: np.ndarray = np.linalg.solve(design.T @ (weight[:, None] * design) + penalty, design.T @ (weight * values))
    return found[1:]


def _lasso(presence: np.ndarray, values: np.ndarray, weight: np.ndarray, alpha: float) -> np.ndarray:
    n = presence.shape[1]

    def objective(z: np.ndarray) -> tuple[float, np.ndarray]:
        residual = values - z[0] - presence @ (z[1 : n + 1] - z[n + 1 :])
        slope = presence.T @ (weight * residual)
        return (
            float(weight @ residual**2) / 2 + alpha * float(z[1:].sum()),
            np.concatenate([[-(weight @ residual)], alpha - slope, alpha + slope]),
        )

    bounds = [(None, None)] + [(0, None)] * (2 * n)
    found = minimize(objective, np.zeros(2 * n + 1), jac=True, bounds=bounds, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-10})
    coefficients: np.ndarray = found.x[1 : n + 1] - found.x[n + 1 :]
    return coefficients


def rise(worth: Worth, players: Sequence[int], *, probability: float) -> dict[int, float]:
    """The expectation of v(mask) where the player is kept: summed over all masks, each with its probability."""
    found = dict.fromkeys(players, 0.0)
    for kept in subsets(players):
        chance = probability ** len(kept) * (1 - probability) ** (len(players) - len(kept))
        for player in kept:
            found[player] += chance * worth(kept) / probability
    return found


def enlarged(grid: np.ndarray, *, side: int, down: int, across: int) -> np.ndarray:
    """A grid of cells enlarged bilinearly to one cell more than `side` needs, cut out `down` and `across` pixels from its corner."""
    cells = len(grid)
    size = math.ceil(side / cells)
    total = (cells + 1) * size
    found = np.zeros((side, side))

    def place(pixel: int) -> tuple[int, int, float]:
        at = min(max((pixel + 0.5) * cells / total - 0.5, 0.0), cells - 1.0)
        low = min(int(at), cells - 1)
        return low, min(low + 1, cells - 1), at - low

    for i in range(side):
        for j in range(side):
            top, bottom, v = place(i + down)
            left, right, h = place(j + across)
            upper = (1 - h) * grid[top, left] + h * grid[top, right]
            lower = (1 - h) * grid[bottom, left] + h * grid[bottom, right]
            found[i, j] = (1 - v) * upper + v * lower
    return found


def windows(worth: Worth, side: int, *, window: int, stride: int) -> np.ndarray:
    """Every window's effect divided by its pixels, and the mean of that over the windows that cover a pixel; players are pixels."""
    everyone = frozenset(range(side * side))
    starts = list(range(0, side - window + 1, stride))
    if starts[-1] + window < side:
        starts.append(side - window)
    shares: list[list[float]] = [[] for _ in everyone]
    for top in starts:
        for left in starts:
            inside = [i * side + j for i in range(top, top + window) for j in range(left, left + window)]
            effect = worth(everyone) - worth(everyone - frozenset(inside))
            for pixel in inside:
                shares[pixel].append(effect / len(inside))
    return np.array([sum(own) / len(own) for own in shares]).reshape(side, side)
