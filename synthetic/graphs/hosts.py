"""Random host graphs of bounded size, number of edges and degree, whose numbering tells nothing.

In the usual motif benchmarks the node number or the degree alone finds the motif (area under the curve 1.0), because motifs
are attached last and generators grow by age. So node numbers, and the numbers of the edges as players, are permuted at
creation, and the bounds hold for every row. One `random.Random` per graph, itself seeded by the caller's generator, is
the only source of chance: row i of a batch does not depend on how many rows follow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from random import Random
from typing import Any, Literal

import networkx as nx
import torch

HostKind = Literal["erdos-renyi", "barabasi-albert", "tree"]

ATTEMPTS = 2000
"""Draws until the bounds are called too narrow; at the default bounds one to three draws are needed."""


@dataclass(frozen=True, kw_only=True)
class Hosts:
    """What may be drawn.

    Attributes:
        nodes: least and largest number of nodes.
        edges: the largest number of edges.
        degree: D, the largest degree of a node.
        host: "erdos-renyi" (all graphs with a drawn number of edges alike, possibly disconnected), "barabasi-albert"
            (preferential attachment of one or two edges), or "tree" (all labelled trees alike).
    """

    nodes: tuple[int, int]
    edges: int
    degree: int
    host: HostKind

    def __post_init__(self) -> None:
        low, high = self.nodes
        if not 3 <= low <= high:
            raise ValueError(f"nodes is (least, largest) with 3 <= least <= largest, such as (4, 7) (got {self.nodes})")
        if self.edges < high - 1:
            raise ValueError(f"a graph of {high} nodes may need {high - 1} edges; write edges={high - 1} or more (got edges={self.edges})")
        if self.degree < 2:
            raise ValueError(f"a connected graph of 3 nodes has a node of degree 2; write degree=2 or more (got degree={self.degree})")
        if self.host not in _KINDS:
            raise ValueError(f"host is one of {', '.join(map(repr, _KINDS))} (got {self.host!r})")

    def knobs(self) -> dict[str, Any]:
        """The four bounds by name, as an environment records them."""
        return asdict(self)


def draw_hosts(n: int, generator: torch.Generator, hosts: Hosts, paint: Callable[[nx.Graph, Random], None]) -> list[nx.Graph]:
    """Draw `n` graphs on nodes 0..k-1 with the node attribute `colour`, set by `paint`, and the edge attribute `player`.

    Raises:
        ValueError: if no graph within the bounds is found.
    """
    graphs = []
    for seed in torch.randint(2**62, (n,), generator=generator).tolist():
        random = Random(seed)
        graph = _shuffled(_within(hosts, random), random)
        paint(graph, random)
        graphs.append(graph)
    return graphs


def _within(hosts: Hosts, random: Random) -> nx.Graph:
    """Draw the number of nodes, then redraw the edges until the bounds hold."""
    nodes = random.randint(*hosts.nodes)
    for _ in range(ATTEMPTS):
        graph = _KINDS[hosts.host](nodes, hosts.edges, random)
        if graph.number_of_edges() <= hosts.edges and max(degree for _, degree in graph.degree) <= hosts.degree:
            return graph
    raise ValueError(
        f"no {hosts.host} graph of {nodes} nodes with at most {hosts.edges} edges and degree at most {hosts.degree} in {ATTEMPTS} "
        f"draws; raise degree or lower nodes (got degree={hosts.degree}, nodes={hosts.nodes})"
    )


def _shuffled(graph: nx.Graph, random: Random) -> nx.Graph:
    """The same graph with its nodes numbered, and its edges given player numbers, in random order."""
    names = list(range(len(graph)))
    random.shuffle(names)
    edges = [(names[u], names[v]) for u, v in graph.edges]
    random.shuffle(edges)
    shuffled = nx.empty_graph(len(graph))
    shuffled.add_edges_from((u, v, {"player": player}) for player, (u, v) in enumerate(edges))
    return shuffled


def _erdos_renyi(nodes: int, edges: int, random: Random) -> nx.Graph:
    drawn = random.randint(nodes - 1, min(edges, nodes * (nodes - 1) // 2))
    return nx.gnm_random_graph(nodes, drawn, seed=random)


def _barabasi_albert(nodes: int, edges: int, random: Random) -> nx.Graph:
    del edges
    return nx.barabasi_albert_graph(nodes, random.randint(1, 2), seed=random)


def _tree(nodes: int, edges: int, random: Random) -> nx.Graph:
    del edges
    return nx.random_labeled_tree(nodes, seed=random)


_KINDS: dict[str, Callable[[int, int, Random], nx.Graph]] = {
    "erdos-renyi": _erdos_renyi,
    "barabasi-albert": _barabasi_albert,
    "tree": _tree,
}
