"""What is exactly true of counting a-b edges: the count, the path integrals in closed form, dummies and exchangeable players.

Path integral of the gate, features scaled by t, at an a-node with n b-neighbours: the unit's argument is t (n + e + M) - M, so
it opens at t* = M / (n + e + M). The a-node gets (e + M)(1 - t*) - e = M n / (n + e + M), each b-neighbour
1 - t* = (n + e) / (n + e + M); together n. Of the message relu(2 t + 2 t - 3), open from t* = 3/4: 1/2 each. Of the edges, of
which the function is affine with slope 1 at each a-b edge: 1 each.
"""

from __future__ import annotations

import networkx as nx
import numpy as np

from synthetic.gadgets import MARGIN
from synthetic.graphs.block import halves
from synthetic.graphs.networks import gate_constant

A, B = 0, 1
"""The colours whose edges are counted; any further colour is irrelevant."""


def joins(graph: nx.Graph, u: int, v: int) -> bool:
    """Whether u and v have the colours a and b, in either order."""
    return {graph.nodes[u].get("colour"), graph.nodes[v].get("colour")} == {A, B}


def count(graph: nx.Graph) -> int:
    """The number of edges that join an a-node and a b-node."""
    return sum(joins(graph, u, v) for u, v in graph.edges)


def relevant_edges(graph: nx.Graph) -> list[list[int]]:
    """One orbit: near the box the function is their sum, whatever the values of the others."""
    return [[player for u, v, player in graph.edges(data="player") if joins(graph, u, v)]]


def irrelevant_edges(graph: nx.Graph) -> list[int]:
    """Edges whose weight the function does not read, X being fixed: the message across is 0, the gates at both ends stay as they are."""
    return [player for u, v, player in graph.edges(data="player") if not joins(graph, u, v)]


def unjoined_nodes(graph: nx.Graph) -> list[int]:
    """Nodes without an a-b edge, whose features the message network does not read near the box.

    A message that x_i enters has the argument 2 x_i[a] + 2 x_j[b] - 3 or its mirror image. Without an a-b edge one of the two terms
    starts and ends at 0, so that the argument stays below -1 on the box and below 0 on a neighbourhood of it.
    """
    return [node for node in graph if not any(joins(graph, node, other) for other in graph[node])]


def twin_nodes(graph: nx.Graph) -> list[list[int]]:
    """Nodes of one colour with the same neighbours apart from each other: renumbering the two leaves A, so f is symmetric in them."""
    groups: list[list[int]] = []
    for node in graph:
        home = next((group for group in groups if _are_twins(graph, group[0], node)), [])
        if not home:
            groups.append(home)
        home.append(node)
    return [group for group in groups if len(group) > 1]


def integral_of_edges(rows: np.ndarray) -> np.ndarray:  # (batch, n, n + colours) -> the same
    """Σ_ij A_ij a_i b_j is affine in A: the entry (i, j) gets A_ij a_i b_j."""
    adjacency, features = halves(rows)
    scores = np.zeros_like(rows)
    halves(scores)[0][:] = adjacency * features[..., A, None] * features[..., None, :, B]
    return scores


def integral_through_message(rows: np.ndarray) -> np.ndarray:  # (batch, n, n + colours) -> the same
    """Each a-b edge gives 1/2 to the a-entry of one end and 1/2 to the b-entry of the other."""
    adjacency, a, b = _read(rows)
    return _scores(rows, at_a=a * (adjacency @ b) / 2, at_b=b * (adjacency @ a) / 2)


def integral_through_gate(rows: np.ndarray, *, degree: int) -> np.ndarray:  # (batch, n, n + colours) -> the same
    """M n / (n + e + M) to an a-node with n b-neighbours, (n + e) / (n + e + M) to each of them."""
    adjacency, a, b = _read(rows)
    n, shut = adjacency @ b, gate_constant(degree)
    total = n + MARGIN + shut
    return _scores(rows, at_a=a * shut * n / total, at_b=b * (adjacency @ (a * (n + MARGIN) / total)))


def _are_twins(graph: nx.Graph, u: int, v: int) -> bool:
    return graph.nodes[u]["colour"] == graph.nodes[v]["colour"] and set(graph[u]) - {v} == set(graph[v]) - {u}


def _read(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # A, and the a- and b-entries as columns
    adjacency, features = halves(rows)
    return adjacency, features[..., [A]], features[..., [B]]


def _scores(rows: np.ndarray, *, at_a: np.ndarray, at_b: np.ndarray) -> np.ndarray:
    scores = np.zeros_like(rows)
    features = halves(scores)[1]
    features[..., [A]], features[..., [B]] = at_a, at_b
    return scores
