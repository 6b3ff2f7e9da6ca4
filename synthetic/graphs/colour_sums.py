"""Add the weights of all nodes and ask for the remainder: edges are silent, and each node's share depends on what all others hold.

Without the head this is `colour-nodes`, where a node is worth its weight. Modulo m the output of a class is a saw of the sum: each
node turns it on or off, removal effects say little, and the Shapley value follows from how many nodes of each weight there are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor, nn

from synthetic.environment import Environment
from synthetic.gadgets import MARGIN, SLOPE, linear
from synthetic.graphs.hosts import HostKind, Hosts
from synthetic.graphs.layers import GraphNetwork, Pool
from synthetic.graphs.paint import evenly
from synthetic.graphs.play import require_players
from synthetic.graphs.rules import Rules
from synthetic.graphs.terms import Players, Term
from synthetic.graphs.world import graph_world, require_at_least
from synthetic.registry import register


class ColourSumNetwork(GraphNetwork):
    """One logit per class c: [s mod m = c] for s = Σ_i w·x_i in [low, high], by a step at every integer of the range."""

    def __init__(self, weights: Sequence[int], m: int, low: int, high: int) -> None:
        super().__init__()
        self.weigh = linear([list(map(float, weights))], None)
        self.pool = Pool()
        rises = range(low + 1, high + 1)
        self.inner = linear([[1.0]] * (2 * len(rises)), [offset - t for t in rises for offset in (1 - MARGIN, MARGIN)])
        self.relu = nn.ReLU()
        heights = [[((t % m == c) - ((t - 1) % m == c)) * sign * SLOPE for t in rises for sign in (1.0, -1.0)] for c in range(m)]
        self.outer = linear(heights, [float(low % m == c) for c in range(m)])

    def compute(self, graph: Tensor, features: Tensor) -> Tensor:
        """Return f of each graph."""
        output: Tensor = self.outer(self.relu(self.inner(self.pool(graph, self.weigh(features)))))
        return output


@register("colour-sum-modulo-v1")
def colour_sum_modulo(
    *,
    id: str,
    players: Players = "features",
    weights: Sequence[int] = (2, -1, 0),
    m: int = 3,
    nodes: tuple[int, int] = (4, 7),
    edges: int = 10,
    degree: int = 4,
    host: HostKind = "erdos-renyi",
) -> Environment:
    """Build a world of remainders; the target is the remainder of the row.

    Args:
        id: its id.
        players: "features" or "edges", of which none matters.
        weights: w, the integer weight of each colour.
        m: the modulus.
        nodes: least and largest number of nodes.
        edges: the largest number of edges.
        degree: the largest degree.
        host: "erdos-renyi", "barabasi-albert", "tree", "grid" or "regular".

    Raises:
        ValueError: if a knob is out of range.
    """
    require_players(players, ("features", "edges"))
    require_at_least("m", m, 2, "a remainder needs a modulus")
    if not weights or any(weight != int(weight) for weight in weights):
        raise ValueError(f"weights has one integer per colour, such as (2, -1, 0) (got {weights!r})")
    hosts = Hosts(nodes=nodes, edges=edges, degree=degree, host=host)
    low, high = hosts.size * min(0, *weights), hosts.size * max(0, *weights)
    if high - low > 4096:
        raise ValueError(
            f"the head has two units per integer of the range, for at most 4096 of them; lower weights or nodes (got {high - low})"
        )
    return graph_world(
        id=id,
        players=players,
        hosts=hosts,
        rules=_rules(tuple(map(int, weights)), m),
        network=ColourSumNetwork(weights, m, low, high),
        formula=f"f_c(A, X) = [Σ_i w·x_i mod {m} = c], w = {tuple(weights)}",
        traits=("piecewise_linear", "interacting", "saw_toothed", "flat_gradient", *(["edge_null"] if players == "edges" else [])),
        isolates="counts behind a saw: what a node is worth depends on how many others there are, and no edge matters",
        reference="the modulo task of Zhang et al., AttributionLab (arXiv 2310.06514), on graphs",
        outputs=m,
        knobs={"weights": tuple(weights), "m": m},
    )


def _rules(weights: tuple[int, ...], m: int) -> Rules:
    def count(adjacency: np.ndarray, features: np.ndarray) -> np.ndarray:
        del adjacency
        total = sum(w * (features[..., colour] > 0).sum(1) for colour, w in enumerate(weights))
        classes: np.ndarray = (np.asarray(total) % m)[:, None] == np.arange(m)
        return classes

    def terms(adjacency: np.ndarray, features: np.ndarray) -> list[Term]:
        del adjacency
        return [Term(nodes=(node,), weight=weights[colour]) for node, colour in np.argwhere(features).tolist()]

    return Rules(
        colours=len(weights),
        paint=evenly(len(weights)),
        count=count,
        terms=terms,
        head=lambda total, target: float(total % m == target),
        interior={"edges": "terms", "features": "terms"},
        target=lambda outputs: outputs.argmax(1),
    )
