"""What a study found is said in sentences that can be quoted, each with its interval, its test, its seeds and what the mask gives away."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from attrlab.metrics.student import mean_and_half_width, p_value
from attrlab.retraining.cells import Cell, Retraining

FLOOR = "random"
"""The control that every method is compared with."""

SUSPECT = 0.05
"""Accuracy above chance of a network that sees only the mask, from which on a curve says more of masks than of features."""


TELLING = 0.02
"""Accuracy above that on whole rows from which on a choice is said to tell the label, where its interval is smaller."""


def differences(study: Retraining, cell: Cell) -> list[float]:
    """Seed by seed, how much less accurate retrained networks are than under random removal of as much; empty without the control.

    Under "kar" what counts is how much more accurate they are: either way, larger is better for the method.
    """
    floor = next((other for other in study.cells if other.method == FLOOR and _place(other) == _place(cell)), None)
    if floor is None:
        return []
    sign = 1 if (cell.measure == "roar") == (cell.order == "morf") else -1
    pairs = zip(floor.accuracies, cell.accuracies, strict=True)
    return [sign * (random - own) for random, own in pairs if math.isfinite(random - own)]


def sentence(study: Retraining, cell: Cell) -> str:
    """One cell in words: "at 30 % removed, X costs 24 ± 3 points more than random (p < 0.01, 5 seeds); mask leakage 3 points"."""
    found = differences(study, cell)
    if not found:
        told = f"at {_where(cell)}, {cell.method} leaves accuracy {_percent(cell.mean)}, with nothing to compare it with"
    else:
        mean, half = mean_and_half_width(found)
        told = (
            f"at {_where(cell)}, {cell.method} {_effect(cell, mean)}{_interval(half)} points {'more' if mean >= 0 else 'less'} than {FLOOR}"
        )
        told += f" ({_test(p_value(found))}{len(found)} seed{'s' * (len(found) > 1)})"
    leak = cell.leakage - study.chance
    return told if math.isnan(leak) else f"{told}; mask leakage {round(100 * leak)} points"


def separated(study: Retraining, cell: Cell) -> bool:
    """Whether the cell is better than random removal by more than the interval of their difference."""
    found = differences(study, cell)
    if len(found) < 2:
        return False
    mean, half = mean_and_half_width(found)
    return mean > half


def leaking(study: Retraining) -> list[Cell]:
    """Cells whose mask alone lets a network beat chance by more than `SUSPECT`, most first."""
    found = [cell for cell in study.cells if cell.leakage - study.chance > SUSPECT]
    return sorted(found, key=lambda cell: -cell.leakage)


def telling(study: Retraining) -> list[Cell]:
    """Cells in which networks see less than everything and are more accurate than with everything, beyond the interval; most first.

    What was kept was chosen by an attribution of the answer, so that the choice itself tells the label; on the edges of graphs this is
    how RoMie comes to exceed the accuracy on whole graphs, which no leak of the mask's shape alone explains.
    """
    if not study.full:
        return []
    whole = mean_and_half_width(study.full)[0]
    found = [cell for cell in study.cells if cell.mean - whole > max(cell.half_width, TELLING) and 0 < cell.fraction < 1]
    return sorted(found, key=lambda cell: -cell.mean)


def areas(study: Retraining, method: str, **protocol: str) -> list[float]:
    """Seed by seed, the mean height between the curves of random and of the method, by the trapezoidal rule; empty if undefined.

    The method's side is the better one: below random where the most relevant leave, above where they stay.
    """
    heights = [(cell.fraction, found) for cell in study.curve(method, **protocol) if (found := differences(study, cell))]
    width = heights[-1][0] - heights[0][0] if len(heights) > 1 else 0.0
    seeds = min((len(found) for _, found in heights), default=0)
    if width <= 0:
        return []
    return [sum((right - left) * (low[k] + high[k]) / 2 for (left, low), (right, high) in pairwise(heights)) / width for k in range(seeds)]


def sentences(study: Retraining, *, fraction: float | None = None) -> Iterator[str]:
    """The study in words: its ends, each method at one fraction, what leaks, who was left out.

    Args:
        study: what is told.
        fraction: at which cells are told; by default the smallest between 0 and 1.
    """
    yield (
        f"{study.data}: {study.network} on {study.rows[0]} training and {study.rows[1]} test rows, "
        f"{study.classes} classes by {study.rule}; "
        f"accuracy {_mean(study.full)} with nothing and {_mean(study.nothing)} with everything removed, chance {_percent(study.chance)}; "
        f"{study.settings.get('ranking', '')} ranking, imputer {study.settings.get('imputer', '')}, ties in random order"
    )
    inner = sorted({cell.fraction for cell in study.cells if 0 < cell.fraction < 1})
    told = fraction if fraction is not None else (inner[0] if inner else 0.0)
    for cell in study.cells:
        if cell.fraction == told and cell.method != FLOOR:
            yield sentence(study, cell)
            yield from (f"  {note}" for note in cell.notes)
    for method in dict.fromkeys(cell.method for cell in leaking(study)):
        worst = next(cell for cell in leaking(study) if cell.method == method)
        yield (
            f"{method} leaks: a network that sees only its mask reaches {_percent(worst.leakage)} at {_where(worst)}, "
            f"chance {_percent(study.chance)}; its curve says more of masks than of features"
        )
    for method in dict.fromkeys(cell.method for cell in telling(study)):
        best = next(cell for cell in telling(study) if cell.method == method)
        yield (
            f"{method} tells the label by what it keeps: at {_where(best)} networks reach {_percent(best.mean)}, with nothing removed "
            f"{_mean(study.full)}; read removal of the most relevant instead"
        )
    for method, reason in study.refused:
        yield f"{method} left out: {reason}"


def _place(cell: Cell) -> tuple[object, ...]:
    return cell.measure, cell.order, cell.evaluated, cell.isolated, cell.fraction


def _where(cell: Cell) -> str:
    """The fraction in words, with what is unusual about the protocol."""
    order = "" if cell.order == "morf" else ", least relevant first"
    test = "" if cell.evaluated == "modified" else ", tested on original rows"
    nodes = "" if cell.isolated == "kept" else ", isolated nodes dropped"
    return f"{100 * cell.fraction:g} % {'removed' if cell.measure == 'roar' else 'kept'}{order}{test}{nodes}"


def _effect(cell: Cell, mean: float) -> str:
    costs = (cell.measure == "roar") == (cell.order == "morf")
    return f"{'costs' if costs else 'keeps'} {abs(100 * mean):.0f}"


def _interval(half: float) -> str:
    return "" if math.isnan(half) else f" ± {100 * half:.0f}"


def _test(p: float) -> str:
    if math.isnan(p):
        return ""
    return next((f"p < {bound:g}, " for bound in (0.001, 0.01, 0.05) if p < bound), f"p = {p:.2f}, ")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _mean(values: tuple[float, ...]) -> str:
    return _percent(math.fsum(values) / len(values)) if values else "unknown"
