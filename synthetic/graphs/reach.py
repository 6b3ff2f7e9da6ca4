"""Ask whether a red node is within k steps of a marked one, or how far it is: the more ways lead there, the less each of them is needed.

One path of k edges makes each of them necessary; a second path beside it makes none of them necessary and all of them relevant, and
removal effects fall to 0 where Shapley values are halved. The distance is the sum of "not yet reached" over the steps, so
that each edge has the sign of a distance that shrinks.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from synthetic.environment import Environment
from synthetic.gadgets import Sum, linear, step
from synthetic.graphs.hosts import HostKind, Hosts
from synthetic.graphs.layers import Aggregate, AtRoot, GraphNetwork, select
from synthetic.graphs.paint import few, rooted
from synthetic.graphs.play import require_players
from synthetic.graphs.rules import Rules
from synthetic.graphs.terms import Players
from synthetic.graphs.world import graph_world, require_at_least
from synthetic.registry import register

RED, COLOURS = 0, 2


class ReachNetwork(GraphNetwork):
    """r_{t+1} = step(r_t + Σ_j A_ij r_j >= 1) from r_0 = red; at the root, r_k or k + 1 - Σ_t r_t."""

    def __init__(self, k: int, *, distance: bool) -> None:
        super().__init__()
        self.sender = select({RED: 1.0}, COLOURS + 1)
        self.layers = nn.ModuleList(Aggregate() for _ in range(k))
        self.joins = nn.ModuleList(Sum() for _ in range(k))
        self.steps = nn.ModuleList(step(1) for _ in range(k))
        self.total = Sum([-1.0] * (k + 1) if distance else [0.0] * k + [1.0])
        self.root = AtRoot()
        self.offset = linear([[1.0]], [k + 1.0 if distance else 0.0])

    def compute(self, graph: Tensor, features: Tensor) -> Tensor:
        """Return f of each graph."""
        reached = [self.sender(features)]
        for aggregate, join, threshold in zip(self.layers, self.joins, self.steps, strict=True):
            reached.append(threshold(join(reached[-1], aggregate(graph, reached[-1]))))
        output: Tensor = self.offset(self.root(graph, self.total(*reached), features))
        return output


@register("truncated-distance-v1", distance=True)
@register("reach-nodes-v1", distance=False, players="nodes")
@register("reach-v1", distance=False)
def reach(
    *,
    id: str,
    distance: bool = False,
    players: Players = "edges",
    k: int = 2,
    nodes: tuple[int, int] = (6, 8),
    edges: int = 8,
    degree: int = 4,
    host: HostKind = "erdos-renyi",
) -> Environment:
    """Build a world of reach.

    Args:
        id: its id.
        distance: whether the output is min(distance, k + 1) instead of [distance <= k].
        players: "edges", "features" or "nodes".
        k: how many steps are taken.
        nodes: least and largest number of nodes.
        edges: the largest number of edges; the truth enumerates their coalitions.
        degree: the largest degree.
        host: "erdos-renyi", "barabasi-albert", "tree" (one path at most), "grid" or "regular" (two ways round).

    Raises:
        ValueError: if a knob is out of range.
    """
    require_players(players, ("edges", "features", "nodes"))
    require_at_least("k", k, 1, "at least one step is taken")
    found = "min(distance from the root to red, k + 1)" if distance else "[a red node is within k steps of the root]"
    return graph_world(
        id=id,
        players=players,
        hosts=Hosts(nodes=nodes, edges=edges, degree=degree, host=host),
        rules=_rules(k, distance=distance),
        network=ReachNetwork(k, distance=distance),
        formula=f"f(A, X) = {found}, k = {k}; r_(t+1) = [r_t + A r_t >= 1], r_0 = X[., red]",
        traits=("interacting", "redundant", "saturating"),
        isolates="redundant paths: no edge is necessary where two ways lead to the same place",
        reference="truth of reachability tasks as in the InfectionDataset of torch-geometric, here per explained node",
        knobs={"distance": distance, "k": k},
    )


def _rules(k: int, *, distance: bool) -> Rules:
    def count(adjacency: np.ndarray, features: np.ndarray) -> np.ndarray:
        """A breadth-first search from the root, in sets."""
        seen, red = features[..., -1] > 0, features[..., RED] > 0
        steps = np.where(seen.any(1), k + 1, 0) if distance else np.zeros(len(seen), dtype=np.int64)
        absent = ~seen.any(1)
        for t in range(k + 1):
            found = (seen & red).any(1)
            steps = np.where(found & (steps > t), t, steps) if distance else np.maximum(steps, found)
            seen = seen | ((adjacency > 0) & seen[:, None, :]).any(2)
        return np.where(absent & distance, k + 1, steps)[:, None]

    return Rules(colours=COLOURS, paint=rooted(few(1)), count=count, marked=True, balanced=not distance)
