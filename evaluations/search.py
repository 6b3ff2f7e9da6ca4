"""The search for a counterexample: Hypothesis draws networks, is driven towards the worst violation, and shrinks what it finds."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings, target
from hypothesis.errors import Flaky, Unsatisfiable

from attrlab.axioms import Axiom
from attrlab.case import Case
from attrlab.claims import Claim
from attrlab.errors import MethodError, NotApplicable
from attrlab.games import Policy
from attrlab.judge import Examination, examine
from attrlab.method import Method
from evaluations.strategies import cases, modality_of


@dataclass(frozen=True, kw_only=True)
class Searched:
    """What a search found.

    Attributes:
        worst: the refutation, shrunk; or the worst examination; None if no drawn case could be judged.
        cases: how many cases were judged.
        case: the case that `worst` was found on, if it is a refutation.
        refusal: why the method did not apply to the cases that could not be judged, once.
    """

    worst: Examination | None
    cases: int
    case: Case | None = None
    refusal: str = ""


class _Refuted(Exception):
    """Carries a refutation through Hypothesis, which shrinks whatever raises."""

    def __init__(self, examination: Examination, case: Case) -> None:
        super().__init__(examination.counterexample)
        self.examination, self.case = examination, case


def search(
    method: Method, axiom: Axiom, *, tolerance: float, conditions: frozenset[str] = frozenset(), policy: Policy, examples: int, start: int
) -> Searched:
    """Search drawn networks with the traits `conditions` for a violation of `axiom` beyond 100 x `tolerance`.

    Raises:
        MethodError: if the method raises, or returns something that cannot be read, on a drawn case; shrunk to the smallest.
    """
    tally = Tally()

    @seed(start)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=False,
        verbosity=Verbosity.quiet,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.target, Phase.shrink),
    )
    @given(case=cases(axiom=axiom, given=conditions, policy=policy, modality=modality_of(axiom, method)))
    def run(case: Case) -> None:
        try:
            found = examine(method, axiom, case, tolerance=tolerance, seed=start)
        except NotApplicable as refusal:
            tally.refusal = str(refusal)
            return
        tally.add(found)
        target(min(found.measured, 1e12))
        if found.judgement == "refuted":
            raise _Refuted(found, case)

    try:
        run()
    except _Refuted as refuted:
        return Searched(worst=refuted.examination, cases=tally.cases, case=refuted.case)
    except Unsatisfiable as error:
        raise MethodError(f"no network could be drawn for {axiom.name}: {error}") from error
    except Flaky as error:
        raise MethodError(
            f"{method.name} gives different scores for one case and one seed, so a counterexample to {axiom.name} could not be confirmed; "
            "see the contract's rule on seeds"
        ) from error
    return Searched(worst=tally.worst, cases=tally.cases, refusal=tally.refusal)


class Tally:
    """The worst examination so far, by judgement and then by size."""

    _ORDER = ("not refuted", "approximation error", "inconclusive", "refuted")

    def __init__(self) -> None:
        self.worst: Examination | None = None
        self.cases = 0
        self.refusal = ""

    def add(self, found: Examination) -> None:
        """Count an examination, and keep it if it is the worst."""
        self.cases += 1
        if self.worst is None or self._key(found) > self._key(self.worst):
            self.worst = found

    def _key(self, found: Examination) -> tuple[int, float]:
        return self._ORDER.index(found.judgement), found.measured


def examine_claim(method: Method, axiom: Axiom, claim: Claim, case: Case, *, start: int) -> Searched:
    """Examine one claim on one case of a named environment, in the form in which a search answers."""
    return Searched(worst=examine(method, axiom, case, tolerance=claim.tolerance, seed=start), cases=len(case))
