"""Colours of host graphs, drawn so that most graphs hold something to find and something to ignore."""

from __future__ import annotations

from random import Random

import networkx as nx

RELEVANT = 7 / 8
"""How often an edge, drawn at random, is given the colours 0 and 1 at its ends, so that few graphs lack such an edge."""


def paint_evenly(graph: nx.Graph, random: Random, *, colours: int) -> None:
    """Give each node a colour in 0..colours-1, all alike, as its attribute `colour`."""
    for node in graph:
        graph.nodes[node]["colour"] = random.randrange(colours)


def paint_an_edge(graph: nx.Graph, random: Random) -> None:
    """Give each node one of three colours, all alike; then, mostly, the ends of one edge the colours 0 and 1."""
    paint_evenly(graph, random, colours=3)
    if random.random() < RELEVANT:
        ends = random.choice(sorted(graph.edges))
        for colour, node in enumerate(random.sample(ends, 2)):
            graph.nodes[node]["colour"] = colour
