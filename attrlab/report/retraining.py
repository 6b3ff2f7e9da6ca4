"""A retraining study is read as curves: accuracy by fraction, beside random, the truth and codes that leak, with intervals over seeds.

Beside every curve stands what its mask alone gives away, because a curve can follow the mask's shape rather than the features it hides.
Curves are drawn as vectors in the page; the same numbers stand in a table below them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from attrlab.report.wording import printable
from attrlab.retraining.cells import Cell, Retraining
from attrlab.retraining.verdicts import leaking, sentences

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 380, 230, 40, 34, 12, 12
COLOURS = ("#1f5fa8", "#b3531c", "#2f7d4f", "#8a3f8f", "#a88a1f", "#2a8c99")
DASHES = {"random": "", "truth": "", "inverted_truth": "7 3", "constant": "2 3", "blurred_random": "9 3 2 3"}
CODED = "4 2 1 2"


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


def _protocol(cell: Cell) -> tuple[str, str, str, str]:
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
        "leaking": bool(leaking(study)),
    }


def title_of(study: Retraining, protocol: tuple[str, str, str, str]) -> str:
    """A protocol in words: ROAR and KAR, on the edges of graphs RoLie and RoMie."""
    measure, order, evaluated, isolated = protocol
    graph = study.modality == "graph"
    name = {"roar": "RoLie, ROAR" if graph else "ROAR", "kar": "RoMie, KAR" if graph else "KAR"}[measure]
    what = "fraction removed" if measure == "roar" else "fraction kept"
    parts = [f"{name}: {what}, {'most' if order == 'morf' else 'least'} relevant first", f"{evaluated} test rows"]
    return ", ".join([*parts, f"isolated nodes {isolated}"] if graph else parts)


def chart(study: Retraining, protocol: tuple[str, str, str, str], methods: Sequence[str]) -> Markup:
    """The curves of one protocol as SVG, with an interval at each point and lines at chance and at the accuracy on whole rows."""
    from markupsafe import Markup, escape

    low = min([study.chance, *study.nothing, *(cell.mean - _half(cell) for cell in study.cells if math.isfinite(cell.mean))])
    low = max(0.0, math.floor(10 * low) / 10)
    parts = [_axes(study, protocol[0], low)]
    for method in methods:
        cells = [cell for cell in study.curve(method) if _protocol(cell) == protocol and math.isfinite(cell.mean)]
        colour, dash = _style(study, method)
        points = " ".join(f"{_x(cell.fraction):.1f},{_y(cell.mean, low):.1f}" for cell in cells)
        lines = "".join(
            f'<line x1="{_x(cell.fraction):.1f}" x2="{_x(cell.fraction):.1f}" '
            f'y1="{_y(min(1, cell.mean + _half(cell)), low):.1f}" y2="{_y(max(low, cell.mean - _half(cell)), low):.1f}"/>'
            for cell in cells
        )
        name = escape(printable(method))
        parts.append(
            f'<g stroke="{colour}" fill="none" stroke-width="1.6"><title>{name}</title>'
            f'<polyline points="{points}" stroke-dasharray="{dash}"/>{lines}</g>'
        )
    said = escape(title_of(study, protocol))
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{said}">' + "".join(parts) + "</svg>"
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


def _table(study: Retraining, protocol: tuple[str, str, str, str], methods: Sequence[str]) -> dict[str, Any]:
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
