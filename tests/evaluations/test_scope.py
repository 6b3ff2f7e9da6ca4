"""The exhaustive search finds the smallest counterexample there is, on the network alone, and proves what it does not refute."""

from __future__ import annotations

import itertools
from itertools import pairwise

import pytest
import torch

from attrlab.axioms import AXIOMS
from attrlab.errors import NotApplicable
from attrlab.games import Policy
from attrlab.judge import examine
from attrlab.method import Method, player_scores
from attrlab.methods.gradients import gradient
from attrlab.registry import find_method
from evaluations.refined import explained
from evaluations.scope import SCOPES, exhaust
from evaluations.small_cases import blocks, can_enumerate

TOLERANCE = 1e-9


def method(attribute, **more):
    return Method(name=attribute.__name__, attribute=attribute, **more)


def search(name, axiom, *, scope="tiny", **more):
    asked = find_method(name) if isinstance(name, str) else name
    return exhaust(asked, AXIOMS[axiom], tolerance=TOLERANCE, scope=scope, **more)


def block_of(axiom, inputs=2, hidden=(1,), width=24):
    return next(blocks(AXIOMS[axiom], ((inputs, hidden),), width=width, policy=Policy()))


def test_gradient_is_refuted_by_the_identity_where_nothing_smaller_could():
    found = search("gradient", "completeness")
    assert "f(x) = x1\n" in found.refutation.counterexample
    assert "refuted; the smallest counterexample of the scope 'tiny'" in str(found)


def test_the_smallest_point_comes_first_and_a_baseline_of_zero_before_others():
    found = search("input_x_gradient", "completeness").refutation.counterexample
    assert "f(x) = x1\nx = (0), x' = (1)\nA = (0)" in found  # x = (1), x' = (0) is as small, comes before it, and is no counterexample


@pytest.mark.parametrize("axiom", [name for name, axiom in AXIOMS.items() if can_enumerate(axiom)])
def test_shapley_keeps_on_every_tiny_network_what_theory_says_it_keeps(axiom):
    found = search("shapley", axiom)
    violated = {"input_shift_invariance_fixed", "proportionality", "sensitivity_n"}
    assert (found.refutation is not None) == (axiom in violated)
    assert found.finished


def test_a_bounded_proof_says_how_many_networks_it_is_about():
    found = search("shapley", "completeness")
    # 9 + 27 linear functions, 36 + 144 of one unit, each at every lattice point off its kinks
    assert found.networks == 9 + 27 + 36 + 144
    assert f"holds on all {found.networks:,} networks" in str(found)


def test_outputs_side_by_side_are_those_of_each_network_alone():
    block = block_of("completeness", 2, (2,))
    together = block.case.model(block.case.inputs).gather(1, block.case.target.unsqueeze(1))
    for member in range(len(block.members)):
        alone = block.alone(member, Policy())
        assert torch.equal(alone.model(alone.inputs), together[block.case.target == member])


def test_equal_networks_of_different_depth_stand_side_by_side():
    sizes = ((1, ()), (1, (2,)))
    found = [block for block in blocks(AXIOMS["implementation_invariance"], sizes, policy=Policy())]
    assert found
    for block in found:
        (other,) = block.case.others.values()
        assert torch.allclose(block.case.model(block.case.inputs), other(block.case.inputs), atol=1e-12)  # sums of three terms


@pytest.mark.parametrize("axiom", ["lattice_dummy", "saturation"])
def test_what_is_stated_of_a_row_is_what_four_coalitions_say(axiom):
    block = block_of(axiom, 2, (2,), width=60)
    case, (need,) = block.case, AXIOMS[axiom].needs
    stated = getattr(case, need)

    def value(kept):
        rows = torch.where(torch.tensor(kept), case.inputs, case.baseline)
        return case.model(rows).gather(1, case.target.unsqueeze(1)).squeeze(1)

    none, one, other, both = (value(kept) for kept in ([False, False], [True, False], [False, True], [True, True]))
    if need == "null":
        assert torch.equal(stated, torch.stack([(one == none) & (both == other), (other == none) & (both == one)], 1))
    else:
        assert (stated.all(1) == stated.any(1)).all()
        assert ((one == both) & (other == both) & (none != both))[stated.all(1)].all()


