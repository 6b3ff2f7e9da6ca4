"""A colour detector is a flat-topped indicator: one wherever a pixel is within a quarter of its colour, zero half a unit further out.

For target colour t_k with channels t_kc the detector computes, at every pixel,

    c_k = ReLU(1 - 2 Σ_c [ReLU(z_c - t_kc - 1/4) + ReLU(t_kc - z_c - 1/4)])

as two 1x1 convolutions. The offset 1/4 keeps every integer a quarter away from a kink, so that no gradient is decided by the
value of ReLU'(0); the slope 2 makes one wrong channel by one level enough: 1 - 2 x 3/4 = -1/2. Being flat at the top is the
point: every gradient at an image is exactly 0, although the pixel is all that matters. Weights and offsets are dyadic, so
float32 is exact. The shape "slope" is half as steep. The shape "hat" is the textbook's, with three units per channel,

    c_k = ReLU(Σ_c [ReLU(z_c - t_kc + 1) - 2 ReLU(z_c - t_kc) + ReLU(z_c - t_kc - 1)] - 2),

the same function as 1 - Σ_c |z_c - t_kc| where that is positive: on its colours the gradient is what ReLU'(0) is said to be. (Zhang et
al. 2023, arXiv 2310.06514, use three units per channel with a kink on the colour itself.)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synthetic.images.palette import SHAPES, Palette


def detector(palette: Palette, *, split: bool = False) -> nn.Sequential:
    """Return the network that marks the target colours: (batch, 3, S, S) -> (batch, targets, S, S), values in [0, 1].

    With `split` every hidden unit is present twice with half of its outgoing weight, and their order is reversed: another
    network, the same function everywhere.
    """
    rise, offset, sink, top = _hat(palette) if palette.shape == "hat" else _plateau(palette)
    if split:
        rise, offset, sink = rise.repeat(2, 1).flip(0), offset.repeat(2).flip(0), sink.repeat(1, 2).flip(1) / 2
    return nn.Sequential(
        pointwise(rise, offset),
        nn.ReLU(),
        pointwise(sink, top),
        nn.ReLU(),
    )


def pointwise(
    weight: Tensor,  # (outputs, inputs)
    bias: Tensor,  # (outputs,)
) -> nn.Conv2d:
    """A 1x1 convolution with this weight and bias."""
    return convolution(weight[:, :, None, None], bias, stride=1)


def convolution(
    weight: Tensor,  # (outputs, inputs, side, side)
    bias: Tensor,  # (outputs,)
    *,
    stride: int,
) -> nn.Conv2d:
    """An unpadded convolution with this weight and bias, in float64; no random number is drawn."""
    outputs, inputs, side, _ = weight.shape
    layer = nn.Conv2d(inputs, outputs, side, stride=stride, dtype=torch.float64, device="meta")
    layer.load_state_dict({"weight": weight.clone(), "bias": bias.clone()}, assign=True)
    return layer


Weights = tuple[Tensor, Tensor, Tensor, Tensor]
"""The first layer's weight (U, 3) and bias (U,), the second layer's weight (K, U) and bias (K,)."""


def _plateau(palette: Palette) -> Weights:
    """Six units per colour, two of each channel."""
    shape = SHAPES[palette.shape]
    colours = torch.tensor(palette.targets, dtype=torch.float64)  # (K, 3)
    channels = torch.eye(3, dtype=torch.float64)
    rise = torch.cat([channels, -channels]).repeat(len(colours), 1)
    offset = (torch.cat([-colours, colours], 1) - float(shape.tolerance)).flatten()
    sink = -shape.steepness * torch.eye(len(colours), dtype=torch.float64).repeat_interleave(6, dim=1)
    return rise, offset, sink, torch.ones(len(colours), dtype=torch.float64)


def _hat(palette: Palette) -> Weights:
    """Nine units per colour, three of each channel."""
    colours = torch.tensor(palette.targets, dtype=torch.float64)  # (K, 3)
    rise = torch.eye(3, dtype=torch.float64).repeat(3 * len(colours), 1)
    offset = torch.cat([1 - colours, -colours, -1 - colours], 1).flatten()
    heights = torch.tensor([[1.0, -2.0, 1.0]], dtype=torch.float64).repeat_interleave(3, dim=1)
    sink = torch.kron(torch.eye(len(colours), dtype=torch.float64), heights)
    return rise, offset, sink, torch.full((len(colours),), -2.0, dtype=torch.float64)
