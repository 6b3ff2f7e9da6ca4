"""Count the edges that join unequal bits: as edges they add up, as bits they cancel, and a bit of 0 is invisible to a baseline of 0.

Each node holds one number, 0 or 1. In the edge game every cut edge is worth 1. In the feature game the network is asked what the
ones do: an edge between two ones is worth 1 to either alone and 0 to both, so that its shares cancel; and of the ends of a cut edge
the one that holds 0 equals its baseline and gets nothing, though the answer rests on both. Coded as two colours both would show.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from torch import Tensor

from synthetic.environment import Environment
from synthetic.graphs.hosts import HostKind, Hosts
from synthetic.graphs.layers import GraphNetwork, Meet, Pool, select
from synthetic.graphs.paint import bits
from synthetic.graphs.play import require_players
from synthetic.graphs.rules import Rules
from synthetic.graphs.terms import Players, Term
from synthetic.graphs.world import graph_world
from synthetic.registry import register


class CutNetwork(GraphNetwork):
    """Σ_ij A_ij relu(2 x_i - 2 x_j - 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.receiver = select({0: 2.0}, 1)
        self.sender = select({0: -2.0}, 1, offset=-1.0)
        self.meet = Meet()
        self.pool = Pool()

    def compute(self, graph: Tensor, features: Tensor) -> Tensor:
        """Return f of each graph."""
        output: Tensor = self.pool(graph, self.meet(graph, self.receiver(features), self.sender(features)))
        return output


@register("xor-edges-features-v1", players="features")
@register("xor-edges-v1", players="edges")
def xor_edges(
    *,
    id: str,
    players: Players = "edges",
    nodes: tuple[int, int] = (4, 7),
    edges: int = 10,
    degree: int = 4,
    host: HostKind = "erdos-renyi",
) -> Environment:
    """Build a world of cut edges; the arguments are those of `Hosts`, and `players` is "edges" or "features"."""
    require_players(players, ("edges", "features"))
    return graph_world(
        id=id,
        players=players,
        hosts=Hosts(nodes=nodes, edges=edges, degree=degree, host=host),
        rules=Rules(colours=1, paint=bits, count=_count, terms=_terms, interior={"edges": "terms"}),
        network=CutNetwork(),
        formula="f(A, X) = Σ_ij A_ij relu(2 x_i - 2 x_j - 1) = # edges with unequal bits",
        traits=("piecewise_linear", *(("additive", "multilinear") if players == "edges" else ("interacting", "non_monotone"))),
        isolates="information coded as 0, which a baseline of 0 cannot show" if players == "features" else "which edges cut the bits",
        reference="the cut of a graph; on baselines that cannot see their own colour: Sturmfels, Lundberg, Lee, Distill 2020",
    )


def _count(adjacency: np.ndarray, features: np.ndarray) -> np.ndarray:
    x, total = features[..., 0], np.zeros(len(features))
    for u, v in combinations(range(adjacency.shape[1]), 2):
        total += (adjacency[:, u, v] > 0) & (x[:, u] != x[:, v])
    return total[:, None]


def _terms(adjacency: np.ndarray, features: np.ndarray) -> list[Term]:
    """x_u + x_v - 2 x_u x_v at each edge, of nodes that hold 1."""
    found = []
    for u, v in np.argwhere(np.triu(adjacency)).tolist():
        ones = [node for node in (u, v) if features[node, 0]]
        found += [Term(edges=((u, v),), nodes=(node,)) for node in ones]
        if len(ones) == 2:
            found.append(Term(edges=((u, v),), nodes=(u, v), weight=-2.0))
    return found
