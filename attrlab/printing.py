"""How the command line prints: nothing is broken that a reader may want to copy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attrlab.catalogue import Entry
    from attrlab.sweep import Swept
    from attrlab.verification import Verification


def print_entries(entries: Iterable[Entry]) -> None:
    """Each entry is a line with its name, and what is known of it beneath, indented; no name is ever broken."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console()
    for name, headline, details in entries:
        console.print(Text.assemble((name, "bold"), "  ", (headline, "dim")), soft_wrap=True)
        for detail in details:
            if detail:
                console.print(Padding(Text(detail), (0, 0, 0, 4)))


def print_facts(name: str, facts: Iterable[tuple[str, str]]) -> None:
    """A name, and beneath it what is known of it, label by label."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    console.print(Text(name, style="bold"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="dim", max_width=72)
    table.add_column(overflow="fold")
    for label, text in facts:
        if text:
            table.add_row(Text(label), Text(text))
    console.print(table)


def print_verifications(records: list[Verification]) -> None:
    """One line per environment, its problems beneath, and a closing line."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("environment", no_wrap=True)
    for heading in ("points", "float64", "float32", "least |z|", "truths agree to", "seconds"):
        table.add_column(heading, justify="right")
    for record in records:
        points = f"{record.points:,}{' (all)' if record.enumerated else ''}"
        agreed = max((gap for gap in record.disagreement.values() if gap == gap), default=float("nan"))
        errors = (f"{record.error['float64']:.2g}", f"{record.error['float32']:.2g}", f"{record.preactivation:.3g}", f"{agreed:.1g}")
        table.add_row(Text(record.environment, style="bold red" if record.problems else ""), points, *errors, f"{record.seconds:.1f}")
    console.print(table)
    for record in records:
        for problem in record.problems:
            console.print(Text(f"{record.environment}: {problem}", style="red"))
    bad, total = sum(bool(record.problems) for record in records), sum(record.points for record in records)
    seconds = sum(record.seconds for record in records)
    console.print(f"{len(records)} environments, {total:,} points, {bad} with problems; {seconds:.0f} s")


def print_sweep(found: list[Swept]) -> None:
    """One line per method with its fates, its reasons beneath, and a closing line."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from attrlab.sweep import FATES, summary

    console, lines = Console(), summary(found)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("method", no_wrap=True)
    for fate in FATES:
        table.add_column(fate, justify="right")
    for method, fates, _ in lines:
        table.add_row(Text(method, style="bold red" if fates["failed"] else ""), *(str(fates[fate] or "") for fate in FATES))
    console.print(table)
    for method, _, reasons in lines:
        for reason, times in reasons:
            console.print(Padding(Text(f"{method}, {times} x: {reason}"), (0, 0, 0, 2)))
    totals = ", ".join(f"{sum(fates[fate] for _, fates, _ in lines)} {fate}" for fate in FATES)
    environments, seconds = len({swept.environment for swept in found}), sum(swept.seconds for swept in found)
    console.print(f"{len(lines)} methods on {environments} environments: {totals}; {seconds:.0f} s")
