"""A graph is one row: the block [A | X] of its weighted adjacency and its node features, zero-padded to the largest graph.

Everything that decides the output stands in the row, so that graphs of different sizes share a batch and any method may
repeat, permute or interpolate it. Aggregation is an unnormalised sum: an edge of weight 0 is a deleted edge, exactly, which
fails under mean, GCN or attention aggregation. A padded node has zero features and no edges. What is explained is chosen by
the players: in the edge game the two directions of an edge are one player and X stays; in the node-feature game the
features of a node are one player and A stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import networkx as nx
import numpy as np
import torch
from torch import Tensor

Rows = TypeVar("Rows", Tensor, np.ndarray)


def halves(rows: Rows) -> tuple[Rows, Rows]:
    """Split [A | X], (..., n, n + colours), into A, (..., n, n), and X, (..., n, colours)."""
    n = rows.shape[-2]
    return rows[..., :n], rows[..., n:]


def block_of(graphs: Sequence[nx.Graph], *, size: int, colours: int) -> Tensor:  # (batch, size, size + colours)
    """Write graphs on nodes 0..k-1, with the node attribute `colour` (None: no features), as rows padded to `size` nodes.

    Raises:
        ValueError: if a graph has more than `size` nodes.
    """
    rows = np.zeros((len(graphs), size, size + colours))
    for row, graph in zip(rows, graphs, strict=True):
        if len(graph) > size:
            raise ValueError(f"a row of this world holds graphs of at most {size} nodes (got {len(graph)} nodes)")
        for u, v in graph.edges:
            row[u, v] = row[v, u] = 1
        for node, colour in graph.nodes(data="colour"):
            if colour is not None:
                row[node, size + colour] = 1
    return torch.from_numpy(rows)


def graphs_of(
    rows: np.ndarray,  # (batch, size, size + colours)
) -> list[nx.Graph]:
    """Read rows back as graphs; node numbers are places in the row, and a node without features has no attribute `colour`.

    Raises:
        ValueError: if a row is no graph: A not symmetric, a loop, a weight that is neither 0 nor 1, or two colours at a node.
    """
    adjacency, features = halves(np.asarray(rows))
    _require_graphs(adjacency, features)
    ends = np.argwhere(np.triu(adjacency))
    edges = np.split(ends[:, 1:], np.searchsorted(ends[:, 0], np.arange(1, len(adjacency))))
    coloured = np.argwhere(features)
    colours = np.split(coloured[:, 1:], np.searchsorted(coloured[:, 0], np.arange(1, len(adjacency))))
    graphs = []
    for pairs, nodes in zip(edges, colours, strict=True):
        graph = nx.Graph()
        graph.add_nodes_from((node, {"colour": colour}) for node, colour in nodes.tolist())
        graph.add_edges_from(pairs.tolist())
        graphs.append(graph)
    return graphs


def edge_players(
    inputs: Tensor,  # (batch, size, size + colours)
    graphs: Sequence[nx.Graph],
) -> tuple[Tensor, Tensor]:  # baseline, feature_mask, both like inputs
    """The edge game: each edge, numbered by its attribute `player`, owns both of its entries of A; the baseline has no edge."""
    baseline, owner = inputs.clone(), torch.full(inputs.shape, -1, dtype=torch.int64)
    halves(baseline)[0].zero_()
    for row, graph in zip(owner, graphs, strict=True):
        for u, v, player in graph.edges(data="player"):
            row[u, v] = row[v, u] = player
    return baseline, owner


def node_players(
    inputs: Tensor,  # (batch, size, size + colours)
    graphs: Sequence[nx.Graph],
) -> tuple[Tensor, Tensor]:  # baseline, feature_mask, both like inputs
    """The node-feature game: node i owns all of row i of X; the baseline has no features, and all edges."""
    baseline, owner = inputs.clone(), torch.full(inputs.shape, -1, dtype=torch.int64)
    halves(baseline)[1].zero_()
    features = halves(owner)[1]
    for row, graph in zip(features, graphs, strict=True):
        row[: len(graph)] = torch.arange(len(graph)).unsqueeze(1)
    return baseline, owner


def _require_graphs(adjacency: np.ndarray, features: np.ndarray) -> None:
    binary = np.isin(adjacency, (0, 1)).all() and np.isin(features, (0, 1)).all()
    simple = (adjacency == adjacency.swapaxes(1, 2)).all() and not adjacency.diagonal(axis1=1, axis2=2).any()
    if not (binary and simple and (features.sum(-1) <= 1).all()):
        values = [np.unique(half)[:4].tolist() for half in (adjacency, features)]
        raise ValueError(
            "the specification counts in graphs: A symmetric with entries 0 or 1 and a zero diagonal, X one-hot or zero at each node "
            f"(got values {values[0]} in A, {values[1]} in X, symmetric and without loops: {bool(simple)})"
        )
