"""The same evidence recorded several times: any one of the copies would do, and what each is owed is a k-th of what the evidence is worth.

f(x) = 2 OR(c_1, ..., c_k) + y, where in the data all copies c are the same bit. The world differs from a saturated OR in its data: the
copies are never seen to disagree, so nothing in them tells which one the network needs, and a coalition that splits them is one that no
data set contains. Each copy is owed 2/k; removing any one of k >= 2 costs nothing, removing all of them costs 2.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from synthetic.environment import Environment
from synthetic.gadgets import MARGIN, SLOPE
from synthetic.registry import register
from synthetic.streams import Streams
from synthetic.tables.columns import Effects, grid, require, table_environment

WORTH = 2.0


@register("redundant-evidence-v1")
def redundant_evidence(*, id: str, copies: int = 3) -> Environment:
    """f(x) = 2 OR(x_1, ..., x_k) + y with k = `copies` equal bits, one other bit y and a null bit.

    Raises:
        ValueError: if copies is not in 1 ... 10.
    """
    require(
        1 <= copies <= 10, message=f"redundant-evidence has 1 to 10 copies, so that the lattice can be enumerated (got copies={copies})"
    )
    columns = copies + 2
    cause = [float(i < copies) for i in range(columns)]
    names = ", ".join(f"x{i + 1}" for i in range(copies))
    return table_environment(
        id=id,
        formula=f"f(x) = 2 OR({names}) + x{copies + 1}",
        layers=[
            ([cause, cause, [float(i == copies) for i in range(columns)]], [-MARGIN, -(1 - MARGIN), 0.5]),
            ([[SLOPE * WORTH, -SLOPE * WORTH, 1.0]], [-0.5]),
        ],
        specification=lambda x: WORTH * x[:, :copies].any(1, keepdims=True) + x[:, copies : copies + 1],
        domain=f"bits, of which x1 ... x{copies} are equal in the data; the formula holds for all bits",
        traits={"monotone"} | ({"redundant", "interacting"} if copies > 1 else {"additive"}),
        draw=lambda n, streams: _draw(n, copies, streams),
        lattice=lambda: grid([(0, 1)] * columns),
        independent=[i == copies + 1 for i in range(columns)],
        twins=[*[0] * copies, copies, copies + 1],
        isolates="redundancy in the data as well as in the network: nothing changes until the last copy is gone",
        reference="Kumar et al. 2020, on redundant features and Shapley values; Shrikumar et al. 2017, section 2",
        knobs={"copies": copies},
        integrated_gradients=lambda x: _shares(x, copies),
        closed_form=lambda x: _effects(x, copies),
    )


def _draw(n: int, copies: int, streams: Streams) -> Tensor:
    rows = torch.randint(0, 2, (n, 3), generator=next(streams))
    return rows[:, [0] * copies + [1, 2]]


def _shares(x: np.ndarray, copies: int) -> np.ndarray:
    """WORTH / N to each of N set copies, and y to y."""
    scores = np.zeros_like(x, dtype=np.float64)
    scores[:, :copies] = WORTH * x[:, :copies] / np.maximum(x[:, :copies].sum(1, keepdims=True), 1)
    scores[:, copies] = x[:, copies]
    return scores


def _effects(x: np.ndarray, copies: int) -> Effects:
    shares = _shares(x, copies)
    alone = (x[:, :copies].sum(1, keepdims=True) == 1) | (np.arange(x.shape[1]) >= copies)
    return Effects(support=shares != 0, shapley=shares, removal=shares * alone)
