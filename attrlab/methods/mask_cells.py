"""A mask has cells, and every entry of a row takes the value of its cell: a coarse grid over an image, one cell per player elsewhere.

A cell of 1 leaves what it covers, one of 0 replaces it. The grid is enlarged bilinearly, so that a mask of any resolution serves an image
of any size. What belongs to no player is covered by no cell and is never replaced. Neighbours, over which a mask is asked to be smooth,
are the cells beside one another in a grid and players that share a node or are joined by an edge in a graph; columns, tokens and members
of a set have none.

Smoothness is asked of a graph in the measure in which it is asked of an image. A lone cell that differs from its neighbours has 2 of n
parts of the mean variation over n cells, whatever the neighbourhood. At the papers' weight of 20 it costs 0.05 in a mask of 28 x 28, but
5 in one of 8 edges, more than all that its removal can be worth; so the variation over n players is multiplied by n / 784.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attrlab.method import players_of, spread
from attrlab.methods.graph_rows import graph_players
from attrlab.methods.positions import interpolated
from attrlab.methods.smoothing import row_range

NEAR = 1e-8
"""Keeps the slope of a power of a distance finite at 0."""

SMOOTHED = 28 * 28
"""Cells of the mask for which the papers' weights of variation are meant."""


@dataclass(frozen=True, kw_only=True)
class Cells:
    """The cells that the masks of some rows have.

    Attributes:
        shape: (height, width) of a grid, or (players,).
        present: cells that belong to a row; the others are padding.
        owner: the player of each entry, -1 for none.
        links: which players are neighbours, or None for a grid.
        edges: image differences to the neighbours below and to the right, as shares of the row's range; of a grid only.
    """

    shape: tuple[int, ...]
    present: Tensor  # (batch, *shape), in the dtype of inputs, 0 or 1
    owner: Tensor  # (batch, *features) int64
    links: Tensor | None = None  # (batch, players, players)
    edges: tuple[Tensor, Tensor] | None = None  # (batch, height - 1, width) and (batch, height, width - 1)

    def rows(self, index: Tensor) -> Cells:
        """The cells of some rows, (rows,) int64."""
        return Cells(
            shape=self.shape,
            present=self.present[index],
            owner=self.owner[index],
            links=None if self.links is None else self.links[index],
            edges=None if self.edges is None else (self.edges[0][index], self.edges[1][index]),
        )

    def weights(
        self,
        mask: Tensor,  # (batch, *shape)
    ) -> Tensor:  # (batch, *features), or what broadcasts to it
        """How much of each entry stays; entries of no player get the value of some cell, and must not differ from their replacement."""
        if self.links is None:
            return interpolated(mask, self.owner).unsqueeze(1)
        return mask.gather(1, self.owner.flatten(1).clamp(min=0)).view(self.owner.shape)

    def removed(
        self,
        mask: Tensor,  # (batch, *shape)
    ) -> Tensor:  # (batch,)
        """The share of cells that a mask removes, the mean of |1 - m|."""
        amount = self.present.flatten(1).sum(1).clamp(min=1)
        return ((1 - mask).abs() * self.present).flatten(1).sum(1) / amount

    def variation(
        self,
        mask: Tensor,  # (batch, *shape)
        *,
        power: float,
    ) -> Tensor:  # (batch,)
        """The mean over pairs of neighbours of |m_p - m_q|^power, 0 where there are none; of n players, n / 784 of it."""
        if self.links is None:
            down, across = steps_of(mask)
            return (distance(down, power).flatten(1).sum(1) + distance(across, power).flatten(1).sum(1)) / max(pairs(mask), 1)
        apart = distance(mask.unsqueeze(2) - mask.unsqueeze(1), power) * self.links
        mean = apart.flatten(1).sum(1) / self.links.flatten(1).sum(1).clamp(min=1)
        return mean * self.present.sum(1) / SMOOTHED

    def bilateral(
        self,
        mask: Tensor,  # (batch, *shape)
        *,
        power: float,
        width: float,
    ) -> Tensor:  # (batch,)
        """As `variation`, at the resolution of the image and with jumps of the mask free where the image jumps by more than `width`."""
        if self.edges is None:
            return self.variation(mask, power=power)
        large = interpolated(mask, self.owner)
        parts = zip(steps_of(large), self.edges, strict=True)
        summed = sum((distance(step, power) * torch.exp(-((edge / width) ** 2))).flatten(1).sum(1) for step, edge in parts)
        return torch.as_tensor(summed) / max(pairs(large), 1)

    def scores(
        self,
        mask: Tensor,  # (batch, *shape)
    ) -> Tensor:  # (batch, *features)
        """Each cell's value at the pixels it covers, divided among the entries of a pixel; or a player's among its entries."""
        if self.links is not None:
            return spread(mask * self.present, self.owner)
        owned = self.owner >= 0
        return interpolated(mask, self.owner).unsqueeze(1) * owned / owned.sum(1, keepdim=True).clamp(min=1)


