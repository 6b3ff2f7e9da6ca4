"""The truth of a batch of graphs: closed form where the output is a sum of terms, or a function of a count; else all coalitions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from synthetic.environment import Batch, GroundTruth
from synthetic.graphs.block import Layout, graphs_of
from synthetic.graphs.rules import Rules
from synthetic.graphs.terms import Monomials, RowTruth, counting_truth, exchangeable, monomials, named, polynomial_truth
from synthetic.oracles import game_truth


def truth_of(
    batch: Batch,
    *,
    rules: Rules,
    layout: Layout,
    specification: Callable[[np.ndarray], np.ndarray],
    numbers: np.ndarray,  # (batch, size, size) int, the player of each edge
) -> GroundTruth:
    """Return the truth of every row.

    Raises:
        ValueError: if there is no closed form, and a row has too many players to be enumerated.
    """
    terms = _terms(batch, rules, layout, numbers)
    rows = None if terms is None else _closed_forms(terms, rules, batch)
    independent, orbit = _between(terms, batch, rules, layout)
    path = None if rules.path_integral is None else torch.from_numpy(rules.path_integral(batch.inputs.numpy()))
    if rows is None:
        return game_truth(
            specification,
            batch.inputs,
            batch.baseline,
            batch.feature_mask,
            batch.target,
            players=batch.players,
            independent=independent,
            orbit=orbit,
            integrated_gradients=path,
        )
    shapley, removal, support = (_stack([getattr(row, name) for row in rows], batch) for name in ("shapley", "removal", "support"))
    scores = {"shapley": shapley, "removal": removal}
    if path is not None:
        scores["integrated_gradients"] = _per_player(path, batch)
    elif rules.interior.get(layout.players) == "terms" and all(row.path is not None for row in rows):
        scores["integrated_gradients"] = _stack([row.path for row in rows if row.path is not None], batch)
    sign = shapley.sign().to(torch.int8)
    return GroundTruth(support=support.bool(), sign=sign, attributions=scores, independent=independent, orbit=orbit)


def _terms(batch: Batch, rules: Rules, layout: Layout, numbers: np.ndarray) -> list[Monomials] | None:
    """The terms of each row as players; None where the world has none."""
    if rules.terms is None:
        return None
    adjacency, features = layout.read(batch.inputs.numpy())
    return [monomials(rules.terms(a, x), layout.players, numbered) for a, x, numbered in zip(adjacency, features, numbers, strict=True)]


def _closed_forms(terms: list[Monomials], rules: Rules, batch: Batch) -> list[RowTruth] | None:
    """The truth of each row by its terms; None if some row's head is over terms of several players."""
    if rules.head is None:
        return [polynomial_truth(own, batch.players) for own in terms]
    rows = []
    for own, target in zip(terms, batch.target.tolist(), strict=True):
        row = counting_truth(own, batch.players, lambda total, target=target: rules.head(total, target))  # type: ignore[misc]
        if row is None:
            return None
        rows.append(row)
    return rows


def _between(terms: list[Monomials] | None, batch: Batch, rules: Rules, layout: Layout) -> tuple[Tensor, Tensor]:
    """Independent players and orbits, each (batch, players): stated by the world, or read off the terms.

    A node owns an entry for each colour, and the sum of the terms may read another colour of a node than it has: in the feature
    game it says nothing of independence.
    """
    groups: list[Sequence[Sequence[int]]] = [[] for _ in range(len(batch))]
    free: list[Sequence[int]] = [[] for _ in range(len(batch))]
    interior = rules.interior.get(layout.players, "unknown")
    if terms is not None and (interior == "local" or (interior == "terms" and layout.players != "features")):
        live = [[p for p in torch.unique(owner).tolist() if p >= 0] for owner in batch.feature_mask]
        free = [[p for p in own if p not in named(row)] for own, row in zip(live, terms, strict=True)]
    if terms is not None and interior == "terms":
        groups = [_alike(exchangeable(own), row, layout) for own, row in zip(terms, batch.inputs, strict=True)]
    if layout.players == "features" and (rules.independent or rules.orbits):
        graphs = graphs_of(batch.inputs.numpy())
        free = free if rules.independent is None else [rules.independent(graph) for graph in graphs]
        groups = groups if rules.orbits is None else [rules.orbits(graph) for graph in graphs]
    independent = torch.zeros(len(batch), batch.players, dtype=torch.bool)
    orbit = torch.full((len(batch), batch.players), -1, dtype=torch.int64)
    for row in range(len(batch)):
        independent[row, list(free[row])] = True
        for number, group in enumerate(groups[row]):
            orbit[row, list(group)] = number
    return independent, orbit


def _alike(groups: list[list[int]], row: Tensor, layout: Layout) -> list[list[int]]:
    """Groups cut by what their members hold: nodes of two colours may weigh the same, but are not the same input."""
    if layout.players != "features":
        return groups
    own = [tuple(colours) for colours in row[:, layout.colour_columns].tolist()]
    return [[p for p in group if own[p] == colours] for group in groups for colours in sorted({own[p] for p in group})]


def _per_player(scores: Tensor, batch: Batch) -> Tensor:
    """Sum the entries of each player, (batch, players)."""
    place = torch.where(batch.feature_mask < 0, batch.players, batch.feature_mask).flatten(1)
    summed = torch.zeros(len(batch), batch.players + 1, dtype=torch.float64)
    return summed.scatter_add_(1, place, scores.flatten(1).double())[:, :-1]


def _stack(rows: Sequence[np.ndarray], batch: Batch) -> Tensor:
    return torch.from_numpy(np.stack(rows)) if rows else torch.zeros(0, batch.players, dtype=torch.float64)
