"""A retraining study is read as curves: accuracy by fraction, beside random, the truth and codes that leak, with intervals over seeds.

Beside every curve stands what its mask alone gives away, because a curve can follow the mask's shape rather than the features it hides.
Curves are drawn as vectors in the page; the same numbers stand in a table below them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from attrlab.report.wording import printable
from attrlab.retraining.cells import Cell, Retraining
from attrlab.retraining.verdicts import sentences

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 380, 230, 40, 34, 12, 12
COLOURS = ("#1f5fa8", "#b3531c", "#2f7d4f", "#8a3f8f", "#a88a1f", "#2a8c99")
DASHES = {"random": "", "truth": "", "inverted_truth": "7 3", "constant": "2 3", "blurred_random": "9 3 2 3"}
CODED = "4 2 1 2"

LEAKAGE = "what the mask alone gives away"

Protocol = tuple[str, str, str, str]
"""measure, order, evaluated, isolated."""

Point = tuple[float, float, float]
"""A fraction, an accuracy, and the half-width of its interval."""


def merged(studies: Iterable[Retraining]) -> list[Retraining]:
    """One study per data set and settings: the cells of all that were made with the same."""
    found: dict[tuple[object, ...], Retraining] = {}
    for study in studies:
        key = (study.data, study.rows, study.network, tuple(sorted(map(str, study.settings.items()))))
        known = found.get(key)
        found[key] = study if known is None else _joined(known, study)
    return list(found.values())


def sections(studies: Iterable[Retraining]) -> list[dict[str, Any]]:
    """What the page shows of each study: its sentences, a chart per protocol, a table of all points, and who leaks."""
    return [_section(study) for study in merged(studies)]


def _joined(known: Retraining, other: Retraining) -> Retraining:
    cells = {_identity(cell): cell for cell in (*known.cells, *other.cells)}
    return replace(
        known,
        cells=tuple(cells.values()),
        controls=tuple(dict.fromkeys((*known.controls, *other.controls))),
        refused=tuple(dict.fromkeys((*known.refused, *other.refused))),
    )


def _identity(cell: Cell) -> tuple[object, ...]:
    return (cell.method, *_protocol(cell), cell.fraction)


def _protocol(cell: Cell) -> Protocol:
    return cell.measure, cell.order, cell.evaluated, cell.isolated


def _section(study: Retraining) -> dict[str, Any]:
    head, *told = sentences(study)
    protocols = list(dict.fromkeys(_protocol(cell) for cell in study.cells))
    methods = sorted(dict.fromkeys(cell.method for cell in study.cells), key=lambda name: name in study.controls)
    return {
        "title": study.data,
        "head": head,
        "sentences": told,
        "charts": [
            (title_of(study, protocol), chart(study, protocol, methods), _table(study, protocol, methods)) for protocol in protocols
        ],
        "legend": [(method, _swatch(study, method)) for method in methods],
        "leakage": [(f"{LEAKAGE}, {_words(protocol)}", leakage_chart(study, protocol, methods)) for protocol in _shapes(protocols)],
    }


def _shapes(protocols: Sequence[Protocol]) -> list[Protocol]:
    """One protocol per shape of masks: what becomes of test rows and isolated nodes does not change a mask."""
    found: dict[tuple[str, str], Protocol] = {}
    for protocol in protocols:
        found.setdefault(protocol[:2], protocol)
    return list(found.values())


def _words(protocol: Protocol) -> str:
    return f"{'removed' if protocol[0] == 'roar' else 'kept'}, {'most' if protocol[1] == 'morf' else 'least'} relevant first"


def title_of(study: Retraining, protocol: Protocol) -> str:
    """A protocol in words: ROAR and KAR, on the edges of graphs RoLie and RoMie."""
    measure, order, evaluated, isolated = protocol
    graph = study.modality == "graph"
    name = {"roar": "RoLie, ROAR" if graph else "ROAR", "kar": "RoMie, KAR" if graph else "KAR"}[measure]
    what = "fraction removed" if measure == "roar" else "fraction kept"
    parts = [f"{name}: {what}, {'most' if order == 'morf' else 'least'} relevant first", f"{evaluated} test rows"]
    return ", ".join([*parts, f"isolated nodes {isolated}"] if graph else parts)


def chart(study: Retraining, protocol: Protocol, methods: Sequence[str]) -> Markup:
    """The curves of one protocol as SVG, with an interval at each point and lines at chance and at the accuracy on whole rows."""
    curves = {}
    for method in methods:
        cells = [cell for cell in study.curve(method) if _protocol(cell) == protocol and math.isfinite(cell.mean)]
        curves[method] = [(cell.fraction, cell.mean, _half(cell)) for cell in cells]
    return _drawing(study, curves, measure=protocol[0], said=title_of(study, protocol))


def leakage_chart(study: Retraining, protocol: Protocol, methods: Sequence[str]) -> Markup:
    """The accuracy of networks that see only masks, in the same frame."""
    curves = {}
    for method in methods:
        cells = [cell for cell in study.curve(method) if _protocol(cell) == protocol and math.isfinite(cell.leakage)]
        curves[method] = [(cell.fraction, cell.leakage, 0.0) for cell in cells]
    return _drawing(study, curves, measure=protocol[0], said=LEAKAGE)


def _drawing(study: Retraining, curves: Mapping[str, Sequence[Point]], *, measure: str, said: str) -> Markup:
    from markupsafe import Markup, escape

    lowest = min([study.chance, *study.nothing, *(mean - half for points in curves.values() for _, mean, half in points)])
    low = max(0.0, math.floor(10 * lowest) / 10)
    parts = [_axes(study, measure, low)]
    for method, points in curves.items():
        colour, dash = _style(study, method)
        line = " ".join(f"{_x(share):.1f},{_y(mean, low):.1f}" for share, mean, _ in points)
        marks = "".join(_mark(share, mean, half, low) for share, mean, half in points)
        parts.append(
            f'<g stroke="{colour}" fill="{colour}" stroke-width="1.6"><title>{escape(printable(method))}</title>'
            f'<polyline points="{line}" fill="none" stroke-dasharray="{dash}"/>{marks}</g>'
        )
    frame = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{escape(said)}">'
    return Markup(frame + "".join(parts) + "</svg>")


def _mark(share: float, mean: float, half: float, low: float) -> str:
    """A dot and the interval through it."""
    x, ends = _x(share), (_y(min(1.0, mean + half), low), _y(max(low, mean - half), low))
    return (
        f'<circle cx="{x:.1f}" cy="{_y(mean, low):.1f}" r="2.2" stroke="none"/>'
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{ends[0]:.1f}" y2="{ends[1]:.1f}"/>'
    )


def _axes(study: Retraining, measure: str, low: float) -> str:
    lines = [f'<g font-size="10" fill="currentColor" stroke="none"><text x="{WIDTH / 2}" y="{HEIGHT - 4}" text-anchor="middle">fraction ']
    lines[0] += f"{'removed' if measure == 'roar' else 'kept'}</text>"
    for share in (0, 0.2, 0.4, 0.6, 0.8, 1):
        lines.append(f'<text x="{_x(share):.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{share:g}</text>')
    for step in range(math.ceil(low * 10 - 1e-9), 11, 1 if low >= 0.5 else 2):
        lines.append(f'<text x="{LEFT - 5}" y="{_y(step / 10, low) + 3:.1f}" text-anchor="end">{10 * step} %</text>')
    lines.append("</g>")
    ends = [("chance", study.chance)] + ([("whole rows", math.fsum(study.full) / len(study.full))] if study.full else [])
    for name, value in ends:
        height = _y(value, low)
        lines.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" y2="{height:.1f}" stroke="currentColor" stroke-opacity=".35" '
            f'stroke-dasharray="1 3"/><text x="{WIDTH - RIGHT}" y="{height - 3:.1f}" font-size="9" text-anchor="end" fill="currentColor" '
            f'fill-opacity=".6">{name}</text>'
        )
    frame = f"M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"
    return "".join(lines) + f'<path d="{frame}" fill="none" stroke="currentColor" stroke-opacity=".5"/>'


def _table(study: Retraining, protocol: Protocol, methods: Sequence[str]) -> dict[str, Any]:
    """Accuracies in percent with their intervals, and the accuracy of the mask alone in points above chance."""
    fractions = sorted({cell.fraction for cell in study.cells if _protocol(cell) == protocol})
    rows = []
    for method in methods:
        by = {cell.fraction: cell for cell in study.curve(method) if _protocol(cell) == protocol}
        rows.append((method, [_entry(study, by.get(fraction)) for fraction in fractions]))
    return {"fractions": [f"{100 * fraction:g} %" for fraction in fractions], "rows": rows}


def _entry(study: Retraining, cell: Cell | None) -> dict[str, str]:
    if cell is None:
        return {"value": "–", "leak": "", "notes": ""}
    half = "" if math.isnan(cell.half_width) else f" ± {100 * cell.half_width:.0f}"
    leak = "" if math.isnan(cell.leakage) else f"mask {100 * (cell.leakage - study.chance):+.0f}"
    value = "not trained to the end" if math.isnan(cell.mean) else f"{100 * cell.mean:.0f}{half}"
    return {"value": value, "leak": leak, "notes": "; ".join(cell.notes)}


def _style(study: Retraining, method: str) -> tuple[str, str]:
    """A colour and a dash pattern; controls are drawn in the ink of the page, apart by their dashes."""
    if method not in study.controls:
        own = [name for name in dict.fromkeys(cell.method for cell in study.cells) if name not in study.controls]
        return COLOURS[own.index(method) % len(COLOURS)], ""
    return ("#8a8f96" if method == "random" else "currentColor"), DASHES.get(method, CODED)


def _swatch(study: Retraining, method: str) -> Markup:
    from markupsafe import Markup

    colour, dash = _style(study, method)
    line = f'<line x1="0" x2="26" y1="5" y2="5" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>'
    return Markup(f'<svg width="26" height="10" aria-hidden="true">{line}</svg>')


def _half(cell: Cell) -> float:
    return 0.0 if math.isnan(cell.half_width) else cell.half_width


def _x(fraction: float) -> float:
    return LEFT + fraction * (WIDTH - LEFT - RIGHT)


def _y(value: float, low: float) -> float:
    return HEIGHT - BOTTOM - (value - low) / max(1e-9, 1 - low) * (HEIGHT - BOTTOM - TOP)
