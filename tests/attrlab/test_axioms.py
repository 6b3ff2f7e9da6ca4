"""Every axiom has a method that violates it, on a case whose violation is known, and a Shapley value that does not."""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch
from torch import nn

from attrlab.axioms import AXIOMS, find_axiom
from attrlab.axioms.derive import behind_affine, times
from attrlab.axioms.disjoint_union_additivity import union
from attrlab.axioms.permutation_equivariance import orders, permuted
from attrlab.case import Case
from attrlab.claims import MARGIN
from attrlab.errors import MethodError, NotApplicable, UnknownName
from attrlab.games import Policy
from attrlab.judge import examine
from attrlab.method import Method
from attrlab.methods.coalitions import shapley
from attrlab.methods.gradients import gradient
from attrlab.methods.paths import integrated_gradients
from attrlab.randomness import row_uniform
from attrlab.registry import find_method
from attrlab.study import prepare
from tests.liars import LIARS, Liar, right


def linear(*weights: float) -> nn.Module:
    network = nn.Linear(len(weights), 1, bias=False).double().requires_grad_(False)
    network.weight.copy_(torch.tensor([weights]))
    return network


def case(model: nn.Module, x: list[list[float]], **known: object) -> Case:
    inputs = torch.tensor(x, dtype=torch.float64)
    return Case(
        name="by-hand",
        formula="f(x) = w·x",
        model=model,
        inputs=inputs,
        target=torch.zeros(len(x), dtype=torch.int64),
        baseline=torch.zeros_like(inputs),
        feature_mask=torch.arange(inputs.shape[1]).expand(inputs.shape),
        players=inputs.shape[1],
        **known,  # type: ignore[arg-type]
    )


def scores(*values: float) -> Method:
    return Method(name="fixed", attribute=lambda model, inputs: torch.tensor([values], dtype=inputs.dtype).expand(inputs.shape))


def test_violation_of_completeness_is_the_gap_between_sum_and_difference():
    found = examine(scores(1.0, 1.0), AXIOMS["completeness"], case(linear(2.0, 3.0), [[1.0, 1.0]]), tolerance=1e-9)
    assert found.judgement == "refuted"
    assert math.isclose(found.measured, 3 / 5)  # |2 - 5| over the largest of scores and outputs, 5
    assert "the scores must sum to f(x) - f(x') = 5; they sum to 2" in found.counterexample
    assert "x = (1, 1), x' = (0, 0)" in found.counterexample


def test_violation_of_dummy_is_the_credit_of_the_ignored_player():
    ignored = torch.tensor([[False, True]])
    found = examine(scores(2.0, -0.5), AXIOMS["dummy"], case(linear(2.0, 0.0), [[1.0, 1.0]], independent=ignored), tolerance=1e-9)
    assert found.judgement == "refuted"
    assert math.isclose(found.measured, 0.5 / 2)
    assert "player 1 does not change f anywhere and must get 0; it gets -0.5" in found.counterexample


def test_violation_of_symmetry_is_the_largest_gap_within_an_orbit():
    orbit = torch.tensor([[0, 1, 0, 1, -1]])
    subject = case(linear(1.0, 2.0, 1.0, 2.0, 7.0), [[1.0] * 5], orbit=orbit)
    found = examine(scores(1.0, 2.0, 1.25, 2.0, 9.0), AXIOMS["symmetry"], subject, tolerance=1e-9)
    assert found.judgement == "refuted"
    assert math.isclose(found.measured, 0.25 / 9)
    assert "f is symmetric in players 0 and 2, which must get the same; they get 1 and 1.25" in found.counterexample


def test_violation_of_implementation_invariance_is_the_gap_between_the_networks():
    other = nn.Sequential(linear(1.0, 0.0), linear(1.0)).double()
    by_depth = Method(name="by_depth", attribute=lambda model, inputs: inputs * len(list(model.modules())))
    found = examine(
        by_depth, AXIOMS["implementation_invariance"], case(linear(1.0, 0.0), [[2.0, 0.0]], others={"two layers": other}), tolerance=1e-9
    )
    assert found.judgement == "refuted"
    assert "a second network (two layers) computes the same function" in found.counterexample
    assert "it gets 2 and 6" in found.counterexample


