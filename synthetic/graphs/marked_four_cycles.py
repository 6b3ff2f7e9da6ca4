"""Count the 4-cycles through a marked node, by closed walks from which those that turn back are taken away again.

A closed walk of four steps is a cycle, or goes out and back twice, or goes two steps out and the same way back. The last two kinds are
counted by degrees and taken away; on graphs they are gone, but between graphs their powers are not: A_e^4 - A_e^2 is 0 at both ends
of the path and nowhere in it. So the network is smooth, has no dead units, and its path integral still is not its Shapley value.
"""

from __future__ import annotations

from itertools import combinations, permutations, product

import numpy as np
from torch import Tensor, nn

from synthetic.environment import Environment
from synthetic.gadgets import Product, Sum, linear
from synthetic.graphs.hosts import HostKind, Hosts
from synthetic.graphs.layers import Aggregate, AtRoot, GraphNetwork, select
from synthetic.graphs.paint import plain, rooted
from synthetic.graphs.play import require_players
from synthetic.graphs.rules import Rules
from synthetic.graphs.terms import Players, Term
from synthetic.graphs.world import TIED, graph_world
from synthetic.registry import register


class MarkedFourCycleNetwork(GraphNetwork):
    """((A^4)_rr - d_r^2 - Σ_j A_rj d_j + d_r) / 2, d = A 1."""

    def __init__(self) -> None:
        super().__init__()
        self.mark, self.one = select({1: 1.0}, 2), select({0: 1.0}, 2)
        self.walks = nn.ModuleList(Aggregate() for _ in range(4))
        self.degree, self.beyond = Aggregate(), Aggregate()
        self.square = Product()
        self.closed = Sum([1.0, -1.0, -1.0, 1.0])
        self.root = AtRoot()
        self.halve = linear([[0.5]], None)

    def compute(self, graph: Tensor, features: Tensor) -> Tensor:
        """Return f of each graph."""
        hidden = self.mark(features)
        for walk in self.walks:
            hidden = walk(graph, hidden)
        degree = self.degree(graph, self.one(features))
        found = self.closed(hidden, self.square(degree, degree), self.beyond(graph, degree), degree)
        output: Tensor = self.halve(self.root(graph, found, features))
        return output


@register("marked-four-cycle-smooth-v1")
def marked_four_cycle(
    *,
    id: str,
    nodes: tuple[int, int] = (4, 7),
    edges: int = 10,
    degree: int = 4,
    host: HostKind = "erdos-renyi",
) -> Environment:
    """Build a world of 4-cycles at a marked root; the arguments are those of `Hosts`, and the players are edges."""
    players: Players = "edges"
    require_players(players, ("edges",))
    return graph_world(
        id=id,
        players=players,
        hosts=Hosts(nodes=nodes, edges=edges, degree=degree, host=host),
        rules=Rules(colours=1, paint=rooted(plain), count=_count, terms=_terms, interior={"edges": "terms"}, marked=True),
        network=MarkedFourCycleNetwork(),
        formula="f(A, X) = ((A^4)_rr - d_r^2 - Σ_j A_rj (d_j - 1)) / 2 = # 4-cycles through the root r, d the degrees",
        traits=("interacting", "polynomial", *TIED),
        isolates="terms that cancel on every graph and not between them",
        reference="Harary, Manvel, On the number of cycles in a graph, Matematický časopis 21, 1971",
    )


def _count(adjacency: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Three nodes at a time beside the root, three ways round."""
    batch, root = np.arange(len(features)), features[..., -1].argmax(1)
    near, total = adjacency[batch, root], np.zeros(len(features))
    for three in combinations(range(adjacency.shape[1]), 3):
        for a, b, c in permutations(three):
            if a < c:
                total += (root != b) * near[:, a] * adjacency[:, a, b] * adjacency[:, b, c] * near[:, c]
    found: np.ndarray = total * features[..., -1].max(1)
    return found[:, None]


def _terms(adjacency: np.ndarray, features: np.ndarray) -> list[Term]:
    """Half of each closed walk, less what turns back: monomials of the network, which cancel but for the cycles."""
    root = int(features[:, -1].argmax())
    near = [np.flatnonzero(row).tolist() for row in adjacency]
    ways = [(a, b, c) for a in near[root] for b in near[a] for c in near[b] if root in near[c]]
    found = [Term(edges=((root, a), (a, b), (b, c), (c, root)), weight=0.5) for a, b, c in ways]
    found += [Term(edges=((root, a), (root, c)), weight=-0.5) for a, c in product(near[root], repeat=2)]
    found += [Term(edges=((root, a), (a, b)), weight=-0.5) for a in near[root] for b in near[a]]
    return found + [Term(edges=((root, a),), weight=0.5) for a in near[root]]
