"""The gap between what soundness and completeness say and what is so, as curves over the threshold and as a table over everything else."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attrlab.record import Bias
from attrlab.report.lines import Line, legend, lines

if TYPE_CHECKING:
    from markupsafe import Markup

PUBLISHED = 0.01


def bias_section(found: Sequence[Bias]) -> dict[str, Any]:
    """A chart per world, and a table per estimate; empty where nothing was measured."""
    if not found:
        return {}
    worlds = list(dict.fromkeys(one.environment for one in found))
    sound = [one for one in found if one.evaluation == "soundness"]
    whole = [one for one in found if one.evaluation != "soundness"]
    return {
        "legend": legend([Line(name=name, points=()) for name in dict.fromkeys(one.attribution for one in sound)]),
        "charts": [(world, chart_of(own)) for world in worlds if (own := curve_of(sound, world))],
        "imputers": _table([one for one in sound if one.threshold == PUBLISHED and one.performance == "probability"], "imputer"),
        "criteria": _table([one for one in sound if one.threshold == PUBLISHED and one.imputer == "baseline"], "performance"),
        "completeness": _table(whole, "performance"),
        "sentence": _sentence(sound),
    }


def curve_of(found: Sequence[Bias], world: str) -> list[Bias]:
    """What a chart is of: the baseline and the probability criterion in one world."""
    return [one for one in found if one.environment == world and one.imputer == "baseline" and one.performance == "probability"]


def chart_of(own: Sequence[Bias]) -> Markup:
    """Bias over the threshold, by attribution; thresholds are spaced evenly."""
    thresholds = sorted({one.threshold for one in own})
    drawn = []
    for name in dict.fromkeys(one.attribution for one in own):
        by = {one.threshold: one for one in own if one.attribution == name}
        points = [(float(place), by[t].bias, *by[t].interval) for place, t in enumerate(thresholds) if t in by]
        drawn.append(Line(name=name, points=tuple(points)))
    ticks = [(float(place), f"{threshold:g}") for place, threshold in enumerate(thresholds)]
    return lines(drawn, x="threshold", y="bias", ticks=ticks, marks=[("no bias", 0.0)])


def _table(found: Sequence[Bias], by: str) -> dict[str, Any]:
    """Worlds and attributions downwards, settings across: the bias, with estimate and exact value behind it."""
    settings = list(dict.fromkeys(str(getattr(one, by)) for one in found))
    rows = []
    for world, name in dict.fromkeys((one.environment, one.attribution) for one in found):
        cells = {str(getattr(one, by)): one for one in found if (one.environment, one.attribution) == (world, name)}
        rows.append((world, name, [_cell(cells.get(setting)) for setting in settings]))
    return {"settings": settings, "rows": rows}


def _cell(one: Bias | None) -> dict[str, str]:
    if one is None or math.isnan(one.bias):
        return {"text": "–", "title": "not defined", "tone": "unclaimed"}
    low, high = one.interval
    tone = "holds" if low <= 0 <= high or abs(one.bias) < 0.02 else "refuted" if abs(one.bias) > 0.2 else "inconclusive"
    title = f"says {one.estimate:.3f}, is {one.exact:.3f}, {one.rows} rows, bias {low:+.3f} to {high:+.3f}"
    return {"text": f"{round(one.bias, 2) + 0.0:+.2f}", "title": title, "tone": tone}


def _sentence(found: Sequence[Bias]) -> str:
    """What the published setting says of attributions that lie on nothing but the support, whose exact soundness is 1."""
    published = [one for one in found if one.threshold == PUBLISHED and one.performance == "probability" and not math.isnan(one.bias)]
    exact = [one for one in published if one.attribution in ("truth", "support")]
    own = [one.bias for one in exact if one.imputer == "baseline"]
    other = [one.bias for one in exact if one.imputer != "baseline"]
    if not own:
        return ""
    said = "Of attributions that lie on predictive players alone, whose soundness is 1, the published setting writes off "
    said += f"{-statistics.median(own):.2f}"
    rest = f", and under other imputers {-statistics.median(other):.2f}" if other else ""
    return f"{said} in the median over worlds (at most {-min(own):.2f}){rest}."
