"""Count edges by their relation: the same pair of nodes means something, its opposite or nothing, as the relation has it.

A row holds one adjacency per relation, [A1 | A2 | A3 | X]. The network is linear, with one weight per relation, positive, negative
and null; an explainer that reads the union of the relations, or only which nodes are joined, cannot tell them apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from synthetic.environment import Environment
from synthetic.gadgets import Sum, linear
from synthetic.graphs.hosts import HostKind, Hosts
from synthetic.graphs.layers import Aggregate, Pool
from synthetic.graphs.paint import plain
from synthetic.graphs.play import require_players
from synthetic.graphs.rules import Rules
from synthetic.graphs.terms import Players, Term
from synthetic.graphs.world import graph_world
from synthetic.registry import register


class RelationNetwork(nn.Module):
    """Σ_i Σ_r w_r Σ_j A^r_ij x_j / 2, rows (batch, n, R n + 1) -> (batch, 1)."""

    def __init__(self, weights: Sequence[float]) -> None:
        super().__init__()
        self.senders = nn.ModuleList(linear([[weight / 2]], None) for weight in weights)
        self.layers = nn.ModuleList(Aggregate() for _ in weights)
        self.sum = Sum([1.0] * len(weights))
        self.pool = Pool()

    def forward(self, rows: Tensor) -> Tensor:
        """Return f of each row."""
        features = rows[..., -1:]
        blocks = torch.split(rows[..., :-1], rows.shape[-2], dim=-1)
        heard = [layer(a, sender(features)) for layer, sender, a in zip(self.layers, self.senders, blocks, strict=True)]
        output: Tensor = self.pool(rows, self.sum(*heard))
        return output


@register("relation-count-v1")
def relation_count(
    *,
    id: str,
    weights: Sequence[float] = (2.0, -1.0, 0.0),
    nodes: tuple[int, int] = (4, 7),
    edges: int = 10,
    degree: int = 4,
    host: HostKind = "erdos-renyi",
) -> Environment:
    """Build a world of relations; the players are edges.

    Args:
        id: its id.
        weights: w, the weight of each relation; dyadic numbers keep float32 exact.
        nodes: least and largest number of nodes.
        edges: the largest number of edges.
        degree: the largest degree.
        host: "erdos-renyi", "barabasi-albert", "tree", "grid" or "regular".

    Raises:
        ValueError: if a knob is out of range.
    """
    players: Players = "edges"
    require_players(players, ("edges",))
    if len(weights) < 2:
        raise ValueError(f"weights has one number per relation, two or more, such as (2, -1, 0) (got {weights!r})")
    w = tuple(float(weight) for weight in weights)
    return graph_world(
        id=id,
        players=players,
        hosts=Hosts(nodes=nodes, edges=edges, degree=degree, host=host),
        rules=_rules(w),
        network=RelationNetwork(w),
        formula=f"f(A1, ..., AR, X) = Σ_r w_r Σ_ij Ar_ij x_j / 2 = Σ_r w_r # edges of relation r, w = {w}; rows [A1 | ... | AR | X]",
        traits=("piecewise_linear", "additive", "multilinear"),
        isolates="what an edge is, beyond that it is there",
        reference="one weight matrix per relation: Schlichtkrull et al., ESWC 2018 (arXiv 1703.06103)",
        knobs={"weights": w},
        sparse=False,
    )


def _rules(weights: tuple[float, ...]) -> Rules:
    def count(adjacency: np.ndarray, features: np.ndarray) -> np.ndarray:
        del features
        size = adjacency.shape[1]
        blocks = [np.triu(adjacency[..., r * size : (r + 1) * size]).sum((1, 2)) for r in range(len(weights))]
        total: np.ndarray = np.stack(blocks, 1) @ np.array(weights)
        return total[:, None]

    def terms(adjacency: np.ndarray, features: np.ndarray) -> list[Term]:
        del features
        size = len(adjacency)
        ends = np.argwhere(adjacency).tolist()
        return [Term(edges=((u, v % size),), weight=weights[v // size]) for u, v in ends if u < v % size]

    return Rules(colours=1, paint=plain, count=count, terms=terms, interior={"edges": "terms"}, relations=len(weights))
