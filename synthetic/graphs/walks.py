"""Count the walks from a marked node to red ones, by linear layers alone: a polynomial of the edges whose powers split conventions.

To every coalition, a walk that runs along an edge twice is worth as much as one that runs along it once; half-way to the baseline it is
worth a quarter. So the network is polynomial, not multilinear: the exact path integral gives an edge the share of its multiplicity in
each walk, where the Shapley value gives each distinct edge the same.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from torch import Tensor, nn

from synthetic.environment import Environment
from synthetic.graphs.hosts import HostKind, Hosts
from synthetic.graphs.layers import Aggregate, AtRoot, GraphNetwork, select
from synthetic.graphs.paint import evenly, rooted
from synthetic.graphs.play import require_players
from synthetic.graphs.rules import Rules
from synthetic.graphs.terms import Players, Term
from synthetic.graphs.world import graph_world, require_at_least
from synthetic.registry import register

RED, COLOURS = 0, 2


class WalkNetwork(GraphNetwork):
    """Σ_i mark_i (A^k x)_i, x the red entries of X: k linear layers."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self.sender = select({RED: 1.0}, COLOURS + 1)
        self.layers = nn.ModuleList(Aggregate() for _ in range(k))
        self.root = AtRoot()

    def compute(self, graph: Tensor, features: Tensor) -> Tensor:
        """Return f of each graph."""
        hidden = self.sender(features)
        for layer in self.layers:
            hidden = layer(graph, hidden)
        output: Tensor = self.root(graph, hidden, features)
        return output


@register("walk-count-features-v1", players="features")
@register("walk-count-v1", players="edges")
def walk_count(
    *,
    id: str,
    players: Players = "edges",
    k: int = 3,
    nodes: tuple[int, int] = (4, 7),
    edges: int = 10,
    degree: int = 4,
    host: HostKind = "erdos-renyi",
) -> Environment:
    """Build a world of walks.

    Args:
        id: its id.
        players: "edges", "features" or "nodes".
        k: the length of a walk, 1 to 6; its powers grow with it.
        nodes: least and largest number of nodes.
        edges: the largest number of edges.
        degree: the largest degree.
        host: "erdos-renyi", "barabasi-albert", "tree", "grid" or "regular".

    Raises:
        ValueError: if a knob is out of range, or walks are too many to be counted exactly in float32.
    """
    require_players(players, ("edges", "features", "nodes"))
    require_at_least("k", k, 1, "a walk has at least one step")
    if degree**k > 10**5:
        raise ValueError(f"the truth lists degree^k walks, at most 100 000; lower k or degree (got k={k}, degree={degree})")
    return graph_world(
        id=id,
        players=players,
        hosts=Hosts(nodes=nodes, edges=edges, degree=degree, host=host),
        rules=_rules(k),
        network=WalkNetwork(k),
        formula=f"f(A, X) = Σ_j (A^k)_rj X[j, red] = # walks of k = {k} steps from the root r to red nodes",
        traits=("piecewise_linear", "additive", "multilinear")
        if players == "features" or k == 1
        else ("interacting", "polynomial", "monotone"),
        isolates="powers of an edge: the path integral and the Shapley value part where a walk turns back",
        reference="Owen, Multilinear extensions of games, Management Science 18, 1972: which the network is not where walks turn back",
        knobs={"k": k},
    )


def _rules(k: int) -> Rules:
    def count(adjacency: np.ndarray, features: np.ndarray) -> np.ndarray:
        """Walks grow backwards, one set of neighbours at a time."""
        arrived = features[..., RED].astype(np.int64)
        for _ in range(k):
            arrived = np.stack([(arrived * (adjacency[:, node] > 0)).sum(1) for node in range(adjacency.shape[1])], 1)
        walks: np.ndarray = (arrived * (features[..., -1] > 0)).sum(1, keepdims=True)
        return walks

    def terms(adjacency: np.ndarray, features: np.ndarray) -> list[Term]:
        root = int(features[:, -1].argmax())
        near = [np.flatnonzero(row).tolist() for row in adjacency]
        walks: list[tuple[int, ...]] = [(root,)]
        for _ in range(k):
            walks = [(*walk, node) for walk in walks for node in near[walk[-1]]]
        return [Term(edges=tuple(pairwise(walk)), nodes=(walk[-1],), marks=(root,)) for walk in walks if features[walk[-1], RED]]

    return Rules(
        colours=COLOURS,
        paint=rooted(evenly(COLOURS)),
        count=count,
        terms=terms,
        interior={"edges": "terms", "features": "terms", "nodes": "terms"},
        marked=True,
    )
