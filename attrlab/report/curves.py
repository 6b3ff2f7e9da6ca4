"""Deletion and insertion are seen between floor and ceiling, random scores and the exact truth, as the very curves that are scored.

Where there are many methods a chart holds some of them, spread evenly from the best area to the worst; the tables hold all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from attrlab.record import MeanCurve
from attrlab.report.lines import Line, legend, lines
from attrlab.report.matrix import CONTROLS
from attrlab.report.wording import hundredths

SHOWN = 6
"""How many methods a chart holds."""

ENDS = {"floor": "floor: random", "ceiling": "ceiling: truth"}
_TICKS = tuple((at / 5, f"{at / 5:g}") for at in range(6))
_NAN = float("nan")


def curve_section(found: Sequence[MeanCurve]) -> list[dict[str, Any]]:
    """A chart and a legend for every environment and mode; empty where no curve was recorded."""
    shown: dict[str, dict[str, list[MeanCurve]]] = {}
    for environment, mode in dict.fromkeys((one.environment, one.mode) for one in found if one.method not in ENDS):
        here = {one.method: one for one in found if (one.environment, one.mode) == (environment, mode) and one.fractions}
        if here:
            shown.setdefault(environment, {})[mode] = chosen(list(here.values()))
    return [{"environment": environment, "charts": _charts(modes)} for environment, modes in shown.items()]


def _charts(modes: Mapping[str, Sequence[MeanCurve]]) -> list[dict[str, Any]]:
    """The charts of one environment, in which a method has one colour."""
    numbers = {name: at for at, name in enumerate(dict.fromkeys(one.method for drawn in modes.values() for one in drawn))}
    charts = []
    for mode, curves in modes.items():
        drawn = [_line(one, numbers[one.method]) for one in curves]
        axis = "fraction removed" if mode == "deletion" else "fraction inserted"
        picture = lines(drawn, x=axis, y="(v − v(∅)) / |v(N) − v(∅)|", ticks=_TICKS)
        charts.append({"mode": mode, "picture": picture, "legend": legend(drawn)})
    return charts


def chosen(here: Sequence[MeanCurve]) -> list[MeanCurve]:
    """The curves of a chart: all methods, or some spread over the order of their areas, one of each area; then floor and ceiling."""
    methods = sorted((one for one in here if one.method not in (*ENDS, *CONTROLS)), key=area)
    if len(methods) > SHOWN:
        methods = list({round(area(one), 4): one for one in reversed(methods)}.values())[::-1]
    if len(methods) > SHOWN:
        methods = [methods[round(place * (len(methods) - 1) / (SHOWN - 1))] for place in range(SHOWN)]
    return [*methods, *(one for one in here if one.method in ENDS)]


def area(curve: MeanCurve) -> float:
    """The area under a curve."""
    points = list(zip(curve.fractions, curve.values, strict=True))
    return sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairwise(points))


def _line(curve: MeanCurve, number: int) -> Line:
    name = f"{ENDS.get(curve.method, curve.method)}, area {hundredths(area(curve))}"
    points = tuple((x, y, _NAN, _NAN) for x, y in zip(curve.fractions, curve.values, strict=True))
    return Line(name=name, points=points, end=curve.method if curve.method in ENDS else "", number=number)
