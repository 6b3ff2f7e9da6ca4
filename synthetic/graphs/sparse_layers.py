"""The layers of a graph network as torch-geometric message passing, and the twin that is built by exchanging them.

Every aggregation is a `MessagePassing` layer with a plain sum, so that an explainer's edge mask, an edge weight of 0 and a removed edge are
one and the same. The first argument of every method is called `self`, because torch-geometric reads the source text of its
subclasses. Besides `sparse`, this is the one module here that imports torch-geometric.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

from torch import Tensor, nn
from torch_geometric.nn import MessagePassing, global_add_pool

from synthetic.graphs.layers import Aggregate, GraphNetwork, Meet, Pool


class SparseGraph(NamedTuple):
    """What the sparse layers read."""

    edge_index: Tensor  # (2, directed edges)
    edge_weight: Tensor  # (directed edges,)
    batch: Tensor | None  # (nodes,), the graph of each node


class SparseAggregate(MessagePassing):  # type: ignore[misc]  # torch-geometric ships no types
    """Σ_{j→i} w_ji h_j."""

    def __init__(self) -> None:
        super().__init__(aggr="sum")

    def forward(self, graph: SparseGraph, hidden: Tensor) -> Tensor:
        """Return the weighted sum over neighbours."""
        heard: Tensor = self.propagate(graph.edge_index, hidden=hidden, edge_weight=graph.edge_weight)
        return heard

    def message(self, hidden_j: Tensor, edge_weight: Tensor) -> Tensor:
        """Return what each directed edge carries."""
        return edge_weight.unsqueeze(1) * hidden_j


class SparseMeet(MessagePassing):  # type: ignore[misc]  # torch-geometric ships no types
    """Σ_{j→i} w_ji relu(r_i + s_j)."""

    def __init__(self) -> None:
        super().__init__(aggr="sum")
        self.relu = nn.ReLU()

    def forward(self, graph: SparseGraph, receiver: Tensor, sender: Tensor) -> Tensor:
        """Return the weighted sum of the messages of all neighbours."""
        heard: Tensor = self.propagate(graph.edge_index, receiver=receiver, sender=sender, edge_weight=graph.edge_weight)
        return heard

    def message(self, receiver_i: Tensor, sender_j: Tensor, edge_weight: Tensor) -> Tensor:
        """Return what each directed edge carries."""
        sent: Tensor = edge_weight.unsqueeze(1) * self.relu(receiver_i + sender_j)
        return sent


class SparsePool(nn.Module):
    """Σ_i h_i per graph."""

    def forward(self, graph: SparseGraph, hidden: Tensor) -> Tensor:
        """Return the sum over the nodes of each graph."""
        pooled: Tensor = global_add_pool(hidden, graph.batch)
        return pooled


class SparseNetwork(nn.Module):
    """A graph network over sparse layers, with the signature that torch-geometric's explainers call."""

    def __init__(self, network: GraphNetwork) -> None:
        super().__init__()
        self.network = copy.deepcopy(network)
        _exchange(self.network)

    def forward(
        self,
        x: Tensor,  # (nodes, columns)
        edge_index: Tensor,  # (2, directed edges)
        edge_weight: Tensor | None = None,  # (directed edges,), ones if None
        batch: Tensor | None = None,  # (nodes,), the graph of each node, one graph if None
    ) -> Tensor:  # (graphs, outputs)
        """Return the output of each graph."""
        weight = x.new_ones(edge_index.shape[1]) if edge_weight is None else edge_weight
        return self.network.compute(SparseGraph(edge_index, weight, batch), x)


_TWINS: dict[type[nn.Module], type[nn.Module]] = {Aggregate: SparseAggregate, Meet: SparseMeet, Pool: SparsePool}


def _exchange(module: nn.Module) -> None:
    for name, child in module.named_children():
        if type(child) in _TWINS:
            setattr(module, name, _TWINS[type(child)]())
        else:
            _exchange(child)
