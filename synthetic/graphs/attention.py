"""Ask whether a neighbour is red, through attention that looks at the decoys: where a network looks is not what it uses.

The attention of the root is large on decoys and small on all others, and what it reads is whether they are red. However little
attention a red neighbour gets, a final step with a margin turns it into a full answer; and however much the decoys get, they say
nothing. The root may also look at nothing (a weight of 1 beside its neighbours), so that a node without any has an attention too.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from synthetic.environment import Environment
from synthetic.gadgets import Product, linear
from synthetic.graphs.hosts import HostKind, Hosts
from synthetic.graphs.layers import Aggregate, AtRoot, GraphNetwork, select
from synthetic.graphs.paint import few, rooted
from synthetic.graphs.play import require_players
from synthetic.graphs.rules import Rules
from synthetic.graphs.terms import Players, Term
from synthetic.graphs.world import graph_world, require_at_least
from synthetic.registry import register

RED, DECOY, COLOURS = 0, 1, 3


class Exponential(nn.Module):
    """e^z, elementwise."""

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the exponential."""
        return torch.exp(hidden)


class Quotient(nn.Module):
    """a / b, elementwise."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the quotient."""
        return a / b


class AttentionNetwork(GraphNetwork):
    """1 - relu(1 - 4 relu(M z - 1/4)), z = Σ_j A_rj e^(β d_j) x_j / (1 + Σ_j A_rj e^(β d_j)); M z >= 1 where a neighbour is red."""

    def __init__(self, beta: float, degree: int) -> None:
        super().__init__()
        self.score = select({DECOY: beta}, COLOURS + 1)
        self.exponential = Exponential()
        self.value = select({RED: 1.0}, COLOURS + 1)
        self.weigh = Product()
        self.seen, self.looked = Aggregate(), Aggregate()
        self.sink = linear([[1.0]], [1.0])
        self.share = Quotient()
        self.root = AtRoot()
        self.enough = linear([[float(attention_bound(beta, degree))]], [-0.25])
        self.inner = nn.ReLU()
        self.missing = linear([[-4.0]], [1.0])
        self.outer = nn.ReLU()
        self.answer = linear([[-1.0]], [1.0])

    def compute(self, graph: Tensor, features: Tensor) -> Tensor:
        """Return f of each graph."""
        looks = self.exponential(self.score(features))
        seen = self.seen(graph, self.weigh(looks, self.value(features)))
        found = self.root(graph, self.share(seen, self.sink(self.looked(graph, looks))), features)
        output: Tensor = self.answer(self.outer(self.missing(self.inner(self.enough(found)))))
        return output


def attention_bound(beta: float, degree: int) -> int:
    """M, at least 1 + 1 + (D - 1) e^β: one red neighbour among decoys is read with a weight of at least 1 / M."""
    return math.ceil(2 + (degree - 1) * math.exp(beta))


@register("attention-decoy-features-v1", players="features")
@register("attention-decoy-v1", players="edges")
def attention_decoy(
    *,
    id: str,
    players: Players = "edges",
    beta: float = 3.0,
    nodes: tuple[int, int] = (4, 7),
    edges: int = 10,
    degree: int = 4,
    host: HostKind = "erdos-renyi",
) -> Environment:
    """Build a world of attention that looks elsewhere.

    Args:
        id: its id.
        players: "edges" or "features".
        beta: how much more a decoy is looked at than any other node, as a logarithm; 0 to 8.
        nodes: least and largest number of nodes.
        edges: the largest number of edges.
        degree: D, the largest degree; sets M with beta.
        host: "erdos-renyi", "barabasi-albert", "tree", "grid" or "regular".

    Raises:
        ValueError: if a knob is out of range.
    """
    require_players(players, ("edges", "features"))
    require_at_least("beta", int(beta), 0, "a decoy is looked at no less than others")
    if beta > 8:
        raise ValueError(f"M grows as e^beta, and beyond 8 float32 rounds the last look away; write beta=8 or less (got beta={beta})")
    return graph_world(
        id=id,
        players=players,
        hosts=Hosts(nodes=nodes, edges=edges, degree=degree, host=host),
        rules=Rules(
            colours=COLOURS,
            paint=rooted(few(2, 3)),
            count=_count,
            terms=_terms,
            head=_some,
            marked=True,
            bound=degree,
            balanced=True,
        ),
        network=AttentionNetwork(beta, degree),
        formula=f"f(A, X) = [Σ_j α_rj X[j, red] > 0], α_rj = A_rj e^({beta:g} d_j) / (1 + Σ_l A_rl e^({beta:g} d_l)), d_j = X[j, decoy]",
        traits=("interacting", "redundant", "saturating", "decoy", "flat_gradient"),
        isolates="attention as an explanation: the largest weights lie on what the answer does not use",
        reference="Jain, Wallace, Attention is not explanation, NAACL 2019 (arXiv 1902.10186)",
        knobs={"beta": float(beta)},
    )


def _count(adjacency: np.ndarray, features: np.ndarray) -> np.ndarray:
    near: np.ndarray = adjacency * features[..., -1][:, :, None] * features[..., RED][:, None, :]
    found: np.ndarray = near.max((1, 2)) > 0
    return found[:, None]


def _terms(adjacency: np.ndarray, features: np.ndarray) -> list[Term]:
    root = int(features[:, -1].argmax())
    near = np.flatnonzero(adjacency[root] * features[:, RED]).tolist()
    return [Term(edges=((root, node),), nodes=(node,), marks=(root,)) for node in near]


def _some(total: float, target: int) -> float:
    del target
    return float(total >= 1)
