"""SubgraphX: which connected subgraph, taken as one player among its surroundings, has the largest Shapley value.

A Monte-Carlo tree search removes one node after the other and follows the most valuable remainders. The search is sequential and runs row
by row; the values that it asks for are those of node sets, so all of a step's are asked at once and each node set of a row only once. A
player stays if every node that it touches stays, so edges, features and nodes are pruned alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from attrlab.errors import InvalidInput
from attrlab.games.game import Model
from attrlab.method import spread
from attrlab.methods.graph_rows import graph_players, present_nodes
from attrlab.methods.operations import outputs_at
from attrlab.randomness import row_uniform

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


def subgraph_x(
    model: Model,
    inputs: Tensor,  # (batch, nodes, nodes + columns)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, nodes, nodes + columns)
    feature_mask: Tensor,  # (batch, nodes, nodes + columns) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    rollouts: int = 20,
    min_nodes: int = 5,
    c_puct: float = 10.0,
    expansions: int = 14,
    radius: int = 4,
    samples: int = 100,
    value: str = "logit",
    size: int | None = None,
) -> Tensor:  # (batch, nodes, nodes + columns), in the dtype of inputs
    """SubgraphX: the connected subgraph of at most `size` nodes with the largest Shapley value, found by tree search.

    The reward of a subgraph S is the mean over random orders of v(T + S) - v(T), T the nodes within `radius` steps of S that come before S;
    nodes farther away stay. A rollout starts at the whole graph and follows argmax Q + c_puct P sqrt(Σ C) / (1 + C), with P the reward
    of a child, C its visits and Q its mean return, down to min_nodes. The children of a subgraph are the largest connected parts that
    are left when one of its nodes is removed, those of fewest neighbours first.

    Args:
        model: maps (rows, nodes, width) to (rows, outputs).
        inputs: rows [A | X].
        target: which output of each row.
        baseline: the value of what is removed.
        feature_mask: the player of each entry; an edge stays if both its ends do.
        seeds: of the orders, one stream per row; all subgraphs of a row are compared on the same orders.
        rollouts: how often the tree is walked down.
        min_nodes: where a rollout ends.
        c_puct: how much it explores.
        expansions: the largest number of children.
        radius: how far the other players stand at most; the number of layers, or more.
        samples: random orders per reward.
        value: "logit", or "softmax" as in the paper, for networks with several outputs.
        size: the most nodes of the answer; None for every size from the smallest found to all nodes but one.

    Returns:
        With a size, 1 for players within the subgraph and 0 for others; without, the fraction of sizes at which a player is within.
        Spread evenly over the entries of a player.

    Raises:
        InvalidInput: if a setting is out of its range.
        NotApplicable: if rows are no blocks [A | X].

    Reference:
        Yuan, Yu, Wang, Li, Ji (2021), "On explainability of graph neural networks via subgraph explorations", algorithm 1 and equations 3
        to 6, with the defaults of the authors' code.

    Differs from the paper in: the answers of all sizes are averaged unless one is asked for; the value is the logit unless asked
        otherwise; what is removed takes the baseline's value.
    """
    settings = Settings(rollouts=rollouts, min_nodes=min_nodes, c_puct=c_puct, expansions=expansions, radius=radius, samples=samples)
    _require(settings, value, size)
    players = graph_players(feature_mask)
    there = present_nodes(inputs) | players.touches.any(1)
    found = inputs.new_zeros(len(inputs), players.count)
    keys = row_uniform(seeds, (samples * (inputs.shape[1] + 1),)).view(len(inputs), samples, -1)
    for row in range(len(inputs)):
        graph = Graph(
            model=model,
            row=inputs[row],
            absent=baseline[row],
            owner=torch.where(feature_mask[row] < 0, players.count, feature_mask[row]),
            touches=players.touches[row],
            target=target[row : row + 1],
            softmax=value == "softmax",
            neighbours=_neighbours(inputs[row], players.touches[row], there[row]),
            keys=keys[row],
            settings=settings,
        )
        search(graph)
        found[row] = _membership(graph, size, found.dtype) * (players.entries[row] > 0)
    return spread(found, feature_mask)


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
    for part in gone.split(step):
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
    total = sum(graph.visits.get(child, 0) for child in children) ** 0.5

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


def _membership(graph: Graph, size: int | None, dtype: torch.dtype) -> Tensor:
    """For each player the fraction of sizes at which it is within the best subgraph, (players,)."""
    smallest = min(len(nodes) for nodes in graph.rewards)
    sizes = [max(size, smallest)] if size is not None else list(range(smallest, max(len(graph.neighbours), smallest + 1)))
    inside = torch.zeros(len(graph.touches), dtype=dtype, device=graph.row.device)
    for most in sizes:
        best = max((nodes for nodes in graph.rewards if len(nodes) <= most), key=lambda nodes: graph.rewards[nodes])
        stays = torch.zeros(graph.row.shape[0], dtype=torch.bool, device=graph.row.device)
        stays[sorted(best)] = True
        inside += (~(graph.touches & ~stays).any(1)).to(dtype)
    return inside / len(sizes)


def _neighbours(row: Tensor, touches: Tensor, there: Tensor) -> dict[int, Nodes]:
    """Who is linked to whom: by A, or by an edge that is a player."""
    nodes = row.shape[0]
    linked = (row[:, :nodes] != 0) | (row[:, :nodes] != 0).T
    ends = touches[touches.sum(1) == 2].double()
    linked = (linked | ((ends.T @ ends) > 0)).fill_diagonal_(False)
    return {node: frozenset(linked[node].nonzero().flatten().tolist()) for node in there.nonzero().flatten().tolist()}


def _require(settings: Settings, value: str, size: int | None) -> None:
    for name in ("rollouts", "min_nodes", "expansions", "radius", "samples"):
        number = getattr(settings, name)
        if not isinstance(number, int) or number < 1:
            raise InvalidInput(f"{name} is a whole number of at least 1 (got {number!r})")
    if not settings.c_puct >= 0:
        raise InvalidInput(f"c_puct weighs exploration, at least 0 (got {settings.c_puct!r})")
    if value not in ("logit", "softmax"):
        raise InvalidInput(f"value is 'logit' or 'softmax' (got {value!r})")
    if size is not None and size < 1:
        raise InvalidInput(f"size is a number of nodes, at least 1, or None for all sizes (got {size!r})")
