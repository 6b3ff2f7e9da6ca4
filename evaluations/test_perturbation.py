"""What the network itself says of a ranking, by deletion and insertion: recorded between floor and ceiling, never asserted."""

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
    cells.parametrize(metafunc, cells.everywhere(laboratory, ["perturbation"], on=laboratory.scored()))


def test_deletion_and_insertion_are_recorded(cell: cells.Cell, laboratory: Laboratory, request: pytest.FixtureRequest) -> None:
    """Areas under the deletion and insertion curves of the baseline game."""
    __tracebackhide__ = True
    with judging.measured(request.node.user_properties, cell, evaluation="perturbation"):
        judging.record_scores(request.node.user_properties, score(cell.method, laboratory.stage(cell.environment), question="game"))
