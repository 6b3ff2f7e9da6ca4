"""A gradient can be exact and say nothing: on a fine saw-tooth it is steep, changes sign between neighbours, and averages to an effect.

f(x) = Σ_i w_i x_i + saw(x_i), saw(x) = a tri(T x) with a triangle wave tri of period 1 that rises through 0 at the integers and falls
through 0 at the half-integers. The data are multiples of 1/2 and T is odd, so that the wave is 0 at all of them and its slope
there is +4 a T at one and -4 a T at the next: the function is w·x on the data whatever T is, and only the gradient shatters.
T counts the teeth per unit, each with two kinks. Shapley value, removal and path integral are w_i x_i, by additivity.
"""

from __future__ import annotations

import numpy as np
import torch

from synthetic.environment import Environment
from synthetic.formulas import Layers, affine
from synthetic.registry import register
from synthetic.tables.columns import Effects, grid, require, table_environment

WEIGHTS = (1.0, -1.0, 2.0, 0.5)
REACH = 2
AMPLITUDE = 0.25


@register("shattered-gradient-v1")
def shattered_gradient(*, id: str, columns: int = 4, null_columns: int = 1, teeth: int = 5) -> Environment:
    """f(x) = Σ_i w_i x_i + tri(`teeth` x_i) / 4, x_i in {0, 1/2, ..., 2}; the last `null_columns` columns are not read.

    Raises:
        ValueError: if a column count is out of range, or `teeth` is even or beyond 99.
    """
    used = columns - null_columns
    require(
        null_columns >= 0 and used >= 1 and columns <= 5,
        message=f"shattered-gradient needs a column that is read, and at most 5 in all, so that its lattice can be enumerated "
        f"(got columns={columns}, null_columns={null_columns})",
    )
    require(
        teeth % 2 == 1 and 1 <= teeth <= 99,
        message=f"teeth is odd, so that the wave is 0 at half-integers too, and from 1 to 99 (got {teeth})",
    )
    weights = np.array([WEIGHTS[i % len(WEIGHTS)] if i < used else 0.0 for i in range(columns)])
    names = [f"x{i + 1}" for i in range(columns)]
    return table_environment(
        id=id,
        formula=f"f(x) = {affine(weights.tolist(), names, 0)} + (tri({teeth} x1) + ... + tri({teeth} x{used})) / 4",
        layers=_layers(weights, used, teeth),
        specification=lambda x: (x * weights).sum(1, keepdims=True),
        domain=f"x_i in {{0, 1/2, ..., {REACH}}}, where every tri({teeth} x_i) is 0",
        traits={"additive", "non_monotone", "shattered_gradient"},
        draw=lambda n, streams: torch.randint(0, 2 * REACH + 1, (n, columns), generator=next(streams)) / 2,
        lattice=lambda: grid([[k / 2 for k in range(2 * REACH + 1)]] * columns),
        independent=[i >= used for i in range(columns)],
        twins=[weights.tolist().index(w) for w in weights],
        isolates="local slope against effect: the gradient is as steep as the teeth are many and has a sign of its own",
        reference="Balduzzi et al. 2017; XAI-Units (Lee et al., FAccT 2025), shattered gradients, which states no truth",
        knobs={"columns": columns, "null_columns": null_columns, "teeth": teeth},
        integrated_gradients=lambda x: x * weights,
        closed_form=lambda x: Effects(support=x * weights != 0, shapley=x * weights, removal=x * weights),
    )


def _layers(weights: np.ndarray, used: int, teeth: int) -> Layers:
    """Per column: relu(x + 1/2) - 1/2 with its weight, and the wave in u = T x, which turns at every odd quarter-integer of half-odd step.

    The wave 4 u turns to -4 u at u = 1/4, back at 3/4, and so on; its first unit starts at -1/4, below the data.
    """
    rows: list[list[float]] = []
    biases: list[float] = []
    outer: list[float] = []
    turns = 2 * REACH * teeth
    for column in range(used):
        here = [float(i == column) for i in range(len(weights))]
        rows += [here] + [[teeth * value for value in here]] * (turns + 1)
        biases += [0.5, 0.25, *(-(0.25 + turn / 2) for turn in range(turns))]
        outer += [float(weights[column]), 4 * AMPLITUDE, *((-8 if turn % 2 == 0 else 8) * AMPLITUDE for turn in range(turns))]
    return [(rows, biases), ([outer], [-0.5 * float(weights.sum()) - used * AMPLITUDE])]
