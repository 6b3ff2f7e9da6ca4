"""The terminal shows what decides: one row per method, one column per axiom, then the scores, then every failure in full.

Tables are cut into blocks of columns that fit the width at hand, so that nothing is ever truncated; colour repeats what the words say.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from attrlab.record import Run
from attrlab.report.matrix import (
    AXIOMS,
    CONTRACT,
    FAILURES,
    LABELS,
    Cell,
    Failure,
    Status,
    axioms_of,
    closing_line,
    contract_of,
    failure_groups,
    failures_of,
    instruments_of,
    matrix,
    methods_of,
    reason_of,
    word_of,
)
from attrlab.report.table_of_scores import print_overview, print_scores
from attrlab.report.terminal import bare_table, blocks, folded, labelled, name_width, styled
from attrlab.report.wording import counted, precise

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_STYLES: dict[Status, str] = {
    "error": "bold red",
    "refuted": "bold red",
    "modest": "bold red",
    "inconclusive": "yellow",
    "violated": "cyan",
    "holds": "green",
}
_AXIOM_WIDTH = 15
_FEW = 3
"""Up to so many environments their scores are printed one by one; beyond, the overview stands for them, and the page has them all."""


def print_tables(run: Run, console: Console) -> None:
    """Print verdicts, scores, failures and a closing line; what a stranger named is printed as it is and never as markup."""
    _print_verdicts(run, console)
    _print_instruments(run, console)
    print_overview(run, console)
    if len({score.environment for score in run.scores}) <= _FEW:
        print_scores(run, console)
    _print_failures(run, console)
    console.print(styled(closing_line(run), "bold red" if failures_of(run) else "bold"), soft_wrap=False)


def tables_as_text(run: Run, width: int = 100) -> str:
    """The same as plain text without colour, no line longer than `width`."""
    from rich.console import Console

    sheet = io.StringIO()
    print_tables(run, Console(file=sheet, width=width, color_system=None, force_terminal=False, highlight=False, emoji=False))
    return "\n".join(line.rstrip() for line in sheet.getvalue().splitlines()) + "\n"


def _print_verdicts(run: Run, console: Console) -> None:
    judged = {verdict.method for verdict in run.verdicts if verdict.evaluation in (CONTRACT, AXIOMS)}
    methods = [name for name in methods_of(run) if name in judged]
    if not methods:
        return
    cells = matrix(run)
    console.print(styled("VERDICTS", "bold"))
    for axioms in blocks(axioms_of(run), (console.width - name_width(methods) - 11) // _AXIOM_WIDTH) or [()]:
        table = bare_table("method")
        table.add_column("contract", no_wrap=True)
        for axiom in axioms:
            table.add_column(styled(folded(axiom, _AXIOM_WIDTH - 1)), max_width=_AXIOM_WIDTH - 1)
        for method in methods:
            table.add_row(labelled(method), _contract(run, method), *(_verdict_cell(cells[method, axiom]) for axiom in axioms))
        console.print(table)
        console.print()
    legend = "contract: rules kept / broken / not applicable; (n): networks and inputs judged; k/n: on k of n environments; "
    console.print(styled(legend + "n/a: does not apply; –: not claimed; in brackets: not claimed, explored", "dim"))
    console.print()


def _print_instruments(run: Run, console: Console) -> None:
    rules = instruments_of(run)
    if not rules:
        return
    console.print(styled("INSTRUMENTS: what was judged of the laboratory itself", "bold"))
    table = bare_table("rule")
    for heading in ("kept", "broken", "n/a"):
        table.add_column(heading, justify="right")
    for rule, counts in rules.items():
        broken = styled(str(counts.failed), "bold red" if counts.failed else "")
        table.add_row(styled(rule), str(counts.passed), broken, str(counts.inapplicable))
    console.print(table)
    console.print()


def _print_failures(run: Run, console: Console) -> None:
    failures = failures_of(run)
    if not failures:
        return
    console.rule(styled(f"FAILURES ({len(failures)})", "bold red"), style="red")
    for failure in failure_groups(run):
        _print_failure(failure, console)


def _print_failure(failure: Failure, console: Console) -> None:
    from rich.padding import Padding

    verdict = failure.verdict
    head = styled(f"{verdict.method}: {verdict.axiom} on {verdict.environment}: ", "bold")
    console.print(head.append_text(styled(word_of(verdict), "bold red")))
    measured = f"{precise(verdict.measured)}, bound {precise(verdict.bound)}"
    lines = [("claim", verdict.claim), ("measured", f"{measured} ({counted(verdict.cases, 'case')})" if verdict.cases else measured)]
    lines += [("summary", verdict.summary if verdict.summary.lower() != word_of(verdict).lower() else ""), ("reason", reason_of(verdict))]
    for label, content in lines:
        if content:
            console.print(Padding(styled(f"{label}: ", "dim").append_text(styled(content)), (0, 0, 0, 2)))
    if verdict.counterexample:
        console.print(Padding(styled("counterexample:", "dim"), (0, 0, 0, 2)))
        console.print(Padding(styled(verdict.counterexample.strip("\n")), (0, 0, 0, 4)))
    if failure.elsewhere:
        console.print(Padding(styled("also on: ", "dim").append_text(styled(failure.places)), (0, 0, 0, 2)))
    console.print()


def _verdict_cell(cell: Cell) -> Text:
    parts = [_part(cell, index) for index in range(len(cell.shown))]
    return styled("\n").join(parts) if parts else styled(LABELS["unclaimed"], "dim")


def _part(cell: Cell, index: int) -> Text:
    part = cell.shown[index]
    words = LABELS[part.status]
    if part.status in FAILURES and cell.total > 1:
        words += f" {len(part.verdicts)}/{cell.total}"
    elif part.cases and part.status in ("holds", "violated", "inconclusive"):
        words += f" ({part.cases:,})"
    return styled(words, _STYLES.get(part.status, "dim"))


def _contract(run: Run, method: str) -> Text:
    counts = contract_of(run, method)
    if not counts.judged:
        return styled("–", "dim")
    return styled(f"{counts.passed}/{counts.failed}/{counts.inapplicable}", "bold red" if counts.failed else "green")
