"""Networks that can be drawn at random are built from a few small integers, so that a search engine can shrink what it finds.

A family turns plain numbers into a network about which something is known by construction: other networks that compute the
same function (`equal`), inputs on which the function does not depend (`independent`), in which it is symmetric (`orbit`) or cannot
fall (`monotone`), and so on. A counterexample then reads as one line of mathematics, `f(x) = relu(x1 - x2)`, and not as a seed.

The pair at the heart of the constructions generalises the one of Sundararajan et al. 2017 (section 2.2): with c, r >= 0,
relu(relu(z - c) - r) = relu(relu(z) - c - r), because both are positive only where z > c + r, and equal z - c - r there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

import torch
from torch import Tensor, nn

from synthetic.environment import frozen
from synthetic.formulas import Layers, formula_of
from synthetic.gadgets import linear, relu_network
from synthetic.readings import lipschitz, summed, unreachable
from synthetic.readings import monotone as rising
from synthetic.rewritings import REWRITINGS, moved, side_by_side, swapped, uneven_split

Affine = tuple[Sequence[float], float]
"""z = w·x + b as (w, b)."""


@dataclass(frozen=True, kw_only=True)
class DrawnNetwork:
    """A network (batch, d) -> (batch, 1) and what is known of it by construction.

    Attributes:
        formula: f in one line of mathematics, with x1 ... xd.
        model: float64, eval mode, every activation an `nn.ReLU` of its own.
        rewrite: builds `equal`, networks that compute the same function on all of R^d, by the name of the rewriting.
        independent: whether f is known not to depend on the column anywhere.
        orbit: f is symmetric in columns that share a number; -1 where nothing is known.
        unreachable: whether no path of non-zero weights leads from the column to the output.
        monotone: whether f is known to be non-decreasing in the column everywhere.
        summed: f depends on columns that share a number through their sum only; -1 where nothing is known.
        redundant: columns each of which alone takes its part of f where all of them do, at values of at least 1 against a baseline of 0.
        lipschitz: |f(x) - f(y)| is at most this times the largest |x_i - y_i|.
        branches: (coefficient, network) of which f is the sum.
    """

    formula: str
    model: nn.Module
    rewrite: Callable[[], Mapping[str, nn.Module]]
    independent: tuple[bool, ...]
    orbit: tuple[int, ...]
    unreachable: tuple[bool, ...]
    monotone: tuple[bool, ...]
    summed: tuple[int, ...]
    redundant: tuple[bool, ...]
    lipschitz: float
    branches: tuple[tuple[float, nn.Module], ...] = ()

    @cached_property
    def equal(self) -> Mapping[str, nn.Module]:
        """Networks that compute the same function on all of R^d, by the name of the rewriting; built when first asked for."""
        return self.rewrite()


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
    return _drawn(layers)


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
    return _drawn(outside, equal={"threshold inside": inside})


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
    return _drawn(joined, function=moved(layers, range(d), d + extra))


def tied(layers: Layers) -> DrawnNetwork:
    """The dense network with the first-layer weights of column 2 set to those of column 1: it depends on x1 + x2 only."""
    (first, bias), *rest = layers
    return dense([([[row[0], row[0], *row[2:]] for row in first], bias), *rest])


def symmetric(layers: Layers) -> DrawnNetwork:
    """g(x1, x2, ...) + g(x2, x1, ...), two copies side by side: symmetric in columns 1 and 2."""
    _check(layers)
    joined = side_by_side(layers, swapped(layers))
    return _drawn(joined, orbit=_first_two(layers))


def symmetric_threshold(z: Affine, c: float, others: Sequence[tuple[float, Affine]] = ()) -> DrawnNetwork:
    """F(x1, x2, ...) + G(x2, x1, ...), with F and G as in `threshold_pair`: a symmetric function of an asymmetric network (W6)."""
    outside, inside = _threshold_layers(z, c, others)
    joined, same = side_by_side(outside, swapped(inside)), side_by_side(outside, swapped(outside))
    return _drawn(joined, equal={"one implementation": same}, orbit=_first_two(outside))


def disguised(layers: Layers, z: Affine, c: float, others: Sequence[tuple[float, Affine]] = ()) -> DrawnNetwork:
    """The dense network + F - G, with F = G as in `threshold_pair`, on the same columns: what is known of the function stays so.

    `layers` has two hidden layers, as F and G have.

    Raises:
        ValueError: if `layers` has not two hidden layers.
    """
    if len(layers) != 3:
        raise ValueError(f"a network with two hidden layers is disguised by others of that depth (got {len(layers) - 1})")
    null = side_by_side(*_threshold_layers(z, c, others), weights=(1, -1))
    return _drawn(side_by_side(layers, null), function=layers)


def split_unevenly(layers: Layers) -> DrawnNetwork:
    """The dense network with its first unit as two copies of opposite signs, v relu = (v + 1) relu - relu: known is what was known."""
    return _drawn(uneven_split(layers), function=layers)


def minimum(u: Affine, v: Affine) -> DrawnNetwork:
    """min(relu(u), relu(v)) = relu(relu(u)) - relu(relu(u) - relu(v)), equal to itself with u and v exchanged."""
    first = ([u[0], v[0]], [u[1], v[1]])
    one, other = ([[1, 0], [1, -1]], [0, 0]), ([[0, 1], [-1, 1]], [0, 0])
    last = ([[1, -1]], [0])
    return _drawn([first, one, last], equal={"of v and u": [first, other, last]}, monotone=_both_rise(u, v))


def maximum(u: Affine, v: Affine) -> DrawnNetwork:
    """max(relu(u), relu(v)) = relu(relu(u)) + relu(relu(v) - relu(u)), equal to itself with u and v exchanged."""
    first = ([u[0], v[0]], [u[1], v[1]])
    one, other = ([[1, 0], [-1, 1]], [0, 0]), ([[0, 1], [1, -1]], [0, 0])
    last = ([[1, 1]], [0])
    return _drawn([first, one, last], equal={"of v and u": [first, other, last]}, monotone=_both_rise(u, v))


def parallel(first: Layers, second: Layers, *, weights: tuple[float, float]) -> DrawnNetwork:
    """α f + β g as one dense network of two branches of equal depth, joined by its last layer."""
    branches = tuple((weight, frozen(relu_network(layers))) for weight, layers in zip(weights, (first, second), strict=True))
    return replace(_drawn(side_by_side(first, second, weights=weights)), branches=branches)


def saturated(weights: Sequence[float], height: float, rest: Layers) -> DrawnNetwork:
    """The function k min(1, Σ a_i x_i) + g(y), a_i >= 1: at x_i >= 1 each column x_i alone takes the first term where all of them do.

    The columns x come first, those of `rest`, a network with one hidden layer, follow.

    Raises:
        ValueError: if a weight is less than 1, or `rest` has not one hidden layer.
    """
    if min(weights) < 1 or len(rest) != 2:
        raise ValueError(f"each weight is at least 1, and g has one hidden layer (got a={list(weights)}, {len(rest) - 1} hidden layers)")
    d, extra = len(weights), len(rest[0][0][0])
    term: Layers = [([[-a for a in weights]], [1]), ([[-height]], [height])]
    joined = side_by_side(moved(term, range(d), d + extra), moved(rest, range(d, d + extra), d + extra))
    return _drawn(joined, redundant=(*[True] * d, *[False] * extra))


def two_outputs(first: Layers, second: Layers, z: Affine, c: float) -> nn.Module:
    """(f, g): f(x, y) = f(x) + N(y) with N = 0 made of four units that cancel, g(x, y) = g(y); both have one hidden layer.

    N = relu(z) - relu(-z) - [relu(z + c) - relu(-z - c) - c], on the columns of `second`, which follow those of `first`.
    """
    minus = [-w for w in z[0]]
    null: Layers = [([z[0], minus, z[0], minus], [z[1], -z[1], z[1] + c, -z[1] - c]), ([[1, -1, -1, 1]], [c])]
    d, extra = len(first[0][0][0]), len(second[0][0][0])
    columns = (range(d), range(d, d + extra), range(d, d + extra))
    parts = [moved(layers, places, d + extra) for layers, places in zip((first, second, null), columns, strict=True)]
    rows, shifts = [row for part in parts for row in part[0][0]], [shift for part in parts for shift in part[0][1]]
    (f,), (g,), (n,) = (part[1][0] for part in parts)
    heads = [[*f, *[0] * len(g), *n], [*[0] * len(f), *g, *[0] * len(n)]]
    return frozen(relu_network([(rows, shifts), (heads, [parts[0][1][1][0] + parts[2][1][1][0], parts[1][1][1][0]])]))


def _drawn(
    layers: Layers,
    *,
    equal: Mapping[str, Layers] = MappingProxyType({}),
    function: Layers | None = None,
    orbit: tuple[int, ...] | None = None,
    monotone: tuple[bool, ...] | None = None,
    redundant: tuple[bool, ...] | None = None,
) -> DrawnNetwork:
    """The network of `layers`; what is known is read off them, or off `function`, simpler layers that compute the same."""
    seen = layers if function is None else function
    others = equal if function is None else {**equal, "without the disguise": function}
    return DrawnNetwork(
        formula=formula_of(layers),
        model=frozen(relu_network(layers)),
        rewrite=lambda: _rewritten(layers, others),
        independent=unreachable(seen),
        orbit=summed(seen) if orbit is None else orbit,
        unreachable=unreachable(layers),
        monotone=rising(seen) if monotone is None else monotone,
        summed=summed(seen),
        redundant=redundant or (False,) * len(layers[0][0][0]),
        lipschitz=lipschitz(seen),
    )


def _rewritten(layers: Layers, others: Mapping[str, Layers]) -> Mapping[str, nn.Module]:
    """The `others` and all rewritings of a network, by name."""
    rewritten = {name: rewrite(layers) for name, rewrite in REWRITINGS.items()} if len(layers) > 1 else {}
    networks: dict[str, nn.Module] = {name: relu_network(other) for name, other in {**others, **rewritten}.items()}
    networks |= {"functional relu": FunctionalReLU(layers), "double negation": _negated_twice(layers)}
    if len(layers) > 1:
        networks["batch norm"] = _with_batch_norm(layers)
    return MappingProxyType({name: frozen(network) for name, network in networks.items()})


def _negated_twice(layers: Layers) -> nn.Module:
    """The network behind x -> -x, its first weights negated."""
    (w, b), *rest = layers
    minus = [[-float(i == j) for j in range(len(w[0]))] for i in range(len(w[0]))]
    return nn.Sequential(linear(minus, None), *relu_network([([[-x for x in row] for row in w], b), *rest]))


def _with_batch_norm(layers: Layers) -> nn.Module:
    """The network with the first pre-activation z as the normalised (z / 2 + 1): the batch norm that folding would take away."""
    (w, b), *rest = layers
    norm = nn.BatchNorm1d(len(b), dtype=torch.float64)
    norm.running_mean = torch.ones(len(b), dtype=torch.float64)
    norm.running_var = torch.full((len(b),), 4 - norm.eps, dtype=torch.float64)
    nn.init.constant_(norm.weight, 4.0)
    _, *after = relu_network([(w, b), *rest])
    return nn.Sequential(linear([[x / 2 for x in row] for row in w], [shift / 2 + 1 for shift in b]), norm, *after)


def _both_rise(u: Affine, v: Affine) -> tuple[bool, ...]:
    """In which columns neither u nor v falls."""
    return tuple(a >= 0 and b >= 0 for a, b in zip(u[0], v[0], strict=True))


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


def _check(layers: Layers) -> None:
    width = len(layers[0][0][0])
    for weight, bias in layers:
        if any(len(row) != width for row in weight) or len(bias) != len(weight):
            raise ValueError(f"a layer has a bias per row, and rows as long as the layer before is wide, {width} (got {weight}, {bias})")
        width = len(weight)
    if width != 1:
        raise ValueError(f"a drawn network has one output, so the last weight has one row (got {width})")