@pytest.mark.parametrize(
    ("error", "judgement"), [(0.5e-9, "not refuted"), (2e-9, "inconclusive"), (90e-9, "inconclusive"), (110e-9, "refuted")]
)
def test_between_the_tolerance_and_a_hundred_times_it_a_verdict_is_inconclusive(error: float, judgement: str):
    found = examine(scores(1.0 + error), AXIOMS["completeness"], case(linear(1.0), [[1.0]]), tolerance=1e-9)
    assert found.judgement == judgement
    assert found.bound == MARGIN * 1e-9


def test_approximation_error_shrinks_with_the_budget_and_is_not_a_violation():
    kinked = prepare("saturation-witness-v1", rows=2, seed=0, policy=Policy()).case
    method = find_method("integrated_gradients(n_steps=7)")
    found = examine(method, AXIOMS["completeness"], kinked, tolerance=1e-6)
    assert found.measured > 100 * found.tolerance  # without the second look this would be a refutation
    assert found.judgement == "approximation error"
    assert "as n_steps grows from 7 to" in found.note


def test_a_violation_that_more_budget_does_not_shrink_is_refuted():
    def biased(model, inputs, *, target, baseline, n_steps=5):
        return 1.1 * integrated_gradients(model, inputs, target=target, baseline=baseline, n_steps=n_steps)

    method = Method(name="biased", attribute=biased, budget="n_steps")
    assert examine(method, AXIOMS["completeness"], case(linear(1.0, 1.0), [[1.0, 2.0]]), tolerance=1e-6).judgement == "refuted"


@pytest.mark.parametrize("axiom", AXIOMS.values(), ids=lambda axiom: axiom.name)
def test_an_axiom_does_not_apply_where_nothing_is_known(axiom):
    bare = case(linear(1.0, 1.0), [[1.0, 1.0]])
    assert axiom.applies_to(bare) == (not axiom.needs)
    assert bool(axiom.missing(bare)) == bool(axiom.needs)


@pytest.mark.parametrize("liar", [liar for liar in LIARS if liar.on], ids=lambda liar: f"{liar.method.__name__}-{liar.caught_by}")
def test_axiom_catches_its_mutant_on_a_world_and_says_what_is_wrong(liar: Liar):
    subject = prepare(liar.on, rows=32, seed=0, policy=Policy()).case
    found = examine(Method(name="mutant", attribute=liar.method), AXIOMS[liar.caught_by], subject, tolerance=1e-9)
    assert found.judgement == "refuted"
    assert liar.message in found.counterexample


def test_every_axiom_has_a_mutant():
    assert {liar.caught_by for liar in LIARS} == set(AXIOMS)


THEOREMS = {
    "exact path integral": (right, {"input_shift_invariance_fixed", "demand_monotonicity", "continuity", "lattice_dummy", "sensitivity_n"}),
    "shapley": (shapley, {"input_shift_invariance_fixed", "proportionality", "sensitivity_n"}),
}
"""Methods, and the axioms that theory does not give them."""


@cache
def world(id: str) -> Case:
    return prepare(id, rows=4, seed=1, policy=Policy()).case


WORLDS = (
    "additive-v1",
    "unanimity-v1",
    "cancellation-v1",
    "colour-difference-v1",
    "edge-types-features-v1",
    "edge-types-v1",
    "symmetry-witness-v1",
    "or-witness-v1",
    "sum-witness-v1",
    "random-monotone-v1",
    "small-rise-witness-v1",
)


@pytest.mark.parametrize("axiom", AXIOMS.values(), ids=lambda axiom: axiom.name)
@pytest.mark.parametrize("name", THEOREMS)
def test_what_theory_proves_is_refuted_on_no_world_that_it_can_be_asked_on(axiom, name: str):
    attribute, unproved = THEOREMS[name]
    if axiom.name in unproved:
        return
    for id in WORLDS:
        subject = world(id)
        if axiom.applies_to(subject):
            try:
                found = examine(Method(name="m", attribute=attribute), axiom, subject, tolerance=1e-9)
            except NotApplicable:
                continue
            assert found.judgement == "not refuted", (id, found.counterexample)


def test_a_network_that_a_method_refuses_is_no_evidence_against_it():
    def picky(model, inputs):
        if len(list(model.modules())) > 1:
            raise NotApplicable("too deep")
        return inputs

    other = nn.Sequential(linear(1.0), linear(1.0))
    with pytest.raises(NotApplicable, match="too deep"):
        examine(
            Method(name="picky", attribute=picky),
            AXIOMS["implementation_invariance"],
            case(linear(1.0), [[1.0]], others={"deep": other}),
            tolerance=1,
        )
    both = case(linear(1.0), [[1.0]], others={"deep": other, "same": linear(1.0)})
    assert (
        examine(Method(name="picky", attribute=picky), AXIOMS["implementation_invariance"], both, tolerance=1e-9).judgement == "not refuted"
    )


