"""From a map over positions to the entries of a row: a cell's score is shared out, so that sums stay what they were.

An image's map may be coarser than the image. As a *score* each cell is divided among the pixels in proportion to its bilinear weights
there, and a pixel's score among its channels; so the entries of a row sum to the cells of its map, at any pair of sizes. Where
the ratio of the sizes is a whole number r this is the bilinear map divided by r². As a *value*, a mask for instance, the map is
interpolated as usual. For graphs the score of a player is the mean, over its entries, of the score of the node in whose row each stands: a
node's features get the node's, an edge of two directions the mean of its end points, a node's presence the node's own.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from attrlab.method import players_of, spread


def share_out(
    cells: Tensor,  # (batch, height', width') or (batch, nodes)
    inputs: Tensor,  # (batch, channels, height, width) or (batch, nodes, columns)
    feature_mask: Tensor | None,  # shaped like inputs, int64, -1 for none; read for graphs only
) -> Tensor:  # shaped like inputs, in their dtype
    """Divide the scores of cells among the entries of the inputs.

    Entries of a graph that belong to no player get 0. Without a feature mask each node is one player, the owner of its row.
    """
    cells = cells.to(inputs.dtype)
    if inputs.dim() == 4:
        height, width = inputs.shape[2:]
        down, across = _portions(cells.shape[1], height, cells), _portions(cells.shape[2], width, cells)
        pixels = down.T @ cells @ across
        return (pixels / inputs.shape[1]).unsqueeze(1).expand_as(inputs).clone()
    if feature_mask is None:
        return (cells / inputs.shape[2]).unsqueeze(2).expand_as(inputs).clone()
    return spread(_of_players(cells, feature_mask), feature_mask)


def at_entries(
    cells: Tensor,  # (batch, height', width') or (batch, nodes)
    inputs: Tensor,  # (batch, channels, height, width) or (batch, nodes, columns)
    feature_mask: Tensor | None,  # shaped like inputs, int64, -1 for none; read for graphs only
    *,
    interpolation: str = "bilinear",
) -> Tensor:  # shaped like inputs, in their dtype
    """The value of the map at each entry, undivided; `interpolation` is torch's name for it, "bilinear" or "nearest"."""
    cells = cells.to(inputs.dtype)
    if inputs.dim() == 4:
        return interpolated(cells, inputs, interpolation=interpolation).unsqueeze(1).expand_as(inputs)
    if feature_mask is None:
        return cells.unsqueeze(2).expand_as(inputs)
    means = _of_players(cells, feature_mask)
    return means.gather(1, feature_mask.flatten(1).clamp(min=0)).view_as(inputs)


def interpolated(
    cells: Tensor,  # (batch, height', width')
    inputs: Tensor,  # (batch, channels, height, width)
    *,
    interpolation: str = "bilinear",
) -> Tensor:  # (batch, height, width)
    """The map at the resolution of the image."""
    if cells.shape[1:] == inputs.shape[2:]:
        return cells
    corners = False if interpolation == "bilinear" else None
    return functional.interpolate(cells.unsqueeze(1), size=inputs.shape[2:], mode=interpolation, align_corners=corners).squeeze(1)


def _of_players(
    cells: Tensor,  # (batch, nodes)
    feature_mask: Tensor,  # (batch, nodes, columns)
) -> Tensor:  # (batch, players)
    players = int(feature_mask.max()) + 1 if feature_mask.numel() else 0
    values = cells.unsqueeze(2).expand(feature_mask.shape)
    entries = players_of(torch.ones_like(values), feature_mask, players)
    return players_of(values, feature_mask, players) / entries.clamp(min=1)


def _portions(cells: int, pixels: int, like: Tensor) -> Tensor:  # (cells, pixels), rows sum to 1
    """Which part of a cell's score each pixel gets, along one side."""
    fine, coarse = max(cells, pixels), min(cells, pixels)
    unit = torch.eye(coarse, dtype=like.dtype, device=like.device)
    weights = functional.interpolate(unit.unsqueeze(0), size=fine, mode="linear", align_corners=False)[0]  # (coarse, fine)
    return weights / weights.sum(1, keepdim=True) if cells <= pixels else weights.T
