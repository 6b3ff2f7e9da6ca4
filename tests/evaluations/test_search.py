"""The search finds the small counterexamples that theory knows, shrinks them, keeps off kinks, and raises no false alarm."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attrlab.axioms import AXIOMS
from attrlab.errors import MethodError, NotApplicable
from attrlab.games import Policy
from attrlab.judge import Examination
from attrlab.method import Method
from attrlab.registry import find_method
from evaluations.search import search
from evaluations.strategies import MARGIN, cases
from synthetic.gadgets import least_preactivation
from tests.mutants import LIARS, Mutant


def worst(*arguments: Any, **keywords: Any) -> Examination:
    """The worst that a search found; it fails where nothing could be judged."""
    searched = found(*arguments, **keywords)
    if searched.worst is None:
        pytest.fail(f"no drawn case could be judged: {searched.refusal}")
    return searched.worst


def found(
    method: Method, axiom: str, *, examples: int = 100, start: int = 0, tolerance: float = 1e-9, conditions: frozenset[str] = frozenset()
):
    return search(method, AXIOMS[axiom], tolerance=tolerance, conditions=conditions, policy=Policy(), examples=examples, start=start)


def test_completeness_of_the_gradient_is_refuted_on_a_network_of_one_unit():
    refuted = worst(find_method("gradient"), "completeness")
    assert refuted.judgement == "refuted"
    formula = refuted.counterexample.splitlines()[0]
    assert formula.count("relu") <= 1


def test_implementation_invariance_of_deeplift_is_refuted_by_search_on_a_readable_network():
    refuted = worst(find_method("deeplift"), "implementation_invariance")
    assert refuted.judgement == "refuted"
    assert refuted.counterexample.splitlines()[0].count("relu") <= 4


@pytest.mark.parametrize("mutant", LIARS, ids=lambda mutant: mutant.method.__name__)
def test_search_finds_what_is_wrong_with_a_mutant(mutant: Mutant):
    refuted = worst(Method(name="mutant", attribute=mutant.method), mutant.caught_by)
    assert refuted.judgement == "refuted"
    assert mutant.message in refuted.counterexample


@pytest.mark.parametrize("axiom", AXIOMS)
@pytest.mark.parametrize("name", ["exact_integrated_gradients", "shapley"])
@pytest.mark.parametrize("start", range(3))
def test_no_false_alarm(name: str, axiom: str, start: int):
    searched = found(find_method(name), axiom, start=start, examples=25)
    assert searched.cases >= 25
    assert getattr(searched.worst, "judgement", "not judged") == "not refuted"


@pytest.mark.parametrize("start", range(3))
def test_approximation_error_of_captum_integrated_gradients_raises_no_false_alarm(start: int):
    found_worst = worst(find_method("integrated_gradients"), "completeness", start=start, examples=40, tolerance=1e-6)
    assert found_worst.judgement in ("not refuted", "approximation error")


def test_a_conditional_claim_is_searched_within_its_condition():
    homogeneous = worst(find_method("input_x_gradient"), "completeness", conditions=frozenset({"positively_homogeneous"}))
    additive = worst(find_method("occlusion"), "completeness", conditions=frozenset({"additive"}))
    assert homogeneous.judgement == additive.judgement == "not refuted"
    assert worst(find_method("occlusion"), "completeness").judgement == "refuted"


def test_the_same_seed_finds_the_same_counterexample():
    one, two = (found(find_method("occlusion"), "completeness", start=3) for _ in range(2))
    assert one == two


def test_a_method_that_raises_on_a_drawn_network_is_an_error_with_its_reason():
    def fragile(model, inputs):
        if bool((inputs < 0).any()):
            raise ValueError("negative inputs are not supported")
        return inputs

    with pytest.raises(MethodError, match="fragile raised ValueError: negative inputs are not supported"):
        found(Method(name="fragile", attribute=fragile), "completeness", tolerance=1e6)


def test_a_method_that_refuses_every_drawn_network_is_not_judged():
    def picky(model, inputs):
        raise NotApplicable("it needs images")

    searched = found(Method(name="picky", attribute=picky), "completeness")
    assert searched.worst is None
    assert searched.cases == 0
    assert "it needs images" in searched.refusal


@pytest.mark.parametrize("axiom", AXIOMS.values(), ids=lambda axiom: axiom.name)
@settings(max_examples=30, deadline=None, derandomize=True)
@given(data=st.data())
def test_drawn_cases_state_what_the_axiom_needs_and_keep_off_kinks(axiom, data: st.DataObject):
    case = data.draw(cases(axiom=axiom, given=frozenset(), policy=Policy()))
    assert least_preactivation(case.model, case.inputs) >= MARGIN
    if "others" in axiom.needs:
        assert case.others
        for network in case.others.values():
            assert (network(case.inputs) - case.model(case.inputs)).abs().max() <= 1e-12  # the same sums in another order
    if "orbit" in axiom.needs:
        assert axiom.applies_to(case)
        one, two = (case.orbit[0] == 0).nonzero().squeeze(1)[:2].tolist()
        assert case.inputs[0, one] == case.inputs[0, two]
        assert case.baseline[0, one] == case.baseline[0, two]
    if "independent" in axiom.needs:
        assert axiom.applies_to(case)
