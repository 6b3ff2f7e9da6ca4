"""The straight-line path integral of a ReLU network is a finite sum, and is computed as one: no quadrature, no autograd.

Fractions make the kinks exact, so that a unit which is identically zero along a piece is recognised as such and not as
rounding. Slow: meant for one row of a network of a few dozen units; the second derivation in the tests is quadrature.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np


def path_integral(
    layers: Sequence[tuple[np.ndarray, np.ndarray]],  # [(W (outputs, inputs), b (outputs,)), ...]
    x: np.ndarray,  # (d,)
    baseline: np.ndarray,  # (d,)
    *,
    output: int = 0,
) -> np.ndarray:  # (d,)
    """Exact integrated gradients (Sundararajan et al. 2017, eq. 1) of a dense ReLU network, from kink to kink in fractions.

    ReLU stands between the layers and not after the last. Along the segment every pre-activation is piecewise linear, so the
    gradient is constant between two neighbouring kinks and the integral is a finite sum. A unit whose pre-activation is
    identically zero along a piece has derivative ReLU'(0) = 0 there.
    """
    exact = [(_fractions(weight), _fractions(bias)) for weight, bias in layers]
    start, direction = _fractions(baseline), _fractions(x) - _fractions(baseline)
    total, t = direction * 0, Fraction(0)
    while t < 1:
        active, kink = _piece(exact, start + t * direction, direction)
        length = min(kink, 1 - t)
        total, t = total + length * _gradient(exact, active, output), t + length
    exact_scores: np.ndarray = total * direction
    return exact_scores.astype(np.float64)


def _piece(layers: list[tuple[np.ndarray, np.ndarray]], point: np.ndarray, slope: np.ndarray) -> tuple[list[np.ndarray], Fraction]:
    """Which units are active just after `point` in the direction `slope`, and how far the first kink is (at most 1)."""
    active, kink = [], Fraction(1)
    for weight, bias in layers[:-1]:
        point, slope = weight @ point + bias, weight @ slope
        active.append(np.array([z > 0 or (z == 0 and dz > 0) for z, dz in zip(point, slope, strict=True)]))
        kink = min([kink, *(-z / dz for z, dz in zip(point, slope, strict=True) if z * dz < 0)])
        point, slope = point * active[-1], slope * active[-1]
    return active, kink


def _gradient(layers: list[tuple[np.ndarray, np.ndarray]], active: list[np.ndarray], output: int) -> np.ndarray:
    """The gradient of one output with these units active."""
    gradient: np.ndarray = layers[-1][0][output]
    for (weight, _), on in zip(reversed(layers[:-1]), reversed(active), strict=True):
        gradient = (gradient * on) @ weight
    return gradient


def _fractions(values: np.ndarray) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    return np.array([Fraction(float(v)) for v in array.ravel()], dtype=object).reshape(array.shape)
