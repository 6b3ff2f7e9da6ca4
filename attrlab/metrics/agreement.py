"""How far is the attribution from the exact one? In sign, in mass, in size and in order.

The mass metrics (soft precision, recall, F1) are those of value-weighted sets, once for each sign and once for magnitudes.
Recall depends on the normaliser, which is therefore part of its definition: scores are divided by the row's largest |score|, so
that one outlier costs recall. Distance in size and order is to the convention that the method aims at.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from attrlab.games.ranking import average_ranks, rounding_of
from attrlab.metrics.metric import Metric

Sign = Literal["positive", "negative", "absolute"]
Mass = Literal["precision", "recall", "f1"]


def sign_accuracy(
    scores: Tensor,  # (batch, players)
    *,
    truth: Tensor,  # (batch, players)
    support: Tensor,  # (batch, players) bool
    present: Tensor,  # (batch, players) bool
) -> Tensor:  # (batch,) float64
    """The share of the support's players, among those whose exact score is not 0, whose score has the exact sign.

    A score within rounding of 0 has no sign, and so is wrong. NaN where there is no such player or a score is not finite.
    """
    asked = support & present & (_signs(truth, present) != 0)
    right = asked & (_signs(scores, present) == _signs(truth, present))
    return _finite_rows(right.sum(1).double() / asked.sum(1), scores, present)


def soft_mass(
    scores: Tensor,  # (batch, players)
    *,
    truth: Tensor,  # (batch, players)
    support: Tensor,  # (batch, players) bool
    present: Tensor,  # (batch, players) bool
    sign: Sign,
    mass: Mass,
) -> Tensor:  # (batch,) float64
    """Precision, recall or F1 of the attributed mass of one sign.

    With a = |scores| of that sign / the row's largest |score|, and G the players of the support whose exact score has that sign:
    precision = sum of a over G / sum of a; recall = sum of a over G / |G|; F1 their harmonic mean. Conventions: 0/0 is 1 in precision
    (nothing of this sign was claimed) and in recall (there was nothing to find), and F1 is 0 where both are 0. NaN where a score
    is not finite.
    """
    magnitude = scores.masked_fill(~present, 0).double()
    unit = magnitude / magnitude.abs().amax(1, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
    claimed = {"positive": unit.clamp(min=0), "negative": (-unit).clamp(min=0), "absolute": unit.abs()}[sign]
    exact = _signs(truth, present)
    wanted = support & present & {"positive": exact > 0, "negative": exact < 0, "absolute": torch.ones_like(present)}[sign]
    found = torch.where(wanted, claimed, 0.0).sum(1)
    precision, recall = _ratio(found, claimed.sum(1)), _ratio(found, wanted.sum(1).double())
    f1 = (2 * precision * recall / (precision + recall)).where(precision + recall > 0, 0.0)
    return _finite_rows({"precision": precision, "recall": recall, "f1": f1}[mass], scores, present)


def relative_l1(
    scores: Tensor,  # (batch, players)
    *,
    truth: Tensor,  # (batch, players)
    support: Tensor,  # (batch, players) bool
    present: Tensor,  # (batch, players) bool
) -> Tensor:  # (batch,) float64
    """The sum of |score - exact score| over the present players, divided by the sum of |exact score|; NaN where that is 0."""
    del support
    error = torch.where(present, scores.double() - truth.double(), 0).abs().sum(1)
    return _finite_rows(error / torch.where(present, truth.double(), 0).abs().sum(1), scores, present)


def rank_correlation(
    scores: Tensor,  # (batch, players)
    *,
    truth: Tensor,  # (batch, players)
    support: Tensor,  # (batch, players) bool
    present: Tensor,  # (batch, players) bool
) -> Tensor:  # (batch,) float64
    """Spearman's correlation with the exact scores over the present players, ties sharing their average rank.

    NaN where either is constant, or a score is not finite.
    """
    del support
    count = present.sum(1, keepdim=True)
    mine, exact = (_centred(average_ranks(values, present), present, count) for values in (scores, truth))
    scale = (mine.square().sum(1) * exact.square().sum(1)).sqrt()
    return _finite_rows((mine * exact).sum(1) / scale, scores, present)


def _centred(ranks: Tensor, present: Tensor, count: Tensor) -> Tensor:
    """Ranks less their mean, which is (n + 1) / 2 with ties or without; 0 for absent players."""
    return torch.where(present, ranks - (count + 1) / 2, 0)


def _signs(values: Tensor, present: Tensor) -> Tensor:
    """-1, 0 or 1, where 0 is within rounding of 0."""
    inside = torch.where(present & values.isfinite(), values, 0)
    return inside.sign() * (inside.abs() > rounding_of(inside))


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    return (part / whole).where(whole > 0, 1.0)


def _finite_rows(values: Tensor, scores: Tensor, present: Tensor) -> Tensor:
    """NaN where the value is not defined or a present player's score is not finite."""
    return values.where((scores.isfinite() | ~present).all(1) & values.isfinite(), torch.nan)


def _soft(sign: Sign, mass: Mass) -> Metric:
    side = {"positive": "a⁺", "negative": "a⁻", "absolute": "|a|"}[sign]
    goal = {"positive": "G⁺", "negative": "G⁻", "absolute": "G"}[sign]
    formula = {
        "precision": f"Σ_{goal} {side} / Σ {side}, 0/0 = 1",
        "recall": f"Σ_{goal} {side} / (|{goal}| max|a|), 0/0 = 1",
        "f1": "2PR / (P + R), 0 where P = R = 0",
    }

    def measure(scores: Tensor, *, truth: Tensor, support: Tensor, present: Tensor) -> Tensor:
        return soft_mass(scores, truth=truth, support=support, present=present, sign=sign, mass=mass)

    return Metric(
        name=f"soft_{mass}_{sign}",
        question="truth",
        direction="higher",
        range="0 to 1",
        formula=formula[mass],
        reference="Zhang et al., 'AttributionLab', 2023, section 4; scores are divided by the row's max |a|",
        measure=measure,
        ranking="absolute" if sign == "absolute" else "signed",
    )


_SIGNS: tuple[Sign, ...] = ("positive", "negative", "absolute")
_MASSES: tuple[Mass, ...] = ("precision", "recall", "f1")

METRICS = (
    Metric(
        name="sign_accuracy",
        question="truth",
        direction="higher",
        range="0 to 1",
        formula="|{i in G, g_i ≠ 0: sign a_i = sign g_i}| / |{i in G, g_i ≠ 0}|",
        reference="the share of correct signs on the support",
        measure=sign_accuracy,
    ),
    *(_soft(sign, mass) for sign in _SIGNS for mass in _MASSES),
    Metric(
        name="relative_l1",
        question="truth",
        direction="lower",
        range="0 to infinity; 1 for the zero map",
        formula="Σ |a_i − g_i| / Σ |g_i|",
        reference="the relative error in the 1-norm",
        measure=relative_l1,
    ),
    Metric(
        name="rank_correlation",
        question="truth",
        direction="higher",
        range="-1 to 1",
        formula="Pearson's correlation of the average ranks of a and g",
        reference="Spearman, 'The proof and measurement of association between two things', 1904",
        measure=rank_correlation,
    ),
)
