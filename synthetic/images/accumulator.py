"""Counting is a chain of stride-3 convolutions that tile the image, so that every pixel is added exactly once.

With S = 3^d there are d stages, and a cell of stage l is the number of marked pixels in its 3^l x 3^l block. A side that three does
not divide is padded with empty cells first, left and above: 224 -> 75 -> 25 -> 9 -> 3 -> 1, as in Zhang et al. 2023. A count of zero
would put the next ReLU on its kink; each stage therefore passes ReLU(count + 1/2) on, and the following bias takes the halves
back. All weights are non-negative and marks are, so every ReLU here is the identity wherever the image goes, and the
accumulator is linear in the marks. The irregular accumulator computes the same sums through hidden units with unequal dyadic
weights: the counting stays exact although no hidden unit counts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synthetic.images.detector import convolution, pointwise

OFFSET = 0.5
"""What the accumulator adds to every count, and the head takes back."""


def accumulator(colours: int, size: int, *, irregular: bool = False) -> nn.Sequential:
    """Return the network (batch, colours, size, size) -> (batch, colours, 1, 1) that computes count + 1/2 for each colour.

    Raises:
        ValueError: if `size` is not an integer of at least 3.
    """
    layers: list[nn.Module] = []
    offset = 0.0
    for side in sides(size):
        if side % 3:
            layers.append(nn.ConstantPad2d((-side % 3, 0, -side % 3, 0), offset))
        layers += _irregular_stage(colours, offset) if irregular else _uniform_stage(colours, offset)
        offset = OFFSET
    return nn.Sequential(*layers)


def sides(size: int) -> list[int]:
    """The side of the cells' grid before each stage, 27, 9, 3.

    Raises:
        ValueError: if `size` is not an integer of at least 3.
    """
    if not isinstance(size, int) or size < 3:
        raise ValueError(f"size is the side of the images, an integer of at least 3 such as 9, 27 or 224 (got {size!r})")
    grid = [size]
    while (side := -(-grid[-1] // 3)) > 1:
        grid.append(side)
    return grid


def _uniform_stage(colours: int, offset: float) -> list[nn.Module]:
    kernel = torch.ones(1, 3, 3, dtype=torch.float64)
    bias = torch.full((colours,), OFFSET - 9 * offset, dtype=torch.float64)
    return [_tiling(colours, kernel, bias), nn.ReLU()]


def _irregular_stage(colours: int, offset: float) -> list[nn.Module]:
    """Expand each colour to three unequal sums, contract them to the count."""
    expand, contract = irregular_weights()
    received = expand.flatten(1).sum(1) * offset  # what the previous offset adds to each hidden sum
    hidden = OFFSET - received.repeat(colours)
    back = torch.kron(torch.eye(colours, dtype=torch.float64), contract[None])
    bias = torch.full((colours,), OFFSET, dtype=torch.float64) - OFFSET * contract.sum()
    return [_tiling(colours, expand, hidden), nn.ReLU(), pointwise(back, bias), nn.ReLU()]


def irregular_weights() -> tuple[Tensor, Tensor]:
    """Dyadic a (3, 3, 3) >= 0 and b (3,) > 0 with Σ_e b_e a_ep = 1 for every position p, no two kernels alike.

    The first two kernels are free; the third is 4 - 2 a_0 - a_1, which solves the condition for b = (1/2, 1/4, 1/4).
    """
    position = torch.arange(9, dtype=torch.float64)
    first = (position % 3) / 2
    second = (position // 3 + position) % 3
    expand = torch.stack([first, second, 4 - 2 * first - second]).view(3, 3, 3)
    return expand, torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)


def _tiling(
    colours: int,
    kernels: Tensor,  # (kernels per colour, 3, 3)
    bias: Tensor,  # (colours x kernels,)
) -> nn.Conv2d:
    """A 3x3 convolution of stride 3 in which every colour is read by its own kernels alone."""
    own = torch.eye(colours, dtype=torch.float64)
    weight = torch.einsum("ij,ehw->iejhw", own, kernels).reshape(colours * len(kernels), colours, 3, 3)
    return convolution(weight, bias, stride=3)
