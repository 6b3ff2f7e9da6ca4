"""A study composes what does not know of each other: environments, methods and evaluations, on one device, from one seed."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor

from attrlab.errors import InvalidInput, MethodError, NotApplicable
from attrlab.games.curves import Mode
from attrlab.method import Method
from attrlab.metrics import METRICS, Metric
from attrlab.metrics.metric import Question
from attrlab.metrics.perturbation import mean_over_rows
from attrlab.metrics.reliability import Reliability, reliability
from attrlab.metrics.statistics import Summary, means_and_intervals
from attrlab.metrics.student import mean_and_half_width
from attrlab.record import MeanCurve, Score
from attrlab.stage import (
    CEILING,
    CONVENTION,
    DRAW,
    FLOOR,
    REFERENCE,
    REFERENCE_SEED,
    WITNESS,
    Stage,
    applies,
    case_of,
    convention_of,
    load,
    mean_of,
    measure,
    metrics_of,
    prepare,
)

__all__ = [
    "CEILING",
    "CONVENTION",
    "DRAW",
    "FLOOR",
    "REFERENCE",
    "REFERENCE_SEED",
    "WITNESS",
    "Stage",
    "applies",
    "case_of",
    "convention_of",
    "curves",
    "judge_of_metric",
    "load",
    "measure",
    "metrics_of",
    "model_free",
    "prepare",
    "score",
    "stochastic",
]

_MODES: tuple[Mode, Mode] = ("deletion", "insertion")


def stochastic(method: Method) -> bool:
    """Whether a method asks for noise."""
    return method.names("generator") or method.names("seeds")


def score(method: Method, stage: Stage, *, question: Question, among: Collection[Metric] | None = None, seeds: int = 1) -> list[Score]:
    """Measure every metric of one question (of those `among`, if given) for a method on a stage, between floor and ceiling.

    A stochastic method is asked with `seeds` seeds; a metric that calls the method again does so with each of them, the same for all its
    networks and neighbours. A metric that does not apply to these rows, or for which the method fails when it is asked again, is recorded
    without a value and loses no other.

    Raises:
        NotApplicable, MethodError: as `player_scores`.
    """
    draws = seeds if stochastic(method) else 1
    found = [stage.scores_of(method, draw=draw) for draw in range(draws)]
    asked = metrics_of(stage.environment, question=question)
    chosen = [metric for metric in asked if among is None or metric in among]
    sets, spent = [scores for scores, _ in found], found[0][1]
    return _scores(method.name, stage, [_measured(method, stage, metric, sets, spent) for metric in chosen])


def model_free(stage: Stage) -> list[Score]:
    """What degree, bridges and numbering alone score on the localisation and the game of graphs; empty on other modalities."""
    if stage.environment.modality != "graph":
        return []
    from synthetic.graphs.baselines import bridge_scores, degree_scores, index_scores

    found = []
    for name, alone in (("degree_alone", degree_scores), ("bridges_alone", bridge_scores), ("number_alone", index_scores)):
        scores = alone(stage.batch).to(stage.floor)
        chosen = [*metrics_of(stage.environment, question="truth"), *metrics_of(stage.environment, question="game")]
        found += _scores(name, stage, [_measured(FLOOR, stage, metric, [scores], 0.0) for metric in chosen])
    return found


def _scores(name: str, stage: Stage, drafts: list[_Draft]) -> list[Score]:
    """Drafts with their intervals, which are drawn together."""
    if not drafts:
        return []
    values = torch.stack([draft.values.nanmean(0).cpu().double() for draft in drafts])
    summaries = means_and_intervals(values, seed=stage.seed)
    return [_score(name, stage, draft, summary) for draft, summary in zip(drafts, summaries, strict=True)]


def curves(method: Method, stage: Stage) -> list[MeanCurve]:
    """The mean deletion and insertion curves of a method, with those of the random control and of the exact truth.

    Raises:
        NotApplicable, MethodError: as `player_scores`.
    """
    ideal = stage.batch.truth.attributions[CONVENTION].to(stage.floor.dtype)
    found = []
    with torch.no_grad():
        for name, scores in ((method.name, stage.scores_of(method)[0]), ("floor", stage.floor), ("ceiling", ideal)):
            for mode in _MODES:
                fractions, values = (part.tolist() for part in mean_over_rows(stage.answers, scores, mode=mode))
                place = {"method": name, "environment": stage.environment.id, "mode": mode}
                found.append(MeanCurve(**place, fractions=tuple(fractions), values=tuple(values)))
    return found


def judge_of_metric(metric: Metric, stage: Stage, *, methods: Collection[Method] = ()) -> Reliability:
    """How far a metric of the kinds "truth", "scores" and "game" can be trusted on a stage, judged by the exact Shapley values.

    Methods are ranked by the rank correlation of their scores with the truth; those that do not apply are left out.

    Raises:
        InvalidInput: if the metric calls the method again.
    """
    if metric.question == "method":
        raise InvalidInput(
            f"{metric.name} is not a function of scores alone: choose a metric that asks the game or the truth (got 'method')"
        )
    truth = stage.batch.truth.attributions[CONVENTION].to(stage.floor.dtype)
    found = []
    for method in methods:
        with suppress(NotApplicable, MethodError):
            scores = stage.scores_of(method)[0]
            found.append((scores, mean_of(measure(METRICS["rank_correlation"], stage, scores))))
    return reliability(
        lambda scores: measure(metric, stage, scores),
        direction=metric.direction,
        truth=truth,
        magnitudes=metric.ranking == "absolute",
        methods=found,
        generator=torch.Generator().manual_seed(stage.seed),
    )


@dataclass(frozen=True, kw_only=True)
class _Draft:
    """What was measured, before it is summarised."""

    metric: Metric
    values: Tensor  # (draws, batch)
    ends: tuple[float, float]
    seconds: float


def _measured(method: Method, stage: Stage, metric: Metric, sets: Sequence[Tensor], spent: float) -> _Draft:
    start = time.perf_counter()
    convention = CONVENTION if metric.question == "game" else convention_of(method, stage)
    try:
        asked = {"convention": convention, "method": method}
        values = torch.stack([measure(metric, stage, scores, draw=draw, **asked) for draw, scores in enumerate(sets)])  # type: ignore[arg-type]
        ends = stage.ends(metric, convention)
    except (NotApplicable, MethodError):
        values, ends = sets[0].new_full((len(sets), len(sets[0])), torch.nan), (math.nan, math.nan)
    return _Draft(metric=metric, values=values, ends=ends, seconds=spent + time.perf_counter() - start)


def _score(name: str, stage: Stage, draft: _Draft, summary: Summary) -> Score:
    return Score(
        method=name,
        environment=stage.environment.id,
        evaluation=draft.metric.name,
        value=summary.mean,
        interval=summary.interval,
        floor=draft.ends[0],
        ceiling=draft.ends[1],
        rows=summary.rows,
        direction=draft.metric.direction,
        seed=stage.seed,
        seconds=draft.seconds,
        values=tuple(float(f"{value:.6g}") for value in draft.values.nanmean(0).tolist()),
        seeds=len(draft.values),
        spread=_spread(draft.values.nanmean(1)),
    )


def _spread(means: Tensor) -> tuple[float, float]:
    """The interval of the mean over seeds, from the mean over rows of each."""
    defined = means[~means.isnan()].tolist()
    if len(defined) < 2:
        return math.nan, math.nan
    mean, half = mean_and_half_width(defined)
    return mean - half, mean + half
