"""Once one cause is present the others add nothing: on a saturated OR, local and one-at-a-time methods see nothing at all.

f(x) = 1 - relu(1 - 2 Σ x). At Σ = 0 the unit is at 1 and at Σ >= 1 it is at -1 or below, so the kink lies between the data and
the gradient is zero at every row but the empty one. Each of N set bits is owed 1/N by the Shapley value and by the straight
path alike; removing one of them changes nothing when N >= 2.
"""

from __future__ import annotations

import numpy as np

from synthetic.environment import Environment
from synthetic.registry import register
from synthetic.tables.columns import bits, grid, require, table_environment


@register("saturated-or-v1")
def saturated_or(*, id: str, columns: int = 5, null_columns: int = 1) -> Environment:
    """f(x) = 1 - relu(1 - 2 Σ x) over all but the last `null_columns` columns.

    Raises:
        ValueError: if fewer than two columns are in the OR, or there are more than 12.
    """
    causes = columns - null_columns
    require(
        null_columns >= 0 and causes >= 2 and columns <= 12,
        message=f"saturated-or needs at least 2 columns in the OR, or nothing is redundant, and at most 12 in all, so that the lattice "
        f"can be enumerated (got columns={columns}, null_columns={null_columns})",
    )
    present = [float(i < causes) for i in range(columns)]
    return table_environment(
        id=id,
        formula=f"f(x) = 1 - relu(1 - 2 ({' + '.join(f'x{i + 1}' for i in range(causes))}))",
        layers=[([[-2 * p for p in present]], [1.0]), ([[-1.0]], [1.0])],
        specification=lambda x: _any(x[:, :causes]),
        domain="x_i in {0, 1}",
        traits={"saturating", "redundant", "interacting", "monotone", "flat_gradient"},
        draw=lambda n, streams: bits(n, columns, streams, at_least=causes),
        lattice=lambda: grid([(0, 1)] * columns),
        independent=[i >= causes for i in range(columns)],
        twins=[0] * causes + [causes] * null_columns,
        isolates="saturation by redundancy: each cause alone suffices, so that no single change and no local slope shows any of them",
        reference="Shrikumar et al. 2017, section 2; Khakzar et al. 2022",
        knobs={"columns": columns, "null_columns": null_columns},
        integrated_gradients=lambda x: _equal_shares(x * np.array(present)),
    )


def _any(x: np.ndarray) -> np.ndarray:
    """1 where some column of a row is set, (rows, columns) -> (rows, 1)."""
    return np.asarray(x.any(axis=1, keepdims=True), dtype=np.float64)


def _equal_shares(x: np.ndarray) -> np.ndarray:
    """1/N to each of N set bits."""
    return np.asarray(x / np.maximum(x.sum(1, keepdims=True), 1))
