"""SubgraphX: which connected subgraph, taken as one player among its surroundings, has the largest Shapley value.

A player stays if every node that it touches stays, so edges, features and nodes are pruned alike. The answer is a subgraph and not a
score; asked at every size, it ranks the players by how small a subgraph still holds them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attrlab.errors import InvalidInput
from attrlab.games.game import Model
from attrlab.method import spread
from attrlab.methods.graph_rows import graph_players, present_nodes
from attrlab.methods.tree_search import Graph, Nodes, Settings, search
from attrlab.randomness import row_uniform


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
