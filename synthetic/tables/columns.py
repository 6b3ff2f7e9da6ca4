"""A table's row is its players, one per column, against a fixed baseline; this is what all tables share.

The truth of a row depends on nothing but the row and its target, so it is computed once for every distinct pair of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from synthetic.environment import Batch, Environment, GroundTruth, frozen
from synthetic.formulas import Layers
from synthetic.gadgets import relu_network
from synthetic.oracles import game_truth, path_integral
from synthetic.rewritings import permuted_units, split_unit
from synthetic.streams import Streams, streams_of

Scores = Callable[[np.ndarray], np.ndarray]  # (rows, columns) -> (rows, columns)
Specification = Callable[[np.ndarray], np.ndarray]  # (rows, columns) -> (rows, outputs)


@dataclass(frozen=True, kw_only=True)
class Effects:
    """The truth of rows in closed form, where enumeration would be too much; the path integral is stated apart."""

    support: np.ndarray  # (rows, columns) bool
    shapley: np.ndarray  # (rows, columns)
    removal: np.ndarray  # (rows, columns)


def table_environment(
    *,
    id: str,
    formula: str,
    layers: Layers | None,
    specification: Specification,
    domain: str,
    traits: Iterable[str],
    draw: Callable[[int, Streams], Tensor],  # -> (n, columns)
    lattice: Callable[[], Tensor] | None,
    independent: Sequence[bool],
    twins: Sequence[int],
    isolates: str,
    reference: str,
    knobs: Mapping[str, Any] = MappingProxyType({}),
    integrated_gradients: Scores | None = None,
    equals: Mapping[str, Layers | nn.Module] = MappingProxyType({}),
    model: nn.Module | None = None,
    outputs: int = 1,
    baseline: Sequence[float] | None = None,
    closed_form: Callable[[np.ndarray], Effects] | None = None,
) -> Environment:
    """Return the environment of a network on a table: of a dense ReLU network, unless `model` is given.

    What is not said here is as in `Environment`. The model and its rewritings are built from `layers`; on columns that are
    `independent` the function does not depend; columns whose `twins` are equal are exchangeable in the function, and are in one
    orbit of a row where their values are equal too. `integrated_gradients` is a closed form for the first output, where there is one;
    otherwise the path is walked from kink to kink. `equals` are further networks of the same function, beside a split and a permutation of
    hidden units. `model` is another network of the function of `layers`, or, where these are None, one that is not piecewise linear.
    With several `outputs`, each row's target is drawn. The baseline is zero where none is given. `closed_form` stands in for enumeration.

    Raises:
        ValueError: if there are no layers and no model, or no layers and no integrated gradients.
    """
    truth = _Truth(
        specification=specification,
        scores=_scores(layers, integrated_gradients),
        independent=tuple(independent),
        twins=tuple(twins),
        baseline=np.array(baseline if baseline is not None else [0.0] * len(twins), dtype=np.float64),
        closed_form=closed_form,
    )

    def sample(n: int, generator: torch.Generator) -> Batch:
        streams = streams_of(generator)
        rows = draw(n, streams).double()
        target = torch.randint(0, outputs, (n,), generator=next(streams)) if outputs > 1 else torch.zeros(n, dtype=torch.int64)
        return _batch(rows, target, truth)

    return Environment(
        id=id,
        modality="table",
        formula=formula,
        model=frozen(model if model is not None else relu_network(layers or [])),
        outputs=outputs,
        domain=domain,
        traits=frozenset(traits) | ({"piecewise_linear"} if layers is not None else set()),
        sample=sample,
        specification=specification,
        lattice=lattice,
        equals=_networks({**_rewritten(layers), **equals}),
        knobs=MappingProxyType(dict(knobs)),
        isolates=isolates,
        reference=reference,
    )


def grid(levels: Sequence[Sequence[float]]) -> Tensor:  # (points, columns)
    """Every row whose column i takes one of levels[i], in lexicographic order."""
    axes = [torch.tensor(values, dtype=torch.float64) for values in levels]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(levels))


def bits(n: int, columns: int, streams: Streams, *, at_least: int = 0) -> Tensor:  # (n, columns)
    """Fair random bits, of which the first `at_least` columns, in a random order of their own, hold at least one 1."""
    rows = torch.randint(0, 2, (n, columns), generator=next(streams)).double()
    if at_least:
        forced = torch.randint(0, at_least, (n,), generator=next(streams))
        empty = (rows[:, :at_least].sum(1) == 0).nonzero().flatten()
        rows[empty, forced[empty]] = 1.0
    return rows


def choose(n: int, rows: Tensor, classes: Tensor, streams: Streams) -> Tensor:  # (m, columns), (m,) -> (n, columns)
    """Draw rows so that every class is equally likely, and within its class every row."""
    _, which, size = np.unique(classes.numpy(), return_inverse=True, return_counts=True)
    chance = torch.from_numpy(1.0 / size[which])
    return rows[torch.multinomial(chance, n, replacement=True, generator=next(streams))] if n else rows[:0]


def require(holds: bool, *, message: str) -> None:
    """Raise ValueError with `message` unless a knob's bound holds."""
    if not holds:
        raise ValueError(message)


