"""The same network twice: on dense rows for methods that know nothing of graphs, and sparse for explainers that know nothing else.

torch-geometric is imported when a twin is asked for, not before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


def sparse_twin(network: nn.Module) -> tuple[nn.Module, Callable[[Tensor], Any]]:
    """Return the torch-geometric twin of a dense network, and the function from one row to its `torch_geometric.data.Data`.

    The module is a fresh copy at every call, because explainers leave state behind; its `forward(x, edge_index, edge_weight=None,
    batch=None)` returns (graphs, outputs), equal to the dense network's output on the row that the data was made from.

    Raises:
        TypeError: if there is no twin of this network.
    """
    from synthetic.graphs.layers import GraphNetwork
    from synthetic.graphs.networks import GateNetwork, MessageNetwork
    from synthetic.graphs.sparse import SparseGate, SparseMessage, to_data
    from synthetic.graphs.sparse_layers import SparseNetwork

    if isinstance(network, MessageNetwork):
        return SparseMessage(network).eval(), to_data
    if isinstance(network, GraphNetwork):
        return SparseNetwork(network).eval(), to_data
    if isinstance(network, GateNetwork):
        return SparseGate(network).eval(), to_data
    raise TypeError(f"a twin exists of a GraphNetwork, a MessageNetwork or a GateNetwork (got {type(network).__name__})")
