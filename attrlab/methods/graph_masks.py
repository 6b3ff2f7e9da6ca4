"""GNNExplainer on a batch: each graph's mask is a problem of its own, and a thousand of them are solved in one pass.

The loss is summed over graphs and every regulariser is taken within a graph, so that, Adam working elementwise, each mask follows the
trajectory it would have alone. Dividing anything by the batch would couple them: an explainer called on a union of graphs has its
prediction term averaged and its size term summed, and explains something else. The gradient of the regularisers is written out,
since d/dm [entropy of sigmoid(m)] = -m sigmoid'(m); only the network is differentiated.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from attrlab.errors import InvalidInput
from attrlab.games.game import Model
from attrlab.methods.graph_rows import entries_of, graph_players, player_masks, present_nodes
from attrlab.methods.operations import outputs_at
from attrlab.randomness import row_uniform

BETA, EPSILON = (0.9, 0.999), 1e-8
"""Adam's constants (Kingma and Ba, 2015), as torch has them."""


@dataclass(frozen=True, kw_only=True)
class Masks:
    """Who shares a mask: entries are the owned ones of all rows, one after another, and so are masks.

    Attributes:
        entries: place of each owned entry in the flattened rows.
        mask: which mask an entry is multiplied by.
        slots: the entries of each mask, as places in `entries`; len(entries) where it has fewer than the largest.
        row: the row of each mask.
        edge: whether it is the mask of an edge, or of a node or a feature.
        number: of each mask within its row, which no other row changes.
    """

    entries: Tensor  # (entries,) int64
    mask: Tensor  # (entries,) int64
    slots: Tensor  # (masks, most entries) int64
    row: Tensor  # (masks,) int64
    edge: Tensor  # (masks,) bool
    number: Tensor  # (masks,) int64


@dataclass(frozen=True, kw_only=True)
class Penalties:
    """Coefficients of size and entropy; sizes of edges are summed, sizes of features averaged, entropies averaged."""

    edge_size: float
    edge_entropy: float
    feature_size: float
    feature_entropy: float


