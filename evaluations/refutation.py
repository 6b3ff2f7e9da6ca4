"""An axiom is put to a method in three places, the smallest first: every small network, networks drawn at random, and the named worlds.

The first counterexample ends the search, and is handed over with a certificate. What is found in none of them is not refuted in so
many cases.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from attrlab.axioms import Axiom
from attrlab.case import Case
from attrlab.certificate import certificate
from attrlab.claims import FLOAT64, SMALL_SCOPE
from attrlab.errors import InvalidInput, NotApplicable
from attrlab.judge import Examination, examine
from attrlab.method import Method
from attrlab.refuting import PROGRESS
from attrlab.study import applies
from evaluations.laboratory import Laboratory
from evaluations.scope import Blocks, about_graphs, can_be_exhausted, exhaust
from evaluations.search import search
from evaluations.strategies import DRAWN, drawable

EVERY_S = 5.0
"""How often a search of small networks tells how far it is."""

ROUNDS = 6
"""How often the search of drawn networks is begun, each time from a seed of its own."""


@dataclass(kw_only=True)
class Refutation:
    """What was found out about one axiom of one method.

    Attributes:
        found: the refutation, or the worst that is inconclusive, or None.
        place: where: "small-scope", "drawn-networks" or the id of an environment.
        certificate: of a refutation, as JSON text; empty if its network cannot be written as data.
        cases: how many cases were examined.
        account: what was gone through, in sentences.
        refusal: why the method did not apply, where it did not.
    """

    found: Examination | None = None
    place: str = ""
    certificate: str = ""
    cases: int = 0
    account: list[str] = field(default_factory=list)
    refusal: str = ""

    @property
    def refuted(self) -> bool:
        """Whether there is a counterexample."""
        return self.found is not None and self.found.judgement == "refuted"


def refute(method: Method, axiom: Axiom, laboratory: Laboratory, *, say: Callable[[str], None] | None = None) -> Refutation:
    """Look for a counterexample to `axiom` until there is one or nowhere is left to look; `say` is told how far a long search is.

    Raises:
        MethodError: if the method raises, or returns something that cannot be read.
    """
    tolerance = max((claim.tolerance for claim in method.claims if claim.axiom == axiom.name), default=FLOAT64)
    attempt = _Attempt(method=method, axiom=axiom, laboratory=laboratory, tolerance=tolerance, say=say)
    for look in (attempt.small, attempt.drawn, attempt.named):
        look()
        if attempt.result.refuted:
            break
    return attempt.result


@dataclass(kw_only=True)
class _Attempt:
    method: Method
    axiom: Axiom
    laboratory: Laboratory
    tolerance: float
    say: Callable[[str], None] | None = None
    result: Refutation = field(default_factory=Refutation)

    def small(self) -> None:
        """Every network of the scope."""
        rows = "graph" if about_graphs(self.axiom) else "table"
        if self.laboratory.scope == "none" or not can_be_exhausted(self.axiom) or not self._takes(rows):
            return
        laboratory = self.laboratory
        found = exhaust(
            self.method,
            self.axiom,
            tolerance=self.tolerance,
            scope=laboratory.scope,
            policy=laboratory.policy,
            seed=laboratory.seed,
            limit_s=laboratory.limit_s,
            progress=self._progress,
        )
        self.result.cases += found.rows
        self.result.refusal = found.refusal or self.result.refusal
        self.result.account.append(str(found))
        if found.refutation is not None and found.case is not None:
            self._take(found.refutation, SMALL_SCOPE, found.case)

    def _progress(self, blocks: Iterable[Blocks]) -> Iterator[Blocks]:
        """The blocks, telling every few seconds which one it is and how many networks came before."""
        started = told = time.monotonic()
        networks = 0
        for block in blocks:
            if self.say is not None and time.monotonic() - told >= EVERY_S:
                told = time.monotonic()
                size = _size_in_words(block.size)
                self.say(f"{PROGRESS}{self.axiom.name}: {networks:,} networks in {told - started:.0f} s, now of size {size}")
            networks += len(block.members)
            yield block

    def drawn(self) -> None:
        """Networks drawn at random, in rounds: a search that is driven towards what it has found is begun anew elsewhere."""
        if not drawable(self.axiom, frozenset(), self.method):
            return
        laboratory, cases, rounds = self.laboratory, 0, 0
        while rounds < ROUNDS and not self.result.refuted:
            found = search(
                self.method,
                self.axiom,
                tolerance=self.tolerance,
                policy=laboratory.policy,
                examples=laboratory.examples,
                start=laboratory.seed + rounds,
            )
            self.result.refusal = found.refusal or self.result.refusal
            if found.worst is not None:
                self._take(found.worst, DRAWN, found.case, seed=laboratory.seed + rounds)
            cases, rounds = cases + found.cases, rounds + 1
            if not found.cases:
                break
        self.result.cases += cases
        self.result.account.append(f"{cases} networks drawn at random in {rounds} round{'s' * (rounds > 1)}")

    def named(self) -> None:
        """The environments that say what the axiom needs."""
        asked = 0
        for id in self.laboratory.environments:
            stage = self.laboratory.stage(id)
            if not applies(self.method, stage.environment) or not self.axiom.applies_to(stage.case):
                continue
            try:
                found = examine(self.method, self.axiom, stage.case, tolerance=self.tolerance, seed=self.laboratory.seed)
            except NotApplicable as refusal:
                self.result.refusal = str(refusal)
                continue
            asked += 1
            self.result.cases += len(stage.case)
            self._take(found, id, stage.case, stage=(id, self.laboratory.rows, self.laboratory.seed))
            if self.result.refuted:
                break
        if asked:
            self.result.account.append(f"{asked} environments")

    def _take(
        self, found: Examination, place: str, case: Case | None, *, seed: int | None = None, stage: tuple[str, int, int] | None = None
    ) -> None:
        """Keep a refutation with its certificate; keep what is inconclusive if nothing worse was found."""
        if found.judgement not in ("refuted", "inconclusive") or (found.judgement == "inconclusive" and self.result.found is not None):
            return
        self.result.found, self.result.place = found, place
        if found.judgement == "refuted" and case is not None:
            try:
                asked = self.laboratory.seed if seed is None else seed
                written = certificate(self.method, self.axiom.name, case, found, seed=asked, stage=stage)
            except InvalidInput as reason:
                self.result.account.append(f"no certificate: {reason}")
                return
            self.result.certificate = written

    def _takes(self, modality: str) -> bool:
        return not self.method.names("truth") and (not self.method.modalities or modality in self.method.modalities)


def _size_in_words(size: tuple[object, ...]) -> str:
    """Units of each layer, or nodes and rounds."""
    if size[0] == "graph":
        return f"graphs of {size[1]} nodes, {size[2]} rounds"
    inputs, hidden = size
    assert isinstance(hidden, tuple)
    return " → ".join(map(str, [inputs, *hidden, 1]))
