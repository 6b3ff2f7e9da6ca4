"""One page holds a whole run: self-contained, the same bytes for the same records, readable without scripts and without colour.

The page fetches nothing: style is inline, pictures are data, and its own content policy forbids the rest. Everything that
came from outside, names above all, is escaped by the template and can neither become markup nor steer the text.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrlab.record import Run, Score, Verdict, write_atomically
from attrlab.report import reliability
from attrlab.report.biases import bias_section
from attrlab.report.curves import curve_section
from attrlab.report.evidence import VIOLATED, anchors, evidence
from attrlab.report.families import grouped
from attrlab.report.matrix import (
    CONTROLS,
    FAILURES,
    LABELS,
    MEANINGS,
    axioms_of,
    closing_line,
    contract_of,
    failure_groups,
    failures_of,
    instruments_of,
    matrix,
    methods_of,
    reason_of,
    status_of,
    word_of,
)
from attrlab.report.retraining import sections
from attrlab.report.scoreboard import Scoreboard, metrics_of, overview, place, position, ranks_of, scoreboards
from attrlab.report.wording import counted, duration, hundredths, plain, precise, printable, short
from attrlab.retraining.cells import Retraining

if TYPE_CHECKING:
    from markupsafe import Markup

    from attrlab.report.pictures import Picture

_MARKS = {"holds": "✓", "violated": "≠", "refuted": "✕", "modest": "✕", "error": "!", "inconclusive": "?"}
_DENSE_MARKS = {"explored": "(✓)", "explored_violated": "(≠)", "explored_unsure": "(?)", "inapplicable": "·"}  # where marks stand alone
_WIDE = 12  # from so many columns on, headings are upright and cells hold marks
_OVERHANG = 0.2  # how far a bar reaches beyond floor and ceiling, as a part of the distance between them


def write_page(run: Run, path: Path | str, *, pictures: Sequence[Picture] = ()) -> None:
    """Write the page of a run to `path`, through a temporary name, so that there is a whole page or none.

    Raises:
        OSError: if the folder does not exist or cannot be written to.
    """
    write_atomically(path, render_page(run, pictures=pictures))


def render_page(run: Run, *, pictures: Sequence[Picture] = ()) -> str:
    """The page of a run as HTML. What decides comes first: failures, then verdicts, scores and pictures."""
    page: str = _template().render(
        run=run,
        closing=closing_line(run),
        facts=_facts(run),
        failures=failures_of(run),
        groups=failure_groups(run),
        matrix=_matrix(run),
        legend=[(status, (_MARKS | _DENSE_MARKS).get(status, ""), LABELS[status], meaning) for status, meaning in MEANINGS.items()],
        findings=_findings(run),
        leads=_leads(run),
        inapplicable=_inapplicable(run),
        instruments=instruments_of(run),
        overview=_overview(run),
        boards=_boards(run),
        gallery=_gallery(pictures),
        studies=sections(Retraining.from_data(study) for study in run.studies),
        curves=_part("curves.html", curve_section(run.curves)),
        reliability=_part("reliability.html", reliability.section(run.judgements)),
        biases=_part("biases.html", bias_section(run.biases)),
    )
    return page


def _part(file: str, found: Any) -> Markup:
    """A section from its own template; nothing where there is nothing to show."""
    from markupsafe import Markup

    return Markup(_template(file).render(found=found)) if found else Markup("")


def _template(file: str = "page.html") -> Any:
    import jinja2

    engine = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown)
    engine.filters.update(
        breakable=_breakable, precise=precise, short=short, hundredths=hundredths, word=word_of, counted=counted, reason=reason_of
    )
    engine.globals.update(evidence=evidence, identity=id, violated=VIOLATED)
    engine.globals.update(controls=CONTROLS, marks=_MARKS, dense_marks=_DENSE_MARKS, labels=LABELS, failing=FAILURES)
    return engine.from_string(resources.files("attrlab.report").joinpath(file).read_text(encoding="utf-8"))


def _shown(value: object) -> object:
    """What a template prints: plain strings lose what could steer the page; markup is ours already."""
    return printable(value) if type(value) is str else value


def _breakable(text: str) -> Markup:
    """An identifier that may be broken after its underscores and hyphens."""
    from markupsafe import Markup, escape

    marked = str(escape(printable(text)))
    return Markup(marked.replace("_", "_<wbr>").replace("-", "-<wbr>"))


def _facts(run: Run) -> list[tuple[str, str]]:
    """What the results depend on: the policy, the versions, the time."""
    policy = [(str(name), plain(value)) for name, value in run.policy.items()]
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    return [*policy, ("versions", versions or "not recorded"), ("took", duration(run.seconds))]


def _matrix(run: Run) -> dict[str, Any]:
    """Methods by axioms, only with methods that were judged at all."""
    cells, axioms = matrix(run), axioms_of(run)
    rows = [(name, contract_of(run, name), [cells[name, axiom] for axiom in axioms]) for name in methods_of(run)]
    judged = [row for row in rows if row[1].judged or any(cell.parts for cell in row[2])]
    return {"axioms": axioms, "rows": judged, "groups": grouped(judged, lambda row: row[0]), "dense": len(axioms) > _WIDE}


def _leads(run: Run) -> dict[Any, str]:
    """Where the counterexample of a cell stands on the page: the anchor of each (method, axiom), and of the verdict it leads to."""
    told = [*failures_of(run), *(verdict for _, verdicts in _findings(run) for verdict in verdicts)]
    found: dict[Any, str] = {}
    for number, (key, verdict) in enumerate(anchors(told).items()):
        found[key] = found[id(verdict)] = f"counterexample-{number}"
    return found


def _findings(run: Run) -> list[tuple[str, list[Verdict]]]:
    """Verdicts beside the failures of which there is something to read, by what they say."""
    titles = {
        "violated": "Violations that were claimed, with their witnesses",
        "inconclusive": "Inconclusive",
        "explored_violated": "Violations that nobody claimed",
    }
    found = [(title, [v for v in run.verdicts if status_of(v) == status]) for status, title in titles.items()]
    shrinking = [v for v in run.verdicts if status_of(v) == "holds" and v.summary == "approximation error"]
    found.append(("Violations that shrink with more passes: errors of approximation, and so no refutations", shrinking))
    return [(title, verdicts) for title, verdicts in found if verdicts]


def _inapplicable(run: Run) -> list[dict[str, Any]]:
    """What could not be asked, gathered by its reason, because one reason speaks for many verdicts."""
    found: dict[str, list[Verdict]] = {}
    for verdict in run.verdicts:
        if status_of(verdict) == "inapplicable":
            found.setdefault(verdict.reason or verdict.summary, []).append(verdict)
    return [
        {
            "reason": reason,
            "count": len(verdicts),
            "methods": list(dict.fromkeys(v.method for v in verdicts)),
            "axioms": list(dict.fromkeys(v.axiom for v in verdicts)),
        }
        for reason, verdicts in found.items()
    ]


def _overview(run: Run) -> dict[str, Any]:
    """Methods by metrics: the median place, how many environments it is over, and how strongly to tint it."""
    medians = overview(run)
    metrics = metrics_of(run)
    rows = [(name, [_tinted(*medians.get((name, metric), (math.nan, 0))) for metric in metrics]) for name in methods_of(run)]
    shown = [(name, row) for name, row in rows if any(cell["count"] for cell in row)]
    return {"metrics": metrics, "rows": shown, "groups": grouped(shown, lambda row: row[0]), "dense": len(metrics) > _WIDE}


def _tinted(median: float, count: int) -> dict[str, Any]:
    tint = 0.0 if math.isnan(median) else min(max(median, 0.0), 1.0)
    return {"text": hundredths(median) if count else "–", "count": count, "tint": round(100 * tint)}


def _boards(run: Run) -> list[dict[str, Any]]:
    """One table per metric and seed: a bar per score, floor and ceiling per environment."""
    boards = scoreboards(run)
    several = len({board.seed for board in boards}) > 1
    return [_board(board, several) for board in boards]


def _board(board: Scoreboard, several: bool) -> dict[str, Any]:
    ranks = {name: ranks_of(board, name) for name in board.environments}
    ends = {name: board.ends(name) for name in board.environments}
    rows = [(m, [_bar(board.scores.get((m, name)), ranks[name].get(m), ends[name]) for name in board.environments]) for m in board.methods]
    return {
        "title": board.evaluation + (f", seed {board.seed}" if several else ""),
        "direction": board.direction,
        "environments": board.environments,
        "ends": [[_end(both[side]) for both in ends.values()] for side in (0, 1)],
        "groups": grouped(rows, lambda row: row[0]),
    }


def _end(value: float | None) -> tuple[str, str]:
    """A floor or a ceiling as it is printed, and in full."""
    return ("varies", "") if value is None else (short(value), precise(value))


def _bar(score: Score | None, rank: tuple[int, int] | None, ends: tuple[float | None, float | None]) -> dict[str, Any] | None:
    """A score as text and as a bar in percent of its track; no bar where floor or ceiling say nothing.

    Floor and ceiling stand once above a column, and in its cells only where they vary.
    """
    if score is None:
        return None
    low, high = sorted(score.interval)
    title = f"{precise(score.value)}, {precise(low)} to {precise(high)}, {counted(score.rows, 'row')}"
    if None in ends:
        title += f", floor {precise(score.floor)}, ceiling {precise(score.ceiling)}"
    where = position(score)
    bar: dict[str, Any] = {
        "value": short(score.value),
        "interval": _interval(low, high),
        "title": title,
        "at": None,
        "rank": "",
        "seeds": "",
    }
    if math.isfinite(score.spread[0]):
        bar["seeds"] = _interval(*score.spread)
        bar["title"] += f"; over {counted(score.seeds, 'seed')} {precise(score.spread[0])} to {precise(score.spread[1])}"
    if rank is not None:
        bar["rank"] = f"{rank[0]}{'=' if rank[1] > 1 else ''}"
    if math.isnan(where):
        return bar
    bounds = sorted(_track(place(score, end)) for end in (low, high)) if math.isfinite(low) and math.isfinite(high) else [_track(where)] * 2
    return {**bar, "at": _track(where), "start": bounds[0], "width": round(bounds[1] - bounds[0], 1), "below": where < 0}


def _interval(low: float, high: float) -> str:
    return f"{short(low)} … {short(high)}" if math.isfinite(low) and math.isfinite(high) else "no interval"


def _track(where: float) -> float:
    """Percent of the track at which a place lies; what lies beyond its ends is drawn at the end."""
    return round(100 * min(max((where + _OVERHANG) / (1 + 2 * _OVERHANG), 0.0), 1.0), 1)


def _gallery(pictures: Sequence[Picture]) -> dict[str, list[tuple[str, str]]]:
    """Environment -> (caption, data URI), in the order given."""
    rows: dict[str, list[tuple[str, str]]] = {}
    for picture in pictures:
        data = base64.b64encode(picture.png).decode("ascii")
        rows.setdefault(picture.environment, []).append((picture.method, f"data:image/png;base64,{data}"))
    return rows
