"""The few layers that message passing on dense rows is made of, and that a sparse twin replaces one for one.

A network is written once, as `compute(graph, X)`, over layers that alone look into `graph`: on dense rows it is A. So the dense network
and its torch-geometric twin share every weight and every line but these. Each aggregation is a layer of its own, because
explainers put one mask on each.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from synthetic.gadgets import Product, linear
from synthetic.graphs.block import halves


class Aggregate(nn.Module):
    """Σ_j A_ij h_j: the unnormalised sum over neighbours, (..., n, n) and (..., n, width) -> (..., n, width)."""

    def forward(self, graph: Tensor, hidden: Tensor) -> Tensor:
        """Return the weighted sum over neighbours."""
        return graph @ hidden


class Meet(nn.Module):
    """Σ_j A_ij relu(r_i + s_j): what arrives if a message fires only where receiver and sender agree, (..., n, width) each."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.weigh = Product()

    def forward(self, graph: Tensor, receiver: Tensor, sender: Tensor) -> Tensor:
        """Return the weighted sum of the messages of all neighbours."""
        message = self.relu(receiver.unsqueeze(-2) + sender.unsqueeze(-3))
        heard: Tensor = self.weigh(graph.unsqueeze(-1), message).sum(-2)
        return heard


class Pool(nn.Module):
    """Σ_i h_i: the sum over the nodes of a graph, (..., n, width) -> (..., width)."""

    def forward(self, graph: Tensor, hidden: Tensor) -> Tensor:
        """Return the sum over nodes."""
        del graph
        return hidden.sum(-2)


class AtRoot(nn.Module):
    """Σ_i h_i mark_i: what stands at the marked node, where the mark is the last column of X."""

    def __init__(self) -> None:
        super().__init__()
        self.mark = Product()
        self.pool = Pool()

    def forward(self, graph: Tensor, hidden: Tensor, features: Tensor) -> Tensor:
        """Return the hidden state of the root, (..., width)."""
        state: Tensor = self.pool(graph, self.mark(hidden, features[..., -1:]))
        return state


class Share(nn.Module):
    """h / k: an exact division of a multiple of k, which a weight 1/k would not be."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the k-th part."""
        return hidden / self.k


class GraphNetwork(nn.Module):
    """A network on rows [A | X], (batch, n, n + columns) -> (batch, outputs), that reads A through its layers alone."""

    def forward(self, rows: Tensor) -> Tensor:
        """Return f of each row."""
        return self.compute(*halves(rows))

    def compute(self, graph: Any, features: Tensor) -> Tensor:
        """Return f of each graph: `graph` is A for the layers above, and what a sparse twin's layers read for those.

        Raises:
            NotImplementedError: if the network does not say what it computes.
        """
        raise NotImplementedError(f"{type(self).__name__} computes nothing (got graph of type {type(graph).__name__})")


class Dropping(nn.Module):
    """g(A_ij p_i p_j, X_i p_i) on rows [A | X | p]: a node that is not there takes its features and its edges with it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.receivers, self.senders, self.owners = Product(), Product(), Product()

    def forward(self, rows: Tensor) -> Tensor:
        """Return g of what is there."""
        adjacency, features = halves(rows)
        present = features[..., -1:]
        kept = self.senders(self.receivers(adjacency, present), present.transpose(-1, -2))
        output: Tensor = self.network(torch.cat([kept, self.owners(features[..., :-1], present)], -1))
        return output


def select(columns: dict[int, float], width: int, *, offset: float | None = None) -> nn.Linear:
    """One linear unit that reads these columns of `width`, with these weights, plus an offset."""
    weights = [columns.get(column, 0.0) for column in range(width)]
    return linear([weights], None if offset is None else [offset])