def orbits(rows: np.ndarray, twins: Sequence[int]) -> np.ndarray:  # (rows, columns), (columns,) -> (rows, columns) int64
    """Number the exchangeable columns of each row: a twin of equal value has the number of the first such column; -1 where alone."""
    same = (np.asarray(twins)[:, None] == np.asarray(twins)) & (rows[:, :, None] == rows[:, None, :])
    return np.where(same.sum(2) > 1, same.argmax(2), -1)


@dataclass(frozen=True, kw_only=True)
class _Truth:
    """What decides the truth of a table's rows; columns with equal `twins` have equal baselines."""

    specification: Specification
    scores: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    independent: tuple[bool, ...]
    twins: tuple[int, ...]
    baseline: np.ndarray  # (columns,)
    closed_form: Callable[[np.ndarray], Effects] | None

    def of(self, rows: np.ndarray, target: np.ndarray) -> GroundTruth:
        """The truth of every row, each distinct one enumerated once."""
        pairs, which = np.unique(np.column_stack([rows, target]), axis=0, return_inverse=True)
        distinct, outputs = pairs[:, :-1], pairs[:, -1].astype(np.int64)
        truth = self._enumerated(distinct, outputs) if self.closed_form is None else self._stated(distinct, outputs, self.closed_form)
        index = torch.from_numpy(which.reshape(-1))
        return truth.map(lambda value: value[index])

    def _enumerated(self, rows: np.ndarray, target: np.ndarray) -> GroundTruth:
        return game_truth(
            self.specification,
            rows,
            np.broadcast_to(self.baseline, rows.shape),
            np.broadcast_to(np.arange(rows.shape[1]), rows.shape),
            target,
            players=rows.shape[1],
            independent=np.asarray(self.independent),
            orbit=orbits(rows, self.twins),
            integrated_gradients=self.scores(rows, self.baseline, target),
        )

    def _stated(self, rows: np.ndarray, target: np.ndarray, closed_form: Callable[[np.ndarray], Effects]) -> GroundTruth:
        effects = closed_form(rows)
        conventions = {
            "shapley": effects.shapley,
            "removal": effects.removal,
            "integrated_gradients": self.scores(rows, self.baseline, target),
        }
        return GroundTruth(
            support=torch.from_numpy(effects.support),
            sign=torch.from_numpy(np.sign(effects.shapley).astype(np.int8)),
            attributions={name: torch.from_numpy(np.asarray(scores, dtype=np.float64)) for name, scores in conventions.items()},
            independent=torch.tensor(self.independent).expand(rows.shape).clone(),
            orbit=torch.from_numpy(orbits(rows, self.twins)),
        )


def _batch(inputs: Tensor, target: Tensor, truth: _Truth) -> Batch:
    """The batch of these rows: one player per column."""
    columns = inputs.shape[1]
    return Batch(
        inputs=inputs,
        target=target,
        baseline=torch.from_numpy(truth.baseline).repeat(len(inputs), 1),
        feature_mask=torch.arange(columns).repeat(len(inputs), 1),
        players=columns,
        derive=lambda: truth.of(inputs.numpy(), target.numpy()),
    )


def _scores(layers: Layers | None, stated: Scores | None) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Integrated gradients of (rows, baseline, target): as stated, or walked through the layers."""
    if stated is not None:

        def closed(rows: np.ndarray, baseline: np.ndarray, target: np.ndarray) -> np.ndarray:
            del baseline, target
            return stated(rows)

        return closed
    if layers is None:
        raise ValueError("a network without layers states its integrated gradients (got layers=None, integrated_gradients=None)")
    arrays = [(np.asarray(weight, dtype=np.float64), np.asarray(bias, dtype=np.float64)) for weight, bias in layers]

    def scores(rows: np.ndarray, baseline: np.ndarray, target: np.ndarray) -> np.ndarray:
        return np.stack([path_integral(arrays, row, baseline, output=int(output)) for row, output in zip(rows, target, strict=True)])

    return scores


def _rewritten(layers: Layers | None) -> dict[str, Layers]:
    return {} if layers is None else {"unit split": split_unit(layers), "units permuted": permuted_units(layers)}


def _networks(networks: Mapping[str, Layers | nn.Module]) -> Mapping[str, nn.Module]:
    built = {name: other if isinstance(other, nn.Module) else relu_network(other) for name, other in networks.items()}
    return MappingProxyType({name: frozen(other) for name, other in built.items()})
