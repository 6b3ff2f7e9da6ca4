"""One hidden layer whose kinks stand where they are told to: the path integral is a ratio, and every quadrature can be held against it.

f(x) = h(z), z = x_1 + 2 x_2 - x_3 + x_4, with h(z) = Σ_j a_j relu(z - t_j) and the kinks t_j as a knob. The function sees its input through
one direction only, so the straight path owes each column its part of z: φ_i = w_i x_i (h(z) - h(0)) / z, and w_i x_i h'(0) where z = 0.
The Shapley value is not proportional to anything and is enumerated: the two differ wherever a kink lies between.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from synthetic.environment import Environment
from synthetic.formulas import Layers, formula_of
from synthetic.registry import register
from synthetic.tables.columns import grid, require, table_environment

DIRECTION = (1.0, 2.0, -1.0, 1.0, 0.0)
LEVELS = (0, 1, 2, 3)
HEIGHTS = (1.0, -3.0, 4.0, -2.0)
"""Slopes change by these at the kinks, in their order, cyclically: up, down, up, flat."""


@register("known-kinks-v1")
def known_kinks(*, id: str, kinks: Sequence[float] = (-0.5, 1.5, 4.5, 7.5)) -> Environment:
    """f(x) = h(x1 + 2 x2 - x3 + x4), h(z) = Σ_j a_j relu(z - t_j), a = 1, -3, 4, -2, ...; a fifth column is null.

    Trait `saw_toothed` where there are two kinks or more: h rises and falls.

    Args:
        id: the environment's id.
        kinks: t_j, ascending, multiples of 1/4 but no integers, between -3 and 12.

    Raises:
        ValueError: if there is no kink, or one is on the integers, out of range or out of order.
    """
    turns = tuple(float(t) for t in kinks)
    require(
        bool(turns) and all((4 * t).is_integer() and not t.is_integer() and -3 < t < 12 for t in turns),
        message=f"kinks are multiples of 1/4 that are no integers, 1/4 or more from the data, between -3 and 12 (got {turns})",
    )
    require(list(turns) == sorted(set(turns)), message=f"kinks are ascending and differ (got {turns})")
    layers = _layers(turns)
    return table_environment(
        id=id,
        formula=formula_of(layers),
        layers=layers,
        specification=lambda x: _height(x @ np.array(DIRECTION), turns)[:, None],
        domain="x_i in {0, 1, 2, 3}",
        traits={"interacting", "non_monotone"} | ({"saw_toothed"} if len(turns) > 1 else set()),
        draw=lambda n, streams: torch.randint(0, len(LEVELS), (n, len(DIRECTION)), generator=next(streams)),
        lattice=lambda: grid([LEVELS] * len(DIRECTION)),
        independent=[weight == 0 for weight in DIRECTION],
        twins=[DIRECTION.index(weight) for weight in DIRECTION],
        isolates="kinks on the path: where they stand decides the integral, and how near a quadrature comes to it",
        reference="Sundararajan et al. 2017, equation 1; Sundararajan & Najmi 2020 (functions of a sum)",
        knobs={"kinks": turns},
    )


def _layers(turns: tuple[float, ...]) -> Layers:
    heights = [HEIGHTS[j % len(HEIGHTS)] for j in range(len(turns))]
    return [([list(DIRECTION)] * len(turns), [-t for t in turns]), ([heights], [0.0])]


def _height(z: np.ndarray, turns: tuple[float, ...]) -> np.ndarray:
    """h(z), as the running sum of slopes times the lengths of the pieces up to z."""
    edges = np.array([*turns, np.inf])
    slopes = np.cumsum([HEIGHTS[j % len(HEIGHTS)] for j in range(len(turns))])
    lengths = np.clip(z[:, None], edges[:-1], edges[1:]) - edges[:-1]
    return np.asarray((lengths * slopes).sum(1))
