"""Attention as an explanation of edges: how much of what a node hears comes over each edge, read while the network runs.

An attention is a softmax over neighbours, or one that is spelt out: a quotient whose denominator sums over neighbours. Of the first the
result is the coefficients. Of the second, den_i = c + Σ_j A_ij s_j, the coefficient is A_ij s_j / den_i, which is the elasticity
A_ij ∂ log den_i / ∂ A_ij, with what is summed held fixed. So no layer has to have a name, and nothing is attached to the network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from attrlab.errors import NotApplicable
from attrlab.games.game import Model
from attrlab.methods.graph_rows import entries_of, graph_players, player_masks, require_blocks

_PRODUCTS = frozenset({"matmul", "bmm", "__matmul__"})
_QUOTIENTS = frozenset({"div", "true_divide", "__truediv__"})


class _Looks(TorchFunctionMode):
    """Note every softmax over neighbours and every denominator, with the summands of a sum over neighbours held fixed."""

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__()
        self._rows, self._nodes = shape
        self.coefficients: list[Tensor] = []
        self.denominators: list[Tensor] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call through; see the class."""
        del types
        name, pair = getattr(func, "__name__", ""), self._nodes
        if name in _PRODUCTS and len(args) == 2 and tuple(args[0].shape) == (self._rows, pair, pair):
            args = (args[0], args[1].detach())
        result = func(*args, **(kwargs or {}))
        if name == "softmax" and result.dim() > 2 and result.shape[0] == self._rows and tuple(result.shape[-2:]) == (pair, pair):
            self.coefficients.append(result)
        if name in _QUOTIENTS and isinstance(args[1], Tensor) and tuple(args[1].shape) == (self._rows, pair, 1):
            self.denominators.append(args[1])
        return result


def attention_readout(
    model: Model,
    inputs: Tensor,  # (batch, nodes, nodes + columns)
    *,
    feature_mask: Tensor,  # (batch, nodes, nodes + columns) int64, -1 for none
) -> Tensor:  # (batch, nodes, nodes + columns), in the dtype of inputs
    """The attention on each edge: the maximum over heads, the mean over layers.

    A(j → i) = mean_l max_h α^l,h_ij, α the coefficient with which node i hears node j. A node as a player gets the attention that it
    receives, Σ_i A(j → i).

    Args:
        model: maps (rows, nodes, width) to (rows, outputs); heads stand between rows and nodes, (rows, heads, nodes, nodes).
        inputs: rows [A | X].
        feature_mask: the player of each entry.

    Returns:
        For an edge the mean over its entries, for a node what it receives, both spread over the player's entries. Attention is blind to
        which output is asked about, and to the sign of what is heard.

    Raises:
        NotApplicable: if rows are no blocks [A | X], or the network has no attention.

    Reference:
        Veličković et al. (2018), "Graph attention networks", equation 3; read out as by torch-geometric's AttentionExplainer.

    Differs from the library in: layers are averaged, where it takes their maximum; an attention that is spelt out counts as well.
    """
    require_blocks(inputs)
    nodes = inputs.shape[1]
    layers = _layers(model, inputs)
    if not layers:
        raise NotApplicable(
            "the network has no softmax over neighbours and no quotient by a sum over neighbours, so it has no attention; a graph "
            "attention layer makes it apply"
        )
    attention = torch.stack(layers).mean(0)
    players = graph_players(feature_mask)
    edge = player_masks(feature_mask, players.edges)
    over_edges = attention.repeat(1, 1, -(-inputs.shape[2] // nodes))[..., : inputs.shape[2]]
    received = attention.sum(1).unsqueeze(2)
    return (torch.where(edge, over_edges, received) / entries_of(players, feature_mask)).masked_fill(feature_mask < 0, 0)


def _layers(model: Model, inputs: Tensor) -> list[Tensor]:
    """The coefficients of each layer, (batch, nodes, nodes), the maximum over its heads."""
    nodes = inputs.shape[1]
    found: list[Tensor] = []
    with torch.enable_grad():
        point = inputs.detach().clone().requires_grad_()
        with _Looks((len(inputs), nodes)) as looks:
            model(point)
        for denominator in looks.denominators:
            slope = torch.autograd.grad(denominator.log().sum(), point, retain_graph=True, allow_unused=True)[0]
            if slope is not None:
                found.append((inputs * slope)[..., :nodes])
    return found + [result.detach().flatten(1, -3).amax(1) if result.dim() > 3 else result.detach() for result in looks.coefficients]
