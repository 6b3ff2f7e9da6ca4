"""The pytest plugin of the laboratory: its options, and the table, page and file made from what the evaluations record.

It is an entry point, so it is imported by every pytest run of the environment it is installed in; therefore it imports nothing
heavy, prefixes every option with --attrlab-, and does nothing unless an evaluation runs. Records travel as `user_properties`
of the test reports, as JSON text, so that they cross process borders under pytest-xdist.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from evaluations.laboratory import Laboratory

PROPERTY = "attrlab"
"""The name under which a record stands in `user_properties`."""

IDENTITY = "attrlab-identity"
"""The name under which an evaluation's parameters stand there, so that one which could not record anything is still known."""

PROGRESS_SECONDS = 5.0


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the laboratory's options; all of them are prefixed."""
    group = parser.getgroup("attrlab", "attribution laboratory (pytest --pyargs evaluations)")
    group.addoption(
        "--attrlab-method",
        action="append",
        default=[],
        metavar="METHOD",
        help="evaluate this method: a registered name, package.module:object or path/file.py:object; repeatable (default: all registered)",
    )
    group.addoption(
        "--attrlab-claim", action="append", default=[], metavar="AXIOM", help="hold the methods named to this axiom as well; repeatable"
    )
    group.addoption(
        "--attrlab-environment", action="append", default=[], metavar="ID", help="only this environment; repeatable (default: all)"
    )
    group.addoption("--attrlab-device", default="cpu", metavar="DEVICE", help="cpu, cuda or cuda:N (default: cpu)")
    group.addoption("--attrlab-rows", type=int, default=12, metavar="N", help="rows drawn from each environment (default: 12)")
    group.addoption("--attrlab-examples", type=int, default=60, metavar="N", help="drawn networks per claim that is searched (default: 60)")
    group.addoption("--attrlab-seed", type=int, default=0, metavar="N", help="seed of every draw (default: 0)")
    group.addoption("--attrlab-json", default=None, metavar="PATH", help="write all records to this file")
    group.addoption("--attrlab-html", default=None, metavar="PATH", help="write the page to this file")
    group.addoption("--attrlab-unclaimed", action="store_true", help="also explore what a method does not claim; recorded, never asserted")


def pytest_configure(config: pytest.Config) -> None:
    """Take up the collection of records, on the process that reports."""
    config.addinivalue_line("markers", "attrlab: an evaluation of the attribution laboratory")
    config.stash[_RECORDS] = []
    config.stash[_CLOCK] = _Clock()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuse an unknown method, environment, axiom, device or an unwritable report in one clean line, before anything is collected."""
    config = session.config
    named = any(config.getoption(f"--attrlab-{name}") for name in ("method", "claim", "environment", "json", "html"))
    if not named and config.getoption("--attrlab-device") == "cpu":
        return
    from attrlab.errors import AttrlabError
    from evaluations.laboratory import Laboratory

    try:
        config.stash[_LABORATORY] = Laboratory.from_options(config.option)
    except AttrlabError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say exactly what is evaluated, if something is."""
    laboratory = config.stash.get(_LABORATORY, None)
    return [] if laboratory is None else [laboratory.header()]


def laboratory_of(config: pytest.Config) -> Laboratory:
    """The laboratory of this run, made from the options on first use.

    Raises:
        pytest.UsageError: if an option names something unknown.
    """
    from attrlab.errors import AttrlabError
    from evaluations.laboratory import Laboratory

    if _LABORATORY not in config.stash:
        try:
            config.stash[_LABORATORY] = Laboratory.from_options(config.option)
        except AttrlabError as error:
            raise pytest.UsageError(str(error)) from error
    return config.stash[_LABORATORY]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Write what an evaluation is about into its report, before anything can fail."""
    if item.get_closest_marker("attrlab"):
        item.user_properties.append((IDENTITY, json.dumps(_cell_of(item).identity())))
    yield


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out evaluations that have no cell in this run, such as the unclaimed axioms when nobody asked for them."""
    empty = [item for item in items if item.get_closest_marker("attrlab") and not hasattr(_cell_of(item), "identity")]
    if empty:
        config.hook.pytest_deselected(items=empty)
        items[:] = [item for item in items if item not in empty]


def _cell_of(item: pytest.Item) -> Any:
    """What an evaluation is about; pytest's NOTSET where it has no cells."""
    return item.callspec.params["cell"]  # type: ignore[attr-defined]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect the records of an evaluation; runs in the process that reports."""
    config = _CONFIG.get("config")
    if config is None or not any(name in (PROPERTY, IDENTITY) for name, _ in report.user_properties):
        return
    if report.when == "call" or (report.when == "setup" and report.outcome != "passed"):
        config.stash[_RECORDS].append(report)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start the clock of the remaining time."""
    _CONFIG["config"] = session.config
    session.config.stash[_CLOCK].start(sum(1 for item in session.items if item.get_closest_marker("attrlab")))


def pytest_runtest_logfinish(nodeid: str, location: tuple[str, int | None, str]) -> None:
    """Say every few seconds how far the evaluations are and how long they will take."""
    del nodeid, location
    config = _CONFIG.get("config")
    line = config.stash[_CLOCK].line() if config is not None else ""
    reporter = config.pluginmanager.get_plugin("terminalreporter") if config is not None else None
    if line and reporter is not None:
        reporter.ensure_newline()
        reporter.write_line(line)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the tables and write the files that were asked for, from the records alone."""
    reports = config.stash[_RECORDS]
    if not reports:
        return
    from evaluations.summary import run_of, write_reports

    run = run_of(reports, laboratory_of(config), seconds=config.stash[_CLOCK].seconds())
    for line in write_reports(run, laboratory_of(config), width=terminalreporter._tw.fullwidth):
        terminalreporter.write_line(line)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Forget the run."""
    if _CONFIG.get("config") is config:
        _CONFIG.clear()


class _Clock:
    """How many evaluations are done, and how long the rest will take at the pace so far."""

    def __init__(self) -> None:
        self._total = self._done = 0
        self._started = self._told = time.monotonic()

    def start(self, total: int) -> None:
        self._total, self._done = total, 0
        self._started = self._told = time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() - self._started

    def line(self) -> str:
        """One more is done; a line if the last one is some seconds old, else nothing."""
        self._done += 1
        now = time.monotonic()
        if not self._total or now - self._told < PROGRESS_SECONDS or self._done >= self._total:
            return ""
        self._told = now
        left = (now - self._started) / self._done * (self._total - self._done)
        return f"{self._done} of {self._total} evaluations, about {left:.0f} s left"


_RECORDS: pytest.StashKey[list[pytest.TestReport]] = pytest.StashKey()
_LABORATORY: pytest.StashKey[Laboratory] = pytest.StashKey()
_CLOCK: pytest.StashKey[_Clock] = pytest.StashKey()
_CONFIG: dict[str, pytest.Config] = {}
