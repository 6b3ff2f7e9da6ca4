"""Random host graphs of bounded size, number of edges and degree, whose numbering tells nothing.

In the usual motif benchmarks the node number or the degree alone finds the motif (area under the curve 1.0), because motifs
are attached last and generators grow by age. So node numbers, and the numbers of the edges as players, are permuted at
creation, and the bounds hold for every row. Row i of a batch does not depend on how many rows follow.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from synthetic.graphs.chance import Chance
from synthetic.graphs.generators import KINDS

HostKind = Literal["erdos-renyi", "barabasi-albert", "tree", "grid", "regular"]

ATTEMPTS = 500
"""Draws until the bounds are called too narrow; at the default bounds one to three draws are needed."""


@dataclass(frozen=True, kw_only=True)
class Hosts:
    """What may be drawn.

    Attributes:
        nodes: least and largest number of nodes.
        edges: the largest number of edges.
        degree: D, the largest degree of a node.
        host: "erdos-renyi" (all graphs with a drawn number of edges alike, possibly disconnected), "barabasi-albert"
            (preferential attachment of one or two edges), "tree" (all labelled trees alike), "grid" (rectangles), or "regular"
            (a cycle through all nodes, with or without disjoint chords: degrees 2 and 3).
    """

    nodes: tuple[int, int] = (4, 7)
    edges: int = 10
    degree: int = 4
    host: HostKind = "erdos-renyi"

    def __post_init__(self) -> None:
        low, high = self.nodes
        if not 3 <= low <= high:
            raise ValueError(f"nodes is (least, largest) with 3 <= least <= largest, such as (4, 7) (got {self.nodes})")
        if self.edges < high - 1:
            raise ValueError(f"a graph of {high} nodes may need {high - 1} edges; write edges={high - 1} or more (got edges={self.edges})")
        if self.degree < 2:
            raise ValueError(f"a connected graph of 3 nodes has a node of degree 2; write degree=2 or more (got degree={self.degree})")
        if self.host not in KINDS:
            raise ValueError(f"host is one of {', '.join(map(repr, KINDS))} (got {self.host!r})")

    @property
    def size(self) -> int:
        """The largest number of nodes, to which rows are padded."""
        return self.nodes[1]

    def knobs(self) -> dict[str, Any]:
        """The four bounds by name, as an environment records them."""
        return asdict(self)


def draw_hosts(chance: Chance, hosts: Hosts) -> tuple[Tensor, Tensor]:  # (batch, size, size) float64, (batch,) int64
    """Draw one graph per row of chance and return its adjacency and its number of nodes k; nodes are 0..k-1, in random order.

    Raises:
        ValueError: if no graph within the bounds is found.
    """
    nodes = chance.fork(0).integers(*hosts.nodes)
    adjacency = torch.zeros(len(chance), hosts.size, hosts.size, dtype=torch.float64)
    pending = torch.arange(len(chance))
    for attempt in range(ATTEMPTS):
        drawn = KINDS[hosts.host](chance.rows(pending).fork(attempt + 2), nodes[pending], hosts.size, hosts.edges, hosts.degree)
        degrees = drawn.sum(2)
        within = (degrees.sum(1) <= 2 * hosts.edges) & (degrees.amax(1) <= hosts.degree)
        if hosts.host == "grid":
            nodes[pending] = (degrees > 0).sum(1)
        adjacency[pending[within]] = drawn[within]
        pending = pending[~within]
        if not len(pending):
            return _renumbered(adjacency, nodes, chance.fork(1).uniform(hosts.size)), nodes
    raise ValueError(
        f"no {hosts.host} graph of {int(nodes[pending[0]])} nodes with at most {hosts.edges} edges and degree at most {hosts.degree} in "
        f"{ATTEMPTS} draws; raise degree or lower nodes (got degree={hosts.degree}, nodes={hosts.nodes})"
    )


def edge_numbers(chance: Chance, adjacency: Tensor) -> Tensor:  # (batch, size, size) int64
    """Number each graph's edges 0, 1, ... in random order, the same number in both directions, -1 where there is no edge."""
    first, second = torch.triu_indices(adjacency.shape[1], adjacency.shape[1], 1)
    present = adjacency[:, first, second] > 0
    rank = torch.where(present, chance.uniform(len(first)), 2.0).argsort(1).argsort(1)
    numbers = torch.full(adjacency.shape, -1, dtype=torch.int64)
    numbers[:, first, second] = numbers[:, second, first] = torch.where(present, rank, -1)
    return numbers


def _renumbered(adjacency: Tensor, nodes: Tensor, keys: Tensor) -> Tensor:
    """The same graphs with their nodes in the order of the keys; padding stays behind them."""
    place = torch.arange(adjacency.shape[1])
    order = torch.where(place < nodes.unsqueeze(1), keys, 2.0 + place).argsort(1)
    rows = adjacency.gather(1, order.unsqueeze(2).expand_as(adjacency))
    return rows.gather(2, order.unsqueeze(1).expand_as(adjacency))
