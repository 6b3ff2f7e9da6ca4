"""A value behind a gate behind a gate: what lies deeper is owed less, and who opens the first gate is owed a part of everything behind it.

f(x) = b_1 (n_1 + b_2 (n_2 + ... b_d n_d)) for bits b and integers n, each gate relu(v + e b - M (1 - b)) - e b one layer above the next,
with the least M (`synthetic.gadgets`). Where all gates are open, n_j is one of the j + 1 players of its product and the Shapley
value owes each of them n_j / (j + 1). In the network the same players stand at different depths, and the path integral follows the network.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from synthetic.environment import Environment
from synthetic.formulas import Layers
from synthetic.gadgets import MARGIN
from synthetic.registry import register
from synthetic.streams import Streams
from synthetic.tables.columns import grid, require, table_environment

Value = tuple[np.ndarray, float]
"""A value as an affine function of the newest layer: weights and shift."""


@register("nested-gates-v1")
def nested_gates(*, id: str, depth: int = 2, reach: int = 3) -> Environment:
    """f(x) = b_1 (n_1 + b_2 (n_2 + ...)), on columns b_1, n_1, ..., b_depth, n_depth, null, with 0 <= n <= reach.

    In half of the rows all gates are open.

    Raises:
        ValueError: if depth or reach is not in 1 ... 4.
    """
    require(
        1 <= depth <= 4 and 1 <= reach <= 4,
        message=f"nested-gates has depth 1 to 4 and reach 1 to 4, so that its lattice can be enumerated (got depth={depth}, reach={reach})",
    )
    columns = 2 * depth + 1
    terms = [f"x{2 * j + 1} (x{2 * j + 2}" for j in range(depth)]
    return table_environment(
        id=id,
        formula=f"f(x) = {' + '.join(terms)}{')' * depth}",
        layers=_layers(depth, reach),
        specification=lambda x: (np.cumprod(x[:, :-1:2], 1) * x[:, 1::2]).sum(1, keepdims=True),
        domain=f"columns b, n, b, n, ...: bits b, integers 0 <= n <= {reach}, a null bit",
        traits={"interacting", "non_monotone"},
        draw=lambda n, streams: _draw(n, depth, reach, streams),
        lattice=lambda: grid([(0, 1), range(reach + 1)] * depth + [(0, 1)]),
        independent=[i == columns - 1 for i in range(columns)],
        twins=range(columns),
        isolates="depth: interactions of growing order, computed in layers one above the other",
        reference="the gate of the counting heads in AttributionLab (Zhang et al. 2023), iterated",
        knobs={"depth": depth, "reach": reach},
    )


def _layers(depth: int, reach: int) -> Layers:
    """One layer per gate, the innermost first: all bits and integers of the gates around it are passed through, as is its own bit."""
    values: list[Value] = [(row, 0.0) for row in np.eye(2 * depth + 1)[: 2 * depth]]
    inner: Value = (np.zeros(2 * depth + 1), 0.0)
    layers: list[tuple[list[list[float]], list[float]]] = []
    for level in range(depth, 0, -1):
        closing = reach * (depth - level + 1) + 1.0
        (bit, bit_shift), (number, number_shift) = values[-2:]
        gated = number + inner[0] + (closing + MARGIN) * bit
        gated_shift = number_shift + inner[1] + (closing + MARGIN) * bit_shift - closing
        passed = values[:-1]
        rows = [*(row for row, _ in passed), gated]
        layers.append(([row.tolist() for row in rows], [*(shift + 0.5 for _, shift in passed), gated_shift]))
        units = np.eye(len(rows))
        values = [(unit, -0.5) for unit in units[: len(passed) - 1]]
        inner = (units[-1] - MARGIN * units[-2], MARGIN / 2)
    return [*layers, ([inner[0].tolist()], [inner[1]])]


def _draw(n: int, depth: int, reach: int, streams: Streams) -> Tensor:
    """All gates open by a fair coin; otherwise any other state of the gates."""
    state = torch.randint(0, 2**depth - 1, (n,), generator=next(streams))
    opened = torch.randint(0, 2, (n,), generator=next(streams)) == 1
    gates = torch.where(opened, 2**depth - 1, state)[:, None] >> torch.arange(depth) & 1
    values = torch.randint(0, reach + 1, (n, depth), generator=next(streams))
    null = torch.randint(0, 2, (n, 1), generator=next(streams))
    return torch.cat([torch.stack([gates, values], 2).flatten(1), null], 1)