@pytest.mark.parametrize("name", ["symmetry", "proportionality", "demand_monotonicity", "dummy"])
def test_what_is_stated_of_three_inputs_is_true_of_their_values(name):
    block = block_of(name, 3, (1,), width=40)
    case, network = block.case, block.case.model

    def change(row, one, other):
        """How far f moves as one input rises and another falls; as they change places, if they are apart."""
        point = case.inputs[row].clone()
        point[one], point[other] = point[one] + 0.5, point[other] - 0.5
        swapped = point.clone()
        swapped[one], swapped[other] = point[other], point[one]
        values = network(torch.stack([case.inputs[row], point, swapped]))[:, case.target[row]]
        return values[1] - values[0], values[2] - values[1]

    for row, (one, other) in itertools.product(range(0, len(case), 5), itertools.permutations(range(3), 2)):
        shifted, exchanged = change(row, one, other)
        if name == "symmetry" and case.orbit[row, one] == case.orbit[row, other] >= 0:
            assert exchanged == 0
            assert case.inputs[row, one] == case.inputs[row, other]
        if name == "proportionality" and case.summed[row, one] and case.summed[row, other]:
            assert shifted == 0
        if name == "demand_monotonicity" and case.monotone[row, one] and case.independent is None:
            risen = case.inputs[row].clone()
            risen[one] += 0.5
            assert network(risen[None])[0, case.target[row]] >= network(case.inputs[row][None])[0, case.target[row]]


def test_approximation_error_of_many_networks_is_told_as_it_is_of_one():
    block = next(blocks(AXIOMS["completeness"], ((2, (2,)),), width=12, policy=Policy()))
    method_, axiom = find_method("integrated_gradients(n_steps=7)"), AXIOMS["completeness"]
    violation = axiom.measure(lambda case: player_scores(method_, case), block.case).violation
    together = explained(method_, axiom, block.case, violation, tolerance=1e-6, seed=0)
    alone = {
        member
        for member in range(len(block.members))
        if examine(method_, axiom, block.alone(member, Policy()), tolerance=1e-6).judgement == "approximation error"
    }
    assert together == alone
    assert together


def test_a_violation_that_stays_is_not_explained_by_a_budget():
    def half(model, inputs, *, target, baseline, n_steps=8):
        return 0.5 * find_method("integrated_gradients").attribute(model, inputs, target=target, baseline=baseline, n_steps=n_steps)

    asked, axiom = method(half, budget="n_steps"), AXIOMS["completeness"]
    case = block_of("completeness", 2, ()).case
    violation = axiom.measure(lambda case: player_scores(asked, case), case).violation
    assert (violation > TOLERANCE).any()
    assert explained(asked, axiom, case, violation, tolerance=TOLERANCE, seed=0) == set()


def test_no_row_lies_on_a_kink():
    block = block_of("completeness", 2, (2,), width=60)
    before = block.case.model[0](block.case.inputs).view(len(block.case), len(block.members), 2)
    own = before.gather(1, block.case.target.view(-1, 1, 1).expand(-1, 1, 2))
    assert float(own.abs().min()) >= 1  # integers that are not zero


def test_a_method_that_sees_its_neighbours_is_asked_about_one_network_at_a_time():
    def shared(model, inputs, *, target):
        return gradient(model, inputs, target=target) * model(inputs).shape[1]

    found = search(method(shared), "dummy")
    assert found.refutation is None
    lone = search(method(shared), "symmetry")
    assert lone.refutation is None
    assert lone.finished


def test_a_fault_for_negative_inputs_only_is_found_at_a_negative_input():
    def faulty(model, inputs, *, target, baseline):
        scores = (inputs - baseline) * gradient(model, inputs, target=target)
        return torch.where(inputs < 0, 0, scores)

    found = search(method(faulty), "sensitivity_a")
    assert "f(x) = x1\nx = (-1), x' = (0)\nA = (0)" in found.refutation.counterexample


def test_a_time_limit_leaves_a_proof_about_the_first_networks_only():
    found = search("shapley", "completeness", scope="default", limit_s=0.0)
    assert not found.finished
    assert "holds on the first" in str(found)


def test_a_method_that_refuses_has_nothing_proved():
    def refusing(model, inputs):
        raise NotApplicable("it wants an image")

    found = search(method(refusing), "completeness")
    assert (found.networks, found.rows, found.refused) == (0, 0, 216)
    assert "nothing could be asked in the scope 'tiny'" in str(found)
    assert "it wants an image" in str(found)


def test_an_axiom_about_what_is_not_known_of_small_networks_is_refused():
    with pytest.raises(NotApplicable, match="class_sensitivity needs supports, which is not known of enumerated networks"):
        search("gradient", "class_sensitivity")


def test_scopes_are_nested_in_order_of_size():
    names = ("tiny", "small", "default", "large")
    assert tuple(SCOPES) == names
    for smaller, larger in pairwise(names):
        assert SCOPES[larger][: len(SCOPES[smaller])] == SCOPES[smaller]
        assert len(SCOPES[larger]) > len(SCOPES[smaller])
