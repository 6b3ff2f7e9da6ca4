"""The bias of soundness and completeness as tables and as one drawing, to be cited beside the page."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

from attrlab.record import Bias
from attrlab.report.biases import PUBLISHED, chart_of, curve_of
from attrlab.report.lines import HEIGHT, WIDTH, Line, legend
from attrlab.report.wording import printable

ACROSS = 4
"""Charts beside each other."""

HEAD, FOOT = 22, 30
"""Room above a chart for its name, and below all of them for the legend."""

TEXT = """## Soundness and completeness: what the published algorithms say, and what is so

Bias is the estimate less the exact value, which is known because the predictive players are; the mean over rows, then over worlds, \
with the least and the largest world. Soundness writes off what comes without a rise of performance above a threshold (published: 0.01). \
*Truth* and *support* lie on predictive players alone, so their exact soundness is 1 and every bias is credit written off in error. \
*Support* and *constant* are all tied; *half noise, in steps* is half noise with ties."""


def bias_markdown(found: Sequence[Bias], *, figure: str = "") -> str:
    """Tables by threshold, by criterion, by imputer and by world; empty where nothing was measured."""
    if not found:
        return ""
    sound = [one for one in found if one.evaluation == "soundness"]
    base = [one for one in sound if one.imputer == "baseline"]
    published = [one for one in sound if one.threshold == PUBLISHED]
    parts = [TEXT]
    parts += [f"![Bias of soundness over the threshold, world by world]({figure})"] if figure else []
    for criterion in dict.fromkeys(one.performance for one in base):
        mine = [one for one in base if one.performance == criterion]
        parts.append(f"### Soundness by threshold ({criterion} criterion, baseline)\n\n{_by(mine, 'threshold')}")
    by_imputer = [one for one in published if one.performance == "probability"]
    parts.append(f"### Soundness by imputer (threshold {PUBLISHED:g}, probability)\n\n{_by(by_imputer, 'imputer')}")
    own = [one for one in by_imputer if one.imputer == "baseline"]
    parts.append(
        f"### Soundness by world (threshold {PUBLISHED:g}, probability, baseline), with 95 % intervals over rows\n\n{_by_world(own)}"
    )
    whole = [one for one in found if one.evaluation != "soundness"]
    parts.append(f"### Completeness by criterion (baseline)\n\n{_by(whole, 'performance')}")
    return "\n\n".join(parts)


def bias_figure(found: Iterable[Bias]) -> str:
    """Bias over the threshold, a chart per world, as an SVG that stands alone."""
    from markupsafe import escape

    sound = [one for one in found if one.evaluation == "soundness"]
    charts = [(world, own) for world in dict.fromkeys(one.environment for one in sound) if (own := curve_of(sound, world))]
    wide, high = ACROSS * WIDTH, -(-len(charts) // ACROSS) * (HEIGHT + HEAD) + FOOT
    parts = []
    for place, (world, own) in enumerate(charts):
        x, y = place % ACROSS * WIDTH, place // ACROSS * (HEIGHT + HEAD)
        name = f'<text x="{WIDTH / 2}" y="16" font-size="12" text-anchor="middle" fill="currentColor">{escape(printable(world))}</text>'
        parts.append(f'<g transform="translate({x} {y})">{name}<g transform="translate(0 {HEAD})">{chart_of(own)}</g></g>')
    names = dict.fromkeys(one.attribution for one in sound)
    for place, (name, swatch) in enumerate(legend([Line(name=name, points=()) for name in names])):
        at = 40 + place * wide / max(1, len(names))
        words = f'<text x="32" y="9" font-size="12" fill="currentColor">{escape(printable(name))}</text>'
        parts.append(f'<g transform="translate({at:.0f} {high - 20})">{swatch}{words}</g>')
    style = "color:#1d2127;background:#fff;font-family:system-ui,sans-serif"
    size = f'viewBox="0 0 {wide} {high}" width="{wide}" height="{high}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} style="{style}">{"".join(parts)}</svg>\n'


def _by(found: Sequence[Bias], setting: str) -> str:
    """Attributions down, settings across: the mean over worlds, with the least and the largest."""
    settings = list(dict.fromkeys(getattr(one, setting) for one in found))
    counts = [len({one.environment for one in found if getattr(one, setting) == name}) for name in settings]
    alike = len(set(counts)) == 1
    heads = [f"{name:g}" if isinstance(name, float) else str(name) for name in settings]
    lines = [["attribution", *(head if alike else f"{head}, {count} worlds" for head, count in zip(heads, counts, strict=True))]]
    for name in dict.fromkeys(one.attribution for one in found):
        mine = [one for one in found if one.attribution == name]
        lines.append([name, *(_spread([one.bias for one in mine if getattr(one, setting) == value]) for value in settings)])
    return _table(lines)


def _by_world(found: Sequence[Bias]) -> str:
    names = list(dict.fromkeys(one.attribution for one in found))
    lines = [["world", *names]]
    for world in dict.fromkeys(one.environment for one in found):
        by = {one.attribution: one for one in found if one.environment == world}
        lines.append([f"`{world}`", *(_interval(by.get(name)) for name in names)])
    return _table(lines)


def _spread(biases: Sequence[float]) -> str:
    defined = [bias for bias in biases if not math.isnan(bias)]
    if not defined:
        return "–"
    return f"{_signed(statistics.fmean(defined))} ({_signed(min(defined))} to {_signed(max(defined))})"


def _interval(one: Bias | None) -> str:
    if one is None or math.isnan(one.bias):
        return "–"
    return f"{_signed(one.bias)} ({_signed(one.interval[0])} to {_signed(one.interval[1])})"


def _signed(number: float) -> str:
    return f"{round(number, 2) + 0.0:+.2f}".replace("+0.00", "0.00")


def _table(lines: Sequence[Sequence[str]]) -> str:
    head, *rows = lines
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))
