"""Verdicts are read as a matrix of methods and axioms, in which the worst verdict of a cell speaks for the cell.

A claim that was refuted on one environment of twelve is refuted; a claim that holds under a condition and a violation that is
claimed outside of it stand side by side. What is unclaimed is shown by a dash, with what was found if it was explored.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from attrlab.record import Run, Verdict
from attrlab.report.wording import counted, duration, precise

Status = Literal[
    "error",
    "refuted",
    "modest",
    "inconclusive",
    "violated",
    "holds",
    "explored_violated",
    "explored_unsure",
    "explored",
    "inapplicable",
    "unclaimed",
]
"""What a verdict says, from the worst to the least; `LABELS` has the words."""

LABELS: dict[Status, str] = {
    "error": "ERROR",
    "refuted": "REFUTED",
    "modest": "NOT VIOLATED (claim too modest)",
    "inconclusive": "inconclusive",
    "violated": "violated as claimed",
    "holds": "holds",
    "explored_violated": "(violated)",
    "explored_unsure": "(inconclusive)",
    "explored": "(not violated)",
    "inapplicable": "n/a",
    "unclaimed": "–",
}

MEANINGS: dict[Status, str] = {
    "holds": "claimed, and not refuted in the cases judged",
    "violated": "claimed not to hold, and the witness shows it",
    "refuted": "claimed, and a counterexample was found",
    "modest": "claimed not to hold, but the witness does not show it",
    "inconclusive": "beyond numerical tolerance, within 100 × of it",
    "error": "could not be judged",
    "inapplicable": "does not apply here",
    "unclaimed": "not claimed, so not asserted; in brackets, what exploring it found",
}

FAILURES: frozenset[Status] = frozenset({"error", "refuted", "modest"})
CONTROLS = (
    "random",
    "blurred_random",
    "constant",
    "input_magnitude",
    "edge_filter",
    "degree",
    "degree_alone",
    "bridges_alone",
    "number_alone",
    "class_coded_mask",
    "predicted_class_coded_mask",
    "noisy_truth",
    "inverted_truth",
    "truth",
)
CONTRACT = "contract"
AXIOMS = "axioms"
COMBINATIONS = "combinations"
CLAIMED = frozenset({AXIOMS, COMBINATIONS})
"""What is judged of a method's claims: each axiom, and what several together leave no choice about."""
INSTRUMENTS = "instruments"

_ORDER: tuple[Status, ...] = tuple(LABELS)
_SILENT: frozenset[Status] = frozenset({"inapplicable", "unclaimed"})
_BY_OUTCOME: dict[str, Status] = {"failed": "refuted", "xpassed": "modest", "error": "error", "passed": "holds", "xfailed": "violated"}


