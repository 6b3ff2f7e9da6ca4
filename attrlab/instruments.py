"""The instruments are checked before anything is measured with them.

An environment is trusted because its network equals a specification that never calls it, because no unit stands near a kink where a
convention would decide, because its exact truths are complete, and because the truth ranks above noise on its own metrics: an
environment on which it does not cannot rank anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from attrlab.errors import CheckFailed, NotApplicable
from attrlab.games import rank
from attrlab.method import players_of
from attrlab.methods.operations import outputs_at
from attrlab.metrics import METRICS
from attrlab.randomness import row_uniform
from attrlab.study import WITNESS, Stage, measure
from attrlab.verification import APPROXIMATE, MARGIN, ON_KINKS, ROUNDING, difference, points_of
from synthetic.gadgets import least_preactivation

MIXED = 256
"""How many rows, half of them coalitions, stand in for a domain that cannot be enumerated; `attrlab verify` takes far more."""

RANKING = ("support_auroc", "support_auprc", "relative_l1", "rank_correlation", "deletion", "insertion")
"""The metrics on which the truth must win. The soft metrics are left out: their conventions for an empty sign give noise the same 0 or 1,
and normalising by the row's maximum lets noise reach a larger recall than a truth of unequal sizes."""

WITHOUT = {"saw_toothed": ("deletion", "insertion", "support_auroc", "support_auprc")}
"""By trait, the metrics that cannot be held against the truth. Where the output jumps up and down as players leave, a curve's area says
nothing, and a player that matters may have the Shapley value 0."""

SEEDS = 8
"""How many random attributions the truth is compared with."""


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """One rule for environments; `check` returns (measured, bound, cases) or raises `CheckFailed`."""

    name: str
    statement: str
    check: Callable[[Stage], tuple[float, float, int]]


def network_equals_its_specification(stage: Stage) -> tuple[float, float, int]:
    """The network equals its executable specification, in float64 and in float32, on the lattice or on rows and their coalitions."""
    points, bound = _points(stage), ROUNDING if APPROXIMATE in stage.environment.traits else 0.0
    worst = max(difference(stage.environment, points, dtype, stage.policy.device) for dtype in (torch.float64, torch.float32))
    if worst > bound:
        raise CheckFailed(
            f"{stage.environment.id}: the network differs from its specification by {worst:.3g} on {len(points)} rows, must be <= {bound:g}"
        )
    return worst, bound, len(points)


def units_keep_their_distance_from_kinks(stage: Stage) -> tuple[float, float, int]:
    """The least |pre-activation| over the lattice, or over rows and their coalitions, is at least 1/4."""
    if ON_KINKS in stage.environment.traits:
        raise NotApplicable("this world is about kinks, and its units stand on them")
    points = _points(stage)
    least = least_preactivation(stage.environment.model, points)
    if least < MARGIN:
        raise CheckFailed(f"{stage.environment.id}: the least |pre-activation| on {len(points)} rows is {least:.3g}, must be >= {MARGIN}")
    return least, MARGIN, len(points)


def exact_truths_are_complete(stage: Stage) -> tuple[float, float, int]:
    """Shapley values and path integrals each sum to f(x) - f(x'), as efficiency and the fundamental theorem of calculus say."""
    case, worst = stage.case, 0.0
    with torch.no_grad():
        delta = outputs_at(case.model, case.inputs, case.target) - outputs_at(case.model, case.baseline, case.target)
    for convention in ("shapley", "integrated_gradients"):
        if convention in stage.batch.truth.attributions:
            worst = max(worst, float((stage.batch.truth.attributions[convention].sum(1) - delta).abs().max()))
    bound = 1e-9  # rounding of sums of 2^n float64 terms of order 1
    if worst > bound:
        raise CheckFailed(f"{stage.environment.id}: an exact truth misses f(x) - f(x') by {worst:.3g}, must be <= {bound:g}")
    return worst, bound, len(case)


def the_truth_beats_random(stage: Stage) -> tuple[float, float, int]:
    """On every ranking metric that is defined here, the exact Shapley values score better than random attributions do on average."""
    truth, traits = stage.batch.truth, stage.environment.traits
    if WITNESS in traits:
        raise NotApplicable("a witness shows one violation on stored rows; it does not rank")
    if not bool(truth.support.any()):
        raise NotApplicable("every player is null, so there is nothing to rank; the world is for the dummy axiom")
    ideal = truth.attributions["shapley"].to(stage.policy.dtype)
    exempt = {name for trait, names in WITHOUT.items() if trait in traits for name in names}
    names = [name for name in RANKING if name not in exempt]
    margins = {name: margin for name in names if not math.isnan(margin := _margin(stage, name, ideal))}
    if not margins:
        raise NotApplicable("no metric is defined on these rows")
    worst = min(margins, key=lambda name: margins[name])
    if margins[worst] <= 0:
        raise CheckFailed(
            f"{stage.environment.id}: on {worst} the exact truth is {-margins[worst]:.3g} worse than random on average, must be better"
        )
    return margins[worst], 0.0, len(margins)


INSTRUMENTS = tuple(
    Instrument(name=check.__name__, statement=(check.__doc__ or "").strip(), check=check)
    for check in (network_equals_its_specification, units_keep_their_distance_from_kinks, exact_truths_are_complete, the_truth_beats_random)
)


def _points(stage: Stage) -> Tensor:
    """The whole lattice where it can be enumerated; else the sample, its baselines, and coalitions of both."""
    points, enumerated = points_of(stage.environment, count=MIXED, seed=stage.seed)
    return points if enumerated else torch.cat([points, *(part.cpu().double() for part in (stage.batch.inputs, stage.batch.baseline))])


def _ranks(ideal: Tensor, present: Tensor) -> Tensor:  # (batch,) bool
    """Rows whose present players differ in their exact value: where all are equal, the truth states no order, and none can be better."""
    ranked = rank(ideal, present)
    return (ranked.last[:, :1] + 1 < ranked.count.unsqueeze(1)).squeeze(1)


def _margin(stage: Stage, name: str, ideal: Tensor) -> float:
    """By how much the truth is better than the mean of random attributions, in the metric's own direction; NaN if undefined."""
    metric, case = METRICS[name], stage.case
    shape = tuple(case.inputs.shape[1:])
    noise = []
    for seed in range(SEEDS):
        seeds = torch.arange(len(case), device=case.inputs.device) + 10_000 * (seed + 1)
        scores = players_of(row_uniform(seeds, shape, dtype=ideal.dtype) * 2 - 1, case.feature_mask, case.players)
        noise.append(measure(metric, stage, scores))
    best, floor = measure(metric, stage, ideal), torch.stack(noise).mean(0)
    both = ~(torch.isnan(best) | torch.isnan(floor))
    if metric.question == "game":
        both &= _ranks(ideal, stage.game.present)
    if not bool(both.any()):
        return math.nan
    gain = float((best[both] - floor[both]).mean())
    return gain if metric.direction == "higher" else -gain
