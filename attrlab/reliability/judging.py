"""Which evaluation can be trusted for what? Every metric is put to worlds of many kinds, under many imputers, and judged by the truth.

A metric that asks a network cannot know by itself whether it tells better attributions from worse. In a designed world it is found out:
the exact Shapley values, random scores and the inverted truth have a known order, mixtures of truth and noise have one, and methods are
ordered by their distance from the truth. Imputers are judged by the same truth, that of the baseline game: a metric that finds noise better
than the truth because imputed inputs are like no data shows the Unseen Data Effect. All candidates of all rows are asked about in one tall
batch, whose copies of a row share their answers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from attrlab.errors import MethodError, NotApplicable
from attrlab.games import Imputer, keep_baseline, rank
from attrlab.games.imputers_domain import ATOMS
from attrlab.games.imputers_domain import unseen as shares
from attrlab.games.plan import Masks
from attrlab.metrics import Metric, cost, perturbation, soundness_completeness, subsets
from attrlab.metrics.agreement import rank_correlation
from attrlab.metrics.answers import Answers
from attrlab.metrics.metric import Question
from attrlab.metrics.reliability import candidates, kendall, weigh
from attrlab.metrics.subsets import correlation
from attrlab.record import Judgement
from attrlab.registry import find_method
from attrlab.reliability.worlds import PANEL, imputers_of, kind_of
from attrlab.study import CONVENTION, REFERENCE, Stage, applies, measure, metrics_of

Made = TypeVar("Made")

_FAMILIES = (perturbation, soundness_completeness, subsets)

IMPUTED = tuple(metric for family in _FAMILIES for metric in family.METRICS if metric.question == "game")
"""The metrics that are asked under every imputer: what they ask is asked of the game they are given."""

QUESTIONS: tuple[Question, ...] = ("truth", "scores", "game", "method")

AUTHORITIES = frozenset({"noisy_truth"})
"""Members of the panel that know the truth: on networks with other weights they have none."""

COALITIONS = 32
"""Random coalitions of every row whose imputed inputs are looked at for unseen values."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A stage with everything that its metrics are judged by.

    Attributes:
        stage: the rows.
        place: the environment's id, and behind it the knobs that were set.
        truth: their exact Shapley values.
        panel: the scores of the methods that apply.
        tall: the rows once for every candidate, candidate by candidate.
        answers: the game of the tall rows; copies of a row share their answers.
    """

    stage: Stage
    place: str
    truth: Tensor  # (rows, players)
    panel: dict[str, Tensor]  # each (rows, players)
    tall: Stage
    answers: Answers
    _made: dict[tuple[str, object], Any] = field(default_factory=dict, repr=False, compare=False)

    def candidates(self, *, magnitudes: bool) -> Tensor:  # (sets x rows, players)
        """What metrics are asked about, set by set; the same object every time, so that what they read of it is read once."""
        return self._once(("sets", magnitudes), lambda: self._candidates(magnitudes))

    def agreements(self, metric: Metric) -> list[float]:
        """How well each of the panel agrees with the truth in what a metric reads."""
        return self._once(("agreements", metric.ranking), lambda: [_agreement(self, metric, scores) for scores in self.panel.values()])

    def _candidates(self, magnitudes: bool) -> Tensor:
        sets = candidates(self.truth, magnitudes=magnitudes, methods=tuple(self.panel.values()), seed=self.stage.seed)
        return sets.flatten(0, 1)

    def _once(self, name: tuple[str, object], build: Callable[[], Made]) -> Made:
        if name not in self._made:
            self._made[name] = build()
        return cast("Made", self._made[name])

    @property
    def copies(self) -> int:
        """How often the rows are repeated."""
        return len(self.tall.game) // len(self.stage.case)


def trial(stage: Stage, *, place: str = "", panel: Sequence[str] = PANEL) -> Trial:
    """Ask the panel about a stage; methods that do not apply or fail are left out."""
    truth = stage.batch.truth.attributions[CONVENTION].to(stage.floor.dtype)
    found = {}
    for name in panel:
        method = find_method(name)
        if applies(method, stage.environment):
            with suppress(NotApplicable, MethodError):
                found[name] = stage.scores_of(method)[0].to(truth)
    same = torch.arange(len(truth), device=truth.device).repeat(len(candidates(truth, methods=tuple(found.values()))))
    tall = Stage(environment=stage.environment, batch=stage.batch.rows(same), case=stage.case, policy=stage.policy, seed=stage.seed)
    place = place or stage.environment.id
    return Trial(stage=stage, place=place, truth=truth, panel=found, tall=tall, answers=Answers(tall.game, same=same))


def judge(
    stage: Stage,
    *,
    place: str = "",
    questions: Collection[Question] = QUESTIONS,
    panel: Sequence[str] = PANEL,
) -> Iterator[Judgement]:
    """Judge metrics on a stage, those of `IMPUTED` under every imputer; metrics that call the method again by the panel's order alone.

    Counted passes and seconds are no opinion of an attribution and are not judged. A metric that does not apply is a judgement with the
    reason and no numbers; `place` is its name of the world, its id by default.
    """
    asked = trial(stage, place=place, panel=panel)
    chosen = [metric for question in questions for metric in metrics_of(stage.environment, question=question) if metric not in cost.METRICS]
    pairs = zip(imputers_of(stage), imputers_of(stage, copies=asked.copies), strict=True)
    for number, (once, imputer) in enumerate(pairs):
        here = [metric for metric in chosen if metric in IMPUTED or number == 0]
        if here:
            share = unseen_share(stage, once)
            for metric in here:
                yield judged(asked, metric, imputer=imputer, unseen=share if metric in IMPUTED else math.nan)


def judged(asked: Trial, metric: Metric, *, imputer: Imputer = keep_baseline, unseen: float = math.nan) -> Judgement:
    """One metric on one stage under one imputer."""
    start, stage = time.perf_counter(), asked.stage
    own = metric not in IMPUTED
    blank = Judgement(
        evaluation=metric.name,
        question=metric.question,
        environment=asked.place,
        modality=stage.environment.modality,
        kind=kind_of(stage.environment),
        imputer="own" if own else imputer.name,
        unseen=unseen,
        seed=stage.seed,
    )
    try:
        found = _again(asked, metric) if metric.question == "method" else _weighed(asked, metric, imputer)
    except (NotApplicable, MethodError) as refusal:
        return replace(blank, reason=str(refusal))
    return replace(blank, **found, seconds=time.perf_counter() - start)


def unseen_share(stage: Stage, imputer: Imputer) -> float:
    """The share of values that no data hold, in what the imputer makes of random coalitions of each row."""
    answers = stage.answers.under(imputer)
    keys = torch.rand(COALITIONS, stage.game.players, generator=torch.Generator().manual_seed(stage.seed)) < 0.5
    sample = torch.arange(len(stage.case)).repeat_interleave(COALITIONS)
    jobs = Masks(sample=sample.to(stage.case.inputs.device), mask=keys.repeat(len(stage.case), 1).to(stage.case.inputs.device))
    seen = stage.environment.sample(REFERENCE, torch.Generator().manual_seed(stage.seed + 1)).inputs.to(stage.case.inputs)
    return float(shares(answers.game, jobs, seen, atom=ATOMS[stage.environment.modality]).mean())


def _weighed(asked: Trial, metric: Metric, imputer: Imputer) -> dict[str, Any]:
    """All candidates, one tall question."""
    magnitudes = metric.ranking == "absolute"
    scores = asked.candidates(magnitudes=magnitudes)
    if metric.question == "game":
        with torch.no_grad():
            values = metric.measure(asked.answers.under(imputer) if imputer is not keep_baseline else asked.answers, scores)
    else:
        values = measure(metric, asked.tall, scores)
    ordered, agreements = _ordered(asked, magnitudes), asked.agreements(metric)
    values = values.view(asked.copies, -1).masked_fill(~ordered, torch.nan)
    generator = torch.Generator().manual_seed(asked.stage.seed)
    found = weigh(values, direction=metric.direction, agreements=agreements, generator=generator)
    return {
        "truth_wins": found.truth_wins,
        "truth_gain": found.truth_above_random.interval,
        "random_wins": found.random_wins,
        "random_gain": found.random_above_inverted.interval,
        "kendall": found.kendall,
        "methods": len(agreements),
        "ladder": found.ladder,
        "rows": found.truth_above_random.rows,
    }


def _again(asked: Trial, metric: Metric) -> dict[str, Any]:
    """A metric that calls the method again knows no truth and no ladder; only its order of the panel can be judged."""
    values, agreements = [], []
    ordered = _ordered(asked, metric.ranking == "absolute")
    for name, scores in asked.panel.items():
        if name not in AUTHORITIES:
            with suppress(NotApplicable, MethodError):
                values.append(float(measure(metric, asked.stage, scores, method=find_method(name)).nanmean()))
                agreements.append(_agreement(asked, metric, scores))
    sign = 1 if metric.direction == "higher" else -1
    rows = int(ordered.sum())
    return {"kendall": kendall([sign * value for value in values], agreements), "methods": len(values), "rows": rows}


def _agreement(asked: Trial, metric: Metric, scores: Tensor) -> float:
    """How well scores agree with the truth in what the metric reads: their order, the order of their sizes, or their values."""
    ordered = _ordered(asked, metric.ranking == "absolute")
    present, truth = asked.stage.game.present, asked.truth
    if metric.ranking == "absolute":
        scores, truth = scores.abs(), truth.abs()
    if metric.ranking == "none":
        found = correlation(scores, truth, present)
    else:
        found = rank_correlation(scores, truth=truth, support=asked.stage.batch.truth.support, present=present)
    return float(found.nan_to_num(0.0)[ordered].mean()) if bool(ordered.any()) else math.nan


def _ordered(asked: Trial, magnitudes: bool) -> Tensor:  # (rows,) bool
    """The rows whose truth states an order: not all present players are equal."""
    ranked = rank(asked.truth.abs() if magnitudes else asked.truth, asked.stage.game.present)
    return (ranked.last[:, :1] + 1 < ranked.count.unsqueeze(1)).squeeze(1)
