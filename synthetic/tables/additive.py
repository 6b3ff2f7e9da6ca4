"""A sum of one-dimensional effects is the world on which most methods must agree: every marginal is the effect itself.

f(x) = Σ_i g_i(x_i) with g_i(x) = a x + Σ_k c_k relu(x - k - 1/2), k = 0, 1, 2. The kinks stand at half-integers and the data on
integers, so that the gradient is unambiguous everywhere and yet differs from the effect: two of the effects are flat, or
fall, at values where they have risen. Shapley value, path integral and removal are all g_i(x_i); the gradient is not.
"""

from __future__ import annotations

import numpy as np
import torch

from synthetic.environment import Environment
from synthetic.formulas import Layers
from synthetic.registry import register
from synthetic.tables.columns import grid, require, table_environment

LEVELS = (0, 1, 2, 3)

# a, then c_k of the kinks at 1/2, 3/2, 5/2; beside it, in integers, the effect at 0, 1, 2, 3.
SHAPES = (
    ((2.0, 0.0, -2.0, 0.0), (0, 2, 3, 3)),  # rises, then saturates
    ((-1.0, 0.0, 0.0, -2.0), (0, -1, -2, -4)),  # falls
    ((3.0, -4.0, 0.0, 0.0), (0, 1, 0, -1)),  # rises, then falls through 0 at x = 2
    ((1.0, 0.0, 0.0, 0.0), (0, 1, 2, 3)),  # linear
)
ORDER = (0, 1, 0, 2, 3)
"""Columns take the shapes in this order, cyclically; the first and the third column are twins."""

MOST = 16
"""Columns beyond which the truth cannot be enumerated."""

ENUMERABLE = 8
"""Columns up to which the lattice, 4^columns rows, is."""


@register("additive-v1")
def additive(*, id: str, columns: int = 6, null_columns: int = 1) -> Environment:
    """f(x) = Σ_i g_i(x_i): `columns` columns, the last `null_columns` of which have no effect.

    Raises:
        ValueError: if fewer than three columns have an effect, or there are more than 16.
    """
    require(
        null_columns >= 0 and columns - null_columns >= 3 and columns <= MOST,
        message=f"additive needs at least 3 columns with an effect, so that two are twins, and at most {MOST} in all, so that the "
        f"truth can be enumerated (got columns={columns}, null_columns={null_columns})",
    )
    shapes = [ORDER[i % len(ORDER)] if i < columns - null_columns else -1 for i in range(columns)]
    return table_environment(
        id=id,
        formula="f(x) = Σ_i g_i(x_i), g = " + ", ".join(str(_effects(shape)) for shape in shapes) + " at x_i = (0, 1, 2, 3)",
        layers=_layers(shapes),
        specification=lambda x: _scores(shapes, x).sum(1, keepdims=True),
        domain="x_i in {0, 1, 2, 3}",
        traits={"additive", "non_monotone"},
        draw=lambda n, streams: torch.randint(0, len(LEVELS), (n, columns), generator=next(streams)),
        lattice=(lambda: grid([LEVELS] * columns)) if columns <= ENUMERABLE else None,
        independent=[shape < 0 for shape in shapes],
        twins=shapes,
        isolates="effect as against local slope: without interactions every complete method that respects dummies has one answer",
        reference="Sundararajan et al. 2017, on linearity and completeness: together with dummy they give additive recovery",
        knobs={"columns": columns, "null_columns": null_columns},
        integrated_gradients=lambda x: _scores(shapes, x),
    )


def _effects(shape: int) -> tuple[int, ...]:
    return SHAPES[shape][1] if shape >= 0 else (0, 0, 0, 0)


def _scores(shapes: list[int], x: np.ndarray) -> np.ndarray:
    """g_i(x_i), read from the integer table: by additivity the Shapley value, the path integral and the removal effect at once."""
    return np.stack([np.array(_effects(shape), dtype=np.float64)[x[:, i].astype(int)] for i, shape in enumerate(shapes)], 1)


def _layers(shapes: list[int]) -> Layers:
    """Per column: relu(x + 1/2) - 1/2, which is x, with weight a; then a unit for every kink it has."""
    rows: list[list[float]] = []
    biases: list[float] = []
    heights: list[float] = []
    offset = 0.0
    for column, shape in enumerate(shapes):
        slope, *bends = SHAPES[shape][0] if shape >= 0 else (0.0,)
        for bias, height in [(0.5, slope), *((-k - 0.5, bend) for k, bend in enumerate(bends))]:
            if height:
                rows.append([float(i == column) for i in range(len(shapes))])
                biases.append(bias)
                heights.append(height)
        offset -= 0.5 * slope
    return [(rows, biases), ([heights], [offset])]
