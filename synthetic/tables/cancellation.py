"""A feature that another one cancels has a Shapley value and no path integral: both are complete, and they disagree completely.

The pair of XAI-Units, relu(w x - M c) - relu(-w x - M c), passes w x while its gate c is 0 and nothing while c is 1. It has its
kink at the usual baseline (0, 0). Here each unit has a dead zone of w/2,

    relu(w x - w/2 - M c) - relu(-w x - w/2 - M c) = (1 - c) w (x - sign(x)/2)   at integers x, bits c,

so that the pre-activations are odd multiples of w/2 while c = 0, and the baseline is w/2 from the kink. At (x, 1) the
straight path never activates a unit, since both pre-activations start and end below zero: the path integral is (0, 0). The
game is v(x) = g, v(c) = v(xc) = 0 with g = w (x - sign(x)/2), so the Shapley value is (g/2, -g/2) and the removal effects
are (0, -g). At (x, 0) all three are (g, 0).

M must reach w (range - 1/2) + 1/4, or large |x| leak through the closed gate. XAI-Units fixes M = 100 and does not check.
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
from synthetic.tables.columns import bits, grid, require, table_environment


@register("cancellation-v1")
def cancellation(*, id: str, pairs: int = 2, reach: int = 3, weight: float = 2.0, closing: float | None = None) -> Environment:
    """f(x1, c1, x2, c2, ..., null) = Σ_j (1 - c_j) w (x_j - sign(x_j)/2), for integers 0 < |x_j| <= reach and bits c_j.

    Args:
        id: the environment's id.
        pairs: how many gated pairs stand side by side; a null column follows them.
        reach: the largest |x|.
        weight: w, a multiple of 1/4, at least 1/2.
        closing: M, what a closed gate subtracts; None for the least that keeps the margin. It moves path integrals nowhere on this
            world's rows, but it is what methods see between them.

    Raises:
        ValueError: if a knob is out of range; for `closing`, with the least value.
    """
    closing = _checked(pairs, reach, weight, closing)
    columns = 2 * pairs + 1
    return table_environment(
        id=id,
        formula=" + ".join(_pair(j, weight, closing) for j in range(pairs)).replace("relu", "f(x) = relu", 1),
        layers=_layers(pairs, weight, closing),
        specification=lambda x: _passed(x, weight).sum(1, keepdims=True),
        domain=f"columns x1, c1, ...: integers 0 < |x_j| <= {reach}, c_j in {{0, 1}}, a null bit; x_j = 0 is the baseline",
        traits={"cancelling", "interacting", "non_monotone"},
        draw=lambda n, streams: _draw(n, pairs, reach, streams),
        lattice=lambda: grid([tuple(range(-reach, reach + 1)), (0, 1)] * pairs + [(0, 1)]),
        independent=[False] * (columns - 1) + [True],
        twins=[*range(columns)],
        isolates="cancellation: whether a feature that another switches off is owed anything is a matter of convention",
        reference="XAI-Units (Lee et al., FAccT 2025), conflicting features; with a dead zone in place of its kink at the baseline",
        knobs={"pairs": pairs, "reach": reach, "weight": weight, "closing": closing},
        integrated_gradients=lambda x: _path_integral(x, weight),
    )


def _checked(pairs: int, reach: int, weight: float, closing: float | None) -> float:
    """Refuse knobs out of range, and return M: as given, or the least that keeps the margin."""
    require(
        1 <= pairs <= 3 and 1 <= reach <= 8,
        message=f"cancellation has 1 to 3 pairs and reach 1 to 8, so that its lattice can be enumerated (got pairs={pairs}, reach={reach})",
    )
    require(
        weight >= 0.5 and float(4 * weight).is_integer(),
        message=f"weight is a multiple of 1/4, exact in float32, and at least 1/2, or x = 0 is nearer than 1/4 to a kink (got {weight})",
    )
    least = weight * (reach - 0.5) + MARGIN
    closing = least if closing is None else closing
    require(
        closing >= least,
        message=f"closing must be at least weight (reach - 1/2) + 1/4 = {least:g}, or large |x| leak through (got closing={closing})",
    )
    return closing


def _pair(j: int, weight: float, closing: float) -> str:
    x, c = f"x{2 * j + 1}", f"x{2 * j + 2}"
    return f"relu({weight:g} {x} - {weight / 2:g} - {closing:g} {c}) - relu(-{weight:g} {x} - {weight / 2:g} - {closing:g} {c})"


def _layers(pairs: int, weight: float, closing: float) -> Layers:
    rows = []
    for j in range(pairs):
        for sign in (1.0, -1.0):
            row = [0.0] * (2 * pairs + 1)
            row[2 * j], row[2 * j + 1] = sign * weight, -closing
            rows.append(row)
    return [(rows, [-weight / 2] * len(rows)), ([[1.0, -1.0] * pairs], [0.0])]


def _passed(x: np.ndarray, weight: float) -> np.ndarray:  # (rows, columns) -> (rows, pairs)
    """What each gate lets through."""
    value, gate = x[:, :-1:2], x[:, 1::2]
    return np.where(gate == 0, weight * (value - np.sign(value) / 2), 0.0)


def _path_integral(x: np.ndarray, weight: float) -> np.ndarray:
    """All of g to x where the gate is open, and (0, 0) where it is closed."""
    scores = np.zeros_like(x, dtype=np.float64)
    scores[:, :-1:2] = _passed(x, weight)
    return scores


def _draw(n: int, pairs: int, reach: int, streams: Streams) -> Tensor:
    magnitude = torch.randint(1, reach + 1, (n, pairs), generator=next(streams))
    sign = 2 * torch.randint(0, 2, (n, pairs), generator=next(streams)) - 1
    rows = bits(n, 2 * pairs + 1, streams)
    rows[:, :-1:2] = (sign * magnitude).double()
    return rows
