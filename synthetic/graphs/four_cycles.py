"""Count the cycles of four nodes, by pairs of two-step walks: every pair of nodes with s common neighbours closes s (s - 1) / 2 of them.

The pairs are counted by steps at 2, 3, ..., on P = A (A X), the number of two-step walks from each node to each numbered node; a node's
walks back to itself are shut out by its own number. Between graphs the function is a staircase: flat at every graph, so that
gradients are 0, and steep in between, so that its path integral is not its Shapley value.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from torch import Tensor, nn

from synthetic.environment import Environment
from synthetic.gadgets import MARGIN, SLOPE, Sum, linear
from synthetic.graphs.hosts import HostKind, Hosts
from synthetic.graphs.layers import Aggregate, GraphNetwork, Pool, Share
from synthetic.graphs.paint import numbered
from synthetic.graphs.play import require_players
from synthetic.graphs.rules import Rules
from synthetic.graphs.terms import Players, Term
from synthetic.graphs.world import TIED, graph_world
from synthetic.registry import register


class FourCycleNetwork(GraphNetwork):
    """Σ_i Σ_c h(P_ic - D X_ic) / 4, P = A (A X), h(s) = Σ_{l=2..D} (l - 1) [s >= l] = s (s - 1) / 2 for s = 0..D."""

    def __init__(self, size: int, degree: int) -> None:
        super().__init__()
        self.first, self.second = Aggregate(), Aggregate()
        self.shut = Sum([1.0, -float(degree)])
        eye, levels = torch.eye(size, dtype=torch.float64), range(2, degree + 1)
        biases = [offset - level for level in levels for offset in (1 - MARGIN, MARGIN)]
        heights = [sign * SLOPE * (level - 1) for level in levels for sign in (1.0, -1.0)]
        self.inner = linear(eye.repeat_interleave(len(biases), 0), biases * size)
        self.relu = nn.ReLU()
        self.outer = linear([heights * size], None)
        self.pool = Pool()
        self.share = Share(4)

    def compute(self, graph: Tensor, features: Tensor) -> Tensor:
        """Return f of each graph."""
        walks = self.shut(self.second(graph, self.first(graph, features)), features)
        output: Tensor = self.share(self.pool(graph, self.outer(self.relu(self.inner(walks)))))
        return output


@register("four-cycle-nodes-v1", players="nodes")
@register("four-cycle-v1", players="edges")
def four_cycle(
    *,
    id: str,
    players: Players = "edges",
    nodes: tuple[int, int] = (4, 7),
    edges: int = 10,
    degree: int = 4,
    host: HostKind = "erdos-renyi",
) -> Environment:
    """Build a world of 4-cycles; the arguments are those of `Hosts`, and `players` is "edges" or "nodes"."""
    require_players(players, ("edges", "nodes"))
    hosts = Hosts(nodes=nodes, edges=edges, degree=degree, host=host)
    return graph_world(
        id=id,
        players=players,
        hosts=hosts,
        rules=Rules(colours=hosts.size, paint=numbered, count=_count, terms=_terms, bound=degree),
        network=FourCycleNetwork(hosts.size, degree),
        formula=f"f(A, X) = Σ_i Σ_c h((A A X)_ic - D X_ic) / 4 = # 4-cycles; h(s) = s (s - 1) / 2 by steps, D = {degree}",
        traits=("interacting", "monotone", "flat_gradient", *TIED),
        isolates="interactions of order four, whose removal effects are four times their share",
        reference="Chen, Chen, Villar, Bruna, Can graph neural networks count substructures?, NeurIPS 2020 (arXiv 2002.04025)",
    )


def _cycles(u: int, v: int, w: int, x: int) -> tuple[tuple[int, int, int, int], ...]:
    """The three ways round four nodes."""
    return (u, v, w, x), (u, v, x, w), (u, w, v, x)


def _count(adjacency: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Four nodes at a time, three ways round each, of nodes that have a number."""
    there: np.ndarray = features.max(-1) > 0
    a = (adjacency > 0) & there[:, None, :] & there[:, :, None]
    total = np.zeros(len(a))
    for four in combinations(range(a.shape[1]), 4):
        for p, q, r, s in _cycles(*four):
            total += a[:, p, q] & a[:, q, r] & a[:, r, s] & a[:, s, p]
    return total[:, None]


def _terms(adjacency: np.ndarray, features: np.ndarray) -> list[Term]:
    """Each 4-cycle, from its two opposite pairs: p < r, and q < s among their common neighbours, p the least of all."""
    del features
    near = [set(np.flatnonzero(row).tolist()) for row in adjacency]
    pairs = [(p, r, sorted(near[p] & near[r])) for p, r in combinations(range(len(near)), 2)]
    cycles = [(p, q, r, s) for p, r, common in pairs for q, s in combinations(common, 2) if p < q]
    return [Term(edges=((p, q), (q, r), (r, s), (s, p)), nodes=(p, q, r, s)) for p, q, r, s in cycles]
