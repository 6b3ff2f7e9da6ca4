"""Count triangles, by a message that fires or by three linear layers: one question, with a dead interior and with a smooth one.

Message passing cannot tell two triangles from a hexagon unless its nodes can be told apart (Chen et al., NeurIPS 2020): so nodes
carry numbers, and every end of an edge holds the list of its neighbours; or one root is marked, and the walks of three steps that
return to it are counted. A returning walk uses three different edges, so that the smooth network is the multilinear extension of
its own game, and its path integral equals the Shapley value (Owen 1972). The hard network has no slope near the baseline.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from torch import Tensor

from synthetic.environment import Environment
from synthetic.gadgets import Product, linear
from synthetic.graphs.hosts import HostKind, Hosts
from synthetic.graphs.layers import Aggregate, AtRoot, GraphNetwork, Meet, Pool, Share, select
from synthetic.graphs.paint import numbered, plain, rooted
from synthetic.graphs.play import require_players
from synthetic.graphs.rules import Rules
from synthetic.graphs.terms import Players, Term
from synthetic.graphs.world import TIED, graph_world
from synthetic.registry import register

REFERENCE = "Chen, Chen, Villar, Bruna, Can graph neural networks count substructures?, NeurIPS 2020 (arXiv 2002.04025)"


class TriangleNetwork(GraphNetwork):
    """Σ_ij A_ij Σ_c relu(2 H_ic + 2 H_jc - 3) / 6, H = A X the numbers of each node's neighbours."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.neighbours = Aggregate()
        self.receiver = linear([[2.0 * (i == j) for j in range(size)] for i in range(size)], None)
        self.sender = linear([[2.0 * (i == j) for j in range(size)] for i in range(size)], [-3.0] * size)
        self.meet = Meet()
        self.count = linear([[1.0] * size], None)
        self.pool = Pool()
        self.share = Share(6)

    def compute(self, graph: Tensor, features: Tensor) -> Tensor:
        """Return f of each graph."""
        known = self.neighbours(graph, features)
        met = self.meet(graph, self.receiver(known), self.sender(known))
        output: Tensor = self.share(self.pool(graph, self.count(met)))
        return output


