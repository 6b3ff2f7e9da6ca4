"""Where theory expects a violation that no small network shows, the search of drawn networks and the claimed witness are asked for one."""

from __future__ import annotations

from attrlab.axioms import Axiom
from attrlab.claims import SMALL_SCOPE
from attrlab.games import Policy
from attrlab.method import Method
from attrlab.methods.registered.theory import COLUMNS, TABLE
from evaluations.laboratory import Laboratory
from evaluations.refutation import Refutation, refute

EXAMPLES = 60
"""Networks drawn in each round of a search."""


def expected(method: Method, axiom: str) -> str:
    """What theory says of a method and an axiom: "holds", "violated", "conditional" or "" where it says nothing."""
    claims = [claim for claim in method.claims if claim.axiom == axiom]
    if any(claim.expected == "violates" for claim in claims):
        return "violated"
    if claims:
        return "conditional" if all(claim.given for claim in claims) else "holds"
    if method.name in TABLE and axiom in COLUMNS:
        return "violated" if TABLE[method.name][1].split()[COLUMNS.index(axiom)] == "-" else ""
    return ""


def search_beyond(method: Method, axiom: Axiom, *, seed: int = 0) -> Refutation:
    """Search drawn networks, and then the environments that the method's claims name as witnesses of a violation.

    Raises:
        MethodError: if the method raises, or returns something that cannot be read.
    """
    witnesses = [str(c.witness) for c in method.claims if c.axiom == axiom.name and c.expected == "violates" and c.witness != SMALL_SCOPE]
    return refute(method, axiom, _without_small_networks(axiom, tuple(witnesses), seed))


def _without_small_networks(axiom: Axiom, environments: tuple[str, ...], seed: int) -> Laboratory:
    return Laboratory(
        methods=(),
        environments=environments,
        policy=Policy(),
        rows=24,
        examples=EXAMPLES,
        seed=seed,
        seeds=1,
        unclaimed=False,
        chosen=False,
        named=False,
        refuted=(axiom.name,),
        scope="none",
        limit_s=0.0,
        everywhere=True,
        json=None,
        html=None,
    )
