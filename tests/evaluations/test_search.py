"""The search finds the small counterexamples that theory knows, shrinks them, keeps off kinks, and raises no false alarm."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
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
from tests.liars import LIARS, Liar


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


@pytest.mark.slow
@pytest.mark.parametrize("liar", LIARS, ids=lambda liar: f"{liar.method.__name__}-{liar.caught_by}")
def test_search_finds_what_is_wrong_with_a_mutant(liar: Liar):
    refuted = worst(Method(name="mutant", attribute=liar.method), liar.caught_by, examples=150)
    assert refuted.judgement == "refuted"
    assert liar.message in refuted.counterexample


UNPROVED = {
    "exact_integrated_gradients": {"input_shift_invariance_fixed", "demand_monotonicity", "continuity", "lattice_dummy", "sensitivity_n"},
    "shapley": {"input_shift_invariance_fixed", "proportionality", "sensitivity_n"},
}
"""What theory does not give to the methods that are asked about everything else."""


@pytest.mark.parametrize(
    ("name", "axiom"), [(name, axiom) for name, without in UNPROVED.items() for axiom in AXIOMS if axiom not in without]
)
def test_no_false_alarm(name: str, axiom: str):
    searched = found(find_method(name), axiom, start=1, examples=15)
    assert searched.cases >= 5  # of the others the axiom says nothing: no player makes a difference, no value stands above its baseline
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
    assert one.cases == two.cases
    assert one.worst.counterexample == two.worst.counterexample
    assert one.worst.measured == two.worst.measured  # bit for bit: the same draws


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
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_drawn_cases_state_what_the_axiom_needs_and_keep_off_kinks(axiom, data: st.DataObject):
    case = data.draw(cases(axiom=axiom, given=frozenset(), policy=Policy()))
    assert axiom.applies_to(case)
    if axiom.name != "continuity":
        assert least_preactivation(case.model, case.inputs) >= MARGIN
    for network in case.others.values():
        assert (network(case.inputs) - case.model(case.inputs)).abs().max() <= 1e-6  # batch norm takes the root of a float32 eps
    if "orbit" in axiom.needs:
        one, two = (case.orbit[0] == 0).nonzero().squeeze(1)[:2].tolist()
        assert case.inputs[0, one] == case.inputs[0, two]
        assert case.baseline[0, one] == case.baseline[0, two]


def box(case, *, seed=0, rows=200):
    """Points around the inputs of a case, far beyond its box."""
    return 4 * torch.randn(rows, case.players, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def drawn(axiom):
    return cases(axiom=AXIOMS[axiom], given=frozenset(), policy=Policy())


SLOW = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
ROUNDING = 1e-9  # sums of a few dozen terms below 10^4


@SLOW
@given(case=drawn("sign_consistency"))
def test_drawn_monotone_columns_never_lower_the_function(case):
    points = box(case)
    for column in case.monotone[0].nonzero().squeeze(1).tolist():
        raised = points.clone()
        raised[:, column] += points[:, 0].abs()
        assert (case.model(raised) - case.model(points)).min() >= -ROUNDING


@SLOW
@given(case=drawn("proportionality"))
def test_drawn_summed_columns_are_seen_through_their_sum(case):
    points, (one, two) = box(case), case.summed[0].nonzero().squeeze(1)[:2].tolist()
    shifted = points.clone()
    shifted[:, one] += 1.5
    shifted[:, two] -= 1.5
    assert (case.model(shifted) - case.model(points)).abs().max() <= ROUNDING


@SLOW
@given(case=drawn("saturation"))
def test_each_of_the_drawn_redundant_columns_is_enough(case):
    everyone = case.redundant[0]
    none = case.inputs.clone()
    none[:, everyone] = case.baseline[:, everyone]
    for column in everyone.nonzero().squeeze(1).tolist():
        alone = none.clone()
        alone[:, column] = case.inputs[:, column]
        assert (case.model(alone) - case.model(case.inputs)).abs().max() <= ROUNDING
    assert (case.model(none) - case.model(case.inputs)).abs().max() >= 1


@SLOW
@given(case=drawn("continuity"))
def test_the_drawn_lipschitz_constant_bounds_every_difference(case):
    one, two = box(case, seed=1), box(case, seed=2)
    steepest = (case.model(one) - case.model(two)).abs().squeeze(1) / (one - two).abs().amax(1)
    assert steepest.max() <= case.lipschitz + ROUNDING


@SLOW
@given(case=drawn("class_sensitivity"))
def test_drawn_outputs_depend_on_their_own_columns_only(case):
    one, two = box(case, seed=1), box(case, seed=2)
    for output, own in enumerate(case.supports):
        mixed = torch.where(own, one, two)
        assert (case.model(mixed)[:, output] - case.model(one)[:, output]).abs().max() <= ROUNDING


@SLOW
@given(case=drawn("linearity"))
def test_drawn_branches_add_up_to_the_network(case):
    points = box(case)
    total = sum(factor * branch(points) for factor, branch in case.branches)
    assert (case.model(points) - total).abs().max() <= ROUNDING


@SLOW
@given(case=drawn("locality"))
def test_what_is_outside_of_the_receptive_field_changes_nothing(case):
    for player in case.unreachable[0].nonzero().squeeze(1).tolist():
        changed = torch.where(case.feature_mask == player, 7.0, case.inputs)
        assert (case.model(changed) - case.model(case.inputs)).abs().max() <= ROUNDING


@SLOW
@given(case=drawn("edge_order_invariance"))
def test_the_twin_of_a_drawn_graph_network_computes_the_same(case):
    module, data_of = case.twin()
    for row, wanted in zip(case.inputs, case.model(case.inputs), strict=True):
        data = data_of(row)
        assert (module(data.x, data.edge_index, data.edge_weight) - wanted).abs().max() <= ROUNDING
