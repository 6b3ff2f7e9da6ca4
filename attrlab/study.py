"""A study composes what does not know of each other: environments, methods and evaluations, on one device, from one seed.

A stage is an environment put on a device with a batch drawn from it; everything asked of it is asked of the same rows, so that
methods are compared on equal terms.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from attrlab.case import Case
from attrlab.errors import InvalidInput, UnknownName
from attrlab.games import Game, Policy, make_game
from attrlab.method import Method, player_scores
from attrlab.methods import controls
from attrlab.metrics import METRICS, Metric
from attrlab.metrics.statistics import mean_and_interval
from attrlab.record import Score
from synthetic import Batch, Environment, make_environment
from synthetic.registry import UnknownEnvironment

CONVENTION = "shapley"
"""What a method that aims at no convention is compared with."""

REFERENCE, REFERENCE_SEED = 32, 1 << 40
"""How many rows are drawn as reference data, and from which seed: one that no explained rows are drawn from."""

WITNESS = "witness"
"""The trait of environments that hold stored rows for one counterexample; they are not scored."""

FLOOR = Method(name="random", attribute=controls.random, control=True)
CEILING = Method(name="truth", attribute=controls.truth, control=True)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """An environment on a device, with the rows that every question is asked about."""

    environment: Environment
    batch: Batch
    case: Case
    policy: Policy
    seed: int

    @cached_property
    def game(self) -> Game:
        """The baseline game of the rows."""
        batch = self.batch
        return make_game(
            self.case.model,
            batch.inputs,
            target=batch.target,
            baseline=batch.baseline,
            feature_mask=batch.feature_mask,
            players=batch.players,
            policy=self.policy,
        )

    @cached_property
    def floor(self) -> Tensor:
        """Player scores of the random control, (batch, players)."""
        return player_scores(FLOOR, self.case, seed=self.seed)


def load(id: str, **knobs: Any) -> Environment:
    """Build the environment `id` with `knobs` in place of its defaults.

    Raises:
        UnknownName: if there is no such environment; the nearest are suggested.
        InvalidInput: if a knob is unknown or out of its range.
    """
    try:
        return make_environment(id, **knobs)
    except UnknownEnvironment as error:
        raise UnknownName(str(error)) from error
    except ValueError as error:
        raise InvalidInput(str(error)) from error


def prepare(id: str, *, rows: int = 12, seed: int = 0, policy: Policy | None = None, **knobs: Any) -> Stage:
    """Build the environment `id`, put it on the policy's device in its dtype, and draw `rows` rows from `seed`.

    Raises:
        UnknownName, InvalidInput: as `load`.
    """
    policy, environment = policy or Policy(), load(id, **knobs)
    batch = environment.sample(rows, torch.Generator().manual_seed(seed)).to(device=policy.device, dtype=policy.dtype)
    return Stage(environment=environment, batch=batch, case=case_of(environment, batch, policy), policy=policy, seed=seed)


def case_of(environment: Environment, batch: Batch, policy: Policy) -> Case:
    """The case that a batch of an environment puts to a method; the environment's own networks are not touched."""
    drawn = environment.sample(REFERENCE, torch.Generator().manual_seed(REFERENCE_SEED)).inputs
    networks = {name: copy.deepcopy(network).to(device=policy.device, dtype=policy.dtype) for name, network in environment.equals.items()}
    return Case(
        name=environment.id,
        formula=environment.formula,
        modality=environment.modality,
        model=copy.deepcopy(environment.model).to(device=policy.device, dtype=policy.dtype),
        inputs=batch.inputs,
        target=batch.target,
        baseline=batch.baseline,
        feature_mask=batch.feature_mask,
        players=batch.players,
        independent=batch.truth.independent,
        orbit=batch.truth.orbit,
        others=networks,
        truth=batch.truth.attributions.get("shapley"),
        reference=drawn.to(device=policy.device, dtype=policy.dtype),
        twin=_placed(environment.twin, policy),
    )


Twin = Callable[[], tuple[nn.Module, Callable[[Tensor], Any]]]


def _placed(twin: Twin | None, policy: Policy) -> Twin | None:
    """The twin on the policy's device in its dtype, built anew at every call, so that no explainer's traces are inherited."""
    if twin is None:
        return None
    build = twin

    def fresh() -> tuple[nn.Module, Callable[[Tensor], Any]]:
        module, data_of = build()
        return module.to(device=policy.device, dtype=policy.dtype), data_of

    return fresh


def applies(method: Method, environment: Environment) -> bool:
    """Whether the method says it applies to environments of this modality."""
    return not method.modalities or environment.modality in method.modalities


def score(method: Method, stage: Stage, *, question: str) -> list[Score]:
    """Measure every metric of one question ("truth" or "game") for a method on a stage, between floor and ceiling.

    Raises:
        NotApplicable, MethodError: as `player_scores`.
    """
    start = time.perf_counter()
    scores = player_scores(method, stage.case, seed=stage.seed)
    spent = time.perf_counter() - start
    return [_score(method, stage, metric, scores, spent) for metric in METRICS.values() if metric.question == question]


def convention_of(method: Method, stage: Stage) -> str:
    """The truth a method is compared with: the convention it aims at, where the environment states it."""
    aim = method.convention
    return aim if aim is not None and aim in stage.batch.truth.attributions else CONVENTION


def measure(metric: Metric, stage: Stage, scores: Tensor, *, convention: str = CONVENTION) -> Tensor:
    """One metric of player scores on a stage, per row, (batch,)."""
    with torch.no_grad():
        if metric.question == "game":
            return metric.measure(stage.game, scores)
        truth = stage.batch.truth
        return metric.measure(
            scores, truth=truth.attributions[convention].to(scores.dtype), support=truth.support, present=stage.game.present
        )


def _score(method: Method, stage: Stage, metric: Metric, scores: Tensor, spent: float) -> Score:
    start = time.perf_counter()
    convention = convention_of(method, stage)
    ideal = stage.batch.truth.attributions[CONVENTION if metric.question == "game" else convention].to(scores.dtype)
    measured = measure(metric, stage, scores, convention=convention)
    summary = mean_and_interval(measured, generator=torch.Generator().manual_seed(stage.seed))
    seconds = spent + time.perf_counter() - start
    return Score(
        method=method.name,
        environment=stage.environment.id,
        evaluation=metric.name,
        value=summary.mean,
        interval=summary.interval,
        floor=_mean(measure(metric, stage, stage.floor, convention=convention)),
        ceiling=_mean(measure(metric, stage, ideal, convention=convention)),
        rows=summary.rows,
        direction=metric.direction,
        seed=stage.seed,
        seconds=seconds,
    )


def _mean(values: Tensor) -> float:
    defined = values[~torch.isnan(values)]
    return float(defined.mean()) if len(defined) else math.nan
