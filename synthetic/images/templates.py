"""Five strokes of five pixels each: to tell them apart a network must look at where pixels are, since there are equally many in all.

A 3x3 kernel that is +1 on a template's pixels and -1 beside them answers 5 on the template alone and at most 4 on every other binary
window, so that 1[answer >= 5] is an exact match. Every row and every column of a template holds a pixel: shapes that stand a blank line
apart therefore cannot make up another between them, whichever of their pixels are taken away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn

from synthetic.gadgets import MARGIN, SLOPE
from synthetic.images.detector import convolution, pointwise

SIDE = 3
STROKES = 5
"""Pixels of every template."""

TEMPLATES: Mapping[str, np.ndarray] = MappingProxyType(  # each (3, 3) int64
    {
        "plus": np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]]),
        "cross": np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]]),
        "tee": np.array([[1, 1, 1], [0, 1, 0], [0, 1, 0]]),
        "ell": np.array([[1, 0, 0], [1, 0, 0], [1, 1, 1]]),
        "hook": np.array([[1, 1, 1], [0, 0, 1], [0, 0, 1]]),
    }
)


def require_templates(knob: str, names: Sequence[str]) -> None:
    """Check that these templates exist and are distinct.

    Raises:
        ValueError: if not.
    """
    if len(set(names)) < len(names) or not set(names) <= set(TEMPLATES):
        raise ValueError(f"{knob}: templates are distinct ones of {', '.join(TEMPLATES)} (got {', '.join(map(str, names))})")


def matcher(names: Sequence[str], *, split: bool = False) -> nn.Sequential:
    """Return the network (batch, 1, S, S) -> (batch, templates, S - 2, S - 2) that is 1 where a binary window is the template, else 0.

    1[z >= 5] = 2 ReLU(z - 17/4) - 2 ReLU(z - 19/4) of the answer z. With `split` every hidden unit is present twice with half
    of its outgoing weight, in reverse order: another network, the same function everywhere.
    """
    kernels = torch.from_numpy(np.stack([2.0 * TEMPLATES[name] - 1 for name in names]))
    thresholds = torch.tensor([STROKES - 1 + MARGIN, STROKES - MARGIN], dtype=torch.float64)
    weight, bias = kernels.repeat_interleave(2, 0)[:, None], -thresholds.repeat(len(names))
    heights = torch.tensor([[SLOPE, -SLOPE]], dtype=torch.float64)
    back = torch.kron(torch.eye(len(names), dtype=torch.float64), heights)
    if split:
        weight, bias, back = weight.repeat(2, 1, 1, 1).flip(0), bias.repeat(2).flip(0), back.repeat(1, 2).flip(1) / 2
    zero = torch.zeros(len(names), dtype=torch.float64)
    return nn.Sequential(convolution(weight, bias, stride=1), nn.ReLU(), pointwise(back, zero))


def matches(
    images: np.ndarray,  # (batch, 1, S, S), binary
    names: Sequence[str],
) -> np.ndarray:  # (batch, templates, S - 2, S - 2) bool
    """Compare every window with every template, pixel by pixel."""
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(images)[:, 0], (SIDE, SIDE), axis=(1, 2))
    return np.stack([(windows == TEMPLATES[name]).all((-1, -2)) for name in names], axis=1)


def stamp(
    kinds: Tensor,  # (n, cells²) int64: 0 for an empty cell, else 1 + the number of a name
    shift: Tensor,  # (n, 2) int64: by how much all shapes are moved down and right
    names: Sequence[str],
    size: int,
) -> tuple[Tensor, Tensor]:  # (n, size, size) float64; (n, size, size) int64: the cell whose shape a pixel belongs to, or -1
    """Draw a shape in every cell of 4x4 pixels that has one; its last line and column stay blank."""
    pitch = SIDE + 1
    n, cells = len(kinds), grid(size)
    shapes = np.zeros((1 + len(names), pitch, pitch))
    shapes[1:, :SIDE, :SIDE] = [TEMPLATES[name] for name in names]
    drawn = torch.from_numpy(shapes)[kinds].view(n, cells, cells, pitch, pitch)
    owner = torch.where(drawn > 0, torch.arange(cells**2).view(cells, cells, 1, 1), -1)
    last = pitch * cells - 1  # a blank line and column, read for what lies outside of the canvas
    lines = torch.arange(size) - shift[:, :, None]
    lines = torch.where((lines < 0) | (lines > last), last, lines)
    take = (torch.arange(n)[:, None, None], lines[:, 0, :, None], lines[:, 1, None, :])
    canvas, whose = (part.transpose(2, 3).reshape(n, last + 1, last + 1) for part in (drawn, owner))
    return canvas[take], whose[take]


def grid(size: int) -> int:
    """How many shapes, with a blank line between them, fit along a side.

    Raises:
        ValueError: if there is no room for two.
    """
    if not isinstance(size, int) or size < 2 * SIDE + 1:
        raise ValueError(
            f"size is the side of the images, an integer of at least 7 so that two shapes fit beside each other (got {size!r})"
        )
    return (size + 1) // (SIDE + 1)
