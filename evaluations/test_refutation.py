"""Asked for by `attrlab refute`: no axiom of those named has a counterexample, whatever the method claims."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext

import pytest

from attrlab.axioms import AXIOMS
from evaluations import cells, judging
from evaluations.laboratory import Laboratory
from evaluations.plugin import laboratory_of
from evaluations.refutation import refute

pytestmark = pytest.mark.attrlab


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per method and axiom, if a refutation is asked for."""
    laboratory = laboratory_of(metafunc.config)
    found = (
        cells.Cell(method=method, subject=axiom, environment="anywhere") for method in laboratory.methods for axiom in laboratory.refuted
    )
    cells.parametrize(metafunc, found)


def _aloud(config: pytest.Config) -> Callable[[str], None]:
    """What says a line on the standard error of the run, which pytest else keeps to itself."""
    capture = config.pluginmanager.getplugin("capturemanager")

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled() if capture is not None else nullcontext():
            print(line, file=sys.stderr, flush=True)

    return say


def test_no_counterexample_is_found(cell: cells.Cell, laboratory: Laboratory, request: pytest.FixtureRequest) -> None:
    """Small networks, drawn networks and named worlds, until one refutes."""
    __tracebackhide__ = True
    with judging.verdict(request.node.user_properties, cell, evaluation="refutation", claim="asked for") as draft:
        result = refute(cell.method, AXIOMS[cell.subject], laboratory, say=_aloud(request.config))
        draft.cases, draft.reason, draft.certificate = result.cases, "; ".join(result.account), result.certificate
        if result.found is not None:
            draft.measured, draft.bound, draft.counterexample = result.found.measured, result.found.bound, result.found.counterexample
        if result.refuted:
            draft.outcome, draft.summary = "failed", f"refuted on {result.place}"
        elif result.found is not None:
            draft.outcome, draft.summary = "skipped", "inconclusive"
        elif not result.cases:
            draft.outcome, draft.summary, draft.reason = (
                "skipped",
                "could not be asked",
                result.refusal or draft.reason or "no case knows it",
            )
        else:
            draft.summary = "not refuted"
