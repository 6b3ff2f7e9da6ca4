"""The records of a run become one table, one page and one file; nothing else is consulted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from attrlab.axioms import AXIOMS
from attrlab.errors import MethodError, NotApplicable
from attrlab.method import explain
from attrlab.record import Judgement, MeanCurve, Run, Score, Verdict, versions, write_atomically
from attrlab.report.page import write_page
from attrlab.report.pictures import Picture, environment_pictures
from attrlab.report.table import tables_as_text
from evaluations.laboratory import Laboratory
from evaluations.plugin import IDENTITY, PROPERTY

ORDER = ("contract", "axioms", "agreement", "perturbation", "instruments")
"""The order in which a reader wants to meet the evaluations."""


def run_of(reports: Iterable[pytest.TestReport], laboratory: Laboratory, *, seconds: float) -> Run:
    """All records of the reports; an evaluation that recorded nothing because it broke becomes a verdict that says so."""
    reports = list(reports)
    verdicts: list[Verdict] = []
    scores: list[Score] = []
    for report in reports:
        records = [json.loads(str(value)) for name, value in report.user_properties if name == PROPERTY]
        verdicts += [Verdict(**_without_kind(record)) for record in records if record["kind"] == "verdict"]
        scores += [_score(record) for record in records if record["kind"] == "score"]
        if report.outcome == "failed" and not any(record["kind"] == "verdict" for record in records):
            verdicts.append(_broken(report))
    studies = _studies(reports)
    verdicts.sort(key=_place)
    policy = laboratory.policy.describe() | {"seed": laboratory.seed, "rows": laboratory.rows, "examples": laboratory.examples}
    return Run(
        verdicts=tuple(verdicts),
        scores=tuple(scores),
        judgements=tuple(Judgement.from_data(record["judgement"]) for record in _of_kind(reports, "judgement")),
        curves=_curves(_of_kind(reports, "curve")),
        studies=studies,
        policy=policy,
        versions=versions(),
        seconds=seconds,
    )


def write_reports(run: Run, laboratory: Laboratory, *, width: int) -> Iterator[str]:
    """Write the file and the page that were asked for, and yield the lines to print."""
    yield from tables_as_text(run, max(width, 80)).splitlines()
    if laboratory.json is not None:
        write_atomically(laboratory.json, run.to_json())
        yield f"records: {laboratory.json}"
    if laboratory.html is not None:
        write_page(run, laboratory.html, pictures=pictures(laboratory))
        yield f"page: {laboratory.html}"


def pictures(laboratory: Laboratory) -> list[Picture]:
    """One row of some environments of each modality, or of those asked for by name, with its truth and what each method says of it.

    Methods that do not apply there are left out.
    """
    found: list[Picture] = []
    for id in laboratory.representatives():
        stage = laboratory.stage(id)
        scores = {}
        for method in laboratory.methods:
            try:
                scores[method.name] = explain(method, stage.case, seed=laboratory.seed)
            except (MethodError, NotApplicable):
                continue
        readable = {name: value for name, value in scores.items() if value.shape == stage.case.inputs.shape}
        found += environment_pictures(stage.environment, stage.batch, readable)
    return found


def _place(verdict: Verdict) -> tuple[int, int]:
    """The contract first, since what breaks it explains the rest; axioms in their own order."""
    evaluation = ORDER.index(verdict.evaluation) if verdict.evaluation in ORDER else len(ORDER)
    return evaluation, list(AXIOMS).index(verdict.axiom) if verdict.axiom in AXIOMS else -1


def _broken(report: pytest.TestReport) -> Verdict:
    """A verdict for an evaluation that ended before it could record one."""
    identity: dict[str, str] = next((json.loads(str(value)) for name, value in report.user_properties if name == IDENTITY), {})
    last = str(report.longrepr).strip().splitlines()[-1:]
    return Verdict(
        method=identity.get("method", report.nodeid),
        evaluation="axioms" if "axiom" in report.nodeid else "contract",
        axiom=identity.get("axiom", ""),
        environment=identity.get("environment", ""),
        claim=identity.get("claim", ""),
        outcome="error",
        summary="could not be judged",
        reason="; ".join(last),
    )


def _studies(reports: Iterable[pytest.TestReport]) -> tuple[dict[str, Any], ...]:
    """The studies of retraining that evaluations recorded."""
    records = [json.loads(str(value)) for report in reports for name, value in report.user_properties if name == PROPERTY]
    return tuple(record["study"] for record in records if record["kind"] == "retraining")


def _of_kind(reports: Iterable[pytest.TestReport], kind: str) -> Iterator[dict[str, Any]]:
    """The records of one kind, without the word for it."""
    for report in reports:
        for name, value in report.user_properties:
            if name == PROPERTY and (record := json.loads(str(value)))["kind"] == kind:
                yield _without_kind(record)


def _curves(records: Iterable[dict[str, Any]]) -> tuple[MeanCurve, ...]:
    """Every curve once; floor and ceiling come with every method."""
    found = {}
    for record in records:
        curve = MeanCurve.from_data(record)
        found[curve.environment, curve.mode, curve.method] = curve
    return tuple(found.values())


def _without_kind(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "kind"}


def _score(record: dict[str, Any]) -> Score:
    pairs = {name: tuple(record[name]) for name in ("interval", "spread", "values")}
    return Score(**{**_without_kind(record), **pairs})
