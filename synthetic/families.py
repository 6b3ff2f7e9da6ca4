"""Networks that can be drawn at random are built from a few small integers, so that a search engine can shrink what it finds.

A family turns plain numbers into a network about which something is known by construction: other networks that compute the
same function (`equal`), inputs on which the function does not depend (`independent`), and inputs in which it is symmetric
(`orbit`). A counterexample then reads as one line of mathematics, `f(x) = relu(x1 - x2)`, and not as a seed.

The pair at the heart of the constructions generalises the one of Sundararajan et al. 2017 (section 2.2): with c, r >= 0,
relu(relu(z - c) - r) = relu(relu(z) - c - r), because both are positive only where z > c + r, and equal z - c - r there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from synthetic.environment import frozen
from synthetic.formulas import Layers, formula_of
from synthetic.gadgets import linear, relu_network
from synthetic.rewritings import REWRITINGS, moved, side_by_side, swapped

Affine = tuple[Sequence[float], float]
"""z = w·x + b as (w, b)."""


@dataclass(frozen=True, kw_only=True)
class DrawnNetwork:
    """A network (batch, d) -> (batch, 1) and what is known of it by construction.

    Attributes:
        formula: f in one line of mathematics, with x1 ... xd.
        model: float64, eval mode, every activation an `nn.ReLU` of its own.
        equal: networks that compute the same function on all of R^d, by the name of the rewriting.
        independent: whether f is known not to depend on the column anywhere.
        orbit: f is symmetric in columns that share a number; -1 where nothing is known.
    """

    formula: str
    model: nn.Module
    equal: Mapping[str, nn.Module]
    independent: tuple[bool, ...]
    orbit: tuple[int, ...]


class FunctionalReLU(nn.Module):
    """A dense ReLU network that calls `torch.relu` in its forward pass: a deliberate exception, since hooks on modules do not see it."""

    def __init__(self, layers: Layers) -> None:
        super().__init__()
        self.layers = nn.ModuleList(linear(weight, bias) for weight, bias in layers)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs, (batch, inputs) -> (batch, outputs)."""
        *hidden, last = self.layers
        for layer in hidden:
            inputs = torch.relu(layer(inputs))
        outputs: Tensor = last(inputs)
        return outputs


def dense(layers: Layers) -> DrawnNetwork:
    """The dense ReLU network of these numbers; its one output is the single row of the last weight.

    Columns without a path of non-zero weights to the output are independent; columns with equal first-layer weights are an orbit.

    Raises:
        ValueError: if the shapes do not fit together, or there is not exactly one output.
    """
    _check(layers)
    return _drawn(layers, equal={}, independent=_unreachable(layers), orbit=_equal_columns(layers))


def threshold_pair(z: Affine, c: float, others: Sequence[tuple[float, Affine]] = ()) -> DrawnNetwork:
    """F = relu(relu(z) - c - Σ a_k relu(u_k)), equal to G = relu(relu(z - c) - Σ a_k relu(u_k)), "threshold inside".

    W2 is `threshold_pair(([1, 0], 0), 1, [(1, ([0, 1], 0))])`; DeepLIFT tells F and G apart (Sundararajan et al. 2017, section 2.2).

    Args:
        z: (w, b) of z = w·x + b.
        c: the threshold, >= 0.
        others: (a_k >= 0, (w, b) of u_k).

    Raises:
        ValueError: if c or some a_k is negative, where the two differ.
    """
    outside, inside = _threshold_layers(z, c, others)
    return _drawn(outside, equal={"threshold inside": inside}, independent=_unreachable(outside), orbit=_equal_columns(outside))


def with_null_column(layers: Layers, *, at: int) -> DrawnNetwork:
    """The dense network with a further input at position `at` (0 first) whose weights are all zero."""
    (first, bias), *rest = layers
    widened = [[*row[:at], 0, *row[at:]] for row in first]
    return dense([(widened, bias), *rest])


def difference_of_equals(layers: Layers, z: Affine, c: float, others: Sequence[tuple[float, Affine]] = ()) -> DrawnNetwork:
    """g(x1 ... xd) + F(y) - G(y), with F and G as in `threshold_pair`: the columns y are used by the network, not by the function.

    The columns y follow those of `layers`, which has one or two hidden layers. Beside one hidden layer F - G is replaced by the
    shallow relu(z) - relu(-z) - [relu(z + c) - relu(-z - c) - c] = 0, and `others` is not used.

    Raises:
        ValueError: if `layers` has neither one nor two hidden layers.
    """
    _check(layers)
    if len(layers) == 2:
        (w, b), minus = z, [-v for v in z[0]]
        null: Layers = [([w, minus, w, minus], [b, -b, b + c, -b - c]), ([[1, -1, -1, 1]], [c])]
    elif len(layers) == 3:
        null = side_by_side(*_threshold_layers(z, c, others), weights=(1, -1))
    else:
        raise ValueError(f"a difference of equals stands beside a network with one or two hidden layers (got {len(layers) - 1})")
    d, extra = len(layers[0][0][0]), len(z[0])
    joined = side_by_side(moved(layers, range(d), d + extra), moved(null, range(d, d + extra), d + extra))
    return _drawn(joined, equal={}, independent=(*_unreachable(layers), *[True] * extra), orbit=(*_equal_columns(layers), *[-1] * extra))


