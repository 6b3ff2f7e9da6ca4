"""What every evaluation does around its question: take the time, record the verdict in pytest's words, and say no more than needed.

A verdict that is against the method ends the test without a traceback: its message names method, environment, quantity, measured
value and bound, and nothing of how the test is written.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from json import dumps

import pytest

from attrlab.errors import CheckFailed, MethodError, NotApplicable
from attrlab.record import Judgement, MeanCurve, Outcome, Score, Verdict
from evaluations.cells import Cell
from evaluations.plugin import PROPERTY

_FAILED: Outcome = "failed"
_SKIPPED: Outcome = "skipped"

Properties = list[tuple[str, object]]


@dataclass(kw_only=True)
class Draft:
    """A verdict in the making; the test fills in what it measured."""

    claim: str
    summary: str = ""
    measured: float = math.nan
    bound: float = math.nan
    cases: int = 0
    counterexample: str = ""
    reason: str = ""
    outcome: Outcome = "passed"
    certificate: str = ""
    networks: int = 0
    scope: str = ""
    started: float = field(default_factory=time.perf_counter)


@contextmanager
def verdict(properties: Properties, cell: Cell, *, evaluation: str, claim: str) -> Iterator[Draft]:
    """Record the verdict on `cell`, whatever happens inside.

    CheckFailed and MethodError are verdicts against the method; NotApplicable skips, with the reason.
    """
    __tracebackhide__ = True
    draft = Draft(claim=claim)
    message = ""
    try:
        yield draft
    except (CheckFailed, MethodError) as failure:
        draft.outcome, message = "failed", str(failure)
    except NotApplicable as refusal:
        draft.outcome, message = "skipped", str(refusal)
    draft.reason = draft.reason or message
    _record(properties, cell, evaluation, draft)
    if draft.outcome == "failed":
        pytest.fail(draft.reason, pytrace=False)
    if draft.outcome == "skipped":
        pytest.skip(draft.reason)
    if draft.outcome == "xfailed":
        raise CheckFailed(draft.reason)


@contextmanager
def measured(properties: Properties, cell: Cell, *, evaluation: str) -> Iterator[None]:
    """Around a measurement that is not a verdict: only its failure or its refusal is recorded as one."""
    __tracebackhide__ = True
    try:
        yield
        return
    except MethodError as failure:
        outcome, reason = _FAILED, str(failure)
    except NotApplicable as refusal:
        outcome, reason = _SKIPPED, str(refusal)
    draft = Draft(claim="every method owes scores", outcome=outcome, reason=reason)
    _record(properties, cell, evaluation, draft)
    if outcome == _FAILED:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def record_scores(properties: Properties, scores: list[Score]) -> None:
    """Record scores; they are never asserted."""
    for score in scores:
        properties.append((PROPERTY, dumps({"kind": "score", **asdict(score)})))


def record_curves(properties: Properties, curves: list[MeanCurve]) -> None:
    """Record curves, which are drawn and never asserted."""
    for curve in curves:
        properties.append((PROPERTY, dumps({"kind": "curve", **asdict(curve)})))


def record_judgements(properties: Properties, found: Iterable[Judgement]) -> None:
    """Record what the truth says of evaluations."""
    for one in found:
        properties.append((PROPERTY, dumps({"kind": "judgement", "judgement": asdict(one)})))


def _record(properties: Properties, cell: Cell, evaluation: str, draft: Draft) -> None:
    found = Verdict(
        method=cell.method.name,
        evaluation=evaluation,
        axiom=cell.subject,
        environment=cell.environment,
        claim=draft.claim,
        outcome=draft.outcome,
        summary=draft.summary,
        measured=float(draft.measured),
        bound=float(draft.bound),
        cases=draft.cases,
        counterexample=draft.counterexample,
        reason=draft.reason,
        certificate=draft.certificate,
        networks=draft.networks,
        scope=draft.scope,
        seconds=time.perf_counter() - draft.started,
    )
    properties.append((PROPERTY, dumps({"kind": "verdict", **asdict(found)})))
