"""Exact truth of a colour image at any size: a count game for the coalitions, one block per colour for the path integral.

The value depends on the counts of the target colours, so that a player is known by what it adds to them. On the straight path from the
baseline all pixels of one colour move together: the image is a dense network with one detector per colour that moves, whose output is
weighted by the colour's count. Its path integral is a finite sum of fractions, shared equally by the pixels of a colour. The palette
keeps every other detector off along these paths, so a distractor's is 0. On additive heads each pixel's integral is its own change.
"""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from synthetic.environment import GroundTruth
from synthetic.images.accumulator import OFFSET
from synthetic.images.count_truth import by_kind, count_truth
from synthetic.images.detector import detector
from synthetic.images.heads import network
from synthetic.images.palette import Colour
from synthetic.images.specification import Function
from synthetic.oracles import path_integral

Layer = tuple[np.ndarray, np.ndarray]
Mover = tuple[int, Colour, Colour, int]
"""A target colour's index, from where to where its pixels move, and how many they are."""


def colour_truth(
    function: Function,
    labels: Tensor,  # (batch, players, pixels per player) int64: the number of each pixel's colour
    target: Tensor,  # (batch,) int64
    *,
    unseen: bool = False,
) -> GroundTruth:
    """Return the truth of every player against the background image, or with `unseen` against an image of an unseen colour.

    Raises:
        ValueError: if a row's players are of too many kinds.
    """
    present = _tallies(function, labels)
    absent = np.zeros_like(present)
    absent[..., -1] = labels.shape[2] if unseen else 0
    truth = tally_truth(function, absent, present, target)
    if not function.head.additive:
        shares = path_shares(function, labels, target)
        truth = replace(truth, attributions={**truth.attributions, "integrated_gradients": shares})
    return replace(truth, orbit=by_kind(labels))


def tally_truth(
    function: Function,
    absent: np.ndarray,  # (batch, players, targets + 1) int64: a player's tallies in the baseline
    present: np.ndarray,  # (batch, players, targets + 1) int64: and in the image
    target: Tensor,  # (batch,)
) -> GroundTruth:
    """The coalitional truths of tallies, each output on the sums that it reads."""
    read = np.stack([function.relevant(output)[0] for output in range(function.head.outputs)])[target.numpy()]
    start = np.einsum("bk,bsk->bs", absent.sum(1), read)
    change = np.einsum("bpk,bsk->bps", present - absent, read)
    return count_truth(function.of_sums, start, change, target.numpy(), additive=function.head.additive)


def path_shares(
    function: Function,
    labels: Tensor,  # (batch, players, pixels)
    target: Tensor,  # (batch,)
) -> Tensor:  # (batch, players) float64
    """Exact integrated gradients of each player, from the background image."""
    palette = function.palette
    tallies = _tallies(function, labels).sum(1)
    scores = np.zeros((len(labels), len(palette.colours)))
    for row, (counts, output) in enumerate(zip(tallies[:, :-1].tolist(), target.tolist(), strict=True)):
        movers = tuple((k, palette.background, palette.targets[k], count) for k, count in enumerate(counts) if count)
        for (k, *_), share in zip(movers, pixel_integrals(function, movers, (0,) * len(counts), output), strict=True):
            scores[row, k + 1] = share
    return torch.from_numpy(np.take_along_axis(scores[:, None], labels.numpy(), axis=2).sum(2))


@functools.lru_cache(maxsize=8192)
def pixel_integrals(
    function: Function,
    movers: tuple[Mover, ...],  # at most one of each target colour
    still: tuple[int, ...],  # pixels of each target colour that do not move
    target: int,
) -> tuple[float, ...]:
    """Exact integrated gradients, summed over channels, of one pixel of each kind that moves."""
    if not movers:
        return ()
    end, start = (np.array([mover[which] for mover in movers]).ravel() for which in (2, 1))
    total = path_integral(_reduced(function, movers, still), end, start, output=target)
    return tuple(total.reshape(-1, 3).sum(1) / np.array([mover[3] for mover in movers]))


def _reduced(function: Function, movers: tuple[Mover, ...], still: tuple[int, ...]) -> list[Layer]:
    """The network on one pixel of each kind that moves, whose mark counts as often as the kind occurs."""
    palette, colours = function.palette, function.head.colours
    parts = [_dense(detector(replace(palette, targets=(palette.targets[k],)))) for k, *_ in movers]
    blocks = [(_block([part[i][0] for part in parts]), np.concatenate([part[i][1] for part in parts])) for i in (0, 1)]
    weigh = np.zeros((colours, len(movers)))
    for column, (k, _, _, count) in enumerate(movers):
        weigh[k, column] = count
    last = network(function.head, largest=sum(still) + sum(mover[3] for mover in movers))
    return [*blocks, (weigh, np.array(still) + OFFSET), *_dense(last)]


def _tallies(function: Function, labels: Tensor) -> np.ndarray:  # (batch, players, pixels) -> (batch, players, targets + 1)
    """How many pixels of each target colour every player has; last, unseen ones, of which there are none."""
    numbers = labels.numpy()
    counts = [(numbers == k + 1).sum(2) for k in range(function.head.colours)]
    return np.stack([*counts, np.zeros_like(counts[0])], axis=2)


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
