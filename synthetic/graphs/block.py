"""A graph is one row: the block [A | X] of its weighted adjacency and its node features, zero-padded to the largest graph.

Everything that decides the output stands in the row, so that graphs of different sizes share a batch and any method may
repeat, permute or interpolate it. Aggregation is an unnormalised sum: an edge of weight 0 is a deleted edge, exactly, which
fails under mean, GCN or attention aggregation. A padded node has zero features and no edges. Several relations stand as
[A1 | A2 | X], and the mark of a root is a column of X that is never a player.

What is explained is chosen by the players: in the edge game the two directions of an edge are one player and X stays; in the
node-feature game the colours of a node are one player and A stays; in the node game a column p of presences stands last, the network
reads A_ij p_i p_j and X_i p_i, and p_i alone is the player, so that dropping a node drops its features and its edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import networkx as nx
import numpy as np
import torch
from torch import Tensor

from synthetic.graphs.terms import Players

Rows = TypeVar("Rows", Tensor, np.ndarray)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where things stand in a row (size, relations * size + colours + marked + present)."""

    size: int
    colours: int
    relations: int = 1
    marked: bool = False
    players: Players = "edges"

    @property
    def colour_columns(self) -> slice:
        """The columns that a node owns in the feature game."""
        start = self.relations * self.size
        return slice(start, start + self.colours)

    def write(
        self,
        adjacency: Tensor,  # (batch, size, relations * size)
        features: Tensor,  # (batch, size, colours + marked)
        nodes: Tensor,  # (batch,) how many nodes each graph has
    ) -> Tensor:  # (batch, size, width)
        """Write graphs as rows."""
        parts = [adjacency, features]
        if self.players == "nodes":
            parts.append((torch.arange(self.size) < nodes.unsqueeze(1)).unsqueeze(2).double())
        return torch.cat(parts, 2)

    def read(
        self,
        rows: np.ndarray,  # (batch, size, width)
    ) -> tuple[np.ndarray, np.ndarray]:  # (batch, size, relations * size), (batch, size, colours + marked)
        """Read rows, with what a node that is not there would have taken out.

        Raises:
            ValueError: if a row is no graph: A not symmetric, a loop, or a number that is neither 0 nor 1.
        """
        a, x = np.asarray(rows)[..., : self.relations * self.size], np.asarray(rows)[..., self.relations * self.size :]
        if self.players == "nodes":
            present = x[..., -1]
            a, x = a * present[:, :, None] * np.tile(present, self.relations)[:, None], x[..., :-1] * present[:, :, None]
        for relation in range(self.relations):
            _require_graphs(a[..., relation * self.size : (relation + 1) * self.size], x)
        return a, x

    def cut(
        self,
        inputs: Tensor,  # (batch, size, width)
        numbers: Tensor,  # (batch, size, size) int64, the number of each edge, -1 for none
        nodes: Tensor,  # (batch,)
    ) -> tuple[Tensor, Tensor]:  # baseline, feature_mask, both like inputs
        """The players: baseline 0 at what they own, and the owner of each entry, -1 for none."""
        owner = torch.full(inputs.shape, -1, dtype=torch.int64)
        if self.players == "edges":
            there = inputs[..., : self.relations * self.size] != 0
            owner[..., : self.relations * self.size] = torch.where(there, numbers.repeat(1, 1, self.relations), -1)
        else:
            place = torch.arange(self.size)
            columns = self.colour_columns if self.players == "features" else slice(-1, None)
            owner[..., columns] = torch.where(place < nodes.unsqueeze(1), place, -1).unsqueeze(2)
        return torch.where(owner >= 0, 0.0, inputs), owner


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
    require_one_colour(features)
    graphs = []
    for a, x in zip(adjacency, features, strict=True):
        graph = nx.Graph()
        graph.add_nodes_from((node, {"colour": colour}) for node, colour in np.argwhere(x).tolist())
        graph.add_edges_from(np.argwhere(np.triu(a)).tolist())
        graphs.append(graph)
    return graphs


def require_one_colour(
    features: np.ndarray,  # (batch, size, colours)
) -> None:
    """Refuse a node of two colours.

    Raises:
        ValueError: if X is not one-hot or zero at some node.
    """
    most = features.sum(-1).max(initial=0)
    if most > 1:
        raise ValueError(f"in this world a node has one colour: X is one-hot or zero at each node (got {int(most)} colours at one node)")


def _require_graphs(adjacency: np.ndarray, features: np.ndarray) -> None:
    binary = all(((half == 0) | (half == 1)).all() for half in (adjacency, features))
    simple = (adjacency == adjacency.swapaxes(1, 2)).all() and not adjacency.diagonal(axis1=1, axis2=2).any()
    if not (binary and simple):
        values = [np.unique(half)[:4].tolist() for half in (adjacency, features)]
        raise ValueError(
            "the specification counts in graphs: A symmetric with entries 0 or 1 and a zero diagonal, X of zeros and ones "
            f"(got values {values[0]} in A, {values[1]} in X, symmetric and without loops: {bool(simple)})"
        )