def test_scores_that_cannot_be_read_are_an_error_with_the_reason_and_not_a_verdict():
    subject = case(linear(1.0, 1.0), [[1.0, 1.0]])
    with pytest.raises(MethodError, match=r"returned 1 scores on by-hand that are NaN or infinite \(got 1 of 2\)"):
        examine(scores(math.nan, 1.0), AXIOMS["completeness"], subject, tolerance=1e-9)
    with pytest.raises(MethodError, match=r"got \(1,\), expected \(1, 2\)"):
        examine(Method(name="short", attribute=lambda model, inputs: inputs[:, 0]), AXIOMS["completeness"], subject, tolerance=1e-9)


def test_unknown_axiom_suggests_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'completeness'"):
        find_axiom("completness")


def by_rule(rule) -> Method:
    return Method(name="rule", attribute=lambda model, inputs, *, baseline: rule(inputs, baseline))


ONE = torch.tensor([[True, True]])


@pytest.mark.parametrize(
    ("axiom", "weights", "rule", "known", "measured"),
    [
        ("sensitivity_a", (2.0, 3.0), lambda x, b: 0 * x, {}, 1.0),
        ("sensitivity_a", (2.0, 3.0), lambda x, b: 1e-7 * (x - b), {}, 1 - 1e-7 / (1e-6 * 3)),  # a third of what is owed at least
        ("structural_dummy", (2.0, 0.0), lambda x, b: x, {"unreachable": torch.tensor([[False, True]])}, 1.0),
        ("lattice_dummy", (2.0, 0.0), lambda x, b: x, {"null": torch.tensor([[False, True]])}, 1.0),
        ("linearity", (2.0, 3.0), lambda x, b: x, {}, 0.0),  # 2 A - A = A, for a method that sees no network
        ("input_shift_invariance", (2.0, 3.0), lambda x, b: x, {}, 1.25 / 1.5),  # s = (1/2, -5/4), scores up to 3/2
        ("input_shift_invariance", (2.0, 3.0), lambda x, b: x - b, {}, 0.0),
        ("input_shift_invariance_fixed", (2.0, 3.0), lambda x, b: x - b, {}, 1.25 / 1.5),
        ("affine_scale_invariance", (2.0, 3.0), lambda x, b: x, {}, 1 / 2),  # D = (2, 1/2)
        ("output_scaling_positive", (2.0, 3.0), lambda x, b: x, {}, 1.0),
        ("output_scaling_negative", (2.0, 3.0), lambda x, b: x, {}, 2.0),
        ("demand_monotonicity", (2.0, 3.0), lambda x, b: -x, {"monotone": ONE}, 1.0),
        ("sign_consistency", (2.0, 3.0), lambda x, b: -x / 2, {"monotone": ONE}, 0.5),
        ("saturation", (2.0, 3.0), lambda x, b: x * torch.tensor([1.0, 0.0]), {"redundant": ONE}, 1.0),
        ("additive_recovery", (2.0, 3.0), lambda x, b: x, {"traits": frozenset({"additive"})}, 2 / 3),
        ("sensitivity_n", (2.0, 3.0), lambda x, b: 2 * x, {}, 1 / 5),  # (2, 2) for (2, 3): wrong by 1 of 5
    ],
)
def test_violations_on_a_linear_function_are_what_one_finds_by_hand(axiom, weights, rule, known, measured):
    found = examine(by_rule(rule), AXIOMS[axiom], case(linear(*weights), [[1.0, 1.0]], **known), tolerance=1e-9)
    assert found.measured == pytest.approx(measured, abs=1e-12)


def test_proportion_is_violated_by_what_is_left_of_the_best_common_factor():
    subject = case(linear(1.0, 1.0), [[2.0, 1.0]], summed=ONE)
    found = examine(by_rule(lambda x, b: torch.ones_like(x)), AXIOMS["proportionality"], subject, tolerance=1e-9)
    assert found.measured == pytest.approx(0.4)  # c = 3/5: (6/5, 3/5) for (1, 1)


