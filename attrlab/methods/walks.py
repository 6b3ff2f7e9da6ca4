"""GNN-LRP: what a network says is a sum over walks on the graph, and an edge is worth its share of the walks that take it.

With every ReLU held as open or shut as the row left it, a message-passing network is a polynomial in its edges, each of whose terms is
one walk from an input through edges to the output. The share of a term's factors, which divides a walk of k edges evenly among them, is the
integral ∫ ∂F(t A) A dt, since ∫ t^(k-1) dt = 1/k: so all walks are added up, exponentially many, by a few gradients, exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.games.game import Model
from attrlab.methods.graph_rows import require_blocks
from attrlab.methods.operations import AFFINE, PRODUCTS, outputs_at, require_rows_alone

NODES = 8
"""Gauss-Legendre nodes: exact for walks of up to 16 factors."""

_RELU = frozenset({"relu", "relu_"})
_AGGREGATIONS = frozenset({"matmul", "bmm", "__matmul__"})


class Frozen(TorchFunctionMode):
    """The network with every ReLU as the first pass left it: the first pass records, later ones replay, each row with its own gates.

    Linear calls are replayed with weights w + gamma w⁺, scaled so that at the recorded row each gives what it gave: LRP-gamma.
    """

    def __init__(self, gamma: float) -> None:
        super().__init__()
        self._gamma = gamma
        self._kept: list[tuple[Tensor, ...]] = []
        self._place: int | None = None  # None while it records
        self.aggregations = 0
        self.masks: list[Tensor] = []

    def outputs(
        self,
        model: Model,
        rows: Tensor,  # (batch, nodes, width)
        target: Tensor,  # (batch,)
    ) -> Tensor:  # (batch,)
        """The explained outputs: the first call records, all others replay on rows in the same order."""
        self._place, self.aggregations = (0 if self._kept else None), 0
        with self:
            found = model(rows)
        return outputs_at(lambda _: found, rows, target)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call through, or replay what was recorded."""
        del types
        name, kwargs = getattr(func, "__name__", str(func)), kwargs or {}
        if name in _RELU:
            gate = self._recall(lambda: ((args[0] > 0).to(args[0].dtype),))[0]
            return args[0].mul_(gate) if name == "relu_" or True in (*args[1:], *kwargs.values()) else args[0] * gate
        if name == "linear" and self._gamma:
            return self._linear(func, *args, **kwargs)
        if name in _AGGREGATIONS and _is_adjacency(args[0]) and self.masks:
            args = (args[0] * self.masks[self.aggregations], *args[1:])
        if name in _AGGREGATIONS and _is_adjacency(args[0]):
            self.aggregations += 1
        if (name not in AFFINE and name not in PRODUCTS) or (name.strip("_") in ("div", "truediv", "itruediv") and _varies(args[1])):
            raise NotApplicable(
                f"the network calls {name!r}, after which what it says is no sum over walks; a network of sums over neighbours, "
                f"linear maps and ReLUs makes it apply"
            )
        return func(*args, **kwargs)

    def _linear(self, func: Callable[..., Any], x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        leaning = weight + self._gamma * weight.clamp(min=0)
        offset = None if bias is None else bias + self._gamma * bias.clamp(min=0)
        drawn: Tensor = func(x, leaning, offset)

        def scaled() -> tuple[Tensor, ...]:
            plain = func(x, weight, bias).detach()
            ratio = torch.where(drawn == 0, 0, plain / torch.where(drawn == 0, 1, drawn)).detach()
            return ratio, plain - ratio * drawn.detach()

        ratio, rest = self._recall(scaled)
        return drawn * ratio + rest

    def _recall(self, make: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """What was recorded at this place of the forward pass, or record it."""
        if self._place is None:
            self._kept.append(make())
            return self._kept[-1]
        self._place += 1
        return self._kept[self._place - 1]


def gnn_lrp(
    model: Model,
    inputs: Tensor,  # (batch, nodes, nodes + columns)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, nodes, nodes + columns)
    feature_mask: Tensor,  # (batch, nodes, nodes + columns) int64, -1 for none
    gamma: float = 0.0,
) -> Tensor:  # (batch, nodes, nodes + columns), in the dtype of inputs
    """GNN-LRP, gathered: the relevance of all walks, each divided evenly among the players that it takes.

    F is the network with its ReLUs held; A = (x - x') ∫₀¹ ∂F(x' + t (x - x')) dt. In an edge game every walk is divided among its
    edges; in a feature game among the features that it starts from. Scores sum to F(x) - F(x'), and F(x) = f(x).

    Args:
        model: maps (rows, nodes, width) to (rows, outputs).
        inputs: rows [A | X].
        target: which output of each row.
        baseline: the value of what is absent; 0 at edges, in the paper.
        feature_mask: the player of each entry; entries of none get 0.
        gamma: how much positive weights are preferred in linear maps; 0 is LRP-0, for which a walk's relevance is the higher-order
            derivative by its edges, times them.

    Returns:
        Scores in units of the output.

    Raises:
        InvalidInput: if gamma is negative.
        NotApplicable: if rows are no blocks [A | X], or the network is no sum over walks once its ReLUs are held.

    Reference:
        Schnake, Eberle, Lederer, Nakajima, Schütt, Müller, Montavon (2022), "Higher-order explanations of graph neural networks via
        relevant walks", equations 5 to 9.

    Differs from the paper in: walks that start at a bias count as walks, so that nothing is absorbed; gamma is the same in all layers.
    """
    if not gamma >= 0:
        raise InvalidInput(f"gamma is at least 0; 0 is LRP-0 (got {gamma!r})")
    require_blocks(inputs)
    require_rows_alone(model)
    frozen, there = _record(model, inputs, target, gamma)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    scores = torch.zeros_like(inputs)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        scores += float(weight) * _slope(frozen, model, torch.lerp(baseline, inputs, float(node)), target)
    scores = (scores * (inputs - baseline)).masked_fill(feature_mask < 0, 0)
    with torch.no_grad():
        away = frozen.outputs(model, baseline, target)
    _require_sum(scores.flatten(1).sum(1), there - away, there, inputs.dtype)
    return scores


def walk_relevance(
    model: Model,
    inputs: Tensor,  # (batch, nodes, nodes + columns)
    *,
    target: Tensor,  # (batch,) int64
    walks: Tensor,  # (batch, steps + 1) int64, the nodes of one walk per row, from the input to the output
    gamma: float = 0.0,
) -> Tensor:  # (batch,)
    """The relevance of one walk per row: of one edge in each of the network's sums over neighbours, in the order in which they are taken.

    R_W = ∂^L F / ∂A¹[w_1, w_0] ... ∂A^L[w_L, w_L-1] · Π A, the mixed derivative of the held network by the adjacency of each layer,
    which is taken exactly from 2^L values, as F is linear in each.

    Raises:
        InvalidInput: if walks do not have one node more than the network has sums over neighbours.
        NotApplicable: as `gnn_lrp`.

    Reference:
        Schnake et al. (2022), equations 5 and 6.
    """
    require_blocks(inputs)
    frozen, _ = _record(model, inputs, target, gamma)
    steps, size = frozen.aggregations, inputs.shape[1]
    if walks.shape != (len(inputs), steps + 1):
        raise InvalidInput(
            f"the network sums over neighbours {steps} times, so walks is (batch, {steps + 1}) nodes (got {tuple(walks.shape)})"
        )
    taken = torch.zeros(steps, len(inputs), size, size, dtype=inputs.dtype, device=inputs.device)
    for step in range(steps):
        taken[step, torch.arange(len(inputs)), walks[:, step + 1], walks[:, step]] = 1
    total = inputs.new_zeros(len(inputs))
    for count in range(steps + 1):
        for chosen in combinations(range(steps), count):
            frozen.masks = [taken[step] if step in chosen else torch.zeros_like(taken[step]) for step in range(steps)]
            with torch.no_grad():
                total += (-1) ** (steps - count) * frozen.outputs(model, inputs, target)
    return total


def _record(model: Model, inputs: Tensor, target: Tensor, gamma: float) -> tuple[Frozen, Tensor]:
    frozen = Frozen(gamma)
    with torch.no_grad():
        there = frozen.outputs(model, inputs, target)
    return frozen, there


def _slope(frozen: Frozen, model: Model, rows: Tensor, target: Tensor) -> Tensor:
    with torch.enable_grad():
        point = rows.detach().clone().requires_grad_()
        total = frozen.outputs(model, point, target).sum()
        slope = torch.autograd.grad(total, point, allow_unused=True)[0] if total.requires_grad else None
    return torch.zeros_like(rows) if slope is None else slope


def _require_sum(found: Tensor, wanted: Tensor, output: Tensor, dtype: torch.dtype) -> None:
    """Refuse a network that is no polynomial of the degree that is integrated exactly."""
    bound = torch.finfo(dtype).eps ** 0.5 * (1 + output.abs() + wanted.abs())
    if not bool(((found - wanted).abs() <= bound).all()):
        worst = float((found - wanted).abs().max())
        raise NotApplicable(
            f"with its ReLUs held, the network is no sum over walks of at most {2 * NODES} factors; integrated_gradients does not need "
            f"it to be (got a gap of {worst:.3g})"
        )


def _is_adjacency(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dim() == 3 and value.shape[1] == value.shape[2]


def _varies(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dim() > 0
