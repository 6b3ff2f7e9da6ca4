"""Every method, whatever it claims, behaves: shape, type, finiteness, no side effects, rows of their own, reproducible."""

from __future__ import annotations

import pytest
import torch

from attrlab.contract import RULES
from evaluations import cells, judging
from evaluations.laboratory import Laboratory
from evaluations.plugin import laboratory_of

ROWS = 4
"""Behaviour shows on a few rows."""

BY_NAME = {rule.name: rule for rule in RULES}

pytestmark = pytest.mark.attrlab


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per method, environment and rule."""
    laboratory = laboratory_of(metafunc.config)
    cells.parametrize(metafunc, cells.everywhere(laboratory, BY_NAME, on=laboratory.representatives()))


def test_rule_of_the_contract_is_kept(cell: cells.Cell, laboratory: Laboratory, request: pytest.FixtureRequest) -> None:
    """A rule of the contract, on one environment."""
    __tracebackhide__ = True
    with judging.verdict(request.node.user_properties, cell, evaluation="contract", claim="every method owes this") as draft:
        whole = laboratory.stage(cell.environment).case
        case = whole.rows(torch.arange(min(ROWS, len(whole)), device=whole.inputs.device))
        draft.measured, draft.bound = BY_NAME[cell.subject].check(cell.method.with_parameters(**cell.method.light), case)
        draft.cases, draft.summary = len(case), "kept"
