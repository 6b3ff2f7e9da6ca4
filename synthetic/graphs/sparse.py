"""The graph networks as torch-geometric message passing, with the weights of their dense forms.

Aggregation is a plain sum, so that an explainer's edge mask, an edge weight of 0 and a removed edge are one and the same; under
degree normalisation they are three things. The first argument of every method is called `self`, because torch-geometric reads the
source text of its subclasses. Besides `sparse_layers`, this is the one module here that imports torch-geometric.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import MessagePassing, global_add_pool

from synthetic.graphs.block import halves
from synthetic.graphs.networks import GateNetwork, MessageNetwork


class SparseMessage(MessagePassing):  # type: ignore[misc]  # torch-geometric ships no types
    """Σ_i [ r·x_i + Σ_{j→i} w_ji relu(p·x_i + q·x_j + c) ] per graph."""

    def __init__(self, network: MessageNetwork) -> None:
        super().__init__(aggr="sum")
        self.receiver = copy.deepcopy(network.receiver)
        self.sender = copy.deepcopy(network.sender)
        self.relu = nn.ReLU()
        self.root = copy.deepcopy(network.root)

    def forward(
        self,
        x: Tensor,  # (nodes, colours)
        edge_index: Tensor,  # (2, directed edges)
        edge_weight: Tensor | None = None,  # (directed edges,), ones if None
        batch: Tensor | None = None,  # (nodes,), the graph of each node, one graph if None
    ) -> Tensor:  # (graphs, 1)
        """Return the output of each graph."""
        weight = _ones(edge_weight, edge_index, x)
        heard = self.propagate(edge_index, receiver=self.receiver(x), sender=self.sender(x), edge_weight=weight)
        return _pool(self.root(x) + heard, batch)

    def message(self, receiver_i: Tensor, sender_j: Tensor, edge_weight: Tensor) -> Tensor:
        """Return what each directed edge carries, (directed edges, 1)."""
        sent: Tensor = edge_weight.unsqueeze(1) * self.relu(receiver_i + sender_j)
        return sent


class SparseGate(MessagePassing):  # type: ignore[misc]  # torch-geometric ships no types
    """Σ_i [ relu(n_i + e b_i - M (1 - b_i)) - e b_i ] per graph, n_i = Σ_{j→i} w_ji q·x_j."""

    def __init__(self, network: GateNetwork) -> None:
        super().__init__(aggr="sum")
        self.sender = copy.deepcopy(network.sender)
        self.gate = copy.deepcopy(network.gate)
        self.relu = nn.ReLU()
        self.correction = copy.deepcopy(network.correction)

    def forward(
        self,
        x: Tensor,  # (nodes, colours)
        edge_index: Tensor,  # (2, directed edges)
        edge_weight: Tensor | None = None,  # (directed edges,), ones if None
        batch: Tensor | None = None,  # (nodes,), the graph of each node, one graph if None
    ) -> Tensor:  # (graphs, 1)
        """Return the output of each graph."""
        heard = self.propagate(edge_index, sender=self.sender(x), edge_weight=_ones(edge_weight, edge_index, x))
        return _pool(self.relu(heard + self.gate(x)) + self.correction(x), batch)

    def message(self, sender_j: Tensor, edge_weight: Tensor) -> Tensor:
        """Return what each directed edge carries, (directed edges, 1)."""
        return edge_weight.unsqueeze(1) * sender_j


def to_data(
    row: Tensor,  # (size, size + colours)
) -> Data:
    """Return a row as `Data`: x, edge_index, edge_weight, and `position`, the place of each node in the row.

    Column e and column e + E of `edge_index` are the two directions of undirected edge e, in the order of the upper triangle of A;
    the weight of j→i is A_ij. Padding (no features, no edges) is left out, but never the last node, since a graph must have one.

    Raises:
        ValueError: if `row` is a batch; a batch is `torch_geometric.data.Batch.from_data_list` of its rows.
    """
    if row.dim() != 2:
        raise ValueError(f"one row (size, size + colours) becomes one Data; convert a batch row by row (got {tuple(row.shape)})")
    adjacency, features = halves(row)
    linked = (adjacency != 0) | (adjacency.T != 0)
    present = linked.any(1) | (features != 0).any(1)
    present[0] |= ~present.any()
    position = present.nonzero().squeeze(1)
    upper = linked[position][:, position].triu().nonzero().T
    edge_index = torch.cat([upper, upper.flip(0)], 1)
    source, receiver = position[edge_index]
    return Data(x=features[position], edge_index=edge_index, edge_weight=adjacency[receiver, source], position=position)


def _ones(edge_weight: Tensor | None, edge_index: Tensor, x: Tensor) -> Tensor:
    return x.new_ones(edge_index.shape[1]) if edge_weight is None else edge_weight


def _pool(nodes: Tensor, batch: Tensor | None) -> Tensor:
    pooled: Tensor = global_add_pool(nodes, batch)
    return pooled
