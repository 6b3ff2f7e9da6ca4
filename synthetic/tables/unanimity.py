"""Every game on bits is a sum of ANDs, so a sum of ANDs is the interacting world whose Shapley value can be read off its formula.

f(x) = Σ_T c_T Π_{i∈T} x_i has the dividends c_T, and φ_i = Σ_{T∋i, x_T = 1} c_T / |T|. Each AND is the gadget with margin,
s relu(Σ_T x - (|T| - 1 + e)) - s relu(Σ_T x - (|T| - e)): it is symmetric in its members, so the straight path shares c_T equally
as well and the path integral equals the Shapley value. What the world separates is these two from removal, which
counts every interaction once per member.
"""

from __future__ import annotations

import numpy as np

from synthetic.environment import Environment
from synthetic.formulas import Layers, affine
from synthetic.gadgets import MARGIN, SLOPE
from synthetic.registry import register
from synthetic.tables.columns import bits, grid, require, table_environment

COEFFICIENTS = (2.0, -1.0, 3.0, -2.0, 4.0)
Terms = dict[frozenset[int], float]


@register("unanimity-v1")
def unanimity(*, id: str, columns: int = 6, order: int = 3) -> Environment:
    """f(x) = Σ_T c_T Π_{i∈T} x_i with terms of every size up to `order`; the last column is in none.

    Raises:
        ValueError: if order is not in 2 ... columns - 2, or there are more than 12 columns.
    """
    require(
        2 <= order <= columns - 2 and columns <= 12,
        message=f"unanimity needs 2 <= order <= columns - 2, so that a column is left without a term, and columns <= 12, so that the "
        f"lattice can be enumerated (got columns={columns}, order={order})",
    )
    terms = _terms(columns - 1, order)
    return table_environment(
        id=id,
        formula=_formula(terms),
        layers=_layers(terms, columns),
        specification=lambda x: _sum(terms, x),
        domain="x_i in {0, 1}",
        traits={"interacting", "non_monotone", "flat_gradient"},
        draw=lambda n, streams: bits(n, columns, streams),
        lattice=lambda: grid([(0, 1)] * columns),
        independent=[not any(i in T for T in terms) for i in range(columns)],
        twins=_twins(terms, columns),
        isolates="interaction: a product must be shared among its members, once, and not be counted for each of them",
        reference="Shapley 1953; Harsanyi 1963 (dividends)",
        knobs={"columns": columns, "order": order},
        integrated_gradients=lambda x: _shared(terms, x),
    )


def _terms(used: int, order: int) -> Terms:
    """Windows of size 1, 2, ..., each overlapping the one before by a column, and a negative pair that closes the ring."""
    terms: Terms = {}
    start = 0
    for size in range(1, order + 1):
        terms[frozenset((start + i) % used for i in range(size))] = COEFFICIENTS[(size - 1) % len(COEFFICIENTS)]
        start += size - 1
    terms.setdefault(frozenset({used - 1, 0}), -1.0)
    return terms


def _formula(terms: Terms) -> str:
    products = [" ".join(f"x{i + 1}" for i in sorted(members)) for members in terms]
    return f"f(x) = {affine(list(terms.values()), products, 0)}"


def _layers(terms: Terms, columns: int) -> Layers:
    """Two units per term, the rise and the end of a step at |T|."""
    rows, biases, heights = [], [], []
    for members, coefficient in terms.items():
        row = [float(i in members) for i in range(columns)]
        rows += [row, row]
        biases += [-(len(members) - 1 + MARGIN), -(len(members) - MARGIN)]
        heights += [SLOPE * coefficient, -SLOPE * coefficient]
    return [(rows, biases), ([heights], [0.0])]


def _sum(terms: Terms, x: np.ndarray) -> np.ndarray:
    """Σ_T c_T Π_{i∈T} x_i, (rows, columns) -> (rows, 1)."""
    total = np.zeros((len(x), 1))
    for members, coefficient in terms.items():
        total += coefficient * np.prod(x[:, sorted(members)], axis=1, keepdims=True)
    return total


def _shared(terms: Terms, x: np.ndarray) -> np.ndarray:
    """Σ_{T∋i} c_T / |T| over the terms all of whose members are present."""
    scores = np.zeros_like(x, dtype=np.float64)
    for members, coefficient in terms.items():
        columns = sorted(members)
        scores[:, columns] += coefficient / len(columns) * x[:, columns].all(1, keepdims=True)
    return scores


def _twins(terms: Terms, columns: int) -> list[int]:
    """The first column with which each column can be exchanged without changing the sum of terms."""

    def exchanged(i: int, j: int) -> Terms:
        swap = {i: j, j: i}
        return {frozenset(swap.get(k, k) for k in members): c for members, c in terms.items()}

    return [next(j for j in range(columns) if exchanged(i, j) == terms) for i in range(columns)]
