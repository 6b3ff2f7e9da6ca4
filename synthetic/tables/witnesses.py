"""The literature's counterexamples, each a world of one to three rows: what a method violates is shown here, the same in every run.

A witness is stated for an existential claim, so it holds the published function and not a version with margins everywhere: its
rows keep 1/4 from every kink, while the baseline 0 may lie on one of the first layer. No value depends on that, and neither does a path
integral, since the path leaves the kink at once. `sample` cycles through the rows and draws nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from synthetic.environment import Environment
from synthetic.formulas import Layers
from synthetic.registry import register
from synthetic.rewritings import side_by_side
from synthetic.streams import Streams
from synthetic.tables.columns import table_environment

THRESHOLD_OUTSIDE: Layers = [([[1, 0], [0, 1]], [0, 0]), ([[1, -1]], [-1]), ([[1]], [0])]
THRESHOLD_INSIDE: Layers = [([[1, 0], [0, 1]], [-1, 0]), ([[1, -1]], [0]), ([[1]], [0])]
HALF_OUTSIDE: Layers = [([[1, 0], [0, 1]], [0, 0]), ([[1, -0.5]], [-1]), ([[1]], [0])]
HALF_INSIDE_SWAPPED: Layers = [([[0, 1], [1, 0]], [-1, 0]), ([[1, -0.5]], [0]), ([[1]], [0])]
HALF_OUTSIDE_SWAPPED: Layers = [([[0, 1], [1, 0]], [0, 0]), ([[1, -0.5]], [-1]), ([[1]], [0])]


def _relu(z: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(z, 0.0))


@register("saturation-witness-v1")
def saturation_witness(*, id: str) -> Environment:
    """Here f = 1 - relu(1 - x) at x = 2: f rises from 0 to 1 and is flat where the gradient looks."""
    return witness(
        id=id,
        formula="f(x) = 1 - relu(1 - x1)",
        layers=[([[-1]], [1]), ([[-1]], [1])],
        function=lambda x: np.minimum(x, 1.0),
        rows=[(2.0,)],
        traits={"saturating", "flat_gradient", "monotone", "additive"},
        isolates="saturation: the gradient is 0 at a row whose value is not the baseline's",
        reference="Sundararajan et al. 2017, section 2.1",
    )


@register("invariance-witness-v1")
def invariance_witness(*, id: str) -> Environment:
    """F = relu(relu(x1) - 1 - relu(x2)), equal on R^2 to G = relu(relu(x1 - 1) - relu(x2)), at (3, 1)."""
    return witness(
        id=id,
        formula="f(x) = relu(relu(x1) - relu(x2) - 1)",
        layers=THRESHOLD_OUTSIDE,
        function=lambda x: _relu(x[:, :1] - 1 - _relu(x[:, 1:])),
        rows=[(3.0, 1.0)],
        traits={"interacting", "non_monotone"},
        isolates="implementation: two networks compute one function, and discrete gradients tell them apart",
        reference="Sundararajan et al. 2017, section 2.2, figure 7",
        equals={"threshold inside": THRESHOLD_INSIDE},
    )


@register("dummy-witness-v1")
def dummy_witness(*, id: str) -> Environment:
    """F - G = 0, with F and G of invariance-witness-v1: both columns are used by the network and by no function."""
    return witness(
        id=id,
        formula="f(x) = relu(relu(x1) - relu(x2) - 1) - relu(relu(x1 - 1) - relu(x2)) = 0",
        layers=side_by_side(THRESHOLD_OUTSIDE, THRESHOLD_INSIDE, weights=(1, -1)),
        function=lambda x: 0.0 * x[:, :1],
        rows=[(3.0, 1.0)],
        traits={"cancelling"},
        isolates="the functional dummy: a column that the network reads and that its output never depends on",
        reference="the difference of the pair of Sundararajan et al. 2017, section 2.2",
        independent=(True, True),
    )


@register("symmetry-witness-v1")
def symmetry_witness(*, id: str) -> Environment:
    """F(x1, x2) + G(x2, x1) with F = relu(relu(x1) - 1 - relu(x2)/2) = G = relu(relu(x1 - 1) - relu(x2)/2), at (3, 3)."""
    return witness(
        id=id,
        formula="f(x) = relu(relu(x1) - 0.5 relu(x2) - 1) + relu(relu(x2 - 1) - 0.5 relu(x1))",
        layers=side_by_side(HALF_OUTSIDE, HALF_INSIDE_SWAPPED),
        function=lambda x: _relu(x[:, :1] - 1 - _relu(x[:, 1:]) / 2) + _relu(x[:, 1:] - 1 - _relu(x[:, :1]) / 2),
        rows=[(3.0, 3.0)],
        traits={"interacting", "non_monotone"},
        isolates="symmetry of the function without symmetry of the network",
        reference="the pair of Sundararajan et al. 2017, section 2.2, with one half turned round",
        twins=(0, 0),
        equals={"one implementation": side_by_side(HALF_OUTSIDE, HALF_OUTSIDE_SWAPPED)},
    )


@register("or-witness-v1")
def or_witness(*, id: str) -> Environment:
    """Here f = 1 - relu(1 - x1 - x2) at (1, 1): either column suffices."""
    return witness(
        id=id,
        formula="f(x) = 1 - relu(1 - x1 - x2)",
        layers=[([[-1, -1]], [1]), ([[-1]], [1])],
        function=lambda x: np.minimum(x.sum(1, keepdims=True), 1.0),
        rows=[(1.0, 1.0)],
        traits={"saturating", "redundant", "interacting", "monotone", "flat_gradient"},
        isolates="redundancy: removing either cause of two changes nothing",
        reference="Shrikumar et al. 2017, section 2",
        twins=(0, 0),
    )


@register("monotonicity-witness-v1")
def monotonicity_witness(*, id: str) -> Environment:
    """Here f = relu(x1 - x2) - relu(x1 - 2 x2) = clip(x1 - x2, 0, x2), increasing in x1, at (1.5, 1) and (3, 1)."""
    found = witness(
        id=id,
        formula="f(x) = relu(x1 - x2) - relu(x1 - 2 x2)",
        layers=[([[1, -1], [1, -2]], [0, 0]), ([[1, -1]], [0])],
        function=lambda x: np.clip(x[:, :1] - x[:, 1:], 0.0, x[:, 1:]),
        rows=[(1.5, 1.0), (3.0, 1.0)],
        traits={"bias_free", "positively_homogeneous", "interacting", "non_monotone"},
        isolates="demand monotonicity: raising x1 raises f and lowers the path integral of x1",
        reference="Friedman 2004; Sundararajan & Najmi 2020",
    )
    return replace(found, monotone=(True, False))  # for x2 >= 0, where a clip to [0, x2] is one


@register("proportionality-witness-v1")
def proportionality_witness(*, id: str) -> Environment:
    """Here f = min(x1 + x2, 2) at (1.5, 1): a function of the sum, whose Shapley value is not proportional to the summands."""
    return witness(
        id=id,
        formula="f(x) = 2 - relu(2 - x1 - x2)",
        layers=[([[-1, -1]], [2]), ([[-1]], [2])],
        function=lambda x: np.minimum(x.sum(1, keepdims=True), 2.0),
        rows=[(1.5, 1.0)],
        traits={"saturating", "interacting", "monotone", "flat_gradient"},
        isolates="proportionality: path integral (1.2, 0.8), Shapley value (1.25, 0.75)",
        reference="Sundararajan & Najmi 2020",
        twins=(0, 0),
    )


def witness(
    *,
    id: str,
    formula: str,
    layers: Layers,
    function: Callable[[np.ndarray], np.ndarray],
    rows: Sequence[tuple[float, ...]],
    traits: set[str],
    isolates: str,
    reference: str,
    independent: Sequence[bool] = (),
    twins: Sequence[int] = (),
    equals: Mapping[str, Layers] = MappingProxyType({}),
) -> Environment:
    """The environment of these stored rows."""
    stored = torch.tensor(rows, dtype=torch.float64)
    columns = stored.shape[1]

    def draw(n: int, streams: Streams) -> Tensor:
        del streams
        return stored[torch.arange(n) % len(stored)]

    return table_environment(
        id=id,
        formula=formula,
        layers=layers,
        specification=function,
        domain="x = " + ", ".join(f"({', '.join(f'{v:g}' for v in row)})" for row in rows) + "; the formula holds everywhere",
        traits=traits | {"witness"},
        draw=draw,
        lattice=lambda: stored.clone(),
        independent=independent or (False,) * columns,
        twins=twins or tuple(range(columns)),
        isolates=isolates,
        reference=reference,
        equals=equals,
    )
