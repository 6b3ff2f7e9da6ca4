"""What a method claims of the axioms is true: in both directions, and what it does not claim is explored on request.

A claim that an axiom holds is searched for a counterexample, on every environment it is made about and on networks drawn at
random. A claim that it is violated is an expected failure on a fixed witness, strict, so that a claim which is too modest is red as well.
"""

from __future__ import annotations

import pytest

from attrlab.axioms import AXIOMS
from attrlab.claims import FLOAT64, SMALL_SCOPE
from attrlab.errors import CheckFailed
from attrlab.judge import Examination, examine
from evaluations import cells, judging
from evaluations.laboratory import Laboratory
from evaluations.plugin import laboratory_of
from evaluations.pools import examine_pool, pool
from evaluations.scope import exhaust
from evaluations.search import Searched, search
from evaluations.strategies import DRAWN, modality_of

pytestmark = pytest.mark.attrlab


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per claim and place; each test names the cells it is about."""
    questions = {
        "test_axiom_claimed_to_hold_is_not_refuted": cells.claimed_to_hold,
        "test_axiom_claimed_to_be_violated_holds_on_the_witness": cells.claimed_to_be_violated,
        "test_unclaimed_axiom_is_explored": cells.unclaimed,
    }
    cells.parametrize(metafunc, questions[metafunc.function.__name__](laboratory_of(metafunc.config)))


def test_axiom_claimed_to_hold_is_not_refuted(cell: cells.Cell, laboratory: Laboratory, request: pytest.FixtureRequest) -> None:
    """No counterexample is found to a claim that an axiom holds."""
    __tracebackhide__ = True
    with judging.verdict(request.node.user_properties, cell, evaluation="axioms", claim=str(cell.claim)) as draft:
        _judge(draft, cell, _asked(cell, laboratory))
        draft.networks = draft.cases if cell.environment == DRAWN else 0


@pytest.mark.xfail(strict=True, raises=CheckFailed, reason="the method claims that the axiom is violated, and its witness shows it")
def test_axiom_claimed_to_be_violated_holds_on_the_witness(
    cell: cells.Cell, laboratory: Laboratory, request: pytest.FixtureRequest
) -> None:
    """Expected to fail: on the witness, the axiom that is claimed to be violated is violated."""
    __tracebackhide__ = True
    with judging.verdict(request.node.user_properties, cell, evaluation="axioms", claim=str(cell.claim)) as draft:
        assert cell.claim is not None
        found = _on_the_witness(draft, cell, laboratory)
        draft.measured, draft.bound, draft.counterexample = found.measured, found.bound, found.counterexample
        refuted = found.judgement == "refuted"
        draft.outcome, draft.summary = (
            ("xfailed", "violated as claimed") if refuted else ("xpassed", "not violated: the claim is too modest")
        )
        draft.reason = cell.claim.because if refuted else _modest(cell, found.measured, found.bound)


def test_unclaimed_axiom_is_explored(cell: cells.Cell, laboratory: Laboratory, request: pytest.FixtureRequest) -> None:
    """What is not claimed is recorded, whatever it is, and never asserted."""
    with judging.verdict(request.node.user_properties, cell, evaluation="axioms", claim="unclaimed") as draft:
        _tell(draft, _asked(cell, laboratory))
        draft.networks = draft.cases if cell.environment == DRAWN else 0


def _on_the_witness(draft: judging.Draft, cell: cells.Cell, laboratory: Laboratory) -> Examination:
    """What is found on the witness of a claimed violation; the draft gets in how many cases, networks, and of which scope."""
    assert cell.claim is not None
    axiom, tolerance = AXIOMS[cell.subject], cell.claim.tolerance
    if cell.environment != SMALL_SCOPE:
        case = laboratory.stage(cell.environment).case
        draft.cases = len(case)
        return examine(cell.method, axiom, case, tolerance=tolerance, seed=laboratory.seed)
    searched = exhaust(cell.method, axiom, tolerance=tolerance, policy=laboratory.policy, seed=laboratory.seed)
    nothing = Examination(judgement="not refuted", measured=searched.worst, tolerance=tolerance, row=0)
    draft.cases, draft.networks, draft.scope = searched.rows, searched.networks, f"scope {searched.scope}"
    return searched.refutation or nothing


def _asked(cell: cells.Cell, laboratory: Laboratory) -> Searched:
    axiom, tolerance = AXIOMS[cell.subject], cell.claim.tolerance if cell.claim else FLOAT64
    if cell.environment != DRAWN:
        case = laboratory.stage(cell.environment).case
        return Searched(worst=examine(cell.method, axiom, case, tolerance=tolerance, seed=laboratory.seed), cases=len(case))
    if not laboratory.everywhere:
        given = cell.claim.given if cell.claim else frozenset()
        drawn = pool(axiom, given, laboratory, modality=modality_of(axiom, cell.method))
        pooled = examine_pool(cell.method, axiom, drawn, tolerance, laboratory.seed)
        if pooled.worst is None or pooled.worst.judgement != "refuted":
            return pooled
    return search(
        cell.method,
        axiom,
        tolerance=tolerance,
        conditions=cell.claim.given if cell.claim else frozenset(),
        policy=laboratory.policy,
        examples=laboratory.examples,
        start=laboratory.seed,
    )


def _tell(draft: judging.Draft, found: Searched) -> None:
    """Fill in what a search found, as a fact."""
    draft.cases = found.cases
    if found.worst is None:
        draft.outcome, draft.reason, draft.summary = "skipped", found.refusal, "not applicable"
        return
    draft.measured, draft.bound, draft.counterexample = found.worst.measured, found.worst.bound, found.worst.counterexample
    draft.summary, draft.reason = found.worst.judgement, found.worst.note


def _judge(draft: judging.Draft, cell: cells.Cell, found: Searched) -> None:
    """Fill in what a search found, as a verdict on the claim."""
    _tell(draft, found)
    if found.worst is None:
        return
    size = f"violation {found.worst.measured:.3g}, tolerance {found.worst.tolerance:.3g}"
    if found.worst.judgement == "refuted":
        draft.outcome = "failed"
        draft.reason = (
            f"{cell.method.name} claims that {cell.claim}; refuted on {cell.environment} ({size}, refuted above {found.worst.bound:.3g}):\n"
            f"{found.worst.counterexample}"
        )
    elif found.worst.judgement == "inconclusive":
        draft.outcome = "skipped"
        draft.reason = f"inconclusive: {size}, refuted above {found.worst.bound:.3g}; the claim's tolerance is for {cell.claim.origin}"  # type: ignore[union-attr]


def _modest(cell: cells.Cell, measured: float, bound: float) -> str:
    return (
        f"{cell.method.name} claims that {cell.subject} is violated on {cell.environment}, but there it is not: "
        f"violation {measured:.3g}, must be above {bound:.3g}. Claim that it holds, or name another witness"
    )
