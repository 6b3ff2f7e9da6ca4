"""Curves are drawn as vectors in the page, with an interval where there is one, and a title on every line to point at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attrlab.report.wording import printable, short

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 330, 210, 50, 34, 10, 10
COLOURS = ("#1f5fa8", "#b3531c", "#2f7d4f", "#8a3f8f", "#a88a1f", "#2a8c99")
DASHES = ("", "7 3", "2 3", "9 3 2 3")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One curve.

    Attributes:
        name: what it is of.
        points: (x, y, low, high) from left to right; low and high are NaN where there is no interval.
        end: whether it is a floor or a ceiling, drawn beneath the others and not in a colour: "floor", "ceiling" or "".
        number: of its colour and dashes, so that a name keeps them from chart to chart; by default its place among those drawn.
    """

    name: str
    points: tuple[tuple[float, float, float, float], ...]
    end: str = ""
    number: int | None = None


def style(number: int, end: str) -> tuple[str, str]:
    """Colour and dashes of the `number`-th line; floor and ceiling are drawn in ink."""
    if end:
        return ("#8a8f96", "5 3") if end == "floor" else ("currentColor", "")
    return COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]


def _stroke(place: int, line: Line) -> str:
    """A ceiling is broad and pale, so that a line which reaches it is still seen."""
    colour, dash = style(place if line.number is None else line.number, line.end)
    width, opacity = (5, ".35") if line.end == "ceiling" else (1.7, "1")
    return f'stroke="{colour}" stroke-width="{width}" stroke-opacity="{opacity}" stroke-dasharray="{dash}"'


def legend(drawn: Sequence[Line]) -> list[tuple[str, Markup]]:
    """The name of every line, with a swatch of it."""
    from markupsafe import Markup

    found = []
    for number, line in enumerate(drawn):
        stroke = _stroke(number, line)
        swatch = f'<svg width="26" height="10" aria-hidden="true"><line x1="0" x2="26" y1="5" y2="5" {stroke}/></svg>'
        found.append((line.name, Markup(swatch)))
    return found


def lines(drawn: Sequence[Line], *, x: str, y: str, ticks: Sequence[tuple[float, str]], marks: Sequence[tuple[str, float]] = ()) -> Markup:
    """The curves as one SVG, over an axis with these ticks; `marks` are named heights that are drawn across."""
    from markupsafe import Markup, escape

    heights = [height for line in drawn for point in line.points for height in point[1:] if math.isfinite(height)]
    heights += [height for _, height in marks]
    low, high = min(heights, default=0.0), max(heights, default=1.0)
    span = (high - low) or 1.0
    low, high = low - 0.04 * span, high + 0.04 * span
    reach = (min(at for at, _ in ticks), max(at for at, _ in ticks))

    def across(at: float) -> float:
        return LEFT + (at - reach[0]) / ((reach[1] - reach[0]) or 1.0) * (WIDTH - LEFT - RIGHT)

    def up(height: float) -> float:
        return HEIGHT - BOTTOM - (height - low) / (high - low) * (HEIGHT - BOTTOM - TOP)

    parts = [_axes([(across(at), word) for at, word in ticks], [(up(height), short(height)) for height in _heights(low, high)], x, y)]
    for name, height in marks:
        parts.append(_across(up(height), name))
    for number, line in sorted(enumerate(drawn), key=lambda pair: not pair[1].end):
        points = " ".join(f"{across(at):.1f},{up(height):.1f}" for at, height, *_ in line.points if math.isfinite(height))
        bars = "".join(_bar(across(at), up(a), up(b)) for at, _, a, b in line.points if math.isfinite(a) and math.isfinite(b))
        title = escape(printable(line.name))
        parts.append(f'<g {_stroke(number, line)} fill="none"><title>{title}</title><polyline points="{points}"/>{bars}</g>')
    return Markup(f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">{"".join(parts)}</svg>')


def _heights(low: float, high: float) -> list[float]:
    """Round heights between two, at most six."""
    step = 10.0 ** math.floor(math.log10(high - low))
    step = next(s for s in (step / 5, step / 2, step, 2 * step, 5 * step) if (high - low) / s <= 6)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _axes(ticks: Sequence[tuple[float, str]], heights: Sequence[tuple[float, str]], x: str, y: str) -> str:
    from markupsafe import escape

    words = [f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{escape(word)}</text>' for at, word in ticks]
    words += [f'<text x="{LEFT - 5}" y="{at + 3:.1f}" text-anchor="end">{escape(word)}</text>' for at, word in heights]
    words += [f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 5}" text-anchor="middle">{escape(x)}</text>']
    middle = (TOP + HEIGHT - BOTTOM) / 2
    words += [f'<text x="10" y="{middle}" text-anchor="middle" transform="rotate(-90 10 {middle})">{escape(y)}</text>']
    frame = f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="currentColor" stroke-opacity=".5"/>'
    return f'<g font-size="10" fill="currentColor">{"".join(words)}</g>{frame}'


def _across(height: float, name: str) -> str:
    from markupsafe import escape

    ends = f'x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" y2="{height:.1f}"'
    words = f'x="{WIDTH - RIGHT}" y="{height - 3:.1f}" font-size="9" text-anchor="end" fill="currentColor" fill-opacity=".6"'
    return f'<line {ends} stroke="currentColor" stroke-opacity=".4" stroke-dasharray="1 3"/><text {words}>{escape(name)}</text>'


def _bar(at: float, low: float, high: float) -> str:
    return f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{low:.1f}" y2="{high:.1f}" stroke-opacity=".55" stroke-dasharray="none"/>'
