"""A method's claims are data beside its code, and each is tested in the direction it is made.

`holds` is a universal statement: it is searched for a counterexample, on every environment that has the traits it is
conditioned on and on networks drawn at random. `violates` is an existential one: it is shown on a fixed witness, every
run the same, as a strict expected failure, so that a claim which is too modest turns red as well. What a method does not
claim is explored on request, recorded, and never asserted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from attrlab.errors import InvalidInput

FLOAT64 = 1e-9
"""Default tolerance, relative to the scale of the scores: float64 rounding (1e-16) accumulated over sums of up to about
10^4 terms and a network of depth 10, with three digits to spare."""

MARGIN = 100.0
"""A violation counts only above MARGIN x tolerance (design.md, section 6); between the two it is inconclusive."""

SMALL_SCOPE = "small-scope"
"""As a witness: every small network in order of size, of which the first that violates the axiom is found each time."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One statement of a method about one axiom.

    Attributes:
        axiom: the axiom's name, as in `attrlab list axioms`.
        expected: what the method says of it.
        because: the theorem or the argument, with its citation.
        given: traits an environment must have for the claim to be made there; empty means everywhere.
        tolerance: the largest violation that is still numerical error, relative to the scale of the scores.
        origin: where that error comes from (rounding, quadrature, sampling).
        witness: for `violates`, the id of the environment that shows it, or `SMALL_SCOPE`.
    """

    axiom: str
    expected: Literal["holds", "violates"]
    because: str
    given: frozenset[str] = frozenset()
    tolerance: float = FLOAT64
    origin: str = "float64 rounding"
    witness: str | None = None

    def applies_to(self, traits: frozenset[str]) -> bool:
        """Whether the claim is made about an environment with these traits."""
        return self.given <= traits

    def __str__(self) -> str:
        condition = f" given {', '.join(sorted(self.given))}" if self.given else ""
        return f"{self.axiom} {self.expected}{condition}"


def holds(axiom: str, *, because: str, given: Iterable[str] = (), tolerance: float = FLOAT64, origin: str = "float64 rounding") -> Claim:
    """Claim that `axiom` holds wherever the environment has the traits `given`.

    Raises:
        InvalidInput: if the tolerance is not positive, or no reason is given.
    """
    if not tolerance > 0:
        raise InvalidInput(f"a claim's tolerance is the size of numerical error, a positive number (got {tolerance})")
    _require_reason(axiom, because)
    return Claim(axiom=axiom, expected="holds", because=because, given=frozenset(given), tolerance=tolerance, origin=origin)


def violates(axiom: str, *, because: str, witness: str, tolerance: float = FLOAT64) -> Claim:
    """Claim that `axiom` is violated, as the environment `witness` shows.

    Raises:
        InvalidInput: if the tolerance is not positive, or no reason is given.
    """
    if not tolerance > 0:
        raise InvalidInput(f"a claim's tolerance is the size of numerical error, a positive number (got {tolerance})")
    _require_reason(axiom, because)
    return Claim(axiom=axiom, expected="violates", because=because, tolerance=tolerance, witness=witness)


def claims_of(value: object, extra: Iterable[str] = ()) -> tuple[Claim, ...]:
    """Read the claims of a method or a plain function, and those named on the command line.

    An entry is a `Claim` or the bare name of an axiom, which reads as `holds(name)` with the default tolerance.

    Raises:
        InvalidInput: if an entry is neither.
    """
    stated = getattr(value, "claims", ())
    if not isinstance(stated, Iterable) or isinstance(stated, str):
        stated = (stated,)
    claims = [_as_claim(entry, because="stated by its author") for entry in stated]
    claims += [_as_claim(name, because="asked for on the command line") for name in extra]
    return tuple(claims)


def _as_claim(entry: object, *, because: str) -> Claim:
    if isinstance(entry, Claim):
        return entry
    if isinstance(entry, str):
        return holds(entry, because=because)
    raise InvalidInput(f"a claim is holds(...), violates(...) or the name of an axiom such as 'completeness' (got {entry!r})")


def _require_reason(axiom: str, because: str) -> None:
    if not because.strip():
        raise InvalidInput(f"a claim needs its reason: write because='theorem 1 of ...' (got {because!r} for {axiom!r})")
