"""A graph world is drawn, cut into players and given its truth: enumeration over coalitions, closed forms beside it.

Shapley values, removals and support come from all coalitions of the specification, which counts in networkx and never calls
a network; path integrals come from the closed form of the world. What holds between graphs too (independence,
exchangeability) is read off each drawn graph by the world's own argument.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

import networkx as nx
import numpy as np
import torch
from torch import Tensor

from synthetic.environment import Batch, GroundTruth
from synthetic.graphs.block import block_of, edge_players, graphs_of, node_players
from synthetic.graphs.hosts import Hosts, draw_hosts
from synthetic.oracles import LIMIT, game_truth

Players = Literal["edges", "features"]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a world says of one drawn graph.

    Attributes:
        paint: sets the node attribute `colour` of a host.
        count: the function, in plain Python on the graph.
        path_integral: the closed form, rows (batch, size, size + colours) -> scores of the same shape.
        independent: the players on which the function does not depend, on the box between baseline and input and an open
            neighbourhood of it; None where no player is known to be independent.
        orbits: groups of players in which the function is symmetric there, with equal inputs and baselines; None for no group.
        bound: the largest degree that the function is stated for, None for all.
    """

    paint: Callable[[nx.Graph, Random], None]
    count: Callable[[nx.Graph], float]
    path_integral: Callable[[np.ndarray], np.ndarray]
    independent: Callable[[nx.Graph], Sequence[int]] | None = None
    orbits: Callable[[nx.Graph], Sequence[Sequence[int]]] | None = None
    bound: int | None = None


def require_players(players: str, hosts: Hosts) -> int:
    """Return how many players the widest row has.

    Raises:
        ValueError: if `players` is unknown, or the coalitions of the widest row cannot be enumerated.
    """
    if players not in ("edges", "features"):
        raise ValueError(f"players is 'edges' or 'features' (got {players!r})")
    knob, widest = ("edges", hosts.edges) if players == "edges" else ("nodes", hosts.nodes[1])
    if widest > LIMIT:
        raise ValueError(f"the truth enumerates 2^{knob} coalitions, for at most {LIMIT} {knob} (got {knob}={widest})")
    return widest


def sampler(*, hosts: Hosts, players: Players, colours: int, rules: Rules) -> Callable[[int, torch.Generator], Batch]:
    """Return the function that draws a batch with its truth."""
    widest, size, cut = require_players(players, hosts), hosts.nodes[1], edge_players if players == "edges" else node_players
    specification = counter(rules)

    def sample(n: int, generator: torch.Generator) -> Batch:
        graphs = draw_hosts(n, generator, hosts, rules.paint)
        inputs = block_of(graphs, size=size, colours=colours)
        baseline, feature_mask = cut(inputs, graphs)
        target = torch.zeros(n, dtype=torch.int64)

        def derive() -> GroundTruth:
            return game_truth(
                specification,
                inputs,
                baseline,
                feature_mask,
                target,
                players=widest,
                independent=_marked(graphs, rules.independent, widest),
                orbit=_grouped(graphs, rules.orbits, widest),
                integrated_gradients=rules.path_integral(inputs.numpy()),
            )

        return Batch(inputs=inputs, target=target, baseline=baseline, feature_mask=feature_mask, players=widest, derive=derive)

    return sample


def counter(rules: Rules) -> Callable[[np.ndarray], np.ndarray]:
    """Return the specification: rows (batch, size, size + colours) are read back as graphs and counted, (batch, 1).

    It accepts the rows of coalitions: missing edges, and nodes whose features were zeroed.
    """

    def specification(rows: np.ndarray) -> np.ndarray:
        graphs = graphs_of(rows)
        _require_degree(np.asarray(rows), rules.bound)
        return np.array([[rules.count(graph)] for graph in graphs], dtype=np.float64).reshape(len(graphs), 1)

    return specification


def _require_degree(rows: np.ndarray, bound: int | None) -> None:
    largest = int(rows[..., : rows.shape[-2]].sum(-1).max(initial=0))
    if bound is not None and largest > bound:
        raise ValueError(f"this world is stated for degrees up to {bound}; build it with degree={largest} (got a node of degree {largest})")


def _marked(graphs: Sequence[nx.Graph], of: Callable[[nx.Graph], Sequence[int]] | None, players: int) -> Tensor:
    """The players that `of` names, (batch, players) bool."""
    marks = torch.zeros(len(graphs), players, dtype=torch.bool)
    for row, graph in zip(marks, graphs, strict=True):
        row[list(of(graph) if of else ())] = True
    return marks


def _grouped(graphs: Sequence[nx.Graph], of: Callable[[nx.Graph], Sequence[Sequence[int]]] | None, players: int) -> Tensor:
    """The number of each player's group, -1 for none, (batch, players)."""
    numbers = torch.full((len(graphs), players), -1, dtype=torch.int64)
    for row, graph in zip(numbers, graphs, strict=True):
        for number, group in enumerate(of(graph) if of else ()):
            row[list(group)] = number
    return numbers
