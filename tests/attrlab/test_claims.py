"""Claims carry their reason and their condition, and may be written as bare names."""

from __future__ import annotations

import math

import pytest

from attrlab.claims import FLOAT64, Claim, claims_of, holds, violates
from attrlab.errors import InvalidInput


def test_a_claim_reads_as_a_sentence_with_its_conditions_in_order():
    assert str(holds("completeness", because="theorem 1")) == "completeness holds"
    assert str(holds("dummy", because="theorem 1", given=("b", "a"))) == "dummy holds given a, b"
    assert str(violates("symmetry", because="W6", witness="symmetry-witness-v1")) == "symmetry violates"


def test_a_claim_is_made_where_all_its_conditions_are_met():
    claim = holds("completeness", because="Euler", given=("homogeneous", "bias_free"))
    assert claim.applies_to(frozenset({"homogeneous", "bias_free", "additive"}))
    assert not claim.applies_to(frozenset({"homogeneous"}))
    assert holds("completeness", because="theorem 1").applies_to(frozenset())


@pytest.mark.parametrize("tolerance", [0.0, -1e-9, math.nan])
@pytest.mark.parametrize("claim", [holds, lambda axiom, **stated: violates(axiom, witness="w-v1", **stated)], ids=["holds", "violates"])
def test_a_tolerance_is_positive(claim, tolerance):
    with pytest.raises(InvalidInput, match=rf"a positive number \(got {tolerance}\)"):
        claim("dummy", because="theorem 1", tolerance=tolerance)


@pytest.mark.parametrize("because", ["", "  \n"])
@pytest.mark.parametrize("claim", [holds, lambda axiom, **stated: violates(axiom, witness="w-v1", **stated)], ids=["holds", "violates"])
def test_a_claim_needs_its_reason(claim, because):
    with pytest.raises(InvalidInput, match=r"a claim needs its reason: write because=.* for 'dummy'\)"):
        claim("dummy", because=because)


class Stated:
    """Anything that has claims."""

    def __init__(self, claims):
        self.claims = claims


ONE = violates("dummy", because="W3", witness="dummy-witness-v1")


@pytest.mark.parametrize(
    ("stated", "axioms"),
    [((), []), ("dummy", ["dummy"]), (ONE, ["dummy"]), (["completeness", ONE], ["completeness", "dummy"]), ({"symmetry"}, ["symmetry"])],
    ids=["none", "a name", "a claim", "both", "a set"],
)
def test_claims_are_read_from_claims_and_from_names(stated, axioms):
    read = claims_of(Stated(stated))
    assert [claim.axiom for claim in read] == axioms
    assert all(isinstance(claim, Claim) for claim in read)


def test_a_bare_name_claims_that_the_axiom_holds_to_float64_rounding():
    (claim,) = claims_of(Stated("dummy"))
    assert (claim.expected, claim.tolerance, claim.given) == ("holds", FLOAT64, frozenset())
    (asked,) = claims_of(object(), ["symmetry"])
    assert asked.because == "asked for on the command line"


def test_claims_asked_for_follow_those_that_are_stated():
    assert [claim.axiom for claim in claims_of(Stated(ONE), ["symmetry"])] == ["dummy", "symmetry"]


@pytest.mark.parametrize(
    "stated", [5, None, [5], ["dummy", None], holds], ids=["a number", "nothing", "a list of a number", "a list with nothing", "a function"]
)
def test_what_is_neither_a_claim_nor_a_name_is_refused(stated):
    with pytest.raises(InvalidInput, match=r"a claim is holds\(...\), violates\(...\) or the name of an axiom"):
        claims_of(Stated(stated))