def cells_of(
    inputs: Tensor,  # (batch, *features)
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    *,
    size: int,
) -> Cells:
    """A grid of at most size x size cells for images, one cell per player for all other rows."""
    if is_image(feature_mask):
        height, width = (min(side, size) for side in inputs.shape[2:])
        scale = row_range(inputs, baseline, feature_mask).clamp(min=torch.finfo(inputs.dtype).tiny).view(-1, 1, 1, 1)
        down, across = ((step / scale).square().mean(1).sqrt() for step in steps_of(inputs))
        present = inputs.new_ones(len(inputs), height, width)
        return Cells(shape=(height, width), present=present, owner=feature_mask, edges=(down, across))
    players = int(feature_mask.max()) + 1 if feature_mask.numel() else 0
    present = (players_of(torch.ones_like(inputs), feature_mask, players) > 0).to(inputs.dtype)
    return Cells(shape=(players,), present=present, owner=feature_mask, links=_links(inputs, feature_mask, players))


def is_image(
    feature_mask: Tensor,  # (batch, *features) int64
) -> bool:
    """Whether rows have rows and columns of pixels, whose channels share a player: bags of patches have not."""
    if feature_mask.dim() != 4:
        return False
    return bool(((feature_mask == feature_mask.amax(1, keepdim=True)) | (feature_mask < 0)).all())


def steps_of(
    mask: Tensor,  # (..., height, width)
) -> tuple[Tensor, Tensor]:
    """Differences to the neighbour below and to the one on the right."""
    return mask.diff(dim=-2), mask.diff(dim=-1)


def distance(
    step: Tensor,  # any shape
    power: float,
) -> Tensor:
    """|step|^power, with a finite slope at 0 for powers below 2 as well."""
    return step.square() if power == 2 else (step.abs() + NEAR) ** power


def pairs(
    mask: Tensor,  # (batch, height, width)
) -> int:
    """How many pairs of neighbours a grid has."""
    height, width = mask.shape[1:]
    return (height - 1) * width + height * (width - 1)


def _links(inputs: Tensor, feature_mask: Tensor, players: int) -> Tensor:
    """Which players are neighbours: in graphs those that share or join nodes; where each token is one player throughout, none."""
    none = inputs.new_zeros(len(inputs), players, players)
    if feature_mask.dim() != 3 or feature_mask.shape[2] < feature_mask.shape[1] or not players or not len(inputs):
        return none
    tokens = (feature_mask == feature_mask[..., :1]).flatten(1).all(1)
    return torch.where(tokens.view(-1, 1, 1), none, _graph(inputs, feature_mask))


def _graph(inputs: Tensor, feature_mask: Tensor) -> Tensor:
    """Players that touch a common node, and nodes that an edge joins."""
    players, nodes = graph_players(feature_mask), inputs.shape[1]
    touches = players.touches.to(inputs.dtype)
    joined = ((inputs[..., :nodes] != 0) | (inputs[..., :nodes] != 0).transpose(1, 2)).to(inputs.dtype)
    node = (~players.edges).to(inputs.dtype).unsqueeze(2) * touches
    linked = touches @ touches.transpose(1, 2) + node @ joined @ node.transpose(1, 2)
    exists = (players.entries > 0).to(inputs.dtype)
    apart = 1 - torch.eye(players.count, dtype=inputs.dtype, device=inputs.device)
    return (linked > 0) * exists.unsqueeze(1) * exists.unsqueeze(2) * apart
