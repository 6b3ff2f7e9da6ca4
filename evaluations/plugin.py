"""The pytest plugin of the laboratory: its options, and the table, page and file made from what the evaluations record.

It is an entry point, so it is imported by every pytest run of the environment it is installed in; therefore it imports nothing
heavy, prefixes every option with --attrlab-, and does nothing unless an evaluation runs. Records travel as `user_properties`
of the test reports, as JSON text, so that they cross process borders under pytest-xdist.
"""

from __future__ import annotations

import json
import os
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
    _add_what_is_evaluated(group)
    _add_how_much_is_drawn(group)
    _add_refutation(group)
    group.addoption("--attrlab-json", default=None, metavar="PATH", help="write all records to this file")
    group.addoption("--attrlab-html", default=None, metavar="PATH", help="write the page to this file")


def _add_what_is_evaluated(group: pytest.OptionGroup) -> None:
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
    group.addoption(
        "--attrlab-everywhere",
        action="store_true",
        help="claims and scores of every method on every environment; the default where methods or environments are named",
    )
    group.addoption("--attrlab-retraining", action="store_true", help="also retrain networks: ROAR and KAR, on graphs RoLie and RoMie")
    group.addoption("--attrlab-unclaimed", action="store_true", help="also explore what a method does not claim; recorded, never asserted")
    group.addoption("--attrlab-device", default="cpu", metavar="DEVICE", help="cpu, cuda or cuda:N (default: cpu)")


def _add_how_much_is_drawn(group: pytest.OptionGroup) -> None:
    group.addoption("--attrlab-rows", type=int, default=12, metavar="N", help="rows drawn from each environment (default: 12)")
    group.addoption("--attrlab-examples", type=int, default=60, metavar="N", help="drawn networks per claim that is searched (default: 60)")
    group.addoption("--attrlab-seed", type=int, default=0, metavar="N", help="seed of every draw (default: 0)")
    group.addoption(
        "--attrlab-seeds",
        type=int,
        default=None,
        metavar="N",
        help="seeds of the noise of stochastic methods, whose spread stands beside that over rows (default: 3 for named methods, else 1)",
    )


def _add_refutation(group: pytest.OptionGroup) -> None:
    group.addoption(
        "--attrlab-refute",
        action="append",
        default=[],
        metavar="AXIOM",
        help="look for a counterexample to this axiom, or to all, whatever is claimed; repeatable",
    )
    group.addoption(
        "--attrlab-scope",
        metavar="SCOPE",
        default="default",
        help="the networks that are enumerated in a refutation: none, tiny, small, default or large (default: %(default)s)",
    )
    group.addoption(
        "--attrlab-scope-seconds",
        type=float,
        default=30.0,
        metavar="S",
        help="for how much processor time at most, for each axiom (default: %(default)s)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Take up the collection of records."""
    config.addinivalue_line("markers", "attrlab: an evaluation of the attribution laboratory")
    config.addinivalue_line("markers", "retraining: retrains networks; only with -m retraining or --attrlab-retraining")
    config.pluginmanager.register(Collector(config), "attrlab-collector")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuse an unknown method, environment, axiom, device or an unwritable report in one clean line, before anything is collected."""
    config = session.config
    named = any(config.getoption(f"--attrlab-{name}") for name in ("method", "claim", "environment", "json", "html"))
    if not named and config.getoption("--attrlab-device") == "cpu":
        return
    laboratory_of(config)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say exactly what is evaluated, if something is."""
    laboratory = config.stash.get(_LABORATORY, None)
    return [] if laboratory is None else [laboratory.header()]


def laboratory_of(config: pytest.Config) -> Laboratory:
    """The laboratory of this run, made from the options on first use.

    Raises:
        pytest.UsageError: if an option names something unknown.
    """
    # One thread for numpy's linear algebra as for torch's; it is read when numpy is first imported, which the next lines do.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
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


class Collector:
    """Collects the records of the evaluations in the process that reports, says how long they will take, and reports at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._reports: list[pytest.TestReport] = []
        self._total = self._done = 0
        self._started = self._told = time.monotonic()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Start the clock of the remaining time."""
        self._start(sum(1 for item in session.items if item.get_closest_marker("attrlab")))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        """Start the clock where pytest-xdist distributes the tests; every worker collects all of them."""
        del node
        self._start(len(ids))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the report of an evaluation, and say every few seconds how far they are."""
        if not any(name in (PROPERTY, IDENTITY) for name, _ in report.user_properties):
            return
        if report.when == "call" or (report.when == "setup" and report.outcome != "passed"):
            self._reports.append(report)
            self._done += 1
            self._tell()

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the tables and write the files that were asked for, from the records alone."""
        if not self._reports:
            return
        from evaluations.summary import run_of, write_reports

        laboratory = laboratory_of(self._config)
        run = run_of(self._reports, laboratory, seconds=time.monotonic() - self._started)
        for line in write_reports(run, laboratory, width=terminalreporter._tw.fullwidth):
            terminalreporter.write_line(line)

    def _start(self, total: int) -> None:
        self._total = total
        self._started = self._told = time.monotonic()

    def _tell(self) -> None:
        now = time.monotonic()
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None or now - self._told < PROGRESS_SECONDS or self._done >= self._total:
            return
        self._told = now
        left = (now - self._started) / self._done * (self._total - self._done)
        reporter.ensure_newline()
        reporter.write_line(f"{self._done} of {self._total} evaluations, about {left:.0f} s left")


_LABORATORY: pytest.StashKey[Laboratory] = pytest.StashKey()
