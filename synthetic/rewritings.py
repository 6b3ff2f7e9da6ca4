"""Two lists of numbers can describe one function: rewritings of a dense ReLU network that a method may not be able to tell apart.

Implementation invariance (Sundararajan et al. 2017) asks that equal functions get equal attributions; these are the equal functions.
All of them keep the function on the whole of R^d, not on a lattice only.
"""

from __future__ import annotations

from collections.abc import Sequence

from synthetic.formulas import Layers


def split_unit(layers: Layers) -> Layers:
    """The first hidden unit becomes two copies that share its outgoing weights equally."""
    (w, b), (v, a), *rest = layers
    return [([*w, w[0]], [*b, b[0]]), ([[row[0] / 2, *row[1:], row[0] / 2] for row in v], a), *rest]


def permuted_units(layers: Layers) -> Layers:
    """The units of the first hidden layer, in reverse order."""
    (w, b), (v, a), *rest = layers
    return [(w[::-1], b[::-1]), ([row[::-1] for row in v], a), *rest]


def rescaled_unit(layers: Layers) -> Layers:
    """The first hidden unit doubled, and its outgoing weights halved: relu(2 z) = 2 relu(z)."""
    (w, b), (v, a), *rest = layers
    doubled = ([[2 * x for x in w[0]], *w[1:]], [2 * b[0], *b[1:]])
    return [doubled, ([[row[0] / 2, *row[1:]] for row in v], a), *rest]


def dead_unit(layers: Layers) -> Layers:
    """A further first-layer unit relu(-1), never active, with outgoing weight 1."""
    (w, b), (v, a), *rest = layers
    return [([*w, [0] * len(w[0])], [*b, -1]), ([[*row, 1] for row in v], a), *rest]


def uneven_split(layers: Layers) -> Layers:
    """The first hidden unit becomes two copies, passed on with opposite signs: v = (v + k) - k, k = 1 or, where v < 0, 1 - v."""
    (w, b), (v, a), *rest = layers
    extra = [max(1, 1 - row[0]) for row in v]
    return [([*w, w[0]], [*b, b[0]]), ([[row[0] + k, *row[1:], -k] for row, k in zip(v, extra, strict=True)], a), *rest]


REWRITINGS = {
    "unit split": split_unit,
    "units permuted": permuted_units,
    "unit rescaled": rescaled_unit,
    "dead unit": dead_unit,
    "unit split unevenly": uneven_split,
}
"""Rewritings of any dense network with a hidden layer that keep its function on all of R^d."""


def side_by_side(first: Layers, second: Layers, *, weights: tuple[float, float] = (1, 1)) -> Layers:
    """The weighted sum of two dense networks of one depth on the same inputs, as one dense network."""
    a, b = weights
    joined: list[tuple[Sequence[Sequence[float]], Sequence[float]]] = [([*first[0][0], *second[0][0]], [*first[0][1], *second[0][1]])]
    for (upper, upper_bias), (lower, lower_bias) in zip(first[1:-1], second[1:-1], strict=True):
        rows = [[*row, *[0] * len(lower[0])] for row in upper] + [[*[0] * len(upper[0]), *row] for row in lower]
        joined.append((rows, [*upper_bias, *lower_bias]))
    (last,), (other,) = first[-1][0], second[-1][0]
    return [*joined, ([[*(a * w for w in last), *(b * w for w in other)]], [a * first[-1][1][0] + b * second[-1][1][0]])]


def moved(layers: Layers, columns: Sequence[int], width: int) -> Layers:
    """The same network, reading its inputs from these columns of a wider row."""
    rows = [[dict(zip(columns, row, strict=True)).get(i, 0) for i in range(width)] for row in layers[0][0]]
    return [(rows, layers[0][1]), *layers[1:]]


def swapped(layers: Layers) -> Layers:
    """The same network with inputs 1 and 2 exchanged."""
    return [([[row[1], row[0], *row[2:]] for row in layers[0][0]], layers[0][1]), *layers[1:]]
