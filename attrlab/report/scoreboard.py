"""A score means nothing alone: it is read by its place between the floor, a random attribution, and the ceiling, the exact truth.

Positions are comparable between environments and metrics where values are not: 0 is the floor and 1 the ceiling, whichever way
the metric points. A position beyond either end is kept as it is; deletion, for one, can be better than the truth.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from attrlab.record import Run, Score
from attrlab.report.matrix import CONTROLS, methods_of


@dataclass(frozen=True, kw_only=True)
class Scoreboard:
    """One metric of one seed: methods by environments, with gaps where nothing was scored."""

    evaluation: str
    direction: str
    seed: int
    methods: tuple[str, ...]
    environments: tuple[str, ...]
    scores: dict[tuple[str, str], Score]  # (method, environment)

    def ends(self, environment: str) -> tuple[float | None, float | None]:
        """Floor and ceiling of an environment, None for one on which the methods differ; NaN where it is undefined."""
        column = [score for (_, name), score in self.scores.items() if name == environment]
        return _agreed([score.floor for score in column]), _agreed([score.ceiling for score in column])


def ranks_of(board: Scoreboard, environment: str) -> dict[str, tuple[int, int]]:
    """Method -> rank, and how many share it: 1 + how many others are better by more than chance, by a paired bootstrap over rows.

    Controls that stand for floor and ceiling are not ranked, nor are scores without their rows.
    """
    from torch import Generator, float64, tensor

    from attrlab.metrics.statistics import ranks

    column = {method: score for (method, name), score in board.scores.items() if name == environment and method not in CONTROLS}
    rows = {len(score.values) for score in column.values()}
    if len(column) < 2 or len(rows) != 1 or 0 in rows:
        return {}
    values = tensor([score.values for score in column.values()], dtype=float64)
    direction = next(iter(column.values())).direction
    found = ranks(values, direction=direction, generator=Generator().manual_seed(board.seed)).tolist()
    known = {method: int(rank) for method, rank in zip(column, found, strict=True) if rank == rank}
    return {method: (rank, list(known.values()).count(rank)) for method, rank in known.items()}


def scoreboards(run: Run) -> tuple[Scoreboard, ...]:
    """The scores of a run by metric and seed, in order of first appearance."""
    order = methods_of(run)
    found: dict[tuple[str, int], list[Score]] = {}
    for score in run.scores:
        found.setdefault((score.evaluation, score.seed), []).append(score)
    return tuple(_board(scores, order) for scores in found.values())


def position(score: Score) -> float:
    """Where a score stands: 0 at the floor, 1 at the ceiling; NaN where either is undefined or both are equal."""
    return place(score, score.value)


def place(score: Score, value: float) -> float:
    """Where `value` stands between the floor and the ceiling of `score`."""
    span = score.ceiling - score.floor
    return (value - score.floor) / span if math.isfinite(span) and span != 0 and math.isfinite(value) else math.nan


def overview(run: Run) -> dict[tuple[str, str], tuple[float, int]]:
    """(method, metric) -> the median position over the environments where it is defined, and how many those are."""
    positions: dict[tuple[str, str], list[float]] = {}
    for score in run.scores:
        if not math.isnan(position(score)):
            positions.setdefault((score.method, score.evaluation), []).append(position(score))
    return {key: (statistics.median(values), len(values)) for key, values in positions.items()}


def metrics_of(run: Run) -> tuple[str, ...]:
    """The metrics of which `overview` has a median, in order of first appearance."""
    placed = {score.evaluation for score in run.scores if not math.isnan(position(score))}
    return tuple(name for name in dict.fromkeys(score.evaluation for score in run.scores) if name in placed)


def _board(scores: list[Score], order: tuple[str, ...]) -> Scoreboard:
    named = {score.method for score in scores}
    return Scoreboard(
        evaluation=scores[0].evaluation,
        direction=scores[0].direction,
        seed=scores[0].seed,
        methods=tuple(name for name in order if name in named),
        environments=tuple(dict.fromkeys(score.environment for score in scores)),
        scores={(score.method, score.environment): score for score in scores},
    )


def _agreed(values: list[float]) -> float | None:
    """The one value of a column; None where two differ by more than what two summations of the same rows can."""
    defined = [value for value in values if math.isfinite(value)]
    if not defined:
        return math.nan
    return defined[0] if all(math.isclose(v, defined[0], rel_tol=1e-9, abs_tol=1e-12) for v in defined) else None
