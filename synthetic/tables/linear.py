"""A linear function is the calibration of the laboratory: every method that deserves its name returns weight times input.

f(x) = Σ_i w_i x_i on inputs as fine as a dyadic grid allows. Each column is read by two units, relu(x + c) - relu(-x - c) - c = x on
all of R, with the kink at -c beyond the data: the network is linear everywhere and has activations all the same.
"""

from __future__ import annotations

import numpy as np
import torch

from synthetic.environment import Environment
from synthetic.formulas import Layers, affine
from synthetic.registry import register
from synthetic.tables.columns import Effects, require, table_environment

WEIGHTS = (1.0, -2.0, 0.5, 1.0, 3.0, -0.75)
"""Columns take the weights in this order, cyclically; the first and the fourth are twins."""

REACH = 2
"""Inputs are in [-2, 2]."""

KINK = REACH + 1.0


@register("linear-v1")
def linear_world(*, id: str, columns: int = 6, null_columns: int = 1, resolution: int = 8) -> Environment:
    """f(x) = Σ_i w_i x_i, x_i multiples of 1/`resolution` in [-2, 2]; the last `null_columns` columns have weight 0.

    Raises:
        ValueError: if a column count is out of range, or the resolution is no power of two up to 1024.
    """
    require(
        null_columns >= 0 and columns - null_columns >= 1 and columns <= 64,
        message=f"linear needs a column with a weight, and at most 64 columns in all (got columns={columns}, null_columns={null_columns})",
    )
    require(
        resolution in [2**k for k in range(11)],
        message=f"resolution is a power of two from 1 to 1024, so that every product is exact in float32 (got {resolution})",
    )
    weights = [WEIGHTS[i % len(WEIGHTS)] if i < columns - null_columns else 0.0 for i in range(columns)]
    steps = REACH * resolution
    return table_environment(
        id=id,
        formula=f"f(x) = {affine(weights, [f'x{i + 1}' for i in range(columns)], 0)}",
        layers=_layers(weights),
        specification=lambda x: x @ np.array(weights)[:, None],
        domain=f"x_i multiples of {1 / resolution:g} from {-REACH} to {REACH}",
        traits={"additive", "positively_homogeneous"} | ({"non_monotone"} if min(weights) < 0 else {"monotone"}),
        draw=lambda n, streams: torch.randint(-steps, steps + 1, (n, columns), generator=next(streams)) / resolution,
        lattice=None,
        independent=[weight == 0 for weight in weights],
        twins=[weights.index(weight) for weight in weights],
        isolates="nothing at all: all conventions agree, so what differs here is an error of the method",
        reference="XAI-Units (Lee et al., FAccT 2025), continuous features with weights",
        knobs={"columns": columns, "null_columns": null_columns, "resolution": resolution},
        integrated_gradients=lambda x: x * np.array(weights),
        closed_form=lambda x: _effects(x, np.array(weights)),
    )


def _effects(x: np.ndarray, weights: np.ndarray) -> Effects:
    """w_i x_i, by linearity the Shapley value and the removal effect at once."""
    scores = x * weights
    return Effects(support=scores != 0, shapley=scores, removal=scores)


def _layers(weights: list[float]) -> Layers:
    rows = [[sign * float(i == column) for i in range(len(weights))] for column in range(len(weights)) for sign in (1.0, -1.0)]
    outer = [sign * weight for weight in weights for sign in (1.0, -1.0)]
    return [(rows, [KINK, -KINK] * len(weights)), ([outer], [-KINK * sum(weights)])]
