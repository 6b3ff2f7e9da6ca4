"""Answer "is there a cycle" by counting edges and nodes: perfect accuracy on the motif, and no cycle is ever looked at.

On connected graphs # edges - # nodes is -1 for a tree and at least 0 for everything else, so a network that only counts is a
perfect detector of cycles. Its truth is +1 for every edge, on a cycle or not. An explanation that marks the cycle explains the
data set, and a benchmark that rewards it measures how well an explainer guesses the task instead of reading the network.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from synthetic.environment import Environment
from synthetic.gadgets import Sum
from synthetic.graphs.hosts import HostKind, Hosts
from synthetic.graphs.layers import Aggregate, GraphNetwork, Pool, select
from synthetic.graphs.paint import plain
from synthetic.graphs.play import require_players
from synthetic.graphs.rules import Rules
from synthetic.graphs.terms import Players, Term
from synthetic.graphs.world import TIED, graph_world
from synthetic.registry import register


class ShortcutNetwork(GraphNetwork):
    """Σ_i (Σ_j A_ij x_j / 2 - x_i)."""

    def __init__(self) -> None:
        super().__init__()
        self.halve = select({0: 0.5}, 1)
        self.aggregate = Aggregate()
        self.own = select({0: 1.0}, 1)
        self.difference = Sum([1.0, -1.0])
        self.pool = Pool()

    def compute(self, graph: Tensor, features: Tensor) -> Tensor:
        """Return f of each graph."""
        heard = self.aggregate(graph, self.halve(features))
        output: Tensor = self.pool(graph, self.difference(heard, self.own(features)))
        return output


@register("shortcut-cycle-nodes-v1", players="nodes")
@register("shortcut-cycle-v1", players="edges")
def shortcut_cycle(
    *,
    id: str,
    players: Players = "edges",
    nodes: tuple[int, int] = (4, 7),
    edges: int = 11,
    degree: int = 4,
    host: HostKind = "barabasi-albert",
) -> Environment:
    """Build a world of the shortcut; the arguments are those of `Hosts`, and `players` is "edges" or "nodes".

    Raises:
        ValueError: if hosts may be disconnected, where the count is no detector of cycles.
    """
    require_players(players, ("edges", "nodes"))
    if host == "erdos-renyi":
        raise ValueError(f"# edges - # nodes tells cycles on connected graphs only; write host='barabasi-albert' (got host={host!r})")
    return graph_world(
        id=id,
        players=players,
        hosts=Hosts(nodes=nodes, edges=edges, degree=degree, host=host),
        rules=Rules(
            colours=1,
            paint=plain,
            count=_count,
            terms=_terms,
            interior={"edges": "terms", "nodes": "terms"},
        ),
        network=ShortcutNetwork(),
        formula="f(A, X) = Σ_i (Σ_j A_ij x_j / 2 - x_i) = # edges - # nodes; >= 0 exactly if a connected graph has a cycle",
        traits=("piecewise_linear", "additive", "multilinear", "monotone", "shortcut", *TIED)
        if players == "edges"
        else ("interacting", "shortcut"),
        isolates="the difference between what decides the label and what decides the network",
        reference="trivial explanations: Faber, Moghaddam, Wattenhofer, KDD 2021",
    )


def _count(adjacency: np.ndarray, features: np.ndarray) -> np.ndarray:
    edges = np.triu(adjacency * (features[..., 0][:, None, :] > 0)).sum((1, 2))
    count: np.ndarray = edges - features[..., 0].sum(1)
    return count[:, None]


def _terms(adjacency: np.ndarray, features: np.ndarray) -> list[Term]:
    """Half an edge for each of its ends, which reads the other; and less one for each node."""
    halves = [Term(edges=((i, j),), nodes=(j,), weight=0.5) for i, j in np.argwhere(adjacency).tolist()]
    return halves + [Term(nodes=(node,), weight=-1.0) for node in np.flatnonzero(features[:, 0]).tolist()]
