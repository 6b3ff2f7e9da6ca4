"""What stands behind a cell of the matrix: how much was asked, how bad the worst was, and the counterexample, as lines of plain text."""

from __future__ import annotations

import math
from collections.abc import Iterable

from attrlab.claims import MARGIN
from attrlab.record import Verdict
from attrlab.report.matrix import LABELS, Cell, Part
from attrlab.report.wording import counted, precise

SHOWN = 3
"""Places that are named; of more, how many."""

SHORT = 600
"""Letters of a counterexample beside a cell; the whole of it stands below the matrix."""

VIOLATED = ("refuted", "modest", "violated", "explored_violated", "inconclusive", "explored_unsure")
"""What a counterexample is shown of."""


def evidence(method: str, axiom: str, cell: Cell) -> str:
    """The strength of the evidence for one method and axiom: cases, networks, the worst violation, its tolerance, and where."""
    lines = [f"{method}, {axiom}{'' if cell.parts else ': not asked'}"]
    for part in cell.shown:
        lines.append(f"{LABELS[part.status]}: {_strength(part)}")
        plainest = plainest_of(part.verdicts)
        if part.status in VIOLATED and plainest is not None:
            shown = plainest.counterexample
            lines.append(shown if len(shown) <= SHORT else f"{shown[:SHORT]} ...")
        elif part.status == "inapplicable":
            lines.append(next((verdict.reason for verdict in part.verdicts if verdict.reason), ""))
    return "\n".join(line for line in lines if line)


def plainest_of(verdicts: Iterable[Verdict]) -> Verdict | None:
    """The verdict with the shortest counterexample; None if none has one."""
    found = [verdict for verdict in verdicts if verdict.counterexample]
    return min(found, key=lambda verdict: len(verdict.counterexample), default=None)


def anchors(verdicts: Iterable[Verdict]) -> dict[tuple[str, str], Verdict]:
    """Of each method and axiom the verdict that its cell leads to: the one with the shortest counterexample."""
    gathered: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in verdicts:
        gathered.setdefault((verdict.method, verdict.axiom), []).append(verdict)
    return {key: found for key, parts in gathered.items() if (found := plainest_of(parts)) is not None}


def _strength(part: Part) -> str:
    """In numbers, what one word about a cell rests on."""
    said = []
    if part.cases:
        said.append(f"{counted(part.cases, 'case')} on {counted(sum(max(1, verdict.networks) for verdict in part.verdicts), 'network')}")
    measured = [verdict for verdict in part.verdicts if math.isfinite(verdict.measured)]
    if measured:
        worst = max(measured, key=lambda verdict: verdict.measured / verdict.bound if verdict.bound > 0 else verdict.measured)
        said.append(f"worst violation {precise(worst.measured)}, tolerance {precise(worst.bound / MARGIN)}")
    places = list(dict.fromkeys(verdict.environment + (f" ({verdict.scope})" if verdict.scope else "") for verdict in part.verdicts))
    more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
    said.append(f"on {', '.join(places[:SHOWN])}{more}")
    return "; ".join(said)
