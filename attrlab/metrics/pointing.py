"""Where does the mass lie, and where does the largest score point? Localisation by magnitudes, against the players that matter.

A hit is counted by chance among tied players: a constant map points at the support as often as a random one, and never by the order of
indices.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attrlab.games.ranking import rank
from attrlab.metrics.localisation import support_auroc
from attrlab.metrics.metric import Metric

QUANTILES = 10
"""Thresholds of the effective heat ratio."""


def pointing_game(
    scores: Tensor,  # (batch, players)
    *,
    truth: Tensor,  # (batch, players)
    support: Tensor,  # (batch, players) bool
    present: Tensor,  # (batch, players) bool
) -> Tensor:  # (batch,) float64
    """The share of the players with the largest signed score that lie in G: 1 or 0 unless they are tied.

    Returns:
        NaN where G is empty or a score is not finite.

    Reference:
        Zhang et al., "Top-down neural attention by excitation backprop", 2018, section 4.2; without their margin of 15 pixels.
    """
    del truth
    ranked = rank(scores, present)
    top = ranked.of_players(ranked.first) == 0
    hits = (top & present & support).sum(1).double() / (top & present).sum(1)
    return _defined(hits, scores, support, present)


def relevance_mass(
    scores: Tensor,  # (batch, players)
    *,
    truth: Tensor,  # (batch, players)
    support: Tensor,  # (batch, players) bool
    present: Tensor,  # (batch, players) bool
) -> Tensor:  # (batch,) float64
    """The share of the positive scores' sum that lies in G; NaN where no score is positive, G is empty or a score is not finite.

    Reference:
        Arras, Osman and Samek, "CLEVR-XAI: a benchmark dataset for the ground truth evaluation of neural network explanations", 2022,
        equation 2.
    """
    del truth
    mass = torch.where(present, scores.double(), 0).clamp(min=0)
    return _defined((mass * support).sum(1) / mass.sum(1), scores, support, present)


def relevance_rank(
    scores: Tensor,  # (batch, players)
    *,
    truth: Tensor,  # (batch, players)
    support: Tensor,  # (batch, players) bool
    present: Tensor,  # (batch, players) bool
) -> Tensor:  # (batch,) float64
    """The share of the |G| highest-scored players that lie in G; of a tie at the border, what a random choice would find on average.

    Reference:
        Arras et al., 2022, equation 3.
    """
    del truth
    ranked = rank(scores, present)
    inside = (support & present).gather(1, ranked.order).double()
    wanted = (support & present).sum(1, keepdim=True)
    found = torch.cat([torch.zeros_like(inside[:, :1]), inside.cumsum(1)], 1)
    size = ranked.last - ranked.first + 1
    taken = (wanted - ranked.first).clamp(min=0).minimum(size)
    in_block = found.gather(1, ranked.last + 1) - found.gather(1, ranked.first)
    heads = (ranked.first == torch.arange(size.shape[1], device=size.device)) & ranked.inside()
    hits = torch.where(heads, in_block * taken / size, 0).sum(1)
    return _defined(hits / wanted.squeeze(1), scores, support, present)


def effective_heat_ratio(
    scores: Tensor,  # (batch, players)
    *,
    truth: Tensor,  # (batch, players)
    support: Tensor,  # (batch, players) bool
    present: Tensor,  # (batch, players) bool
) -> Tensor:  # (batch,) float64
    """The mean, over thresholds t = 0, 1/10, ..., 9/10 of max |a|, of (sum of |a| / max |a| in G above t) / (number of players above t).

    Returns:
        Between 0 and 1: 1 for a map that is constant on G and 0 elsewhere. NaN for the zero map, an empty G or a score that is not finite.

    Reference:
        Zhang et al., "Fine-grained neural network explanation by identifying input features with predictive information" (InputIBA), 2021,
        appendix: the area of (heat inside of the region) / (number of points above the threshold). Differs from the paper in thresholds
        of values in place of quantiles, whose steps have no meaning where scores are tied.
    """
    del truth
    size = torch.where(present, scores.double(), 0).abs()
    unit = size / size.amax(1, keepdim=True)
    levels = torch.arange(QUANTILES, device=scores.device, dtype=torch.float64) / QUANTILES
    above = (unit.unsqueeze(1) > levels.view(1, -1, 1)) & present.unsqueeze(1)
    heat = (unit.unsqueeze(1) * (above & support.unsqueeze(1))).sum(2)
    return _defined((heat / above.sum(2)).mean(1), scores, support, present)


def _defined(found: Tensor, scores: Tensor, support: Tensor, present: Tensor) -> Tensor:
    fine = (scores.isfinite() | ~present).all(1) & (support & present).any(1)
    return found.where(fine & found.isfinite(), torch.nan)


METRICS = (
    Metric(
        name="pointing_game",
        question="truth",
        direction="higher",
        range="0 to 1; |G| / n for a constant map",
        formula="|{i in G: a_i = max a}| / |{i: a_i = max a}|",
        reference="Zhang et al., 2018, section 4.2, without a margin; ties count by chance",
        measure=pointing_game,
    ),
    Metric(
        name="relevance_mass",
        question="truth",
        direction="higher",
        range="0 to 1; |G| / n for a positive constant map",
        formula="Σ_{i in G} a_i⁺ / Σ a_i⁺",
        reference="Arras et al., 'CLEVR-XAI', 2022, equation 2",
        measure=relevance_mass,
    ),
    Metric(
        name="relevance_rank",
        question="truth",
        direction="higher",
        range="0 to 1; |G| / n for a constant map",
        formula="|G ∩ the |G| players of the largest a_i| / |G|; ties by chance",
        reference="Arras et al., 'CLEVR-XAI', 2022, equation 3",
        measure=relevance_rank,
    ),
    Metric(
        name="effective_heat_ratio",
        question="truth",
        direction="higher",
        range="0 to 1; |G| / n for a constant map",
        formula="mean over t = 0, 0.1, …, 0.9 of Σ_{i in G: |a_i| > t max|a|} |a_i| / (max|a| |{i: |a_i| > t max|a|}|)",
        reference="Zhang et al., 'InputIBA', 2021",
        measure=effective_heat_ratio,
        ranking="absolute",
    ),
    Metric(
        name="necessary_auroc",
        question="truth",
        direction="higher",
        range="0 to 1; 0.5 for a constant map",
        formula="P(|a_i| > |a_j|) + P(|a_i| = |a_j|) / 2 for i necessary (v(N∖i) ≠ v(N)), j not",
        reference="Hanley and McNeil, 1982; the truth object is the set of necessary players",
        measure=support_auroc,
        ranking="absolute",
        object="necessary",
    ),
)
