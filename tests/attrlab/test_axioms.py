"""Every axiom has a method that violates it, on a case whose violation is known, and a Shapley value that does not."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from attrlab.axioms import AXIOMS, find_axiom
from attrlab.case import Case
from attrlab.claims import MARGIN
from attrlab.errors import MethodError, NotApplicable, UnknownName
from attrlab.games import Policy
from attrlab.judge import examine
from attrlab.method import Method
from attrlab.methods.coalitions import shapley
from attrlab.methods.paths import integrated_gradients
from attrlab.registry import find_method
from attrlab.study import prepare
from tests.mutants import LIARS, Mutant, right


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


@pytest.mark.parametrize("mutant", LIARS, ids=lambda mutant: mutant.method.__name__)
@pytest.mark.parametrize("environment", ["additive-v1", "edge-types-v1"])
def test_axiom_catches_its_mutant_and_says_what_is_wrong(mutant: Mutant, environment: str):
    subject = prepare(environment, rows=32, seed=0, policy=Policy()).case
    found = examine(Method(name="mutant", attribute=mutant.method), AXIOMS[mutant.caught_by], subject, tolerance=1e-9)
    assert found.judgement == "refuted"
    assert mutant.message in found.counterexample


def test_every_axiom_has_a_mutant():
    assert {mutant.caught_by for mutant in LIARS} == set(AXIOMS)


@pytest.mark.parametrize("axiom", AXIOMS.values(), ids=lambda axiom: axiom.name)
@pytest.mark.parametrize("attribute", [right, shapley], ids=["exact path integral", "shapley"])
def test_complete_methods_violate_no_axiom_on_any_environment_it_can_be_asked_on(axiom, attribute):
    for id in ("additive-v1", "unanimity-v1", "cancellation-v1", "colour-difference-v1", "edge-types-features-v1", "symmetry-witness-v1"):
        subject = prepare(id, rows=4, seed=1, policy=Policy()).case
        if axiom.applies_to(subject):
            assert examine(Method(name="m", attribute=attribute), axiom, subject, tolerance=1e-9).judgement == "not refuted"


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
