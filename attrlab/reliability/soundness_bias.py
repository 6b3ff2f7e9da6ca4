"""How far the published soundness and completeness lie from what they estimate, by threshold, by ties, by imputer and by criterion.

Soundness is the share of attributed value that lies on the truly predictive players; the published algorithm estimates it from the
performance of the network, and calls what comes without a rise false. In a designed world both are numbers, and so is the difference.
Attributions with and without ties are asked about, since a player that comes in a tie comes in an order that nobody stated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import torch
from torch import Tensor

from attrlab.games import Imputer, keep_baseline
from attrlab.metrics.reliability import noise_like
from attrlab.metrics.soundness_completeness import Performance, exact_completeness, exact_soundness, information_completeness, soundness
from attrlab.metrics.statistics import mean_and_interval
from attrlab.record import Bias
from attrlab.reliability.worlds import imputers_of, parted
from attrlab.study import CONVENTION, Stage, prepare

WORLDS = (
    "additive-v1",
    "interacting-v1",
    "saturated-or-v1",
    "parity-v1",
    "unseen-colour-v1",
    "colour-difference-v1",
    "house-v1",
    "lookup-v1",
)
"""One world of each kind, small enough that all settings take seconds."""

THRESHOLDS = (0.0, 0.001, 0.01, 0.03, 0.1)
"""Rises of performance up to which what comes is called false; 0.01 is the published one."""

PERFORMANCES: tuple[Performance, ...] = ("accuracy", "probability", "effect")

ATTRIBUTIONS = ("truth", "support", "half noise", "half noise, in steps", "constant")
"""What is judged: exact, exact but all tied, wrong in part, the same with ties, and all tied."""


def attribution(
    name: str,
    truth: Tensor,  # (rows, players)
    support: Tensor,  # (rows, players) bool
) -> Tensor:  # (rows, players)
    """The scores of one of `ATTRIBUTIONS`."""
    noisy = (truth + noise_like(truth, 0) * truth.abs().amax(1, keepdim=True)) / 2
    known = {"truth": truth, "support": support.to(truth), "half noise": noisy, "half noise, in steps": _stepped(noisy)}
    return known.get(name, torch.ones_like(truth))


def biases(places: Sequence[str] = WORLDS, *, rows: int = 12, seed: int = 0) -> Iterator[Bias]:
    """The estimates and the exact values on every world under every setting; one setting is varied at a time."""
    for place in places:
        id, knobs = parted(place)
        stage = prepare(id, rows=rows, seed=seed, **knobs)
        yield from biases_of(stage, place=place)


def biases_of(stage: Stage, *, place: str = "") -> Iterator[Bias]:
    """Every attribution, with the threshold, the criterion and the imputer varied one at a time from the published setting."""
    truth = stage.batch.truth.attributions[CONVENTION].to(stage.floor.dtype)
    support = stage.batch.truth.support
    settings: list[tuple[float, Performance, Imputer]] = [
        (threshold, performance, keep_baseline) for threshold, performance in product(THRESHOLDS, PERFORMANCES)
    ]
    settings += [(0.01, "probability", imputer) for imputer in imputers_of(stage)[1:]]
    for name in ATTRIBUTIONS:
        scores = attribution(name, truth, support)
        for threshold, performance, imputer in settings:
            yield _bias(stage, place or stage.environment.id, name, scores, threshold, performance, imputer)
        for performance in PERFORMANCES:
            yield _completeness_bias(stage, place or stage.environment.id, name, scores, performance)


def _bias(stage: Stage, place: str, name: str, scores: Tensor, threshold: float, performance: Performance, imputer: Imputer) -> Bias:
    answers = stage.answers if imputer is keep_baseline else stage.answers.under(imputer)
    with torch.no_grad():
        said = soundness(answers, scores, performance=performance, threshold=threshold)
    so = exact_soundness(scores, support=stage.batch.truth.support, present=stage.game.present)
    return _record("soundness", stage, place, name, said, so, threshold=threshold, performance=performance, imputer=imputer.name)


def _completeness_bias(stage: Stage, place: str, name: str, scores: Tensor, performance: Performance) -> Bias:
    truth, support = stage.batch.truth.attributions[CONVENTION].to(scores), stage.batch.truth.support
    with torch.no_grad():
        said = information_completeness(stage.answers, scores, performance=performance)
    so = exact_completeness(scores, truth=truth, support=support, present=stage.game.present)
    return _record("information_completeness", stage, place, name, said, so, performance=performance, imputer=keep_baseline.name)


def _record(
    evaluation: str,
    stage: Stage,
    place: str,
    name: str,
    said: Tensor,
    so: Tensor,
    *,
    performance: str,
    imputer: str,
    threshold: float = float("nan"),
) -> Bias:
    both = ~(said.isnan() | so.isnan())
    found = mean_and_interval((said - so)[both], generator=torch.Generator().manual_seed(stage.seed))
    return Bias(
        evaluation=evaluation,
        environment=place,
        attribution=name,
        threshold=threshold,
        performance=performance,
        imputer=imputer,
        estimate=float(said[both].mean()),
        exact=float(so[both].mean()),
        bias=found.mean,
        interval=found.interval,
        rows=found.rows,
    )


def _stepped(scores: Tensor) -> Tensor:
    """Scores in three steps of the row's largest, so that most are tied."""
    size = scores.abs().amax(1, keepdim=True).clamp(min=1e-300)
    return (scores / size * 3).round() / 3
