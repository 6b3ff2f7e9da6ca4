"""Redundant channels fire on every colour that is in no palette: on images nothing changes, on what a perturbation paints it does.

Real networks answer unpredictably to inputs they have never seen, and perturbation-based methods make such inputs. A redundant channel
is ρ = 2 ReLU(1/2 - Σ_k c_k) over the detectors c_k of all palette colours, the background's and the distractors' included: 0 on every
palette colour and 1 on every other integer colour, a quarter and more away from its kink. R of them enter every count with weight w each.
(Zhang et al. 2023, AttributionLab, arXiv 2310.06514: the Unseen Data Effect.)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from synthetic.images.detector import detector, pointwise
from synthetic.images.heads import Head
from synthetic.images.palette import Palette, colour_of


def redundant_detector(palette: Palette, *, channels: int, weight: float, split: bool = False) -> nn.Sequential:
    """Return (batch, 3, S, S) -> (batch, targets, S, S): the marks of the target colours plus weight x Σ_r ρ_r."""
    everything = replace(palette, targets=(palette.background, *palette.targets, *palette.distractors), distractors=())
    colours, targets = len(palette.colours), len(palette.targets)
    keep = torch.zeros(targets, colours, dtype=torch.float64)
    keep[range(targets), range(1, 1 + targets)] = 1
    watch = torch.full((channels, colours), -1.0, dtype=torch.float64)
    offset = torch.full((targets + channels,), 0.5, dtype=torch.float64)  # keeps a mark of 0 off the kink, and ρ on the right side of it
    back = torch.cat([torch.eye(targets, dtype=torch.float64), torch.full((targets, channels), 2 * weight, dtype=torch.float64)], 1)
    return nn.Sequential(
        *detector(everything, split=split),
        pointwise(torch.cat([keep, watch]), offset),
        nn.ReLU(),
        pointwise(back, torch.full((targets,), -0.5, dtype=torch.float64)),
    )


def require_redundancy(channels: int, weight: float, head: Head) -> None:
    """Check the number of redundant channels and their weight.

    Raises:
        ValueError: if they are out of range, or the head is not "count".
    """
    if not isinstance(channels, int) or not 0 <= channels <= 16:
        raise ValueError(f"redundant is the number of redundant channels, 0 to 16 (got {channels!r})")
    if channels and head.name != "count":
        raise ValueError(
            f"redundant channels need the head 'count', on which they add exactly their weight per unseen pixel; on the way from the "
            f"background to a colour they fire and would enter other heads' path integrals (got head={head.name!r})"
        )
    if channels and not 0 < weight <= 16:
        raise ValueError(f"redundant_weight is what one unseen pixel adds per channel, above 0 and at most 16 (got {weight!r})")


def require_unseen(palette: Palette, unseen: Any, head: Head) -> None:
    """Check that a colour is in no palette, and that truths against an image of it are known.

    Raises:
        ValueError: if it is, or they are not.
    """
    if colour_of(unseen, "unseen") in [tuple(colour) for colour in palette.colours.tolist()]:
        raise ValueError(f"unseen is a colour that is neither background, target nor distractor, such as (1, 1, 1) (got {unseen!r})")
    if not head.additive:
        raise ValueError(
            f"the baseline 'unseen' needs the head 'count' or 'difference': on others the path from an unseen colour crosses "
            f"detectors together; write baseline='background' (got head={head.name!r})"
        )


def is_dyadic(weight: float) -> bool:
    """Whether sums of up to 2^14 such weights are exact in float32: a multiple of 1/64."""
    return float(weight * 64).is_integer()