def tied(layers: Layers) -> DrawnNetwork:
    """The dense network with the first-layer weights of column 2 set to those of column 1: it depends on x1 + x2 only."""
    (first, bias), *rest = layers
    return dense([([[row[0], row[0], *row[2:]] for row in first], bias), *rest])


def symmetric(layers: Layers) -> DrawnNetwork:
    """g(x1, x2, ...) + g(x2, x1, ...), two copies side by side: symmetric in columns 1 and 2."""
    _check(layers)
    joined = side_by_side(layers, swapped(layers))
    return _drawn(joined, equal={}, independent=_unreachable(joined), orbit=_first_two(layers))


def symmetric_threshold(z: Affine, c: float, others: Sequence[tuple[float, Affine]] = ()) -> DrawnNetwork:
    """F(x1, x2, ...) + G(x2, x1, ...), with F and G as in `threshold_pair`: a symmetric function of an asymmetric network (W6)."""
    outside, inside = _threshold_layers(z, c, others)
    joined, same = side_by_side(outside, swapped(inside)), side_by_side(outside, swapped(outside))
    return _drawn(joined, equal={"one implementation": same}, independent=_unreachable(joined), orbit=_first_two(outside))


def _drawn(layers: Layers, *, equal: Mapping[str, Layers], independent: tuple[bool, ...], orbit: tuple[int, ...]) -> DrawnNetwork:
    rewritten = {name: rewrite(layers) for name, rewrite in REWRITINGS.items()} if len(layers) > 1 else {}
    networks: dict[str, nn.Module] = {name: relu_network(other) for name, other in {**equal, **rewritten}.items()}
    networks["functional relu"] = FunctionalReLU(layers)
    return DrawnNetwork(
        formula=formula_of(layers),
        model=frozen(relu_network(layers)),
        equal=MappingProxyType({name: frozen(network) for name, network in networks.items()}),
        independent=independent,
        orbit=orbit,
    )


def _threshold_layers(z: Affine, c: float, others: Sequence[tuple[float, Affine]]) -> tuple[Layers, Layers]:
    """F and G of `threshold_pair`."""
    if c < 0 or any(a < 0 for a, _ in others):
        raise ValueError(f"the two forms are equal for c >= 0 and every a >= 0 (got c={c}, a={[a for a, _ in others]})")
    rows, shifts = [z[0], *(u[0] for _, u in others)], [u[1] for _, u in others]
    subtract = [[1, *(-a for a, _ in others)]]
    outside: Layers = [(rows, [z[1], *shifts]), (subtract, [-c]), ([[1]], [0])]
    inside: Layers = [(rows, [z[1] - c, *shifts]), (subtract, [0]), ([[1]], [0])]
    return outside, inside


def _first_two(layers: Layers) -> tuple[int, ...]:
    return (0, 0, *[-1] * (len(layers[0][0][0]) - 2))


def _unreachable(layers: Layers) -> tuple[bool, ...]:
    """Whether no path of non-zero weights leads from each input to the output."""
    reached = [True]
    for weight, _ in reversed(layers):
        reached = [any(row[i] and on for row, on in zip(weight, reached, strict=True)) for i in range(len(weight[0]))]
    return tuple(not on for on in reached)


def _equal_columns(layers: Layers) -> tuple[int, ...]:
    """Number the inputs whose first-layer weights are equal by the first of them; -1 where alone."""
    columns = list(zip(*layers[0][0], strict=True))
    return tuple(columns.index(column) if columns.count(column) > 1 else -1 for column in columns)


def _check(layers: Layers) -> None:
    width = len(layers[0][0][0])
    for weight, bias in layers:
        if any(len(row) != width for row in weight) or len(bias) != len(weight):
            raise ValueError(f"a layer has a bias per row, and rows as long as the layer before is wide, {width} (got {weight}, {bias})")
        width = len(weight)
    if width != 1:
        raise ValueError(f"a drawn network has one output, so the last weight has one row (got {width})")
