"""Claims are judged together: where they leave the Shapley value alone, the scores are compared with it, and a false claim is named.

What is compared are all small networks of a scope, and networks drawn at random.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch

from attrlab.axioms import AXIOMS
from attrlab.case import Case
from attrlab.claims import FLOAT64, MARGIN, SMALL_SCOPE
from attrlab.errors import CheckFailed, NotApplicable
from attrlab.method import Method
from evaluations import cells, judging
from evaluations.laboratory import Laboratory
from evaluations.plugin import laboratory_of
from evaluations.pools import pool
from evaluations.scope import SCOPES
from evaluations.small_cases import Block, blocks
from evaluations.strategies import DRAWN
from evaluations.uniqueness import ENOUGH, NOT_ENOUGH, claimed, combines, determined, differences, false_claim

pytestmark = pytest.mark.attrlab

SCOPE = "tiny"
"""Networks side by side as for an enumeration: a method that scores them so does not score them otherwise alone."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per method whose claims combine, and place."""
    laboratory = laboratory_of(metafunc.config)
    asked = [method for method in laboratory.methods if combines(method) and (not method.modalities or "table" in method.modalities)]
    found = (cells.Cell(method=method, subject="uniqueness", environment=place) for method in asked for place in (SMALL_SCOPE, DRAWN))
    cells.parametrize(metafunc, found)


def test_claims_that_leave_the_shapley_value_alone_are_kept(
    cell: cells.Cell, laboratory: Laboratory, request: pytest.FixtureRequest
) -> None:
    """On every row on which the claims determine the scores, these are the Shapley value."""
    __tracebackhide__ = True
    claims = claimed(cell.method.claims)
    said = f"{', '.join(sorted(ENOUGH if claims >= ENOUGH else ENOUGH - {'lattice_dummy'} | {'dummy'}))} together"
    with judging.verdict(request.node.user_properties, cell, evaluation="combinations", claim=said) as draft:
        if not claims >= ENOUGH:
            raise NotApplicable(NOT_ENOUGH)
        tolerance = max((claim.tolerance for claim in cell.method.claims if claim.axiom in ENOUGH), default=FLOAT64)
        draft.bound, draft.measured = MARGIN * tolerance, 0.0
        draft.scope = f"scope {SCOPE}" if cell.environment == SMALL_SCOPE else ""
        for case, alone in _cases(cell.environment, laboratory):
            kept = determined(case, claims).nonzero().squeeze(1)
            if not len(kept):
                continue
            gap, _, _ = differences(cell.method, case.rows(kept), seed=laboratory.seed)
            draft.cases, draft.measured = draft.cases + len(kept), max(draft.measured, float(gap.max()))
            draft.networks += len(set(case.target[kept].tolist()))
            if float(gap.max()) > draft.bound:
                draft.counterexample = _told(cell.method, alone(int(kept[gap.argmax()])), tolerance, laboratory.seed)
                raise CheckFailed(f"{cell.method.name} claims {said}, which leave the Shapley value alone:\n{draft.counterexample}")
        draft.summary = "equal to the Shapley value"


def _cases(place: str, laboratory: Laboratory) -> Iterator[tuple[Case, Callable[[int], Case]]]:
    """Cases, each with the way to one of its rows on its network alone."""
    if place == DRAWN:
        for case in pool(AXIOMS["completeness"], frozenset(), laboratory, modality="table"):
            yield case, partial(_row, case)
        return
    for block in blocks(AXIOMS["completeness"], SCOPES[SCOPE], policy=laboratory.policy):
        yield block.case, partial(_member, block, laboratory)


def _row(case: Case, row: int) -> Case:
    return case.rows(torch.tensor([row], device=case.inputs.device))


def _member(block: Block, laboratory: Laboratory, row: int) -> Case:
    """A row of networks side by side, on its own network."""
    member = int(block.case.target[row])
    return _row(block.alone(member, laboratory.policy), int((block.case.target[:row] == member).sum()))


def _told(method: Method, case: Case, tolerance: float, seed: int) -> str:
    """One row as mathematics, what it must be, and which claim is false."""
    _, scores, wanted = differences(method, case, seed=seed)
    lines = [f"{case.name}: {case.formula}", f"x = {_shown(case.inputs[0])}, x' = {_shown(case.baseline[0])}"]
    lines.append(f"A = {_shown(scores[0])}, the Shapley value is {_shown(wanted[0])}")
    return "\n".join([*lines, false_claim(method, case, tolerance=tolerance, seed=seed)])


def _shown(values: torch.Tensor) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values.tolist()) + ")"
