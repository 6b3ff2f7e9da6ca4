"""Ask whether a house stands: five nodes in five roles, and all six of its edges, of which none can be spared.

Roles make the motif visible to message passing, which could not find it otherwise. The answer is one unanimity game of six edges: each
is worth 1/6, and each is missed as if it were worth everything. The hard network counts the edges and fires at six; the smooth one
multiplies six numbers, so that it is the multilinear extension of its game and its path integral equals the Shapley value (Owen
1972). Broken houses have as many edges as whole ones, moved to pairs of roles that no house joins.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from synthetic.environment import Environment
from synthetic.gadgets import Product, conjunction, linear
from synthetic.graphs.chance import Chance
from synthetic.graphs.hosts import HostKind, Hosts
from synthetic.graphs.layers import GraphNetwork, Meet, Pool
from synthetic.graphs.paint import Scene, roles
from synthetic.graphs.play import require_players
from synthetic.graphs.rules import Rules
from synthetic.graphs.terms import Players, Term
from synthetic.graphs.world import TIED, graph_world
from synthetic.registry import register

ROLES = 5
BEAMS = ((0, 1), (0, 2), (1, 2), (1, 3), (2, 4), (3, 4))
"""The roof 0 on the upper corners 1 and 2, these on each other, and on the lower corners 3 and 4, which stand on one floor."""

OTHERS = ((0, 3), (0, 4), (1, 4), (2, 3))
"""Pairs of roles that no house joins."""


class ProductOf(nn.Module):
    """Π of the last dimension, (..., 6) -> (..., 1), by named products."""

    def __init__(self, factors: int) -> None:
        super().__init__()
        self.products = nn.ModuleList(Product() for _ in range(factors - 1))

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the product."""
        total = hidden[..., :1]
        for place, product in enumerate(self.products, start=1):
            total = product(total, hidden[..., place : place + 1])
        return total


class HouseNetwork(GraphNetwork):
    """h(n), n_b = Σ_ij A_ij relu(2 [i in the first role of beam b] + 2 [j in its second] - 3), h = [Σ n_b >= 6] or Π n_b."""

    def __init__(self, *, smooth: bool) -> None:
        super().__init__()
        self.receiver = linear([[2.0 * (role == first) for role in range(ROLES)] for first, _ in BEAMS], None)
        self.sender = linear([[2.0 * (role == second) for role in range(ROLES)] for _, second in BEAMS], [-3.0] * len(BEAMS))
        self.meet = Meet()
        self.pool = Pool()
        self.head = ProductOf(len(BEAMS)) if smooth else conjunction(len(BEAMS))

    def compute(self, graph: Tensor, features: Tensor) -> Tensor:
        """Return f of each graph."""
        beams = self.pool(graph, self.meet(graph, self.receiver(features), self.sender(features)))
        output: Tensor = self.head(beams)
        return output


@register("house-smooth-v1", smooth=True)
@register("house-v1", smooth=False)
def house(
    *,
    id: str,
    smooth: bool = False,
    players: Players = "edges",
    nodes: tuple[int, int] = (5, 7),
    edges: int = 6,
    degree: int = 4,
    host: HostKind = "tree",
) -> Environment:
    """Build a world of one house per graph, standing in half of them.

    Args:
        id: its id.
        smooth: whether the beams are multiplied instead of counted.
        players: "edges" or "features"; half-way between graphs the feature game has dead messages in both networks.
        nodes: least and largest number of nodes, at least 5.
        edges: the largest number of edges of the host; the house adds up to 7.
        degree: the largest degree of the host.
        host: "erdos-renyi", "barabasi-albert", "tree", "grid" or "regular".

    Raises:
        ValueError: if a knob is out of range.
    """
    require_players(players, ("edges", "features"))
    if nodes[0] < ROLES:
        raise ValueError(f"a house has 5 nodes; write nodes=(5, {max(5, nodes[1])}) (got nodes={nodes})")
    edge_game = players == "edges"
    traits = ("polynomial", "multilinear") if smooth and edge_game else (() if smooth else ("piecewise_linear", "flat_gradient"))
    return graph_world(
        id=id,
        players=players,
        hosts=Hosts(nodes=nodes, edges=edges, degree=degree, host=host),
        rules=Rules(
            colours=ROLES,
            paint=roles(ROLES),
            plant=_plant,
            planted=len(BEAMS) + 1,
            count=_count,
            terms=_terms,
            interior={"edges": "terms" if smooth else "local"},
        ),
        network=HouseNetwork(smooth=smooth),
        formula="f(A, X) = " + ("Π_b n_b" if smooth else "[Σ_b n_b >= 6]") + " = [all six beams b of the house stand], n_b in {0, 1}",
        traits=("interacting", "monotone", *traits, *TIED),
        isolates="an interaction of all six edges of a motif, " + ("with" if smooth else "without") + " a gradient along the way",
        reference="the motif of BA-Shapes: Ying et al., GNNExplainer, NeurIPS 2019 (arXiv 1903.03894)",
        knobs={"smooth": smooth},
    )


def _plant(scene: Scene, features: Tensor, chance: Chance) -> Tensor:
    """Join pairs of roles anew, six or seven of the ten: all six beams in half of the graphs, one or two beams fewer in the others."""
    batch = torch.arange(len(scene.nodes))
    place = features.argmax(1)  # the node of each role
    missing = torch.where(chance.fork(0).uniform() < 0.5, 0, chance.fork(1).integers(1, 2))
    moved = missing + chance.fork(2).integers(0, 1)
    kept = chance.fork(3).uniform(len(BEAMS)).argsort(1).argsort(1) >= missing.unsqueeze(1)
    added = chance.fork(4).uniform(len(OTHERS)).argsort(1).argsort(1) < moved.unsqueeze(1)
    adjacency = scene.adjacency.clone()
    for (first, second), stands in zip(BEAMS + OTHERS, torch.cat([kept, added], 1).double().T, strict=True):
        u, v = place[:, first], place[:, second]
        adjacency[batch, u, v] = adjacency[batch, v, u] = stands
    return adjacency


def _count(adjacency: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Beam by beam: whether the nodes of its two roles are joined."""
    stands = np.ones(len(features), dtype=bool)
    for first, second in BEAMS:
        stands &= (adjacency * features[..., first][:, :, None] * features[..., second][:, None, :]).max((1, 2)) > 0
    return stands[:, None]


def _terms(adjacency: np.ndarray, features: np.ndarray) -> list[Term]:
    place = [np.flatnonzero(features[:, role]) for role in range(ROLES)]
    if any(len(nodes) != 1 for nodes in place):
        return []
    node = [int(nodes[0]) for nodes in place]
    beams = tuple((node[first], node[second]) for first, second in BEAMS)
    return [Term(edges=beams, nodes=tuple(node))] if all(adjacency[u, v] for u, v in beams) else []
