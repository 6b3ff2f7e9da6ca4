"""How many players does an attribution speak of? Entropy, sparsity and the number of players that carry weight.

These look at scores alone: a map may be simple and wrong, so they are read beside the truth's own complexity, which is the ceiling column.
Each is a function of the shares p_i = |a_i| / sum |a|, and so of neither unit nor sign.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attrlab.metrics.metric import Metric

WEIGHT = 0.01
"""A player carries weight with more than this share of the row's largest |score|."""


def entropy(
    scores: Tensor,  # (batch, players)
    *,
    present: Tensor,  # (batch, players) bool
) -> Tensor:  # (batch,) float64
    """-sum of p_i ln p_i: 0 for one player, ln n for n equal ones; NaN for the zero map or a score that is not finite.

    Reference:
        Bhatt, Weller and Moura, "Evaluating and aggregating feature-based model explanations", 2020, definition 4 (complexity).
    """
    shares = _shares(scores, present)
    return -torch.where(shares == 0, 0, shares * shares.log()).sum(1)


def gini(
    scores: Tensor,  # (batch, players)
    *,
    present: Tensor,  # (batch, players) bool
) -> Tensor:  # (batch,) float64
    """The Gini index of |a| over the present players: 0 where all are equal, 1 - 1/n where one has everything.

    Reference:
        Chalasani et al., "Concise explanations of neural networks using adversarial training", 2020, section 3; Hurley and Rickard, 2009.
    """
    shares = torch.where(present, _shares(scores, present), torch.inf).sort(1).values
    count = present.sum(1, keepdim=True)
    place = torch.arange(1, shares.shape[1] + 1, device=shares.device)
    inside = place <= count
    weighted = torch.where(inside, shares, 0) * (count - place + 0.5) / count
    return 1 - 2 * weighted.sum(1)


def effective_players(
    scores: Tensor,  # (batch, players)
    *,
    present: Tensor,  # (batch, players) bool
) -> Tensor:  # (batch,) float64
    """How many players have |a_i| > 1 % of the row's largest; NaN for the zero map or a score that is not finite.

    Reference:
        Nguyen and Martinez, "On quantitative aspects of model interpretability", 2020, section 2.3 (effective complexity), with a threshold
        relative to the row, so that a method's unit does not count.
    """
    shares = _shares(scores, present)
    return (shares > WEIGHT * shares.amax(1, keepdim=True)).sum(1).double().where(~shares.isnan().any(1), torch.nan)


def _shares(scores: Tensor, present: Tensor) -> Tensor:  # (batch, players) float64
    size = torch.where(present, scores.double(), 0).abs()
    total = size.sum(1, keepdim=True)
    defined = (scores.isfinite() | ~present).all(1, keepdim=True) & (total > 0)
    return torch.where(defined, size / total, torch.nan)


METRICS = (
    Metric(
        name="entropy",
        question="scores",
        direction="lower",
        range="0 to ln n",
        formula="−Σ p_i ln p_i, p_i = |a_i| / Σ|a|",
        reference="Bhatt et al., 2020, definition 4 (complexity)",
        measure=entropy,
        ranking="absolute",
    ),
    Metric(
        name="sparsity",
        question="scores",
        direction="higher",
        range="0 to 1 − 1/n",
        formula="1 − 2 Σ_k (|a|_(k) / Σ|a|) (n − k + 1/2) / n, |a|_(k) ascending (Gini index)",
        reference="Chalasani et al., 2020, section 3",
        measure=gini,
        ranking="absolute",
    ),
    Metric(
        name="effective_players",
        question="scores",
        direction="lower",
        range="1 to n",
        formula="|{i: |a_i| > 0.01 max|a|}|",
        reference="Nguyen and Martinez, 2020, section 2.3",
        measure=effective_players,
        ranking="absolute",
    ),
)
