"""A stage is an environment put on a device with rows drawn from it; everything asked of it is asked of the same rows.

So methods are compared on equal terms, and what one question found out costs the next one nothing.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from attrlab.case import Case
from attrlab.errors import InvalidInput, NotApplicable, UnknownName
from attrlab.games import Game, Policy, make_game
from attrlab.method import Method, player_scores
from attrlab.methods import controls
from attrlab.metrics import METRICS, Metric
from attrlab.metrics.answers import Answers
from attrlab.metrics.explainer import Explainer
from attrlab.metrics.metric import Question
from synthetic import Batch, Environment, make_environment
from synthetic.readings import known_of
from synthetic.registry import UnknownEnvironment

CONVENTION = "shapley"
"""What a method that aims at no convention is compared with."""

REFERENCE, REFERENCE_SEED = 32, 0x5EFE_2E4C
"""How many rows are drawn as reference data, and from which seed: one that no explained rows are drawn from.

Torch's generator on a CPU reads the lower 32 bits of a seed alone, so 1 << 40 would be the seed 0."""

DRAW = 97
"""How far apart the seeds of a method's draws are; small, as some libraries' generators read 32 bits of a row's seed."""

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
    _scores: dict[tuple[int, int], tuple[Method, Tensor, float]] = field(default_factory=dict, repr=False, compare=False)
    _explainers: dict[tuple[int, int], tuple[Method, Explainer]] = field(default_factory=dict, repr=False, compare=False)
    _ends: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict, repr=False, compare=False)

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
    def answers(self) -> Answers:
        """The baseline game with a memory, so that what one method or metric asked costs the next one nothing."""
        return Answers(self.game)

    @cached_property
    def floor(self) -> Tensor:
        """Player scores of the random control, (batch, players)."""
        return player_scores(FLOOR, self.case, seed=self.seed)

    def scores_of(
        self,
        method: Method,
        *,
        draw: int = 0,
    ) -> tuple[Tensor, float]:  # (batch, players), and the seconds they took
        """Player scores of a method, asked for once however many questions are put to them; another `draw` is other noise of its own.

        Raises:
            NotApplicable, MethodError: as `player_scores`.
        """
        key = (id(method), draw)
        if key not in self._scores:
            start = time.perf_counter()
            found = player_scores(method, self.case, seed=self.seed + DRAW * draw)
            self._scores[key] = (method, found, time.perf_counter() - start)
        return self._scores[key][1:]

    def explainer_of(
        self,
        method: Method,
        *,
        draw: int = 0,
    ) -> Explainer:
        """The method as what can be asked again with the noise of one draw, and remembers; many times in its light setting, if any."""
        key = (id(method), draw)
        if key not in self._explainers:
            light = method.with_parameters(**method.light) if method.light else method
            asks = (partial(_ask, one, self.seed + DRAW * draw) for one in (light, method))
            self._explainers[key] = (method, Explainer(next(asks), whole=next(asks)))
        return self._explainers[key][1]

    def ends(
        self,
        metric: Metric,
        convention: str,
    ) -> tuple[float, float]:
        """What the random control and the exact truth score on a metric: floor and ceiling, measured once."""
        if metric.question == "method":
            return metric.ends
        if (metric.name, convention) not in self._ends:
            ideal = self.batch.truth.attributions[convention].to(self.floor.dtype)
            floor, ceiling = (mean_of(measure(metric, self, scores, convention=convention)) for scores in (self.floor, ideal))
            self._ends[metric.name, convention] = floor, ceiling
        return self._ends[metric.name, convention]


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
        traits=environment.traits,
        learnt=_learnt(environment, policy),
        **known_of(environment, batch),  # type: ignore[arg-type]
    )


def _learnt(environment: Environment, policy: Policy) -> Callable[[], Mapping[str, nn.Module]]:
    """Networks trained on rows of the environment when they are first asked for; a refusal is remembered as well."""
    found: list[Mapping[str, nn.Module] | NotApplicable] = []

    def ask() -> Mapping[str, nn.Module]:
        from attrlab.retraining.relearning import learn

        if not found:
            try:
                found.append(learn(environment, device=policy.device, dtype=policy.dtype))
            except NotApplicable as refusal:
                found.append(refusal)
        if isinstance(found[0], NotApplicable):
            raise NotApplicable(str(found[0]))
        return found[0]

    return ask


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


def metrics_of(environment: Environment, *, question: Question) -> tuple[Metric, ...]:
    """The metrics of one question that are defined for an environment."""
    asked = [metric for metric in METRICS.values() if metric.question == question]
    return tuple(metric for metric in asked if metric.applies_to(environment.modality, environment.id))


def convention_of(method: Method, stage: Stage) -> str:
    """The truth a method is compared with: the convention it aims at, where the environment states it."""
    aim = method.convention
    return aim if aim is not None and aim in stage.batch.truth.attributions else CONVENTION


def measure(
    metric: Metric,
    stage: Stage,
    scores: Tensor,  # (batch, players)
    *,
    convention: str = CONVENTION,
    method: Method | None = None,
    draw: int = 0,
) -> Tensor:  # (batch,)
    """One metric of player scores on a stage, per row; a metric that calls the method again does so with the noise of one draw.

    Raises:
        InvalidInput: if the metric calls the method again and none is given.
        NotApplicable: if the metric does not apply to these rows.
    """
    if metric.question == "method":
        if method is None:
            raise InvalidInput(f"{metric.name} calls the method again: write measure(metric, stage, scores, method=...) (got method=None)")
        return metric.measure(stage.explainer_of(method, draw=draw), stage.case, scores)
    with torch.no_grad():
        if metric.question == "game":
            return metric.measure(stage.answers, scores)
        if metric.question == "scores":
            return metric.measure(scores, present=stage.game.present)
        truth = stage.batch.truth
        players = truth.support if metric.object == "support" else truth.necessary
        return metric.measure(scores, truth=truth.attributions[convention].to(scores.dtype), support=players, present=stage.game.present)


def _ask(method: Method, seed: int, case: Case, *, model: nn.Module | None = None) -> Tensor:
    return player_scores(method, case, model=model, seed=seed)


def mean_of(values: Tensor) -> float:
    """The mean over the rows on which a value is defined."""
    defined = values[~torch.isnan(values)]
    return float(defined.mean()) if len(defined) else math.nan
