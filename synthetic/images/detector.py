"""A colour detector is a flat-topped indicator: one wherever a pixel is within a quarter of its colour, zero half a unit further out.

For target colour t_k with channels t_kc the detector computes, at every pixel,

    c_k = ReLU(1 - 2 Σ_c [ReLU(z_c - t_kc - 1/4) + ReLU(t_kc - z_c - 1/4)])

as two 1x1 convolutions. The offset 1/4 keeps every integer a quarter away from a kink, so that no gradient is decided by the
value of ReLU'(0); the slope 2 makes one wrong channel by one level enough: 1 - 2 x 3/4 = -1/2. Being flat at the top is the
point: every gradient at an image is exactly 0, although the pixel is all that matters. Weights and offsets are dyadic, so
float32 is exact. (Zhang et al. 2023, arXiv 2310.06514, use three units per channel with a kink on the colour itself.)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synthetic.images.palette import Palette


def detector(palette: Palette, *, split: bool = False) -> nn.Sequential:
    """Return the network that marks the target colours: (batch, 3, S, S) -> (batch, targets, S, S), values in [0, 1].

    With `split` every hidden unit is present twice with half of its outgoing weight, and their order is reversed: another
    network, the same function everywhere.
    """
    rise, offset, sink = _weights(palette)
    if split:
        rise, offset, sink = rise.repeat(2, 1).flip(0), offset.repeat(2).flip(0), sink.repeat(1, 2).flip(1) / 2
    colours = len(palette.targets)
    return nn.Sequential(
        pointwise(rise, offset),
        nn.ReLU(),
        pointwise(sink, torch.ones(colours, dtype=torch.float64)),
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
    layer = nn.Conv2d(inputs, outputs, side, stride=stride, dtype=torch.float64, device="meta").to_empty(device="cpu")
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


def _weights(palette: Palette) -> tuple[Tensor, Tensor, Tensor]:
    """The first layer's weight (6K, 3) and bias (6K,), the second layer's weight (K, 6K): six units per colour."""
    colours = torch.tensor(palette.targets, dtype=torch.float64)  # (K, 3)
    channels = torch.eye(3, dtype=torch.float64)
    rise = torch.cat([channels, -channels]).repeat(len(colours), 1)
    offset = (torch.cat([-colours, colours], 1) - 0.25).flatten()
    sink = -2 * torch.eye(len(colours), dtype=torch.float64).repeat_interleave(6, dim=1)
    return rise, offset, sink
