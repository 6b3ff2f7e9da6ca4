"""Can an evaluation be trusted? Where the truth is known, evaluations are judged by it as methods are.

Three questions to a metric in a world. Does it rank the exact truth above random scores, and those above the truth turned upside down? Does
its ranking of methods agree with their distance from the truth (Kendall's tau-b)? Does it fall, step by step, along the ladder
(1 - w) truth + w noise, where the order of quality is known by construction? A metric that fails the first cannot be used there at all; one
that fails the last cannot tell better from worse, only best from worst.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from attrlab.errors import InvalidInput
from attrlab.metrics.statistics import Summary, paired_difference
from attrlab.randomness import row_uniform

Direction = Literal["higher", "lower"]

Measure = Callable[[Tensor], Tensor]
"""A metric of the scores of some fixed rows: (rows, players) -> (rows,), NaN where it is not defined."""

RUNGS = tuple(round(0.1 * step, 1) for step in range(11))
"""Shares of noise along the ladder."""

ROUNDING = 1e-12
"""Values of a metric that differ by no more than this are equal: sums of some hundred terms of order 1 in float64."""

SEEDS = 4
"""Random attributions whose mean is the floor, and ladders whose mean is read."""


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """What the truth says of a metric in a world; every number is larger for a better metric, whatever the metric's own direction.

    Attributes:
        truth_above_random: the gain of the truth over random scores, over rows, in the unit of the metric.
        random_above_inverted: the gain of random scores over the inverted truth, over rows.
        truth_wins: how often the truth beats random scores on a row, ties counting one half.
        random_wins: how often random scores beat the inverted truth.
        kendall: tau-b between the ranking of methods by the metric and by their agreement with the truth; NaN below three methods.
        ladder: tau-b between the mean score and the share of truth along the ladder: 1 where it falls at every step.
    """

    truth_above_random: Summary
    random_above_inverted: Summary
    truth_wins: float
    random_wins: float
    kendall: float
    ladder: float


def reliability(
    measure: Measure,
    *,
    direction: Direction,
    truth: Tensor,  # (rows, players)
    magnitudes: bool = False,
    methods: Sequence[tuple[Tensor, float]] = (),
    generator: torch.Generator,  # on the CPU
) -> Reliability:
    """Judge a metric by the exact truth of the rows it is measured on.

    Args:
        measure: the metric on these rows.
        direction: which way is better.
        truth: exact scores.
        magnitudes: whether the metric reads |scores|, to which -truth is as good as truth; the order of sizes is then turned instead.
        methods: the scores of each method, (rows, players), and how well they agree with the truth, larger being better.
        generator: for the bootstrap of the gains.

    Raises:
        InvalidInput: if the direction is unknown.
    """
    asked = candidates(truth, magnitudes=magnitudes, methods=[found for found, _ in methods])
    values = torch.stack([measure(scores) for scores in asked])
    return weigh(values, direction=direction, agreements=[agreement for _, agreement in methods], generator=generator)


def candidates(
    truth: Tensor,  # (rows, players)
    *,
    magnitudes: bool = False,
    methods: Sequence[Tensor] = (),  # each (rows, players)
    seed: int = 0,
) -> Tensor:  # (sets, rows, players)
    """Everything a metric is asked about, in the order that `weigh` reads: truth, inverted truth, random scores, ladders, methods.

    Random scores are others for every `seed`.
    """
    noises = range(seed * SEEDS, (seed + 1) * SEEDS)
    floor = [noise_like(truth, noise) for noise in noises]
    rungs = [rung for noise in noises for rung in ladder(truth, seed=noise)]
    return torch.stack([truth, inverted(truth, magnitudes=magnitudes), *floor, *rungs, *(found.to(truth) for found in methods)])


def weigh(
    values: Tensor,  # (sets, rows), NaN where the metric is not defined: what it says of `candidates`
    *,
    direction: Direction,
    agreements: Sequence[float] = (),
    generator: torch.Generator,  # on the CPU
) -> Reliability:
    """Draw from a metric's values what the truth says of the metric; `agreements` are those of the methods with the truth.

    Raises:
        InvalidInput: if the direction is unknown.
    """
    if direction not in ("higher", "lower"):
        raise InvalidInput(f"direction is 'higher' or 'lower' (got {direction!r})")
    signed = values.detach().cpu().double() * (1 if direction == "higher" else -1)
    ends, floors, rungs, methods = torch.split(signed, [2, SEEDS, SEEDS * len(RUNGS), len(agreements)])
    top, bottom = ends
    steps = rungs.nanmean(1).view(SEEDS, len(RUNGS)).mean(0).tolist()
    return Reliability(
        truth_above_random=paired_difference(top, floors.mean(0), generator=generator),
        random_above_inverted=paired_difference(floors.mean(0), bottom, generator=generator),
        truth_wins=_wins(top, floors),
        random_wins=_wins(floors, bottom),
        kendall=kendall(methods.nanmean(1).tolist(), agreements) if len(agreements) > 2 else math.nan,
        ladder=kendall(steps, [1 - share for share in RUNGS]),
    )


def ladder(
    truth: Tensor,  # (rows, players)
    *,
    seed: int = 0,
    rungs: Sequence[float] = RUNGS,
) -> tuple[Tensor, ...]:  # each (rows, players)
    """(1 - w) truth + w noise for every w, the noise uniform between plus and minus the row's largest |score| and the same on every rung.

    Reference:
        the corruption ladder of controlled meta-evaluation, after Zhang et al., "AttributionLab", 2023.
    """
    size = truth.abs().amax(1, keepdim=True) if truth.shape[1] else truth
    noise = noise_like(truth, seed) * size
    return tuple((1 - share) * truth + share * noise for share in rungs)


def noise_like(
    truth: Tensor,  # (rows, players)
    seed: int,
) -> Tensor:  # (rows, players)
    """Uniform scores between -1 and 1, one stream per row."""
    seeds = torch.arange(len(truth), device=truth.device) + (seed + 1) * 10_000
    return row_uniform(seeds, tuple(truth.shape[1:]), dtype=truth.dtype) * 2 - 1


def inverted(
    truth: Tensor,  # (rows, players)
    *,
    magnitudes: bool = False,
) -> Tensor:  # (rows, players)
    """The truth upside down: -truth, so that what raised the output most comes last; by magnitudes, max |truth| - |truth|."""
    return truth.abs().amax(1, keepdim=True) - truth.abs() if magnitudes else -truth


def kendall(
    first: Sequence[float],
    second: Sequence[float],
) -> float:
    """Kendall's tau-b of two rankings: pairs in the same order less pairs in opposite order, over the pairs that neither side ties.

    tau = (P - Q) / sqrt((P + Q + T1)(P + Q + T2)). Entries that are NaN on either side are left out; NaN where a side is constant.

    Reference:
        Kendall, "The treatment of ties in ranking problems", 1945.
    """
    a, b = (torch.tensor(tuple(values), dtype=torch.float64) for values in (first, second))
    defined = ~(a.isnan() | b.isnan())
    a, b = a[defined], b[defined]
    one, two = ((values.unsqueeze(0) - values.unsqueeze(1)).sign() for values in (a, b))
    scale = math.sqrt(float(one.abs().sum()) * float(two.abs().sum()))
    return float((one * two).sum()) / scale if scale else math.nan


def _wins(first: Tensor, second: Tensor) -> float:
    """How often the first is larger than the second, ties counting one half, where both are defined; NaN where neither is."""
    difference = (first - second).flatten()
    difference = difference[~difference.isnan()]
    ahead = (difference > ROUNDING).double() + (difference.abs() <= ROUNDING).double() / 2
    return float(ahead.mean()) if len(difference) else math.nan
