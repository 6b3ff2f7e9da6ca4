"""A mean over a few seeds has Student's uncertainty; with whole degrees of freedom its distribution is a finite sum."""

from __future__ import annotations

import math
from collections.abc import Sequence


def central_probability(t: float, freedom: int) -> float:
    """P(-t < T < t) for Student's T with so many degrees of freedom.

    Reference:
        Abramowitz and Stegun, "Handbook of Mathematical Functions", 1964, equations 26.7.3 and 26.7.4.
    """
    angle = math.atan(abs(t) / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    if freedom == 1:
        return 2 * angle / math.pi
    term, total = (1.0, 1.0) if freedom % 2 == 0 else (cosine, cosine)
    for k in range(1 if freedom % 2 == 0 else 2, freedom - 1, 2):
        term *= k / (k + 1) * cosine**2
        total += term
    return sine * total if freedom % 2 == 0 else 2 / math.pi * (angle + sine * total)


def quantile(level: float, freedom: int) -> float:
    """The t > 0 with P(-t < T < t) = level, by bisection."""
    low, high = 0.0, 1.0
    while central_probability(high, freedom) < level:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if central_probability(middle, freedom) < level else (low, middle)
    return high


def mean_and_half_width(values: Sequence[float], *, level: float = 0.95) -> tuple[float, float]:
    """The mean and the half-width of its interval; NaN for the latter where there is one value."""
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, math.nan
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return mean, quantile(level, len(values) - 1) * deviation / math.sqrt(len(values))


def p_value(differences: Sequence[float]) -> float:
    """Two-sided p of the paired test that the mean difference is 0; NaN with fewer than two pairs.

    Reference:
        Student, "The probable error of a mean", Biometrika, 1908.
    """
    if len(differences) < 2:
        return math.nan
    mean = math.fsum(differences) / len(differences)
    spread = math.fsum((value - mean) ** 2 for value in differences) / (len(differences) - 1)
    if spread == 0:
        return 1.0 if mean == 0 else 0.0
    return 1 - central_probability(mean / math.sqrt(spread / len(differences)), len(differences) - 1)