@dataclass(frozen=True, kw_only=True)
class Part:
    """The verdicts of one cell that say the same."""

    status: Status
    verdicts: tuple[Verdict, ...]

    @property
    def cases(self) -> int:
        """How many (network, input) pairs they judged together."""
        return sum(verdict.cases for verdict in self.verdicts)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Everything that was judged of one method and one axiom, the worst first; empty where nothing was."""

    parts: tuple[Part, ...]
    total: int  # verdicts in the cell

    @property
    def status(self) -> Status:
        """The worst verdict."""
        return self.parts[0].status if self.parts else "unclaimed"

    @property
    def shown(self) -> tuple[Part, ...]:
        """The parts a reader must see: failures hide what held elsewhere, and silence is shown only where there is nothing else."""
        loud = tuple(part for part in self.parts if part.status not in _SILENT)
        failed = tuple(part for part in loud if part.status in FAILURES)
        return failed or loud or self.parts[:1]


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How often a contract was kept, broken, and not applicable."""

    passed: int
    failed: int
    inapplicable: int

    @property
    def judged(self) -> int:
        """How many verdicts were counted."""
        return self.passed + self.failed + self.inapplicable


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What failed for one method: a verdict that a reader can follow, and the others that say the same elsewhere."""

    verdict: Verdict
    elsewhere: tuple[Verdict, ...]

    @property
    def places(self) -> str:
        """Where else, with what was measured there; empty if nowhere."""
        return ", ".join(map(self._place, self.elsewhere))

    def _place(self, verdict: Verdict) -> str:
        measured = f" ({precise(verdict.measured)})" if math.isfinite(verdict.measured) else ""
        rule = "" if verdict.axiom == self.verdict.axiom else f"{verdict.axiom} on "
        return f"{rule}{verdict.environment}{measured}"


def status_of(verdict: Verdict) -> Status:
    """What one verdict says. A failure stays one whatever was claimed; "inconclusive" in the summary or reason parts a skip in two."""
    if verdict.outcome in ("failed", "xpassed", "error"):
        return _BY_OUTCOME[verdict.outcome]
    unsure = "inconclusive" in f"{verdict.summary} {verdict.reason}".lower()
    if verdict.claim == "unclaimed" and verdict.evaluation == AXIOMS:
        return _explored(verdict, unsure)
    if verdict.outcome == "skipped":
        return "inconclusive" if unsure else "inapplicable"
    return _BY_OUTCOME[verdict.outcome]


def methods_of(run: Run) -> tuple[str, ...]:
    """The methods in order of first appearance, controls last."""
    names = dict.fromkeys([*(verdict.method for verdict in run.verdicts), *(score.method for score in run.scores)])
    return (*(name for name in names if name not in CONTROLS), *(name for name in CONTROLS if name in names))


def axioms_of(run: Run) -> tuple[str, ...]:
    """The axioms in order of first appearance, combinations of them last; rules of contract and instruments are not among them."""
    found = [[verdict.axiom for verdict in run.verdicts if verdict.evaluation == kind] for kind in (AXIOMS, COMBINATIONS)]
    return tuple(dict.fromkeys(found[0] + found[1]))


def cell_of(verdicts: Iterable[Verdict]) -> Cell:
    """Gather the verdicts of one method and one axiom, the worst first."""
    found: dict[Status, list[Verdict]] = {}
    for verdict in verdicts:
        found.setdefault(status_of(verdict), []).append(verdict)
    parts = tuple(Part(status=status, verdicts=tuple(found[status])) for status in _ORDER if status in found)
    return Cell(parts=parts, total=sum(len(part.verdicts) for part in parts))


def matrix(run: Run) -> dict[tuple[str, str], Cell]:
    """(method, axiom) -> cell, for every method and every axiom of the run."""
    gathered: dict[tuple[str, str], list[Verdict]] = {(m, a): [] for m in methods_of(run) for a in axioms_of(run)}
    for verdict in run.verdicts:
        if verdict.evaluation in CLAIMED:
            gathered[verdict.method, verdict.axiom].append(verdict)
    return {key: cell_of(verdicts) for key, verdicts in gathered.items()}


def tally(verdicts: Iterable[Verdict]) -> Tally:
    """Count rules kept, rules broken (errors among them), and rules that could not be asked."""
    counts = Counter(verdict.outcome for verdict in verdicts)
    passed, skipped = counts["passed"] + counts["xfailed"], counts["skipped"]
    return Tally(passed=passed, failed=counts.total() - passed - skipped, inapplicable=skipped)


def contract_of(run: Run, method: str) -> Tally:
    """How a method kept the contract of behaviour."""
    return tally(v for v in run.verdicts if v.method == method and v.evaluation == CONTRACT)


def instruments_of(run: Run) -> dict[str, Tally]:
    """Rule -> tally, for what was judged of the laboratory itself rather than of a method."""
    others = [verdict for verdict in run.verdicts if verdict.evaluation == INSTRUMENTS]
    return {rule: tally(v for v in others if v.axiom == rule) for rule in dict.fromkeys(v.axiom for v in others)}


def failures_of(run: Run) -> tuple[Verdict, ...]:
    """The verdicts that turn a run red, in the order in which they came."""
    return tuple(verdict for verdict in run.verdicts if status_of(verdict) in FAILURES)


def failure_groups(run: Run) -> tuple[Failure, ...]:
    """The failures of a method on one axiom, or for one cause, together: the one with the shortest counterexample speaks for all."""
    gathered: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in failures_of(run):
        cause = verdict.axiom if verdict.evaluation in CLAIMED else _cause_of(verdict)
        gathered.setdefault((verdict.method, cause), []).append(verdict)
    groups = []
    for verdicts in gathered.values():
        plainest = min(verdicts, key=lambda verdict: len(verdict.counterexample) or math.inf)
        groups.append(Failure(verdict=plainest, elsewhere=tuple(verdict for verdict in verdicts if verdict is not plainest)))
    return tuple(groups)


def _cause_of(verdict: Verdict) -> str:
    """The reason, wherever it was met; the axiom where none is given."""
    return verdict.reason.replace(f" (on {verdict.environment})", "").replace(verdict.environment, "").strip() or verdict.axiom


def word_of(verdict: Verdict) -> str:
    """The verdict in words; a broken rule of the contract or of an instrument was never a claim that could be refuted."""
    status = status_of(verdict)
    if verdict.evaluation in CLAIMED or status not in ("refuted", "holds"):
        return LABELS[status]
    return "kept" if status == "holds" else "BROKEN"


def reason_of(verdict: Verdict) -> str:
    """The reason without the counterexample, which a report shows beside it."""
    shown = verdict.counterexample.strip()
    return verdict.reason.replace(shown, "").strip().rstrip(":") if shown else verdict.reason.strip()


def closing_line(run: Run) -> str:
    """The whole run in one line; the counts of verdicts add up."""
    counts = Counter(status_of(verdict) for verdict in run.verdicts)
    explored = counts["explored"] + counts["explored_unsure"] + counts["explored_violated"]
    always = [
        f"{counts['holds']:,} not refuted",
        f"{counts['violated']:,} violated as claimed",
        f"{counts['refuted']:,} refuted",
        f"{counts['inconclusive']:,} inconclusive",
        f"{counts['inapplicable']:,} not applicable",
    ]
    seldom = [(counts["modest"], "claimed too modestly"), (counts["error"], "not judged for an error"), (explored, "unclaimed")]
    words = ", ".join([*always, *(f"{count:,} {word}" for count, word in seldom if count)])
    return f"{counted(len(run.verdicts), 'verdict')}: {words}; {counted(len(run.scores), 'score')}; {duration(run.seconds)}"


def _explored(verdict: Verdict, unsure: bool) -> Status:
    """What exploring an unclaimed axiom found; it did not apply where nothing was measured."""
    if verdict.outcome == "xfailed" or verdict.measured > verdict.bound:
        return "explored_violated"
    if unsure:
        return "explored_unsure"
    return "explored" if verdict.outcome == "passed" or math.isfinite(verdict.measured) else "inapplicable"
