"""What is seen by switching features on and off, and what is not: witnesses for perturbation and surrogate methods, and against paths.

They are stated as in `synthetic.tables.witnesses`. A feature without any effect beside two that interact is enough to bias a linear
surrogate weighted by the cosine distance (a kernel that is a product over features has no such bias) and a mean over random masks, with
all 2^3 masks and exact weights; a bump between the corners of the unit square is enough for a path to report what no coalition shows.
"""

from __future__ import annotations

import numpy as np

from synthetic.environment import Environment
from synthetic.formulas import Layers
from synthetic.gadgets import MARGIN, SLOPE
from synthetic.registry import register
from synthetic.tables.witnesses import witness

SMALL = 1 / 64
"""Less than the bias of LIME, -0.051 and -0.029 at kernel widths 1/2 and 3/4, so that its sign is wrong."""


@register("null-beside-and-witness-v1")
def null_beside_and(*, id: str) -> Environment:
    """AND(x2, x3) at (1, 1, 1): x1 is read by nothing."""
    return witness(
        id=id,
        formula="f(x) = AND(x2, x3) = 2 relu(x2 + x3 - 1.25) - 2 relu(x2 + x3 - 1.75)",
        layers=_step(2),
        function=lambda x: np.asarray(x[:, 1:].all(1, keepdims=True), dtype=np.float64),
        rows=[(1.0, 1.0, 1.0)],
        traits={"interacting", "monotone", "flat_gradient"},
        isolates="the null feature of a surrogate: a linear fit to an AND of two gives the third a coefficient, a mean over masks 1/4",
        reference="Ribeiro et al. 2016 (LIME); Petsiuk et al. 2018 (RISE)",
        independent=(True, False, False),
        twins=(0, 1, 1),
    )


@register("null-beside-or-witness-v1")
def null_beside_or(*, id: str) -> Environment:
    """OR(x2, x3) at (1, 1, 1): x1 is read by nothing."""
    return witness(
        id=id,
        formula="f(x) = OR(x2, x3) = 2 relu(x2 + x3 - 0.25) - 2 relu(x2 + x3 - 0.75)",
        layers=_step(1),
        function=_either,
        rows=[(1.0, 1.0, 1.0)],
        traits={"saturating", "redundant", "interacting", "monotone", "flat_gradient"},
        isolates="the null feature of a surrogate: a linear fit to an OR of two gives the third a negative coefficient",
        reference="Ribeiro et al. 2016 (LIME)",
        independent=(True, False, False),
        twins=(0, 1, 1),
    )


@register("small-rise-witness-v1")
def small_rise(*, id: str) -> Environment:
    """OR(x2, x3) + x1/64 at (1, 1, 1): x1 has a small positive effect of its own."""
    (rows, biases), ((outer,), (shift,)) = _step(1)
    return witness(
        id=id,
        formula="f(x) = OR(x2, x3) + x1 / 64",
        layers=[([*rows, [1, 0, 0]], [*biases, 0.5]), ([[*outer, SMALL]], [shift - SMALL / 2])],
        function=lambda x: _either(x) + x[:, :1] / 64,
        rows=[(1.0, 1.0, 1.0)],
        traits={"interacting", "monotone"},
        isolates="sign: a feature that can only raise f, by less than the bias of a surrogate takes from it",
        reference="Ribeiro et al. 2016 (LIME); Lundström et al. 2022 (non-decreasing positivity)",
        twins=(0, 1, 1),
    )


@register("off-lattice-witness-v1")
def off_lattice(*, id: str) -> Environment:
    """A bump on the diagonal of the unit square that is zero at its corners, at (1, 1): both columns are null in the baseline game.

    f = 2 relu(min(x1 - 1/4, 3/4 - x2) - 4 relu(x1 - x2 - 1/4) - 4 relu(x2 - x1 - 1/4)); the path rises by x1 and falls by x2.
    """
    first = [[1, 0], [-1, 0], [1, 1], [1, -1], [-1, 1]]
    return witness(
        id=id,
        formula="f(x) = 2 relu(min(x1 - 0.25, 0.75 - x2) - 4 relu(x1 - x2 - 0.25) - 4 relu(x2 - x1 - 0.25))",
        layers=[(first, [1, -1, -1, -0.25, -0.25]), ([[1, -1, -1, -4, -4]], [-1.25]), ([[2]], [0])],
        function=_bump,
        rows=[(1.0, 1.0)],
        traits={"non_monotone", "flat_gradient", "off_lattice"},
        isolates="the path between the corners: it reports what the function does where no coalition is, 1/2 and -1/2 for two null players",
        reference="Sundararajan & Najmi 2020; Kumar et al. 2020 (what a value function may ask)",
    )


def _step(least: int) -> Layers:
    """1[x2 + x3 >= least] of three columns."""
    biases = [-(least - 1 + MARGIN), -(least - MARGIN)]
    return [([[0, 1, 1], [0, 1, 1]], biases), ([[SLOPE, -SLOPE]], [0])]


def _either(x: np.ndarray) -> np.ndarray:
    return np.asarray(x[:, 1:].any(1, keepdims=True), dtype=np.float64)


def _bump(x: np.ndarray) -> np.ndarray:
    ridge = np.minimum(x[:, 0] - 0.25, 0.75 - x[:, 1])
    return np.asarray(2 * np.maximum(ridge - 4 * np.maximum(abs(x[:, 0] - x[:, 1]) - 0.25, 0), 0))[:, None]
