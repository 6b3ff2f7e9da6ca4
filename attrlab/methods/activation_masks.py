"""A class activation map as a mask: of the input, to see what each channel alone would score, or of another method's map.

Here a map is a value at each entry, interpolated as usual, and not a score that is shared out (see `positions`).
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor

from attrlab.errors import InvalidInput
from attrlab.games.evaluate import FIRST, even_chunk, fitting
from attrlab.games.footprint import Footprint
from attrlab.games.policy import Policy, applied
from attrlab.methods.activations import Model, activation_at
from attrlab.methods.backward_rules import guided_backprop
from attrlab.methods.class_activation import channel_mean, weighted
from attrlab.methods.operations import outputs_at
from attrlab.methods.positions import at_entries, share_out


def score_cam(
    model: Model,
    inputs: Tensor,  # (batch, channels, height, width) or (batch, nodes, columns)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor | None = None,  # shaped like inputs
    feature_mask: Tensor | None = None,  # shaped like inputs, int64, -1 for none
    layer: str | None = None,
    relu: bool = False,
) -> Tensor:  # shaped like inputs
    """Score-CAM: L(p) = Σ_k α_k A_k(p), α = softmax over channels of f(x' + M_k ⊙ (x - x')) - f(x').

    The mask M_k is channel k of the layer, interpolated to the input and stretched to [0, 1] in each row.

    Args:
        model: maps rows to (batch, outputs).
        inputs: the rows that are explained; of a graph, [A | X].
        target: which output of each row.
        baseline: what a mask of 0 leaves; None for 0, as in the paper.
        feature_mask: for graphs, the player of each entry: an edge gets the mean of its end points.
        layer: dotted path of the module whose output is A; None for the last tensor with positions (see `activations`).
        relu: set negative cells to 0, as the paper does.

    Returns:
        Scores in units of the activations, since the weights of a row sum to 1: with one channel, that channel.

    Raises:
        NotApplicable: if nothing in the network has positions.
        InvalidInput: if there is no such layer.

    Example:
        >>> net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8, 1))
        >>> score_cam(net, torch.ones(1, 1, 2, 2), target=torch.tensor([0])).shape
        torch.Size([1, 1, 2, 2])

    Reference:
        Wang, Wang, Du, Yang, Zhang, Ding, Mardziel, Hu (2020), "Score-CAM", equations 4 to 7 and algorithm 1.

    Differs from the paper in: no ReLU unless asked for; logits, not probabilities; a baseline other than 0 may be given; a channel that is
        the same everywhere masks nothing and has weight 0, as in the authors' program.
    """
    at = activation_at(model, inputs, target=target, layer=layer)
    origin = torch.zeros_like(inputs) if baseline is None else baseline
    with torch.no_grad():
        increase = _increases(model, inputs, target, origin, feature_mask, at.values)
        flat = at.values.flatten(2).amax(2) == at.values.flatten(2).amin(2)
        weights = increase.masked_fill(flat, -torch.inf).softmax(1)
        cells = weighted(at, torch.where(flat.all(1, keepdim=True), 0, weights))
    return share_out(cells.clamp(min=0) if relu else cells, inputs, feature_mask)


def guided_grad_cam(
    model: Model,
    inputs: Tensor,  # (batch, channels, height, width) or (batch, nodes, columns)
    *,
    target: Tensor,  # (batch,) int64
    feature_mask: Tensor | None = None,  # shaped like inputs, int64, -1 for none
    layer: str | None = None,
    relu: bool = True,
    interpolation: str = "bilinear",
) -> Tensor:  # shaped like inputs
    """Guided Grad-CAM: A_i = G_i · ReLU(L)(i), guided backpropagation G times the Grad-CAM map L at entry i.

    Args:
        model: maps rows to (batch, outputs).
        inputs: the rows that are explained; of a graph, [A | X].
        target: which output of each row.
        feature_mask: for graphs, the player of each entry: an edge gets the mean of its end points.
        layer: dotted path of the module whose output is A; None for the last tensor with positions (see `activations`).
        relu: set negative cells of the map to 0, as the paper does; False keeps their sign.
        interpolation: how the map is brought to the size of the image, "bilinear" as in the paper, or "nearest" as in Captum.

    Returns:
        Scores in units of output² per unit of input.

    Raises:
        NotApplicable: if nothing in the network has positions, or it makes a call of which no backward rule is known.
        InvalidInput: if there is no such layer or interpolation.

    Example:
        >>> net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8, 1))
        >>> guided_grad_cam(net, torch.ones(1, 1, 2, 2), target=torch.tensor([0])).shape
        torch.Size([1, 1, 2, 2])

    Reference:
        Selvaraju et al. (2017), "Grad-CAM", section 3.2.

    Differs from the paper in: nothing but the layer, where none is named.
    """
    if interpolation not in ("bilinear", "nearest"):
        raise InvalidInput(f"interpolation is 'bilinear' or 'nearest' (got {interpolation!r})")
    at = activation_at(model, inputs, target=target, layer=layer)
    cells = weighted(at, channel_mean(at.slopes))
    values = at_entries(cells.clamp(min=0) if relu else cells, inputs, feature_mask, interpolation=interpolation)
    return guided_backprop(model, inputs, target=target) * values


def _increases(
    model: Model, inputs: Tensor, target: Tensor, baseline: Tensor, feature_mask: Tensor | None, cells: Tensor
) -> Tensor:  # (batch, channels)
    """What each channel's mask alone adds to the explained output, rows and channels in chunks."""
    batch, channels = cells.shape[:2]
    found = cells.new_empty(batch * channels)
    policy, start, limit = Policy.of(inputs), 0, 0
    while start < len(found):
        part = torch.arange(start, start + even_chunk(len(found) - start, limit or FIRST), device=inputs.device)
        row, footprint = part // channels, None if limit else Footprint(len(part))
        owners = None if feature_mask is None else feature_mask[row]
        mask = _stretched(at_entries(cells[row, part % channels], inputs[row], owners))
        masked = baseline[row] + mask * (inputs[row] - baseline[row])
        with applied(policy), footprint or nullcontext():
            found[part] = outputs_at(model, masked, target[row])
        limit = limit or fitting(policy.bytes(), footprint, on_cuda=inputs.is_cuda)
        start += len(part)
    with applied(policy):
        return found.view(batch, channels) - outputs_at(model, baseline, target).unsqueeze(1)


def _stretched(values: Tensor) -> Tensor:  # (rows, *features)
    """Each row stretched to [0, 1]; 0 where it is the same everywhere."""
    flat = values.flatten(1)
    low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
    return ((flat - low) / torch.where(high > low, high - low, 1)).view_as(values)
