"""A refutation on the command line: pytest looks for counterexamples, and what it recorded is told as mathematics."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from attrlab.certificate import write
from attrlab.errors import AttrlabError
from attrlab.record import Run, Verdict

PROGRESS = "searching "
"""How a line begins that tells how far a search is."""

NOT_REFUTED, REFUTED, NOT_RUN, INCONCLUSIVE = 0, 1, 2, 3
"""Exit statuses."""


class CouldNotRun(AttrlabError):
    """The search did not come to records; what pytest said is the message."""


def run(options: list[str], command: list[str]) -> Run:
    """Run the search with pytest, and read its records.

    Raises:
        CouldNotRun: if it ended without records, such as for a method that does not exist.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    with tempfile.TemporaryDirectory() as folder:
        records = Path(folder) / "records.json"
        asked = [*command, *options, "--attrlab-json", str(records)]
        with open(Path(folder) / "output", "w+", encoding="utf-8") as output:
            with subprocess.Popen(asked, env=environment, stdout=output, stderr=subprocess.PIPE, text=True) as search:
                complaints = _passed_on(search.stderr or ())
            output.seek(0)
            said = [line.removeprefix("ERROR: ") for line in [*complaints, *output] if line.strip()]
        if search.returncode not in (0, 1) or not records.is_file():
            raise CouldNotRun(said[0].rstrip() if said else f"pytest ended with status {search.returncode} and said nothing")
        return Run.from_json(records.read_text(encoding="utf-8"))


def _passed_on(lines: Iterable[str]) -> list[str]:
    """Show how far a long search is as soon as it says so, and keep the other lines."""
    kept = []
    for line in lines:
        if line.startswith(PROGRESS):
            print(line, end="", file=sys.stderr, flush=True)
        else:
            kept.append(line)
    return kept


def report(found: Run, path: Path | None) -> int:
    """Print what was found of each axiom, write the certificates, and return the exit status."""
    verdicts = [verdict for verdict in found.verdicts if verdict.evaluation == "refutation"]
    for verdict in verdicts:
        print(_told(verdict))
    certificates = [verdict.certificate for verdict in verdicts if verdict.certificate]
    if path is not None and certificates:
        write(path, certificates)
        print(f"certificates: {path}; check them again with: attrlab replay {path}")
    if any(verdict.outcome == "error" or (verdict.outcome == "failed" and not verdict.counterexample) for verdict in verdicts):
        return NOT_RUN
    if any(verdict.outcome == "failed" for verdict in verdicts):
        return REFUTED
    if any(verdict.summary == "inconclusive" for verdict in verdicts):
        return INCONCLUSIVE
    return NOT_REFUTED if any(verdict.outcome == "passed" for verdict in verdicts) else NOT_RUN


def _told(verdict: Verdict) -> str:
    """One axiom: the counterexample, indented, or what was gone through without one."""
    head = f"{verdict.axiom}: {verdict.summary or verdict.outcome}"
    if verdict.counterexample:
        size = f" (violation {verdict.measured:.3g}, refuted above {verdict.bound:.3g}, case {verdict.cases:,})"
        return "\n".join([head + size, *(f"    {line}" for line in verdict.counterexample.splitlines())])
    return f"{head}; {verdict.reason}" if verdict.reason else head