def test_a_jump_counts_beyond_sixteen_times_what_the_function_may_do():
    subject = case(linear(1.0, 1.0), [[1.0, 1.0], [1.0, 1.0 + 2**-10]], lipschitz=2.0)
    step = by_rule(lambda x, b: (x > 1).to(x.dtype))
    assert examine(step, AXIOMS["continuity"], subject, tolerance=1e-9).measured == pytest.approx(1 - 16 * 2 * 2**-10)
    steep = by_rule(lambda x, b: 30 * x)
    assert examine(steep, AXIOMS["continuity"], subject, tolerance=1e-9).judgement == "not refuted"


def test_the_shift_and_the_scale_are_folded_into_a_network_that_begins_with_a_linear_layer():
    network = nn.Sequential(linear(1.0, 2.0), nn.ReLU(), linear(3.0)).double()
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scale, shift = torch.tensor([2.0, -0.5]).double(), torch.tensor([1.0, 3.0]).double()
    folded = behind_affine(network, scale, shift)
    assert [type(module) for module in folded] == [type(module) for module in network]
    torch.testing.assert_close(folded(x), network(scale * x + shift), atol=1e-12, rtol=0)  # the same sums in another order
    wrapped = behind_affine(nn.Sequential(nn.Flatten(), network), scale, shift)
    torch.testing.assert_close(wrapped(x), network(scale * x + shift), atol=1e-12, rtol=0)
    doubled = times(network, -2.0, case(network, [[1.0, 1.0]]))
    assert len(doubled) == len(network)
    torch.testing.assert_close(doubled(x), -2 * network(x), atol=1e-12, rtol=0)


def test_both_sides_of_an_identity_have_the_same_noise():
    def noisy(model, inputs, *, target, baseline, seeds):
        return gradient(model, inputs, target=target) * (1 + row_uniform(seeds, tuple(inputs.shape[1:]), dtype=inputs.dtype))

    for axiom in ("linearity", "input_shift_invariance", "output_scaling_negative", "implementation_invariance"):
        subject = prepare("invariance-witness-v1", rows=2, seed=0, policy=Policy()).case
        assert examine(Method(name="noisy", attribute=noisy), AXIOMS[axiom], subject, tolerance=1e-9).judgement == "not refuted"


def test_where_nothing_is_at_stake_an_axiom_does_not_apply():
    flat = case(linear(0.0, 0.0), [[1.0, 1.0]], monotone=~ONE, redundant=ONE, summed=ONE)
    for axiom, message in (
        ("sensitivity_a", "in no row does the absence"),
        ("demand_monotonicity", "there is nothing to raise"),
        ("sign_consistency", "no sign is required"),
        ("saturation", "nothing to credit"),
    ):
        with pytest.raises(NotApplicable, match=message):
            examine(scores(0.0, 0.0), AXIOMS[axiom], flat, tolerance=1e-9)


def test_a_relabelled_graph_is_the_same_graph():
    row = torch.arange(12.0).view(1, 3, 4)  # three nodes and one column of X
    order = torch.tensor([2, 0, 1])
    moved = permuted(row, order)
    for new, old in enumerate(order.tolist()):
        assert moved[0, new, 3] == row[0, old, 3]
        assert [moved[0, new, k].item() for k in range(3)] == [row[0, old, j].item() for j in order.tolist()]


@pytest.mark.parametrize("nodes", [2, 3, 4])
def test_the_permutations_that_are_tried_on_small_graphs_generate_all(nodes):
    tried = [tuple(order.tolist()) for order in orders(nodes)]
    found = {tuple(range(nodes))}
    for _ in range(math.factorial(nodes)):
        found |= {tuple(word[k] for k in order) for word in found for order in tried}
    assert len(found) == math.factorial(nodes)


def test_many_nodes_are_taken_in_one_order_of_all():
    (order,) = orders(9)
    assert sorted(order.tolist()) == list(range(9))
    assert order.tolist() != list(range(9))


def test_a_disjoint_union_has_both_graphs_and_nothing_between_them():
    one, two = torch.ones(1, 2, 3), 2 * torch.ones(1, 2, 3)
    both = union(one, two, -1)
    assert both.shape == (1, 4, 5)
    assert both[0, :2, :2].eq(1).all()
    assert both[0, 2:, 2:4].eq(2).all()
    assert both[0, :2, 2:4].eq(-1).all()
    assert both[0, :, 4].tolist() == [1, 1, 2, 2]
