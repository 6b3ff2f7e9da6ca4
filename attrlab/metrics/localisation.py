"""Does the attribution stand where the support is? Areas over every threshold, with ties taken whole.

Scores enter by magnitude, because a player that lowers the output is used just as much as one that raises it. All players of a tie pass
a threshold together, so a constant map has no order to be right by: its AUROC is 1/2 and its AUPRC the share of the support.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attrlab.games.ranking import average_ranks, rank
from attrlab.metrics.metric import Metric


def support_auroc(
    scores: Tensor,  # (batch, players)
    *,
    truth: Tensor,  # (batch, players)
    support: Tensor,  # (batch, players) bool
    present: Tensor,  # (batch, players) bool
) -> Tensor:  # (batch,) float64
    """The probability that a player of the support has a larger |score| than one outside of it, ties counting one half.

    NaN where the support, or its complement among the present players, is empty, or a score is not finite.
    """
    del truth
    positive = support & present
    in_support = positive.sum(1).double()
    outside = present.sum(1) - in_support
    ranks = average_ranks(scores.abs(), present)
    wins = torch.where(positive, ranks, 0.0).sum(1) - in_support * (in_support + 1) / 2
    return _defined(wins / (in_support * outside), scores, present)


def support_auprc(
    scores: Tensor,  # (batch, players)
    *,
    truth: Tensor,  # (batch, players)
    support: Tensor,  # (batch, players) bool
    present: Tensor,  # (batch, players) bool
) -> Tensor:  # (batch,) float64
    """Average precision of |score| for the support: the sum over thresholds of (recall gained) x (precision there).

    NaN where the support, or its complement among the present players, is empty, or a score is not finite.
    """
    del truth
    ranking = rank(scores.abs(), present)
    positive = (support & present).gather(1, ranking.order).double()
    precision = positive.cumsum(1).gather(1, ranking.last) / (ranking.last + 1)
    in_support = positive.sum(1)
    defined = in_support < present.sum(1)
    return _defined(((positive * precision).sum(1) / in_support).where(defined, torch.nan), scores, present)


def _defined(values: Tensor, scores: Tensor, present: Tensor) -> Tensor:
    """Undefined where 0/0 came out or a present player's score is not finite."""
    finite = (scores.isfinite() | ~present).all(1)
    return values.where(finite & values.isfinite(), torch.nan)


METRICS = (
    Metric(
        name="support_auroc",
        question="truth",
        direction="higher",
        range="0 to 1; 0.5 for a constant map",
        formula="P(|a_i| > |a_j|) + P(|a_i| = |a_j|) / 2 for i in G, j outside of G",
        reference="Hanley and McNeil, 'The meaning and use of the area under a ROC curve', 1982",
        measure=support_auroc,
        ranking="absolute",
    ),
    Metric(
        name="support_auprc",
        question="truth",
        direction="higher",
        range="0 to 1; |G| / n for a constant map",
        formula="Σ_t (R_t − R_{t−1}) P_t over the distinct values of |a|, largest first",
        reference="average precision, without interpolation, as in Davis and Goadrich, 2006",
        measure=support_auprc,
        ranking="absolute",
    ),
)
