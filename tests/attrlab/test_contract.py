"""Every rule of the contract has a method that breaks it, with what it must say, and a right method breaks none."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from attrlab.contract import RULES
from attrlab.errors import CheckFailed
from attrlab.games import Policy
from attrlab.method import Method
from attrlab.study import prepare
from tests.mutants import OFFENDERS, Mutant, right

BY_NAME = {rule.name: rule for rule in RULES}


@pytest.fixture(scope="module", params=["additive-v1", "colour-or-v1", "edge-types-features-v1"])
def case(request):
    return prepare(request.param, rows=6, seed=0, policy=Policy()).case


@pytest.mark.parametrize("mutant", OFFENDERS, ids=lambda mutant: mutant.method.__name__)
def test_rule_catches_its_mutant_and_says_what_is_wrong(mutant: Mutant, case):
    method = Method(name=mutant.method.__name__, attribute=mutant.method)
    with pytest.raises(CheckFailed) as caught:
        BY_NAME[mutant.caught_by].check(method, case)
    message = str(caught.value)
    assert message.startswith(f"{method.name} on {case.name}: ")
    assert mutant.message in message
    assert "must be" in message


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_right_method_keeps_every_rule(rule, case):
    measured, bound = rule.check(Method(name="right", attribute=right), case)
    assert measured <= bound


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_has_a_mutant(rule):
    assert rule.name in {mutant.caught_by for mutant in OFFENDERS}


def test_checking_leaves_the_global_generators_as_they_were(case):
    before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    for rule in RULES:
        rule.check(Method(name="right", attribute=right), case)
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before


def test_noise_of_one_generator_per_call_is_not_taken_for_a_leak(case):
    """A method that names `generator` draws for the whole batch; its rows differ by noise, and no more than by noise."""

    def noisy(model, inputs, *, target, baseline, generator):
        scores = right(model, inputs, target=target, baseline=baseline)
        return scores + 0.01 * torch.randn(scores.shape, generator=generator, dtype=scores.dtype)

    method = Method(name="noisy", attribute=noisy)
    for name in ("rows_do_not_depend_on_their_batch", "rows_do_not_depend_on_their_order", "equal_seeds_give_equal_scores"):
        measured, bound = BY_NAME[name].check(method, case)
        assert measured <= bound


def test_a_leak_is_seen_through_the_noise_of_one_generator_per_call(case):
    def leaky(model, inputs, *, target, baseline, generator):
        scores = right(model, inputs, target=target, baseline=baseline)
        noise = 1e-4 * torch.randn(scores.shape, generator=generator, dtype=scores.dtype)
        return scores * len(inputs) + noise

    with pytest.raises(CheckFailed, match="naming seeds instead of generator"):
        BY_NAME["rows_do_not_depend_on_their_batch"].check(Method(name="leaky", attribute=leaky), case)


@pytest.mark.parametrize("rule", ["rows_do_not_depend_on_their_batch", "rows_do_not_depend_on_their_order"])
@pytest.mark.parametrize("scores", [lambda model, inputs: inputs.sum(), lambda model, inputs: inputs[:1]], ids=["a number", "one row"])
def test_scores_that_are_not_one_per_row_are_told_as_such_and_not_as_an_error_of_the_laboratory(rule, scores, case):
    with pytest.raises(CheckFailed, match=r"the shape of the scores is .*, must be"):
        BY_NAME[rule].check(Method(name="shapeless", attribute=scores), case)
