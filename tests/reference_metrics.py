"""Slow, obvious twins of the metrics, from their papers: one row, one set, one order, one pixel at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise, permutations

import numpy as np

from tests.reference import Kept, Worth


def orders(scores: dict[int, float], *, descending: bool = True) -> list[tuple[int, ...]]:
    """Every order that the scores leave open."""
    sign = 1 if descending else -1
    return [p for p in permutations(scores) if all(sign * scores[a] >= sign * scores[b] for a, b in pairwise(p))]


def mean_curve(worth: Worth, scores: dict[int, float], *, descending: bool = True, deletion: bool = True) -> list[float]:
    """The mean over those orders, point by point."""
    everyone: Kept = frozenset(scores)
    open_orders = orders(scores, descending=descending)
    taken = [[frozenset(p[:k]) for k in range(len(scores) + 1)] for p in open_orders]
    return [sum(worth(everyone - t[k] if deletion else t[k]) for t in taken) / len(taken) for k in range(len(scores) + 1)]


def pearson(first: Sequence[float], second: Sequence[float]) -> float:
    """From the definition; NaN where a side is constant."""
    n = len(first)
    a, b = sum(first) / n, sum(second) / n
    scale = math.sqrt(sum((x - a) ** 2 for x in first) * sum((y - b) ** 2 for y in second))
    return sum((x - a) * (y - b) for x, y in zip(first, second, strict=True)) / scale if scale > 1e-12 else math.nan


def soundness(performance: Sequence[float], kept: Sequence[float], *, start: float, threshold: float, lag: bool) -> list[float]:
    """The published loop over levels, statement by statement."""
    previous, mass_before, false = 0.0, 0.0, 0.0
    found = []
    for p, mass in zip(performance, kept, strict=True):
        ratio = (mass - false) / (mass + 1e-6)
        if p > start and p - previous <= threshold:
            false += mass - mass_before
        found.append(ratio if lag else (mass - false) / (mass + 1e-6))
        previous, mass_before = p, mass
    return found


def ssim(one: np.ndarray, two: np.ndarray, window: int = 5) -> float:
    """Window by window, numpy's own moments, data range 2."""
    one, two = one / np.abs(one).max(), two / np.abs(two).max()
    c1, c2, found = 0.02**2, 0.06**2, []
    for i in range(one.shape[0] - window + 1):
        for j in range(one.shape[1] - window + 1):
            a, b = (m[i : i + window, j : j + window].ravel() for m in (one, two))
            s = np.cov(a, b)
            above = (2 * a.mean() * b.mean() + c1) * (2 * s[0, 1] + c2)
            found.append(above / ((a.mean() ** 2 + b.mean() ** 2 + c1) * (s[0, 0] + s[1, 1] + c2)))
    return float(np.mean(found))


def fill_hole(image: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """One channel: every missing pixel is the weighted mean of its neighbours; the linear system written out and solved."""
    missing = [tuple(p) for p in np.argwhere(~kept)]
    place = {p: k for k, p in enumerate(missing)}
    system, known = np.zeros((len(missing), len(missing))), np.zeros(len(missing))
    for (i, j), k in place.items():
        for di in (-1, 0, 1):
            for dj in (-1, 0, 1):
                near = (i + di, j + dj)
                if (di, dj) == (0, 0) or not all(0 <= c < s for c, s in zip(near, image.shape, strict=True)):
                    continue
                weight = 1 / 12 if di and dj else 1 / 6
                system[k, k] += weight
                if near in place:
                    system[k, place[near]] -= weight
                else:
                    known[k] += weight * image[near]
    filled = image.copy()
    for p, value in zip(missing, np.linalg.solve(system, known) if missing else [], strict=True):
        filled[p] = value
    return filled
