"""A table's row is its players, one per column, against the baseline zero; this is what all tables share.

The truth of a row depends on nothing but the row, so it is computed once for every distinct row of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from synthetic.environment import Batch, Environment, GroundTruth, frozen
from synthetic.formulas import Layers
from synthetic.gadgets import relu_network
from synthetic.oracles import game_truth, path_integral
from synthetic.rewritings import permuted_units, split_unit

Scores = Callable[[np.ndarray], np.ndarray]  # (rows, columns) -> (rows, columns)


def table_environment(
    *,
    id: str,
    formula: str,
    layers: Layers,
    specification: Callable[[np.ndarray], np.ndarray],  # (batch, columns) -> (batch, 1)
    domain: str,
    traits: Iterable[str],
    draw: Callable[[int, torch.Generator], Tensor],  # -> (n, columns)
    lattice: Callable[[], Tensor] | None,
    independent: Sequence[bool],
    twins: Sequence[int],
    isolates: str,
    reference: str,
    knobs: Mapping[str, Any] = MappingProxyType({}),
    integrated_gradients: Scores | None = None,
    equals: Mapping[str, Layers] = MappingProxyType({}),
) -> Environment:
    """Return the environment of a dense ReLU network with one output on a table.

    What is not said here is as in `Environment`. The model and its rewritings are built from `layers`; on columns that are
    `independent` the function does not depend; columns whose `twins` are equal are exchangeable in the function, and are in one
    orbit of a row where their values are equal too. `integrated_gradients` is a closed form, where there is one; otherwise the path is
    walked from kink to kink. `equals` are further weights of the same function, beside a split and a permutation of hidden units.
    """
    scores = integrated_gradients or _walked(layers)

    def sample(n: int, generator: torch.Generator) -> Batch:
        return _batch(draw(n, generator).double(), specification, scores, independent, twins)

    rewritten = {"unit split": split_unit(layers), "units permuted": permuted_units(layers), **equals}
    return Environment(
        id=id,
        modality="table",
        formula=formula,
        model=frozen(relu_network(layers)),
        outputs=1,
        domain=domain,
        traits=frozenset(traits) | {"piecewise_linear"},
        sample=sample,
        specification=specification,
        lattice=lattice,
        equals=MappingProxyType({name: frozen(relu_network(other)) for name, other in rewritten.items()}),
        knobs=MappingProxyType(dict(knobs)),
        isolates=isolates,
        reference=reference,
    )


def grid(levels: Sequence[Sequence[float]]) -> Tensor:  # (points, columns)
    """Every row whose column i takes one of levels[i], in lexicographic order."""
    axes = [torch.tensor(values, dtype=torch.float64) for values in levels]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(levels))


def bits(n: int, columns: int, generator: torch.Generator, *, at_least: int = 0) -> Tensor:  # (n, columns)
    """Fair random bits, of which the first `at_least` columns, in a random order of their own, hold at least one 1."""
    rows = torch.randint(0, 2, (n, columns), generator=generator).double()
    if at_least:
        forced = torch.randint(0, at_least, (n,), generator=generator)
        empty = (rows[:, :at_least].sum(1) == 0).nonzero().flatten()
        rows[empty, forced[empty]] = 1.0
    return rows


def require(holds: bool, *, message: str) -> None:
    """Raise ValueError with `message` unless a knob's bound holds."""
    if not holds:
        raise ValueError(message)


def orbits(rows: np.ndarray, twins: Sequence[int]) -> np.ndarray:  # (rows, columns), (columns,) -> (rows, columns) int64
    """Number the exchangeable columns of each row: a twin of equal value has the number of the first such column; -1 where alone."""
    same = (np.asarray(twins)[:, None] == np.asarray(twins)) & (rows[:, :, None] == rows[:, None, :])
    return np.where(same.sum(2) > 1, same.argmax(2), -1)


def _batch(
    inputs: Tensor, specification: Callable[[np.ndarray], np.ndarray], scores: Scores, independent: Sequence[bool], twins: Sequence[int]
) -> Batch:
    """The batch of these rows: one player per column, output 0, baseline zero."""
    columns = inputs.shape[1]
    return Batch(
        inputs=inputs,
        target=torch.zeros(len(inputs), dtype=torch.int64),
        baseline=torch.zeros_like(inputs),
        feature_mask=torch.arange(columns).repeat(len(inputs), 1),
        players=columns,
        derive=lambda: _truth(inputs.numpy(), specification, scores, independent, twins),
    )


def _truth(
    rows: np.ndarray, specification: Callable[[np.ndarray], np.ndarray], scores: Scores, independent: Sequence[bool], twins: Sequence[int]
) -> GroundTruth:
    """The truth of every row, each distinct one enumerated once."""
    distinct, which = np.unique(rows, axis=0, return_inverse=True)
    columns = rows.shape[1]
    truth = game_truth(
        specification,
        distinct,
        np.zeros_like(distinct),
        np.broadcast_to(np.arange(columns), distinct.shape),
        np.zeros(len(distinct), dtype=np.int64),
        players=columns,
        independent=np.asarray(independent),
        orbit=orbits(distinct, twins),
        integrated_gradients=scores(distinct),
    )
    index = torch.from_numpy(which.reshape(-1))
    return truth.map(lambda value: value[index])


def _walked(layers: Layers) -> Scores:
    arrays = [(np.asarray(weight, dtype=np.float64), np.asarray(bias, dtype=np.float64)) for weight, bias in layers]

    def scores(rows: np.ndarray) -> np.ndarray:
        return np.stack([path_integral(arrays, row, np.zeros_like(row)) for row in rows])

    return scores