def gnn_explainer(
    model: Model,
    inputs: Tensor,  # (batch, nodes, nodes + columns)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, nodes, nodes + columns)
    feature_mask: Tensor,  # (batch, nodes, nodes + columns) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    epochs: int = 100,
    lr: float = 0.01,
    edge_size: float = 0.005,
    edge_entropy: float = 1.0,
    feature_size: float = 1.0,
    feature_entropy: float = 0.1,
    start: float = 0.0,
    symmetric: bool = True,
) -> Tensor:  # (batch, nodes, nodes + columns), in the dtype of inputs
    """GNNExplainer: a mask s = sigmoid(m) per player, found by gradient descent, under which the prediction stays.

    min_m  L(f(x' + s (x - x'))) + c_1 Σ s + c_2 mean H(s), H the binary entropy and the sums over entries of players. L is -log
    softmax(f)[target] where the network has several outputs, and (f - f(x))^2 where it has one. Masks whose gradient is exactly 0 in
    the first step are 0 for good ("hard mask"), and only the others are penalised, from the second step on.

    Args:
        model: maps (rows, nodes, width) to (rows, outputs).
        inputs: rows [A | X].
        target: which output of each row.
        baseline: the value of what is masked out; 0 at edges, in the paper.
        feature_mask: the player of each entry; edges, features or nodes, each with a mask of its own.
        seeds: of the noise that m starts from, with standard deviation sqrt(2 / nodes) at edges and 0.1 at features.
        epochs: steps of Adam.
        lr: its step size.
        edge_size: c_1 of edges, of the sum.
        edge_entropy: c_2 of edges.
        feature_size: c_1 of nodes and features, of the mean.
        feature_entropy: c_2 of nodes and features.
        start: the mean of m at the start; 0 makes masks of 1/2, which shut ANDs and saturate ORs.
        symmetric: whether the entries of a player share a mask, or each entry has its own, as in torch-geometric.

    Returns:
        The mask of each player in [0, 1), spread evenly over its entries; with symmetric=False the mean of its entries' masks.

    Raises:
        InvalidInput: if epochs < 1 or lr <= 0.
        NotApplicable: if rows are no blocks [A | X].

    Reference:
        Ying, Bourgeois, You, Zitnik, Leskovec (2019), "GNNExplainer", equations 5 to 7, with the coefficients, the hard mask and the
        squared loss of torch-geometric 2.8.

    Differs from the paper in: no Laplacian term; the step is 0.01 as in torch-geometric (the authors' script: 0.1); prediction is
        of a whole graph, so that no computation graph is cut out.

    Example:
        >>> rows = torch.tensor([[[0.0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 0]]])  # 0 - 1 - 2, and x = (1, 0, 0)
        >>> heard = lambda r: (r[..., :3] @ r[..., 3:]).sum((1, 2)).unsqueeze(1)  # edge 0 - 1 alone matters
        >>> players = torch.tensor([[[-1, 0, -1, -1], [0, -1, 1, -1], [-1, 1, -1, -1]]])
        >>> scores = gnn_explainer(heard, rows, target=torch.tensor([0]), baseline=torch.where(players < 0, rows, 0.0),
        ...     feature_mask=players, seeds=torch.tensor([0]))
        >>> bool(scores[0, 0, 1] > 0.3), scores[0, 1, 2].item()
        (True, 0.0)
    """
    _require_steps(epochs, lr)
    masks = lay_masks(feature_mask, symmetric=symmetric)
    logits = start + _noise(masks, inputs, seeds, feature_mask)
    penalties = Penalties(edge_size=edge_size, edge_entropy=edge_entropy, feature_size=feature_size, feature_entropy=feature_entropy)
    found = optimise(model, inputs, baseline, target, masks, logits, penalties, epochs=epochs, lr=lr)
    shares = entries_of(graph_players(feature_mask), feature_mask).flatten()
    scores = inputs.new_zeros(inputs.numel())
    scores[masks.entries] = found[masks.mask] / shares[masks.entries]
    return scores.view(inputs.shape)


def lay_masks(
    feature_mask: Tensor,  # (batch, nodes, width) int64
    *,
    symmetric: bool,
) -> Masks:
    """Give every player a mask, or every entry of a player one of its own."""
    players, size = graph_players(feature_mask), feature_mask[0].numel() if len(feature_mask) else 0
    flat = feature_mask.flatten()
    entries = (flat >= 0).nonzero().squeeze(1)
    row = entries // max(size, 1)
    number = flat[entries] if symmetric else entries % max(size, 1)
    label = row * max(size, players.count, 1) + number
    found, mask = torch.unique(label, return_inverse=True)
    order = mask.argsort(stable=True)
    sizes = torch.bincount(mask, minlength=len(found))
    first = sizes.cumsum(0) - sizes
    slots = torch.full((len(found), int(sizes.max()) if len(found) else 0), len(entries), device=flat.device)
    slots[mask[order], torch.arange(len(order), device=flat.device) - first[mask[order]]] = order
    edge = player_masks(feature_mask, players.edges).flatten()[entries]
    leader = slots[:, 0] if len(found) else order
    return Masks(entries=entries, mask=mask, slots=slots, row=row[leader], edge=edge[leader], number=number[leader])


