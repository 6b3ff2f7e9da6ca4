"""How far a method's scores are from the exact truth: recorded between the random floor and the exact ceiling, never asserted."""

from __future__ import annotations

import pytest

from attrlab.study import score
from evaluations import cells, judging
from evaluations.laboratory import Laboratory
from evaluations.plugin import laboratory_of

pytestmark = pytest.mark.attrlab


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per method and environment."""
    laboratory = laboratory_of(metafunc.config)
    cells.parametrize(metafunc, cells.everywhere(laboratory, ["agreement"], on=laboratory.scored()))


def test_distance_from_the_truth_is_recorded(cell: cells.Cell, laboratory: Laboratory, request: pytest.FixtureRequest) -> None:
    """Support, sign, size and rank of the scores against the exact truth, and how many players they speak of."""
    __tracebackhide__ = True
    with judging.measured(request.node.user_properties, cell, evaluation="agreement"):
        stage = laboratory.stage(cell.environment)
        judging.record_scores(request.node.user_properties, score(cell.method, stage, question="truth", seeds=laboratory.seeds))
        judging.record_scores(request.node.user_properties, score(cell.method, stage, question="scores", seeds=laboratory.seeds))
