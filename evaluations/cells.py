"""A cell is one question: this method, this axiom or rule, this environment. Tests are parametrised over cells, with readable ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest

from attrlab.axioms import AXIOMS, Axiom
from attrlab.claims import Claim
from attrlab.method import Method
from attrlab.study import applies
from evaluations.laboratory import Laboratory
from evaluations.strategies import DRAWN, drawable


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What one test is about; `subject` is the axiom, the rule or the question."""

    method: Method
    subject: str
    environment: str
    claim: Claim | None = None

    def identity(self) -> dict[str, str]:
        """The names of this cell, for a record that could not be made otherwise."""
        return {"method": self.method.name, "axiom": self.subject, "environment": self.environment, "claim": str(self.claim or "unclaimed")}

    def __str__(self) -> str:
        return f"{self.method.name}-{self.subject}-{self.environment}"


def parametrize(metafunc: pytest.Metafunc, cells: Iterable[Cell]) -> None:
    """Give the test one case per cell; ids are unique, a number follows where two claims differ in their condition only."""
    found = list(cells)
    names: dict[str, int] = {}
    ids = []
    for cell in found:
        names[str(cell)] = names.get(str(cell), 0) + 1
        ids.append(str(cell) if names[str(cell)] == 1 else f"{cell}-{names[str(cell)]}")
    metafunc.parametrize("cell", found, ids=ids)


def everywhere(laboratory: Laboratory, subjects: Iterable[str], *, on: Iterable[str]) -> Iterator[Cell]:
    """Every method on every one of the environments `on` that it applies to, for each subject."""
    subjects, environments = tuple(subjects), tuple(on)
    for method in laboratory.methods:
        for id in environments:
            if applies(method, laboratory.stage(id).environment):
                for subject in subjects:
                    yield Cell(method=method, subject=subject, environment=id)


def claimed_to_hold(laboratory: Laboratory) -> Iterator[Cell]:
    """Every claim that an axiom holds, on every environment it is made about and on networks drawn at random."""
    for method in laboratory.methods:
        for claim in method.claims:
            if claim.expected == "holds":
                for id in _places(laboratory, method, AXIOMS[claim.axiom], claim.given):
                    yield Cell(method=method, subject=claim.axiom, environment=id, claim=claim)


def claimed_to_be_violated(laboratory: Laboratory) -> Iterator[Cell]:
    """Every claim that an axiom is violated, on its witness, whichever environments were asked for."""
    for method in laboratory.methods:
        for claim in method.claims:
            if claim.expected == "violates":
                yield Cell(method=method, subject=claim.axiom, environment=str(claim.witness), claim=claim)


def unclaimed(laboratory: Laboratory) -> Iterator[Cell]:
    """Every axiom that a method says nothing of, wherever it applies."""
    for method in laboratory.methods if laboratory.unclaimed else ():
        for axiom in AXIOMS.values():
            if axiom.name not in {claim.axiom for claim in method.claims}:
                for id in _places(laboratory, method, axiom, frozenset()):
                    yield Cell(method=method, subject=axiom.name, environment=id)


def _places(laboratory: Laboratory, method: Method, axiom: Axiom, given: frozenset[str]) -> Iterator[str]:
    """The environments with the traits `given` on which the axiom can be asked, and the drawn networks."""
    asked = []
    for id in laboratory.environments:
        stage = laboratory.stage(id)
        if applies(method, stage.environment) and given <= stage.environment.traits and axiom.applies_to(stage.case):
            asked.append(id)
    yield from asked if laboratory.everywhere else laboratory.some(asked)
    if drawable(axiom, given, method):
        yield DRAWN
