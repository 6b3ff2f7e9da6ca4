"""A weight that depends on the state of another feature is shared between the two, and how it is shared depends on the convention.

f(x, c) = w_0 x + (w_1 - w_0) c x: the weight of x is w_0 while the bit c is 0 and w_1 while it is 1. The Shapley value gives c
half of the difference it makes, (w_1 - w_0) x / 2; a label that gives the switch nothing "by decree" is complete on no row where it is on.
The product c x of a bit and an integer is the gate relu(x + e c - M (1 - c)) - e c (`synthetic.gadgets`) with the least M,
so the path integral is exact and is yet another share.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from synthetic.environment import Environment
from synthetic.formulas import Layers, number
from synthetic.gadgets import MARGIN
from synthetic.registry import register
from synthetic.streams import Streams
from synthetic.tables.columns import bits, grid, require, table_environment


@register("interacting-v1")
def interacting(*, id: str, pairs: int = 2, reach: int = 3, off_weight: float = 1.0, on_weight: float = 3.0) -> Environment:
    """Here f = Σ_j w(c_j) x_j with w(0) = off_weight and w(1) = on_weight, on columns x_1, c_1, x_2, c_2, ..., null.

    Args:
        id: the environment's id.
        pairs: how many pairs of a value and its switch stand side by side.
        reach: the largest value.
        off_weight: the weight of a value whose switch is 0.
        on_weight: the weight of a value whose switch is 1; their difference is the strength of the interaction.

    Raises:
        ValueError: if a knob is out of range.
    """
    require(
        1 <= pairs <= 3 and 1 <= reach <= 8,
        message=f"interacting has 1 to 3 pairs and reach 1 to 8, so that its lattice can be enumerated (got pairs={pairs}, reach={reach})",
    )
    require(
        all(float(4 * weight).is_integer() and abs(weight) <= 64 for weight in (off_weight, on_weight)),
        message=f"weights are multiples of 1/4 up to 64, exact in float32 (got off_weight={off_weight}, on_weight={on_weight})",
    )
    require(off_weight != on_weight, message=f"the two weights differ, or nothing interacts (got off_weight=on_weight={on_weight})")
    terms = [
        f"({number(off_weight)} + {number(on_weight - off_weight)} x{2 * j + 2}) x{2 * j + 1}".replace("+ -", "- ") for j in range(pairs)
    ]
    return table_environment(
        id=id,
        formula="f(x) = " + " + ".join(terms),
        layers=_layers(pairs, reach, off_weight, on_weight),
        specification=lambda x: (np.where(x[:, 1:-1:2] == 1, on_weight, off_weight) * x[:, :-1:2]).sum(1, keepdims=True),
        domain=f"columns x1, c1, ...: integers 0 <= x_j <= {reach}, bits c_j, a null bit",
        traits={"interacting", "non_monotone"},
        draw=lambda n, streams: _draw(n, pairs, reach, streams),
        lattice=lambda: grid([range(reach + 1), (0, 1)] * pairs + [(0, 1)]),
        independent=[False] * (2 * pairs) + [True],
        twins=range(2 * pairs + 1),
        isolates="a feature that matters only by changing the weight of another",
        reference="XAI-Units (Lee et al., FAccT 2025), interacting features",
        knobs={"pairs": pairs, "reach": reach, "off_weight": off_weight, "on_weight": on_weight},
    )


def _layers(pairs: int, reach: int, off_weight: float, on_weight: float) -> Layers:
    """Per pair: x passed through, c passed through, and the gate of both."""
    closing = reach + 1.0
    difference = on_weight - off_weight
    units = ((1.0, 0.0, 0.5, off_weight), (0.0, 1.0, 0.5, -MARGIN * difference), (1.0, closing + MARGIN, -closing, difference))
    rows, biases, outer = [], [], []
    for j in range(pairs):
        for x, c, bias, height in units:
            row = [0.0] * (2 * pairs + 1)
            row[2 * j], row[2 * j + 1] = x, c
            rows.append(row)
            biases.append(bias)
            outer.append(height)
    return [(rows, biases), ([outer], [pairs * (MARGIN * difference - off_weight) / 2])]


def _draw(n: int, pairs: int, reach: int, streams: Streams) -> Tensor:
    values = torch.randint(0, reach + 1, (n, pairs), generator=next(streams))
    rows = bits(n, 2 * pairs + 1, streams)
    rows[:, :-1:2] = values.double()
    return rows
