"""Monte-Carlo tree search over connected subgraphs: nodes go one after the other, and the most valuable remainders are followed.

The search is sequential, so it runs row by row; but the values that it asks for are those of node sets, so all that a step needs are
asked at once, and each node set of a row only once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from attrlab.games.game import Model
from attrlab.methods.operations import outputs_at

Nodes = frozenset[int]

CHUNK_BYTES = 16 << 20
"""Of rows that are sent through the model at once."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the search is allowed; see `subgraph_x`."""

    rollouts: int
    min_nodes: int
    c_puct: float
    expansions: int
    radius: int
    samples: int


@dataclass(kw_only=True)
class Graph:
    """One row as the search sees it; the memory of values, rewards and visits grows while it runs."""

    model: Model
    row: Tensor  # (nodes, width)
    absent: Tensor  # (nodes, width)
    owner: Tensor  # (nodes, width) int64; players where there is none
    touches: Tensor  # (players, nodes) bool
    target: Tensor  # (1,) int64
    softmax: bool
    neighbours: dict[int, Nodes]
    keys: Tensor  # (samples, nodes + 1) uniforms: the order in which nodes, and last the subgraph, come
    settings: Settings
    values: dict[Nodes, float] = field(default_factory=dict)
    rewards: dict[Nodes, float] = field(default_factory=dict)
    children: dict[Nodes, list[Nodes]] = field(default_factory=dict)
    visits: dict[Nodes, int] = field(default_factory=dict)
    worth: dict[Nodes, float] = field(default_factory=dict)


def search(graph: Graph) -> None:
    """Walk down the tree `rollouts` times; rewards and visits are left in the graph."""
    root = frozenset(graph.neighbours)
    graph.rewards[root] = reward(graph, root)
    for _ in range(graph.settings.rollouts):
        _rollout(graph, root)


def reward(graph: Graph, subgraph: Nodes) -> float:
    """The Shapley value of a subgraph as one player, by random orders."""
    return _rewards(graph, [subgraph])[0]


def value_of(graph: Graph, kept: Iterable[Nodes]) -> None:
    """Ask for the values of node sets that are not known yet, all at once."""
    new = [nodes for nodes in dict.fromkeys(kept) if nodes not in graph.values]
    if not new:
        return
    stays = torch.zeros(len(new), graph.row.shape[0], dtype=torch.bool)
    for number, nodes in enumerate(new):
        stays[number, sorted(nodes)] = True
    stays = stays.to(graph.row.device)
    gone = (graph.touches.unsqueeze(0) & ~stays.unsqueeze(1)).any(2)
    gone = torch.cat([gone, gone.new_zeros(len(gone), 1)], 1)
    step = max(1, CHUNK_BYTES // max(1, graph.row.numel() * graph.row.element_size()))
    answers: list[float] = []
    for part in torch.split(gone, step):
        rows = torch.where(part[:, graph.owner], graph.absent, graph.row)
        answers += _answers(graph, rows).tolist()
    graph.values |= dict(zip(new, answers, strict=True))


def _answers(graph: Graph, rows: Tensor) -> Tensor:
    target = graph.target.expand(len(rows))
    with torch.no_grad():
        if not graph.softmax:
            return outputs_at(graph.model, rows, target)
        return outputs_at(lambda r: graph.model(r).softmax(1), rows, target)


def _rewards(graph: Graph, subgraphs: list[Nodes]) -> list[float]:
    """The rewards of several subgraphs, whose values are asked for together."""
    everything, orders = frozenset(graph.neighbours), graph.keys.tolist()
    coalitions: list[list[Nodes]] = []
    for subgraph in subgraphs:
        region = _within(graph, subgraph)
        far, others = everything - region, region - subgraph
        coalitions.append([far | {i for i in others if order[i] < order[-1]} for order in orders])
    value_of(graph, (with_it for s, before in zip(subgraphs, coalitions, strict=True) for t in before for with_it in (t, t | s)))
    return [
        sum(graph.values[t | s] - graph.values[t] for t in before) / len(before) for s, before in zip(subgraphs, coalitions, strict=True)
    ]


def _rollout(graph: Graph, root: Nodes) -> None:
    path, here = [], root
    while len(here) > graph.settings.min_nodes:
        if here not in graph.children:
            graph.children[here] = _expand(graph, here)
        if not graph.children[here]:
            break
        here = _select(graph, graph.children[here])
        path.append(here)
    for step in path:
        graph.visits[step] = graph.visits.get(step, 0) + 1
        graph.worth[step] = graph.worth.get(step, 0.0) + graph.rewards[here]


def _select(graph: Graph, children: list[Nodes]) -> Nodes:
    total = math.sqrt(sum(graph.visits.get(child, 0) for child in children))

    def bound(child: Nodes) -> float:
        visits = graph.visits.get(child, 0)
        mean = graph.worth[child] / visits if visits else 0.0
        return mean + graph.settings.c_puct * graph.rewards[child] * total / (1 + visits)

    return max(children, key=bound)


def _expand(graph: Graph, subgraph: Nodes) -> list[Nodes]:
    """The subgraphs that are left when a node goes; ties of degree are decided by the row's own noise."""
    first = graph.keys[0].tolist()
    order = sorted(subgraph, key=lambda node: (len(graph.neighbours[node] & subgraph), first[node]))
    left = dict.fromkeys(_largest_part(graph, subgraph - {node}) for node in order[: graph.settings.expansions])
    children = [child for child in left if child]
    new = [child for child in children if child not in graph.rewards]
    graph.rewards |= dict(zip(new, _rewards(graph, new), strict=True))
    return children


def _largest_part(graph: Graph, nodes: Nodes) -> Nodes:
    """The largest connected part of a node set."""
    left, largest = set(nodes), frozenset[int]()
    while left:
        part = {left.pop()}
        border = set(part)
        while border:
            border = {other for node in border for other in graph.neighbours[node] & left}
            part |= border
            left -= border
        largest = max(largest, frozenset(part), key=len)
    return largest


def _within(graph: Graph, subgraph: Nodes) -> Nodes:
    """The nodes at most `radius` steps away."""
    reached = set(subgraph)
    for _ in range(graph.settings.radius):
        reached |= {other for node in reached for other in graph.neighbours[node]}
    return frozenset(reached)
