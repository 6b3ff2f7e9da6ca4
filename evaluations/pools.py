"""Networks that are drawn once for an axiom and put to every method of the catalogue: drawing costs more than most methods do.

A method that is refuted on one of them is searched on its own, so that the counterexample is the smallest that the search finds.
"""

from __future__ import annotations

from functools import cache

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings

from attrlab.axioms import AXIOMS, Axiom
from attrlab.case import Case
from attrlab.errors import NotApplicable
from attrlab.games import Policy
from attrlab.judge import examine
from attrlab.method import Method
from evaluations.laboratory import Laboratory
from evaluations.search import Searched, Tally
from evaluations.strategies import cases

SIZE = 20
"""Networks in a pool, at most as many as a search would draw."""


def pool(axiom: Axiom, conditions: frozenset[str], laboratory: Laboratory, *, modality: str) -> tuple[Case, ...]:
    """The drawn cases of an axiom with the traits `conditions`; the same ones for every method of a modality."""
    return _pool(axiom.name, conditions, modality, laboratory.policy, min(SIZE, laboratory.examples), laboratory.seed)


def examine_pool(method: Method, axiom: Axiom, drawn: tuple[Case, ...], tolerance: float, start: int) -> Searched:
    """Examine a claim on every case of a pool.

    Raises:
        MethodError: if the method raises, or returns something that cannot be read.
    """
    tally = Tally()
    for case in drawn:
        try:
            tally.add(examine(method, axiom, case, tolerance=tolerance, seed=start))
        except NotApplicable as refusal:
            tally.refusal = str(refusal)
    return Searched(worst=tally.worst, cases=tally.cases, refusal=tally.refusal)


@cache
def _pool(axiom: str, conditions: frozenset[str], modality: str, policy: Policy, size: int, start: int) -> tuple[Case, ...]:
    found: list[Case] = []

    @seed(start)
    @settings(
        max_examples=size,
        deadline=None,
        database=None,
        derandomize=False,
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
    )
    @given(case=cases(axiom=AXIOMS[axiom], given=conditions, policy=policy, modality=modality))
    def collect(case: Case) -> None:
        found.append(case)

    collect()
    return tuple(found)
