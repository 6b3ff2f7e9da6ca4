"""What is exactly true of counting a-b edges: the count, the path integrals in closed form, dummies and exchangeable players.

Path integral of the gate, features scaled by t, at an a-node with n b-neighbours: the unit's argument is t (n + e + M) - M, so
it opens at t* = M / (n + e + M). The a-node gets (e + M)(1 - t*) - e = M n / (n + e + M), each b-neighbour
1 - t* = (n + e) / (n + e + M); together n. Of the message relu(2 t + 2 t - 3), open from t* = 3/4: 1/2 each. Of the edges, of
which the function is affine with slope 1 at each a-b edge: 1 each.
"""

from __future__ import annotations

from itertools import combinations

import networkx as nx
import numpy as np

from synthetic.gadgets import MARGIN
from synthetic.graphs.block import halves
from synthetic.graphs.networks import gate_constant
from synthetic.graphs.terms import Term

A, B = 0, 1
"""The colours whose edges are counted; any further colour is irrelevant."""


def count(adjacency: np.ndarray, features: np.ndarray) -> np.ndarray:  # (batch, n, n), (batch, n, colours) -> (batch, 1)
    """The number of edges that join an a-node and a b-node, pair of nodes by pair of nodes."""
    total = np.zeros(len(adjacency))
    for u, v in combinations(range(adjacency.shape[1]), 2):
        a, b = features[:, [u, v], A], features[:, [v, u], B]
        total += (adjacency[:, u, v] > 0) & ((a * b).sum(1) > 0)
    return total[:, None]


def terms(adjacency: np.ndarray, features: np.ndarray) -> list[Term]:  # (n, n), (n, colours)
    """Each a-b edge, which reads both its ends.

    Through the message, nothing else is read near the box. A message that x_i enters has the argument 2 x_i[a] + 2 x_j[b] - 3 or its
    mirror image; without an a-b edge one of the two terms starts and ends at 0, so that the argument stays below -1 on the
    box and below 0 on a neighbourhood of it.
    """
    pairs = np.argwhere(adjacency * features[:, A, None] * features[None, :, B]).tolist()
    return [Term(edges=((u, v),), nodes=(u, v)) for u, v in pairs]


def twin_nodes(graph: nx.Graph) -> list[list[int]]:
    """Nodes of one colour with the same neighbours apart from each other: renumbering the two leaves A, so f is symmetric in them."""
    groups: list[list[int]] = []
    for node in graph:
        home = next((group for group in groups if _are_twins(graph, group[0], node)), [])
        if not home:
            groups.append(home)
        home.append(node)
    return [group for group in groups if len(group) > 1]


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