def optimise(
    model: Model,
    inputs: Tensor,  # (batch, nodes, width)
    baseline: Tensor,  # (batch, nodes, width)
    target: Tensor,  # (batch,)
    masks: Masks,
    logits: Tensor,  # (masks,), where m starts
    penalties: Penalties,
    *,
    epochs: int,
    lr: float,
) -> Tensor:  # (masks,)
    """Run Adam on all masks at once and return sigmoid(m), 0 where the first gradient was exactly 0."""
    logits, first, second = logits.clone(), torch.zeros_like(logits), torch.zeros_like(logits)
    scale = (inputs - baseline).flatten()[masks.entries]
    floor = baseline.flatten()[masks.entries]
    with torch.no_grad():
        wanted = outputs_at(model, inputs, target)
    size = entropy = torch.zeros_like(logits)
    hard = torch.zeros_like(logits, dtype=torch.bool)
    for epoch in range(1, epochs + 1):
        kept = logits.sigmoid()
        rows = baseline.flatten().index_copy(0, masks.entries, floor + kept[masks.mask] * scale).view(inputs.shape)
        slope = _slope(model, rows, target, wanted).flatten()[masks.entries] * scale
        slope = functional.pad(slope, (0, 1))[masks.slots].sum(1)
        step = (slope + size - entropy * logits) * kept * (1 - kept)
        if epoch == 1:
            hard = step != 0
            size, entropy = _penalty_slopes(masks, hard, penalties, len(inputs), logits.dtype)
        first.lerp_(step, 1 - BETA[0])
        second.mul_(BETA[1]).addcmul_(step, step, value=1 - BETA[1])
        size_of_step = second.sqrt().div_((1 - BETA[1] ** epoch) ** 0.5).add_(EPSILON)
        logits.addcdiv_(first, size_of_step, value=-lr / (1 - BETA[0] ** epoch))
    return torch.where(hard, logits.sigmoid(), 0)


def prediction_loss(
    outputs: Tensor,  # (rows, outputs)
    target: Tensor,  # (rows,)
    wanted: Tensor,  # (rows,), f(x)[target]
) -> Tensor:  # (rows,)
    """How far a masked prediction is off: -log softmax(f)[target], or (f - f(x))^2 of a network with one output."""
    if outputs.shape[1] > 1:
        return functional.cross_entropy(outputs, target, reduction="none")
    return (outputs[:, 0] - wanted).square()


def _slope(model: Model, rows: Tensor, target: Tensor, wanted: Tensor) -> Tensor:
    """The gradient of the summed prediction loss with respect to the rows."""
    with torch.enable_grad():
        point = rows.requires_grad_()
        loss = prediction_loss(model(point), target, wanted).sum()
        slope = torch.autograd.grad(loss, point, allow_unused=True)[0] if loss.requires_grad else None
    return torch.zeros_like(rows) if slope is None else slope


def _penalty_slopes(masks: Masks, hard: Tensor, penalties: Penalties, rows: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """For each mask the derivative of its size terms by s, and the weight of its entropy; 0 where the mask is hard."""
    entries = (masks.slots < len(masks.entries)).sum(1) * hard
    kind = masks.row * 2 + masks.edge
    total = torch.zeros(rows * 2, dtype=torch.int64, device=hard.device).index_add_(0, kind, entries)[kind].clamp(min=1)
    share = (entries / total).to(dtype)
    size = torch.where(masks.edge, penalties.edge_size * entries, penalties.feature_size * share)
    return size.to(dtype), torch.where(masks.edge, penalties.edge_entropy * share, penalties.feature_entropy * share)


def _noise(masks: Masks, inputs: Tensor, seeds: Tensor, feature_mask: Tensor) -> Tensor:
    """Normal noise of each mask from the stream of its row."""
    if not len(masks.row):
        return inputs.new_zeros(0)
    drawn = row_uniform(seeds, (int(masks.number.max()) + 1,)).clamp(min=2.0**-54)
    nodes = (present_nodes(inputs) | (feature_mask >= 0).any(2)).sum(1).clamp(min=1)
    deviation = torch.where(masks.edge, (2.0 / nodes[masks.row]).sqrt(), 0.1)
    noise: Tensor = torch.special.ndtri(drawn[masks.row, masks.number]) * deviation
    return noise.to(inputs.dtype)


def _require_steps(epochs: int, lr: float) -> None:
    if not isinstance(epochs, int) or epochs < 1:
        raise InvalidInput(f"epochs is a whole number of at least 1 (got {epochs!r})")
    if not lr > 0:
        raise InvalidInput(f"lr is the step size of Adam, greater than 0 (got {lr!r})")
