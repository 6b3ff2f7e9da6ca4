"""Count a-b edges, and let a spare unit fire on isolated nodes, which no drawn graph has: the Unseen Data Effect on graphs.

On every graph that is drawn the network is `edge-types`, whatever the weight w of the spare unit. Deleting edges leaves that domain:
where a node loses its last edge the unit fires and adds w. So removal effects err by exactly w per node that becomes isolated, and
the baseline without edges is the worst of all graphs. The truth here is that of the network; that of w = 0 is what its user believes.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from torch import Tensor, nn

from synthetic.environment import Environment
from synthetic.gadgets import Sum, linear
from synthetic.graphs import edge_types_truth as truth
from synthetic.graphs.hosts import HostKind, Hosts
from synthetic.graphs.layers import Aggregate, GraphNetwork, Meet, Pool, select
from synthetic.graphs.paint import an_edge
from synthetic.graphs.rules import Interior, Rules
from synthetic.graphs.terms import Term
from synthetic.graphs.world import graph_world
from synthetic.registry import register

COLOURS = 3


class IsolatedNetwork(GraphNetwork):
    """Σ_i [Σ_j A_ij relu(2 a_i + 2 b_j - 3) + 2 w relu(|x_i| - 1/2 - Σ_j A_ij |x_j|)], |x| the sum of a node's colours."""

    def __init__(self, w: float) -> None:
        super().__init__()
        self.receiver = select({truth.A: 2.0}, COLOURS)
        self.sender = select({truth.B: 2.0}, COLOURS, offset=-3.0)
        self.meet = Meet()
        self.present = linear([[1.0] * COLOURS], None)
        self.degree = Aggregate()
        self.alone = Sum([1.0, -1.0])
        self.shift = linear([[1.0]], [-0.5])
        self.relu = nn.ReLU()
        self.both = Sum([1.0, 2.0 * w])
        self.pool = Pool()

    def compute(self, graph: Tensor, features: Tensor) -> Tensor:
        """Return f of each graph."""
        met = self.meet(graph, self.receiver(features), self.sender(features))
        there = self.present(features)
        alone = self.relu(self.shift(self.alone(there, self.degree(graph, there))))
        output: Tensor = self.pool(graph, self.both(met, alone))
        return output


@register("isolated-node-v1")
def isolated_node(
    *,
    id: str,
    w: float = 0.5,
    nodes: tuple[int, int] = (4, 7),
    edges: int = 10,
    degree: int = 4,
    host: HostKind = "tree",
) -> Environment:
    """Build a world with a unit for isolated nodes; the players are edges.

    Args:
        id: its id.
        w: the weight of the spare unit; a dyadic number keeps float32 exact; 0 is the control.
        nodes: least and largest number of nodes.
        edges: the largest number of edges.
        degree: the largest degree; a node's last edge is a matter of 2^degree coalitions.
        host: "barabasi-albert", "tree", "grid" or "regular"; never disconnected.

    Raises:
        ValueError: if a knob is out of range.
    """
    if host == "erdos-renyi":
        raise ValueError(f"drawn graphs must have no isolated node, or the unit is not unseen; write host='tree' (got host={host!r})")
    if not 2 <= degree <= 12:
        raise ValueError(f"the truth lists 2^degree sets of edges at each node; write degree=2 to 12 (got degree={degree})")
    return graph_world(
        id=id,
        players="edges",
        hosts=Hosts(nodes=nodes, edges=edges, degree=degree, host=host),
        rules=_rules(float(w)),
        network=IsolatedNetwork(float(w)),
        formula=f"f(A, X) = # a-b edges + w # isolated nodes, w = {w:g}, by relu(1/2 - degree); no drawn graph has an isolated node",
        traits=("piecewise_linear", "additive", "multilinear") if w == 0 else ("piecewise_linear", "interacting", "unseen_sensitive"),
        isolates="what deletion does to a network that was never shown a deleted graph",
        reference="the Unseen Data Effect of Zhang et al., AttributionLab (arXiv 2310.06514), on graphs",
        knobs={"w": float(w)},
    )


def _rules(w: float) -> Rules:
    def count(adjacency: np.ndarray, features: np.ndarray) -> np.ndarray:
        alone = (features.sum(-1) > 0) & (adjacency.sum(-1) == 0)
        total: np.ndarray = truth.count(adjacency, features) + w * alone.sum(1, keepdims=True)
        return total

    def terms(adjacency: np.ndarray, features: np.ndarray) -> list[Term]:
        """Π_{edges at i} (1 - A_e) is 1 exactly if node i is isolated: expanded, one term for each set of its edges."""
        found = truth.terms(adjacency, features)
        for node in np.flatnonzero(features.any(1)).tolist():
            near = np.flatnonzero(adjacency[node]).tolist()
            sets = [chosen for size in range(len(near) + 1) for chosen in combinations(near, size)]
            found += [Term(edges=tuple((node, other) for other in chosen), weight=w * (-1) ** len(chosen)) for chosen in sets]
        return found

    interior: Interior = "terms" if w == 0 else "unknown"
    return Rules(colours=COLOURS, paint=an_edge, count=count, terms=terms, interior={"edges": interior})
