"""What the network itself says of an attribution when it is asked for coalitions: recorded between floor and ceiling, never asserted."""

from __future__ import annotations

import pytest

from attrlab.study import curves, score
from evaluations import cells, judging
from evaluations.laboratory import Laboratory
from evaluations.plugin import laboratory_of

pytestmark = pytest.mark.attrlab


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per method and environment."""
    laboratory = laboratory_of(metafunc.config)
    cells.parametrize(metafunc, cells.everywhere(laboratory, ["perturbation"], on=laboratory.scored()))


def test_answers_to_perturbed_inputs_are_recorded(cell: cells.Cell, laboratory: Laboratory, request: pytest.FixtureRequest) -> None:
    """Deletion, insertion and ROAD, soundness and completeness, sensitivity-n, infidelity, monotonicity, fidelity: one game's answers."""
    __tracebackhide__ = True
    with judging.measured(request.node.user_properties, cell, evaluation="perturbation"):
        stage = laboratory.stage(cell.environment)
        judging.record_scores(request.node.user_properties, score(cell.method, stage, question="game", seeds=laboratory.seeds))
        judging.record_curves(request.node.user_properties, curves(cell.method, stage))