class MarkedTriangleNetwork(GraphNetwork):
    """Σ_i mark_i (A^3 mark)_i / 2: three linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.mark = select({1: 1.0}, 2)
        self.first, self.second, self.third = Aggregate(), Aggregate(), Aggregate()
        self.root = AtRoot()
        self.halve = linear([[0.5]], None)

    def compute(self, graph: Tensor, features: Tensor) -> Tensor:
        """Return f of each graph."""
        walks = self.third(graph, self.second(graph, self.first(graph, self.mark(features))))
        output: Tensor = self.halve(self.root(graph, walks, features))
        return output


class QuadraticFormNetwork(GraphNetwork):
    """Σ_i q_i (A q)_i / 2, q = A mark: the same polynomial of symmetric A, by a product instead of a third layer."""

    def __init__(self) -> None:
        super().__init__()
        self.mark = select({1: 1.0}, 2)
        self.first, self.second = Aggregate(), Aggregate()
        self.meet = Product()
        self.pool = Pool()
        self.halve = linear([[0.5]], None)

    def compute(self, graph: Tensor, features: Tensor) -> Tensor:
        """Return f of each graph."""
        near = self.first(graph, self.mark(features))
        output: Tensor = self.halve(self.pool(graph, self.meet(near, self.second(graph, near))))
        return output


@register("triangle-count-nodes-v1", players="nodes")
@register("triangle-count-v1", players="edges")
def triangle_count(
    *,
    id: str,
    players: Players = "edges",
    nodes: tuple[int, int] = (4, 7),
    edges: int = 10,
    degree: int = 4,
    host: HostKind = "erdos-renyi",
) -> Environment:
    """Build a world of triangles; the arguments are those of `Hosts`, and `players` is "edges" or "nodes"."""
    require_players(players, ("edges", "nodes"))
    hosts = Hosts(nodes=nodes, edges=edges, degree=degree, host=host)
    return graph_world(
        id=id,
        players=players,
        hosts=hosts,
        rules=Rules(
            colours=hosts.size,
            paint=numbered,
            count=_count,
            terms=_terms,
            interior={"edges": "local", "nodes": "local"},
        ),
        network=TriangleNetwork(hosts.size),
        formula="f(A, X) = Σ_ij A_ij Σ_c relu(2 (AX)_ic + 2 (AX)_jc - 3) / 6 = # triangles; X one-hot numbers of the nodes",
        traits=("interacting", "monotone", *TIED),
        isolates="dead gradients: an edge matters by thirds of triangles, and half-way to the baseline no unit fires",
        reference=REFERENCE,
    )


@register("marked-triangle-nodes-smooth-v1", players="nodes")
@register("marked-triangle-smooth-v1", players="edges")
def marked_triangle(
    *,
    id: str,
    players: Players = "edges",
    nodes: tuple[int, int] = (4, 7),
    edges: int = 10,
    degree: int = 4,
    host: HostKind = "erdos-renyi",
) -> Environment:
    """Build a world of triangles at a marked root; the arguments are those of `Hosts`, and `players` is "edges" or "nodes"."""
    require_players(players, ("edges", "nodes"))
    return graph_world(
        id=id,
        players=players,
        hosts=Hosts(nodes=nodes, edges=edges, degree=degree, host=host),
        rules=Rules(
            colours=1,
            paint=rooted(plain),
            count=_count_at_root,
            terms=_terms_at_root,
            interior={"edges": "terms", "nodes": "local"},
            marked=True,
        ),
        network=MarkedTriangleNetwork(),
        equals={"quadratic form": QuadraticFormNetwork()} if players == "edges" else {},
        formula="f(A, X) = (A^3)_rr / 2 = # triangles at the root r, by three linear layers",
        traits=("interacting", "monotone", "polynomial", "multilinear", *TIED),
        isolates="interactions without dead gradients: the path integral equals the Shapley value",
        reference="Owen, Multilinear extensions of games, Management Science 18, 1972; " + REFERENCE,
    )


def _count(adjacency: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Triple of nodes by triple of nodes, of those that have a number."""
    there: np.ndarray = features.max(-1) > 0
    a, total = adjacency > 0, np.zeros(len(adjacency))
    for u, v, w in combinations(range(a.shape[1]), 3):
        total += a[:, u, v] & a[:, v, w] & a[:, u, w] & there[:, u] & there[:, v] & there[:, w]
    return total[:, None]


def _count_at_root(adjacency: np.ndarray, features: np.ndarray) -> np.ndarray:
    a, mark, total = adjacency > 0, features[..., -1] > 0, np.zeros(len(adjacency))
    for u, v, w in combinations(range(a.shape[1]), 3):
        total += a[:, u, v] & a[:, v, w] & a[:, u, w] & (mark[:, u] | mark[:, v] | mark[:, w])
    return total[:, None]


def _terms(adjacency: np.ndarray, features: np.ndarray) -> list[Term]:
    """Each triangle, found from its least edge; near the box an edge of weight 0 shuts the units of all triangles it would close."""
    near = [set(np.flatnonzero(row).tolist()) for row in adjacency]
    found = [(u, v, w) for u in range(len(near)) for v in near[u] if v > u for w in near[u] & near[v] if w > v]
    del features
    return [Term(edges=((u, v), (v, w), (u, w)), nodes=(u, v, w)) for u, v, w in found]


def _terms_at_root(adjacency: np.ndarray, features: np.ndarray) -> list[Term]:
    root = int(features[:, -1].argmax())
    return [Term(edges=term.edges, marks=(root,)) for term in _terms(adjacency, features) if root in term.nodes]
