"""Exact truth of an image from its few coloured players, by enumeration; of its path integral from one block per colour.

Background players equal their baseline and are null, and the function is symmetric in its pixels. So the game of an image is the
game of a strip that holds its coloured players alone, and images with the same colours share one enumeration. On
the straight path from the background all pixels of one colour move together: the image is a dense network with one detector
per colour present, whose output is weighted by the colour's count. Its path integral is a finite sum of fractions, shared
equally by the pixels of a colour. The palette keeps every other detector off along these paths, so a distractor's is 0.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from synthetic.environment import GroundTruth
from synthetic.images.accumulator import OFFSET
from synthetic.images.detector import detector
from synthetic.images.heads import head as build_head
from synthetic.images.palette import Palette
from synthetic.images.specification import specification
from synthetic.oracles import game_truth, path_integral

Layer = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Function:
    """Which function of the colours of an image is explained."""

    palette: Palette
    head: str
    modulus: int

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the outputs by the integer specification: (batch, 3, height, width) -> (batch, outputs)."""
        return specification(images, palette=self.palette, head=self.head, modulus=self.modulus)


def colour_truth(
    function: Function,
    labels: Tensor,  # (batch, players, pixels per player) int64: the number of each pixel's colour
    target: Tensor,  # (batch,) int64
) -> GroundTruth:
    """Return the truth of every player, each distinct set of coloured players enumerated once.

    Raises:
        ValueError: if a row has more coloured players than can be enumerated.
    """
    batch, players, pixels = labels.shape
    kind = _encode(labels.sort(2).values, function.palette)  # players of one kind have one truth
    seats = kind.argsort(dim=1, descending=True, stable=True)[:, : max(1, int((kind > 0).sum(1).max()))]
    keys, where, first = _distinct(torch.cat([kind.gather(1, seats), target[:, None]], 1))
    strips = labels[first].gather(1, seats[first][:, :, None].expand(-1, -1, pixels))
    truth = _strip_truth(function, strips.numpy(), keys[:, -1].numpy())

    def unfold(value: Tensor) -> Tensor:
        return torch.zeros(batch, players, dtype=value.dtype).scatter_(1, seats, value[where])

    return replace(truth.map(unfold), orbit=_encode(labels, function.palette))


def _strip_truth(
    function: Function,
    labels: np.ndarray,  # (rows, players, pixels)
    target: np.ndarray,  # (rows,)
) -> GroundTruth:
    """Enumerate strips: images of which every player is one line."""
    strips = np.moveaxis(function.palette.colours[labels], 3, 1)  # (rows, 3, players, pixels)
    background = np.broadcast_to(function.palette.colours[0][:, None, None], strips.shape)
    owner = np.broadcast_to(np.arange(labels.shape[1])[:, None], strips.shape)
    counts = (labels[:, :, :, None] == np.arange(1, len(function.palette.targets) + 1)).sum((1, 2))
    shares = [pixel_integrals(function, tuple(map(int, row)), int(output)) for row, output in zip(counts, target, strict=True)]
    by_channel = [share[line] for share, line in zip(shares, labels, strict=True)]
    integrals = np.moveaxis(np.array(by_channel).reshape(*labels.shape, 3), 3, 1)
    return game_truth(function, strips, background, owner, target, players=labels.shape[1], integrated_gradients=integrals)


@functools.lru_cache(maxsize=8192)
def pixel_integrals(
    function: Function,
    counts: tuple[int, ...],  # pixels of each target colour
    target: int,
) -> np.ndarray:  # (colours, 3), read-only
    """Exact integrated gradients, per channel, of one pixel of each palette colour in an image with these counts."""
    palette = function.palette
    scores = np.zeros((len(palette.colours), 3))
    present = [k for k, count in enumerate(counts) if count]
    if present:
        colours = np.array([palette.targets[k] for k in present])
        start = np.tile(palette.background, len(present))
        total = path_integral(_reduced(function, counts, present), colours.ravel(), start, output=target)
        scores[[k + 1 for k in present]] = total.reshape(-1, 3) / np.array([counts[k] for k in present])[:, None]
    scores.flags.writeable = False
    return scores


def _reduced(function: Function, counts: tuple[int, ...], present: list[int]) -> list[Layer]:
    """The network on one pixel of each colour present, whose mark counts as often as the colour occurs."""
    palette, colours = function.palette, len(counts)
    parts = [_dense(detector(replace(palette, targets=(palette.targets[k],)))) for k in present]
    blocks = [(_block([part[i][0] for part in parts]), np.concatenate([part[i][1] for part in parts])) for i in (0, 1)]
    weigh = np.zeros((colours, len(present)))
    weigh[present, range(len(present))] = [counts[k] for k in present]
    last = build_head(function.head, colours, modulus=function.modulus, largest=sum(counts))
    return [*blocks, (weigh, np.full(colours, OFFSET)), *_dense(last)]


def _dense(network: nn.Sequential) -> list[Layer]:
    """The affine maps between the ReLUs of a network of linear layers and 1x1 convolutions."""
    layers: list[Layer] = []
    joined = False
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            joined = False
        elif isinstance(module, (nn.Linear, nn.Conv2d)):
            weight, bias = (value.detach().numpy() for value in module.parameters())
            weight = weight.reshape(len(bias), -1)
            if joined:
                before, offset = layers.pop()
                weight, bias = weight @ before, weight @ offset + bias
            layers.append((weight, bias))
            joined = True
    return layers


def _block(blocks: list[np.ndarray]) -> np.ndarray:
    """The block-diagonal matrix of `blocks`."""
    rows, columns = (sum(block.shape[axis] for block in blocks) for axis in (0, 1))
    matrix, row, column = np.zeros((rows, columns)), 0, 0
    for block in blocks:
        matrix[row : row + block.shape[0], column : column + block.shape[1]] = block
        row, column = row + block.shape[0], column + block.shape[1]
    return matrix


def _encode(labels: Tensor, palette: Palette) -> Tensor:  # (..., pixels) -> (...)
    """One number for the colours of a player, 0 for the background alone."""
    radix = len(palette.colours) ** torch.arange(labels.shape[-1])
    return (labels * radix).sum(-1)


def _distinct(keys: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The distinct rows, for each row which one it is, and for each distinct row where it stands first."""
    rows, first, where = np.unique(keys.numpy(), axis=0, return_index=True, return_inverse=True)
    return torch.from_numpy(rows), torch.from_numpy(where.ravel()), torch.from_numpy(first)
