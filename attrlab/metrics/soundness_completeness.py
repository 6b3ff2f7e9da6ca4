"""Soundness asks whether what is attributed is predictive, completeness whether what is predictive is attributed.

With A the attributed players of values a, and A* the truly predictive ones of values g, soundness is |A ∩ A*|_a / |A|_a and completeness
|A ∩ A*|_g / |A*|_g, where |S|_w is the sum of w over S. A* is not known in general, so Li et al. estimate both from the network's
performance on imputed inputs. In a designed world A* is known: the definitions are evaluated beside the algorithms, on the same levels and
in the same order of ties, and the difference is the algorithm's own error. (Completeness in this file is never the axiom.)

The masks of the algorithms do not depend on their running state, so all levels are asked at once and the state is a cumulative sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from attrlab.errors import InvalidInput
from attrlab.games.plan import Levels, Masks
from attrlab.games.ranking import rank
from attrlab.games.value import worth
from attrlab.metrics.answers import Answers, Asked, asked
from attrlab.metrics.metric import Metric
from attrlab.metrics.orders import seeded_ranks

Performance = Literal["accuracy", "probability", "effect"]
Sign = Literal["absolute", "positive"]

REMOVED = tuple(round(0.98 - 0.01 * step, 2) for step in range(96))
"""The published levels of soundness: the share of players that is imputed, from 0.98 down to 0.03."""

THRESHOLDS = tuple(round(0.1 * step, 1) for step in range(1, 10))
"""The published levels of completeness: what exceeds (1 - r) times the largest value is imputed."""

SMALL = 1e-6
"""What the published ratio adds to its divisor."""


@dataclass(frozen=True, kw_only=True)
class SoundnessCurve:
    """The published algorithm's curve, row by row.

    Attributes:
        ratio: the share of the kept attribution that is not written off as false, at each level.
        exact: the share of the kept attribution that lies on A*, at each level; None where A* was not given.
        performance: of the network on what is kept.
        undefined: rows whose scores are not finite, or have no present player.
    """

    ratio: Tensor  # (batch, levels) float64
    exact: Tensor | None  # (batch, levels) float64
    performance: Tensor  # (batch, levels) float64
    undefined: Tensor  # (batch,) bool


def soundness_curve(
    game: Asked,
    scores: Tensor,  # (batch, players)
    *,
    support: Tensor | None = None,  # (batch, players) bool
    removed: Sequence[float] = REMOVED,
    performance: Performance = "probability",
    shared: bool = False,
    start: float = 0.04,
    threshold: float = 0.01,
    lag: Literal[0, 1] = 1,
    sign: Sign = "absolute",
) -> SoundnessCurve:
    """Reveal players from the largest value on; attribution whose coming does not raise performance is false.

    At level t, F_t = F_{t-1} + (the value that came) if p_t > start and p_t - p_{t-1} <= threshold; ratio_t = (K_t - F_{t-lag}) / K_t,
    where K_t is the value kept.

    Args:
        game: what is asked; its imputer stands for what is not yet revealed.
        scores: of the players.
        support: A*, if the exact curve is wanted.
        removed: the shares of players imputed, descending.
        performance: "accuracy" (whether the explained output is the largest; of a single output, whether it has the sign it has on the
            whole row), "probability" of the explained output, or "effect", (v - v(empty)) / (v(N) - v(empty)), which no softmax saturates.
        shared: whether one decision is taken for all rows together from their mean, as published for accuracy; a row then depends on its
            batch, by definition.
        start: performance above which anything can be false.
        threshold: the rise up to which it is.
        lag: 1 as published, where a level's false value is subtracted at the next level only; 0 subtracts it at once.
        sign: whether values are |a| or the positive part of a.

    Raises:
        InvalidInput: if a level is outside of [0, 1] or they do not descend.

    Reference:
        Li, Zhang et al., "A dual-perspective approach to evaluating feature attribution methods", 2024, algorithm 1.

    Differs from the paper in: one fixed order of ties per row (there a new one at each level, so that kept sets are not nested).
    """
    _require_descending(removed)
    known = asked(game)
    values, order, undefined = _values_and_order(known, scores, sign)
    counts = _kept_counts(known.game.present.sum(1), removed)
    found = _performance(known, Levels(rank=order, threshold=counts, mode="insertion"), performance).view(counts.shape)
    judged = found.mean(0, keepdim=True).expand_as(found) if shared else found
    mass = _mass(values, order, counts)
    false = (judged > start) & (judged.diff(dim=1, prepend=torch.zeros_like(judged[:, :1])) <= threshold)
    written_off = (mass.diff(dim=1, prepend=torch.zeros_like(mass[:, :1])) * false).cumsum(1)
    before = torch.cat([torch.zeros_like(mass[:, :1]), written_off[:, :-1]], 1) if lag else written_off
    exact = None if support is None else _quotient(_mass(values * support, order, counts), mass)
    return SoundnessCurve(ratio=(mass - before) / (mass + SMALL), exact=exact, performance=found, undefined=undefined)


def soundness(
    game: Asked,
    scores: Tensor,  # (batch, players)
    *,
    performance: Performance = "probability",
    threshold: float = 0.01,
    sign: Sign = "absolute",
) -> Tensor:  # (batch,) float64
    """The share of all attribution that the algorithm does not write off: its estimate of |A ∩ A*|_a / |A|_a; NaN for the zero map."""
    levels = (*REMOVED, 0.02, 0.01, 0.0)
    found = soundness_curve(game, scores, removed=levels, performance=performance, threshold=threshold, lag=0, sign=sign)
    something = (scores.nan_to_num() != 0).any(1) & (found.ratio[:, -1] == found.ratio[:, -1])
    return found.ratio[:, -1].masked_fill(found.undefined | ~something, torch.nan)


def exact_soundness(
    scores: Tensor,  # (batch, players)
    *,
    support: Tensor,  # (batch, players) bool
    present: Tensor,  # (batch, players) bool
    sign: Sign = "absolute",
) -> Tensor:  # (batch,) float64
    """|A ∩ A*|_a / |A|_a with A* the support; NaN where nothing is attributed or a score is not finite."""
    values = _magnitudes(scores, present, sign)
    return _defined(_quotient((values * support).sum(1), values.sum(1)), scores, present)


def soundness_error(
    game: Asked,
    scores: Tensor,  # (batch, players)
    *,
    support: Tensor,  # (batch, players) bool
    performance: Performance = "probability",
    threshold: float = 0.01,
    sign: Sign = "absolute",
) -> Tensor:  # (batch,) float64
    """What the algorithm says less what is so: its bias under this criterion, threshold and imputer, negative where it writes off too much.

    NaN where either is not defined.
    """
    known = asked(game)
    estimate = soundness(known, scores, performance=performance, threshold=threshold, sign=sign)
    return estimate - exact_soundness(scores, support=support, present=known.game.present, sign=sign)


def completeness_curve(
    game: Asked,
    scores: Tensor,  # (batch, players)
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    performance: Performance = "probability",
    sign: Sign = "absolute",
) -> Tensor:  # (batch, levels) float64
    """How far performance falls when all players of a value above (1 - r) max are imputed: larger is more complete.

    Raises:
        InvalidInput: if a threshold is outside of [0, 1].

    Reference:
        Li, Zhang et al., 2024, algorithm 2: masked by value, not by area.
    """
    known = asked(game)
    masks = _above(_magnitudes(scores, known.game.present, sign), thresholds)
    rows, levels, players = masks.shape
    sample = torch.arange(rows, device=masks.device).repeat_interleave(levels + 1)
    kept = ~torch.cat([torch.zeros_like(masks[:, :1]), masks], 1)
    found = _performance(known, Masks(sample=sample, mask=kept.view(-1, players)), performance).view(rows, levels + 1)
    return found[:, :1] - found[:, 1:]


def information_completeness(
    game: Asked,
    scores: Tensor,  # (batch, players)
    *,
    performance: Performance = "probability",
    sign: Sign = "absolute",
) -> Tensor:  # (batch,) float64
    """The mean of the completeness curve over its thresholds; NaN where a score is not finite or there is no player."""
    known = asked(game)
    return _defined(completeness_curve(known, scores, performance=performance, sign=sign).mean(1), scores, known.game.present)


def exact_completeness(
    scores: Tensor,  # (batch, players)
    *,
    truth: Tensor,  # (batch, players)
    support: Tensor,  # (batch, players) bool
    present: Tensor,  # (batch, players) bool
    thresholds: Sequence[float] = THRESHOLDS,
    sign: Sign = "absolute",
) -> Tensor:  # (batch,) float64
    """|A_r ∩ A*|_g / |A*|_g with g the magnitudes of the exact scores, averaged over the same sets A_r of values above (1 - r) max."""
    masks = _above(_magnitudes(scores, present, sign), thresholds)
    ideal = torch.where(support & present, truth.double().abs(), 0)
    return _defined(_quotient((masks * ideal.unsqueeze(1)).sum(2), ideal.sum(1, keepdim=True)).mean(1), scores, present)


def _values_and_order(known: Answers, scores: Tensor, sign: Sign) -> tuple[Tensor, Tensor, Tensor]:
    values = _magnitudes(scores, known.game.present, sign)
    ranked = rank(torch.where(scores.isfinite(), values, torch.nan), known.game.present)
    return values, seeded_ranks(ranked, orders=1)[0], ~ranked.defined | (ranked.count == 0)


def _kept_counts(count: Tensor, removed: Sequence[float]) -> Tensor:  # (batch, levels) int64
    share = 1 - torch.tensor(removed, dtype=torch.float64, device=count.device)
    return (share * count.unsqueeze(1) + 0.5).floor().long()


def _performance(known: Answers, jobs: Levels | Masks, performance: Performance) -> Tensor:  # (jobs,) float64
    """What the network achieves on each job."""
    logits, target = known.ask(jobs), known.game.target[jobs.sample]
    if performance == "probability":
        return worth(logits, target, value="probability").double()
    if performance == "accuracy":
        return _right(known, logits, target, jobs.sample).double()
    whole, nothing = _ends(known)
    return _quotient(worth(logits, target).double() - nothing[jobs.sample], (whole - nothing)[jobs.sample])


def _right(known: Answers, logits: Tensor, target: Tensor, sample: Tensor) -> Tensor:
    if logits.shape[1] > 1:
        return logits.argmax(1) == target
    return (logits[:, 0] > 0) == (_ends(known)[0] > 0)[sample]


def _ends(known: Answers) -> tuple[Tensor, Tensor]:
    """v(N) and v(empty) of every row."""
    rows, players = known.game.present.shape
    mask = torch.tensor([True, False], device=known.game.inputs.device).repeat_interleave(rows).unsqueeze(1).expand(-1, players)
    both = known.worth(Masks(sample=torch.arange(rows, device=mask.device).repeat(2), mask=mask))
    return both[:rows], both[rows:]


def _magnitudes(scores: Tensor, present: Tensor, sign: Sign) -> Tensor:  # (batch, players) float64
    values = torch.where(present & scores.isfinite(), scores, 0).detach().double()
    return values.abs() if sign == "absolute" else values.clamp(min=0)


def _mass(values: Tensor, order: Tensor, counts: Tensor) -> Tensor:  # (batch, levels) float64
    """The value of the first players of the order, up to each count."""
    sorted_values = torch.zeros_like(values).scatter_(1, order, values)
    return torch.cat([torch.zeros_like(values[:, :1]), sorted_values.cumsum(1)], 1).gather(1, counts)


def _above(values: Tensor, thresholds: Sequence[float]) -> Tensor:  # (batch, levels, players) bool
    if not all(0 <= r <= 1 for r in thresholds):
        raise InvalidInput(f"thresholds are shares of the largest value, between 0 and 1 (got {tuple(thresholds)})")
    share = 1 - torch.tensor(tuple(thresholds), dtype=torch.float64, device=values.device)
    largest = values.amax(1) if values.shape[1] else values.sum(1)
    return values.unsqueeze(1) > share.view(1, -1, 1) * largest.view(-1, 1, 1)


def _defined(found: Tensor, scores: Tensor, present: Tensor) -> Tensor:
    return found.where((scores.isfinite() | ~present).all(1) & present.any(1), torch.nan)


def _quotient(above: Tensor, below: Tensor) -> Tensor:
    """NaN where nothing is divided."""
    return above / torch.where(below == 0, torch.nan, below)


def _require_descending(removed: Sequence[float]) -> None:
    if not removed or not all(0 <= r <= 1 for r in removed) or any(a < b for a, b in pairwise(removed)):
        raise InvalidInput(f"removed are shares between 0 and 1, descending, as in (0.9, 0.5, 0.1) (got {tuple(removed)})")


def _completeness_metric(scores: Tensor, *, truth: Tensor, support: Tensor, present: Tensor) -> Tensor:
    return exact_completeness(scores, truth=truth, support=support, present=present)


METRICS = (
    Metric(
        name="soundness",
        question="game",
        direction="higher",
        range="0 to 1",
        formula="(Σ|a| − F) / Σ|a|, F the |a| of the players whose coming raises p by no more than 0.01 once p > 0.04, largest |a| first",
        reference="Li, Zhang et al., 2024, algorithm 1, probability criterion, without lag; estimates soft_precision_absolute",
        measure=soundness,
        ranking="absolute",
        cost="99 forwards at most",
    ),
    Metric(
        name="information_completeness",
        question="game",
        direction="higher",
        range="-1 to 1",
        formula="mean over r = 0.1, …, 0.9 of p(N) − p(without {i: |a_i| > (1 − r) max |a|})",
        reference="Li, Zhang et al., 2024, algorithm 2, probability criterion",
        measure=information_completeness,
        ranking="absolute",
        cost="10 forwards",
    ),
    Metric(
        name="information_completeness_exact",
        question="truth",
        direction="higher",
        range="0 to 1",
        formula="mean over r = 0.1, …, 0.9 of Σ_{i in G: |a_i| > (1 − r) max |a|} |g_i| / Σ_G |g_i|",
        reference="Li, Zhang et al., 2024, section 3: the definition, with the predictive set known",
        measure=_completeness_metric,
        ranking="absolute",
    ),
)
