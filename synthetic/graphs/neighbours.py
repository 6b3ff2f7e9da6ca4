"""Count the red neighbours of a marked node, or only their parity: the shortest question that needs an edge.

The count is one linear message, so that every sound method gives 1 to each red neighbour's edge. Its parity has necessary edges whose
Shapley value is 0: two red neighbours make 0, either alone makes 1, so that each edge helps as often as it harms.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from synthetic.environment import Environment
from synthetic.gadgets import exclusive_or, linear
from synthetic.graphs.hosts import HostKind, Hosts
from synthetic.graphs.layers import Aggregate, AtRoot, GraphNetwork, select
from synthetic.graphs.paint import evenly, rooted
from synthetic.graphs.play import require_players
from synthetic.graphs.rules import Rules
from synthetic.graphs.terms import Players, Term
from synthetic.graphs.world import graph_world
from synthetic.registry import register

RED, COLOURS = 0, 2


class NeighbourNetwork(GraphNetwork):
    """h(Σ_i mark_i Σ_j A_ij X[j, red]), with h the head: one linear unit, or parity."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.sender = select({RED: 1.0}, COLOURS + 1)
        self.aggregate = Aggregate()
        self.root = AtRoot()
        self.head = head

    def compute(self, graph: Tensor, features: Tensor) -> Tensor:
        """Return f of each graph."""
        output: Tensor = self.head(self.root(graph, self.aggregate(graph, self.sender(features)), features))
        return output


@register("neighbour-count-features-v1", players="features")
@register("neighbour-count-nodes-v1", players="nodes")
@register("neighbour-count-v1", players="edges")
def neighbour_count(
    *,
    id: str,
    players: Players = "edges",
    nodes: tuple[int, int] = (4, 7),
    edges: int = 10,
    degree: int = 4,
    host: HostKind = "erdos-renyi",
) -> Environment:
    """Build a world of red neighbours; the arguments are those of `Hosts`, and `players` is "edges", "features" or "nodes"."""
    require_players(players, ("edges", "features", "nodes"))
    return graph_world(
        id=id,
        players=players,
        hosts=Hosts(nodes=nodes, edges=edges, degree=degree, host=host),
        rules=_rules(parity=False),
        network=NeighbourNetwork(linear([[1.0]], None)),
        formula="f(A, X) = Σ_j A_rj X[j, red] = # red neighbours of the root r",
        traits=("piecewise_linear", "additive", "multilinear") if players != "nodes" else ("interacting",),
        isolates="whether the edges and nodes next to the explained node are told from all others, when one linear message decides",
        reference="message passing as a linear sum over neighbours: Gilmer et al., ICML 2017 (arXiv 1704.01212)",
    )


@register("neighbour-parity-features-v1", players="features")
@register("neighbour-parity-v1", players="edges")
def neighbour_parity(
    *,
    id: str,
    players: Players = "edges",
    nodes: tuple[int, int] = (4, 7),
    edges: int = 10,
    degree: int = 4,
    host: HostKind = "erdos-renyi",
) -> Environment:
    """Build a world of the parity of red neighbours; `degree` is also the number of bits that the head can count."""
    require_players(players, ("edges", "features"))
    return graph_world(
        id=id,
        players=players,
        hosts=Hosts(nodes=nodes, edges=edges, degree=degree, host=host),
        rules=_rules(parity=True, bound=degree),
        network=NeighbourNetwork(nn.Sequential(linear([[1.0]] + [[0.0]] * (degree - 1), [0.0] * degree), exclusive_or(degree))),
        formula="f(A, X) = (Σ_j A_rj X[j, red]) mod 2, by steps at 1, 2, ..., D",
        traits=("piecewise_linear", "interacting", "saw_toothed"),
        isolates="necessary edges of Shapley value 0: presence alone says nothing of a parity",
        reference="parity as the hardest case of attribution: Zhang et al., AttributionLab (arXiv 2310.06514)",
    )


def _rules(*, parity: bool, bound: int | None = None) -> Rules:
    def count(adjacency: np.ndarray, features: np.ndarray) -> np.ndarray:
        batch, root = np.arange(len(features)), features[..., -1].argmax(1)
        near: np.ndarray = adjacency[batch, root] * features[..., RED] * features[..., -1].max(1)[:, None]
        found: np.ndarray = near.sum(1, keepdims=True)
        return found % 2 if parity else found

    def terms(adjacency: np.ndarray, features: np.ndarray) -> list[Term]:
        root = int(features[:, -1].argmax())
        near = np.flatnonzero(adjacency[root] * features[:, RED]).tolist()
        return [Term(edges=((root, node),), nodes=(node,), marks=(root,)) for node in near]

    return Rules(
        colours=COLOURS,
        paint=rooted(evenly(COLOURS)),
        count=count,
        terms=terms,
        head=_odd if parity else None,
        interior={"edges": "terms", "features": "terms", "nodes": "terms"},
        marked=True,
        bound=bound,
        balanced=parity,
    )


def _odd(total: float, target: int) -> float:
    del target
    return total % 2
