"""The environments are what they say: exact networks, away from kinks, with complete truths that rank above noise."""

from __future__ import annotations

import pytest

from attrlab.instruments import INSTRUMENTS
from attrlab.study import CEILING
from evaluations import cells, judging
from evaluations.laboratory import Laboratory
from evaluations.plugin import laboratory_of

BY_NAME = {rule.name: rule for rule in INSTRUMENTS}

pytestmark = pytest.mark.attrlab


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per environment and rule; what is judged is the exact truth of the environment."""
    laboratory = laboratory_of(metafunc.config)
    cells.parametrize(
        metafunc, (cells.Cell(method=CEILING, subject=rule, environment=id) for id in laboratory.environments for rule in BY_NAME)
    )


def test_instrument_is_what_it_says(cell: cells.Cell, laboratory: Laboratory, request: pytest.FixtureRequest) -> None:
    """A rule for environments, on one of them."""
    __tracebackhide__ = True
    with judging.verdict(request.node.user_properties, cell, evaluation="instruments", claim="every environment owes this") as draft:
        draft.measured, draft.bound, draft.cases = BY_NAME[cell.subject].check(laboratory.stage(cell.environment))
        draft.summary = "kept"
