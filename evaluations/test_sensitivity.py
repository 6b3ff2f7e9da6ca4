"""How an explanation reacts to a neighbouring input, and what it costs: recorded on some worlds of each kind, never asserted."""

from __future__ import annotations

import pytest

from attrlab.metrics import cost, stability
from attrlab.study import score
from evaluations import cells, judging
from evaluations.laboratory import Laboratory
from evaluations.plugin import laboratory_of

pytestmark = pytest.mark.attrlab

AMONG = (*stability.METRICS, *cost.METRICS)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per method and representative environment: the method is called again for every neighbour."""
    laboratory = laboratory_of(metafunc.config)
    cells.parametrize(metafunc, cells.everywhere(laboratory, ["sensitivity"], on=laboratory.representatives()))


def test_reaction_to_neighbours_is_recorded(cell: cells.Cell, laboratory: Laboratory, request: pytest.FixtureRequest) -> None:
    """Maximal and average sensitivity, the local Lipschitz constant, and counted passes."""
    __tracebackhide__ = True
    with judging.measured(request.node.user_properties, cell, evaluation="sensitivity"):
        stage = laboratory.stage(cell.environment)
        judging.record_scores(request.node.user_properties, score(cell.method, stage, question="method", among=AMONG))
