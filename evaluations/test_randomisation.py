"""Whether an explanation depends on the network and on what is explained: sanity checks, recorded on some worlds, never asserted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from attrlab.metrics import label_randomisation, randomisation, targets
from attrlab.study import score
from evaluations import cells, judging
from evaluations.laboratory import Laboratory
from evaluations.plugin import laboratory_of

pytestmark = pytest.mark.attrlab

AMONG = (*randomisation.METRICS, *label_randomisation.METRICS, *targets.METRICS)
DESIGNED = frozenset(world for metric in targets.METRICS for world in metric.worlds)


def _places(laboratory: Laboratory) -> Iterator[str]:
    """Representative environments, and the worlds that were designed for a check."""
    shown = set(laboratory.representatives()) | DESIGNED
    return (id for id in laboratory.environments if id in shown)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per method and environment: the method is called again for every network and target."""
    laboratory = laboratory_of(metafunc.config)
    cells.parametrize(metafunc, cells.everywhere(laboratory, ["randomisation"], on=_places(laboratory)))


def test_sanity_checks_are_recorded(cell: cells.Cell, laboratory: Laboratory, request: pytest.FixtureRequest) -> None:
    """Randomised parameters and labels, other targets, null, repeated and class-specific patches."""
    __tracebackhide__ = True
    with judging.measured(request.node.user_properties, cell, evaluation="randomisation"):
        stage = laboratory.stage(cell.environment)
        judging.record_scores(request.node.user_properties, score(cell.method, stage, question="method", among=AMONG))
