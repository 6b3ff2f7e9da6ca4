"""On images, what is removed at a step may be a region: regions are players of a coarser game, and its curve is read like any other.

A region's score is the sum over its pixels, so a method is asked nothing new. Regions tile the image from its upper left corner; those at
the other borders may be smaller.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attrlab.errors import NotApplicable
from attrlab.games.curves import area
from attrlab.games.game import Game
from attrlab.games.imputers_images import noisy_linear
from attrlab.metrics.answers import Answers, Asked, asked, recut
from attrlab.metrics.metric import Metric
from attrlab.metrics.orders import mean_curve
from attrlab.metrics.perturbation import mean_drop

SIDE = 3
"""Pixels along the side of a region."""

ROAD_STEPS = 10
"""ROAD removes tenths of the pixels, from the first tenth to the ninth."""


def of_regions(
    game: Asked,
    scores: Tensor,  # (batch, players)
    *,
    side: int = SIDE,
) -> tuple[Answers, Tensor]:  # the game of regions, and their scores, (batch, regions)
    """The same rows cut into square regions of `side` x `side` pixels, and the regions' scores.

    Raises:
        NotApplicable: if rows are not images, or a player reaches into two regions.
    """
    known = asked(game)
    own = known.game
    if own.inputs.dim() != 4:
        raise NotApplicable(f"regions are those of images (batch, channels, height, width) (got {tuple(own.inputs.shape)})")
    region = _regions(own, side)
    owner, players = own.feature_mask, own.players
    last, first = (_extreme(owner, region, players, largest=largest) for largest in (True, False))
    if bool(((last != first) & own.present).any()):
        raise NotApplicable(f"a player reaches into two regions of {side} x {side} pixels: regions need players of single pixels")
    count = int(region.max()) + 1
    mask = torch.where(owner < 0, -1, region.expand_as(owner))
    coarse = known.other(f"regions {side}", lambda: recut(own, mask, count))
    column = torch.where(own.present, last, count)
    summed = scores.new_zeros(len(scores), count + 1).scatter_add_(1, column, torch.where(own.present, scores, 0))
    return coarse, summed[:, :count]


def region_perturbation(
    game: Asked,
    scores: Tensor,  # (batch, players)
    *,
    side: int = SIDE,
) -> Tensor:  # (batch,) float64
    """AOPC over regions: the mean over L of v(N) - v(without the L regions of the largest scores).

    Raises:
        NotApplicable: as `of_regions`.

    Reference:
        Samek et al., "Evaluating the visualization of what a deep neural network has learned", 2017, equation 12, with 9 x 9 regions of
        ImageNet. Differs from the paper in the fill, the game's imputer instead of uniform noise, and in ties.
    """
    return mean_drop(*of_regions(game, scores, side=side))


def selectivity(
    game: Asked,
    scores: Tensor,  # (batch, players)
    *,
    side: int = SIDE,
) -> Tensor:  # (batch,) float64
    """The area under the output while regions are removed, largest score first; lower is more selective.

    Raises:
        NotApplicable: as `of_regions`.

    Reference:
        Montavon, Samek and Mueller, "Methods for interpreting and understanding deep neural networks", 2018, section 7.2.
    """
    return area(mean_curve(*of_regions(game, scores, side=side)))


def road(
    game: Asked,
    scores: Tensor,  # (batch, players)
    *,
    noise: float = 0.01,
) -> Tensor:  # (batch,) float64
    """ROAD without labels: the mean over removed tenths of p(least relevant removed) - p(most relevant removed), halved.

    What is removed is filled by the noisy linear imputer, so that the shape of the hole tells as little as possible.

    Raises:
        NotApplicable: if rows are not images.

    Reference:
        Rong et al., "A consistent and efficient evaluation strategy for attribution methods", 2022; the combination of both orders as in
        pytorch-grad-cam's ROADCombined. Differs from the paper in scoring the target's probability row by row, not accuracy.
    """
    known = asked(game)
    if known.game.inputs.dim() != 4:
        raise NotApplicable(f"ROAD imputes images (batch, channels, height, width) (got {tuple(known.game.inputs.shape)})")
    imputed = known.under(noisy_linear(noise=noise))
    lerf, morf = (
        mean_curve(imputed, scores, order=order, steps=ROAD_STEPS, value="probability").value[:, 1:-1].double().mean(1)
        for order in ("lerf", "morf")
    )
    return (lerf - morf) / 2


def _regions(game: Game, side: int) -> Tensor:  # (1, 1, height, width) int64
    height, width = game.inputs.shape[2:]
    rows, columns = (torch.arange(length, device=game.inputs.device) // side for length in (height, width))
    return (rows.unsqueeze(1) * (int(columns[-1]) + 1) + columns).view(1, 1, height, width)


def _extreme(owner: Tensor, region: Tensor, players: int, *, largest: bool) -> Tensor:  # (batch, players) int64
    """The last or first region that each player reaches into."""
    column = torch.where(owner < 0, players, owner).flatten(1)
    start = torch.full((len(owner), players + 1), -1 if largest else int(region.max()) + 1, device=owner.device)
    wide = region.expand_as(owner).flatten(1)
    return start.scatter_reduce_(1, column, wide, "amax" if largest else "amin")[:, :players]


_IMAGE = frozenset({"image"})

METRICS = (
    Metric(
        name="region_perturbation",
        question="game",
        direction="higher",
        range="in logits",
        formula="1/(R+1) Σ_{k=0..R} v(N) − v(N without the k regions of 3×3 pixels with the largest Σ a_i)",
        reference="Samek et al., 2017, equation 12 (AOPC)",
        measure=region_perturbation,
        modalities=_IMAGE,
        cost="n/9 forwards",
    ),
    Metric(
        name="selectivity",
        question="game",
        direction="lower",
        range="in logits",
        formula="∫ v over k/R, v the target's logit without the k regions of 3×3 pixels with the largest Σ a_i",
        reference="Montavon et al., 2018, section 7.2",
        measure=selectivity,
        modalities=_IMAGE,
        cost="n/9 forwards",
    ),
    Metric(
        name="road",
        question="game",
        direction="higher",
        range="-1/2 to 1/2; 0 for a constant map",
        formula="1/2 mean over t = 0.1, …, 0.9 of p_LeRF(t) − p_MoRF(t), a share t filled by the noisy linear imputer",
        reference="Rong et al., 'ROAD', 2022",
        measure=road,
        modalities=_IMAGE,
        cost="18 forwards and imputations",
    ),
)
