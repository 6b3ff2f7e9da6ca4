"""Ask whether some edge joins an a-node and a b-node: beyond one such edge, none of them is missed.

The saturating twin of `edge-types`: with m >= 2 a-b edges each removal effect is 0 and each Shapley value 1/m, so that deletion
one at a time is blind where all evidence is redundant. The gradient is 0 everywhere on the lattice.
"""

from __future__ import annotations

from torch import Tensor, nn

from synthetic.environment import Environment
from synthetic.gadgets import step
from synthetic.graphs import edge_types_truth as truth
from synthetic.graphs.hosts import HostKind, Hosts
from synthetic.graphs.layers import GraphNetwork, Meet, Pool, select
from synthetic.graphs.networks import GateNetwork
from synthetic.graphs.paint import few
from synthetic.graphs.play import require_players
from synthetic.graphs.rules import Rules
from synthetic.graphs.terms import Players
from synthetic.graphs.world import graph_world
from synthetic.registry import register

COLOURS = 3


class EdgeOr(GraphNetwork):
    """step(Σ_ij A_ij relu(2 a_i + 2 b_j - 3) >= 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.receiver = select({truth.A: 2.0}, COLOURS)
        self.sender = select({truth.B: 2.0}, COLOURS, offset=-3.0)
        self.meet = Meet()
        self.pool = Pool()
        self.head = step(1)

    def compute(self, graph: Tensor, features: Tensor) -> Tensor:
        """Return f of each graph."""
        met = self.meet(graph, self.receiver(features), self.sender(features))
        output: Tensor = self.head(self.pool(graph, met))
        return output


class GatedEdgeOr(nn.Module):
    """step(Σ_i [relu(n_i + e a_i - M (1 - a_i)) - e a_i] >= 1), n_i = Σ_j A_ij b_j: the same function of the edges, by gates."""

    def __init__(self, degree: int) -> None:
        super().__init__()
        self.gates = GateNetwork(opens=(1.0, 0.0, 0.0), counted=(0.0, 1.0, 0.0), degree=degree)
        self.head = step(1)

    def forward(self, rows: Tensor) -> Tensor:
        """Return f of each row."""
        output: Tensor = self.head(self.gates(rows))
        return output


@register("edge-type-or-features-v1", players="features")
@register("edge-type-or-v1", players="edges")
def edge_type_or(
    *,
    id: str,
    players: Players = "edges",
    nodes: tuple[int, int] = (6, 8),
    edges: int = 8,
    degree: int = 4,
    host: HostKind = "erdos-renyi",
) -> Environment:
    """Build a world of some a-b edge; the arguments are those of `Hosts`, and `players` is "edges", "features" or "nodes"."""
    require_players(players, ("edges", "features", "nodes"))
    return graph_world(
        id=id,
        players=players,
        hosts=Hosts(nodes=nodes, edges=edges, degree=degree, host=host),
        rules=Rules(
            colours=COLOURS,
            paint=few(2, 2),
            count=lambda a, x: truth.count(a, x) > 0,
            terms=truth.terms,
            head=_some,
            interior={"edges": "terms", "features": "local", "nodes": "local"},
            balanced=True,
        ),
        network=EdgeOr(),
        equals={"gate": GatedEdgeOr(degree)} if players == "edges" else {},
        formula="f(A, X) = [Σ_ij A_ij relu(2 a_i + 2 b_j - 3) >= 1] = [there is an a-b edge]",
        traits=("piecewise_linear", "interacting", "redundant", "saturating"),
        isolates="saturation: no edge is missed where two are enough",
        reference="redundant evidence: Faber, Moghaddam, Wattenhofer, KDD 2021, pitfall of redundancy",
    )


def _some(total: float, target: int) -> float:
    del target
    return float(total >= 1)
