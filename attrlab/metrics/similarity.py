"""How alike are two attributions? By order, by local structure, by the directions of their edges.

Written here from the papers, for batches of small maps, so that no image library decides a score.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from attrlab.errors import NotApplicable
from attrlab.games.ranking import average_ranks
from attrlab.metrics.subsets import correlation

Sign = Literal["signed", "positive", "absolute"]


def signed_as(
    scores: Tensor,  # any shape
    sign: Sign,
) -> Tensor:  # the same shape
    """Scores as they are, their positive part, or their magnitudes: the three ways in which maps are shown and compared."""
    return {"signed": scores, "positive": scores.clamp(min=0), "absolute": scores.abs()}[sign]


def spearman(
    first: Tensor,  # (batch, players)
    second: Tensor,  # (batch, players)
    present: Tensor,  # (batch, players) bool
    *,
    sign: Sign = "signed",
) -> Tensor:  # (batch,) float64
    """The correlation of average ranks over present players; NaN where either is constant or not finite.

    Reference:
        Spearman, 1904; as a similarity of maps with and without magnitudes: Adebayo et al., 2018.
    """
    ranks = [average_ranks(signed_as(scores, sign), present) for scores in (first, second)]
    defined = ~torch.where(present, ranks[0] + ranks[1], 0).isnan().any(1) & present.any(1)
    return correlation(ranks[0].nan_to_num(), ranks[1].nan_to_num(), present).where(defined, torch.nan)


def ssim(
    first: Tensor,  # (batch, height, width)
    second: Tensor,  # (batch, height, width)
    *,
    window: int = 5,
) -> Tensor:  # (batch,) float64
    """The mean structural similarity of two maps, each divided by its largest magnitude, so that the data range is 2.

    SSIM = (2 m1 m2 + c1)(2 s12 + c2) / ((m1^2 + m2^2 + c1)(s1 + s2 + c2)), c1 = (0.01 x 2)^2, c2 = (0.03 x 2)^2, with means, variances and
    covariance (divided by the number less one) over every whole window.

    Returns:
        1 for equal maps; NaN where a map is zero everywhere or not finite.

    Raises:
        NotApplicable: if the maps are smaller than the window.

    Reference:
        Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004, equation 13, with flat windows.
    """
    if min(first.shape[1:]) < window:
        raise NotApplicable(f"windows of {window} x {window} need maps at least as large (got {tuple(first.shape[1:])})")
    one, two = _unit(first), _unit(second)

    def mean(values: Tensor) -> Tensor:
        return functional.avg_pool2d(values.unsqueeze(1), window, stride=1).squeeze(1)

    unbiased = window**2 / (window**2 - 1)
    m1, m2 = mean(one), mean(two)
    s1, s2, s12 = (unbiased * (mean(a * b) - ma * mb) for a, b, ma, mb in ((one, one, m1, m1), (two, two, m2, m2), (one, two, m1, m2)))
    c1, c2 = 0.02**2, 0.06**2
    found = (2 * m1 * m2 + c1) * (2 * s12 + c2) / ((m1.square() + m2.square() + c1) * (s1 + s2 + c2))
    return found.mean((1, 2))


def hog_similarity(
    first: Tensor,  # (batch, height, width)
    second: Tensor,  # (batch, height, width)
    *,
    cell: int | None = None,
) -> Tensor:  # (batch,) float64
    """Pearson's correlation of the histograms of oriented gradients of two maps; NaN where one has no gradient.

    Args:
        first: maps.
        second: maps.
        cell: pixels along the side of a cell; by default 16, or a third of a smaller map.

    Raises:
        NotApplicable: if the maps are smaller than a cell.

    Reference:
        Dalal and Triggs, "Histograms of oriented gradients for human detection", 2005; as a similarity of maps: Adebayo et al., 2018.
    """
    side = min(first.shape[1:])
    cell = cell or max(1, min(16, side // 3))
    if side < cell:
        raise NotApplicable(f"cells of {cell} x {cell} need maps at least as large (got {tuple(first.shape[1:])})")
    return correlation(*(histograms(_unit(maps), cell) for maps in (first, second)))


def histograms(
    maps: Tensor,  # (batch, height, width)
    cell: int,
    *,
    bins: int = 9,
) -> Tensor:  # (batch, features) float64
    """Unsigned orientations in `bins`, weighted by gradient magnitude, per cell; blocks of 3 x 3 cells (or all) normalised by L2-Hys.

    A vote is shared between the two nearest bins, whose first is centred on the horizontal: a mirrored map has the mirrored histograms.
    """
    dy, dx = torch.zeros_like(maps), torch.zeros_like(maps)
    dy[:, 1:-1] = maps[:, 2:] - maps[:, :-2]
    dx[:, :, 1:-1] = maps[:, :, 2:] - maps[:, :, :-2]
    place = (torch.atan2(dy, dx).remainder(math.pi) / math.pi * bins).nan_to_num()
    low, size = place.floor(), (dy.square() + dx.square()).sqrt()
    votes = torch.zeros(len(maps), bins, *maps.shape[1:], dtype=maps.dtype, device=maps.device)
    for bin, share in ((low, 1 - (place - low)), (low + 1, place - low)):
        votes.scatter_add_(1, bin.long().remainder(bins).unsqueeze(1), (size * share).unsqueeze(1))
    cells = functional.avg_pool2d(votes, cell)
    high, wide = (min(3, length) for length in cells.shape[2:])
    blocks = cells.unfold(2, high, 1).unfold(3, wide, 1).permute(0, 2, 3, 1, 4, 5).flatten(3)
    clipped = _normalised(blocks).clamp(max=0.2)
    return _normalised(clipped).flatten(1)


def _normalised(blocks: Tensor) -> Tensor:
    return blocks / (blocks.square().sum(-1, keepdim=True) + 1e-10).sqrt()


def _unit(maps: Tensor) -> Tensor:
    """Divided by the largest magnitude of each map; NaN for the zero map."""
    largest = maps.double().abs().amax((1, 2), keepdim=True)
    return maps.double() / torch.where(largest > 0, largest, torch.nan)
