"""A method gets what it names, and nothing it does can harm the next question."""
# ruff: noqa: ARG002 - what a method names is the subject here, not what it does with it

from __future__ import annotations

import functools
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attrlab.case import Case
from attrlab.errors import InvalidInput, MethodError, NotApplicable
from attrlab.method import OFFERED, Method, call, explain, player_scores, players_of, spread


def case(**known):
    inputs = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dtype=torch.float64)
    stated = {
        "name": "by-hand",
        "formula": "f(x) = x1 + x2 + x3",
        "model": nn.Linear(3, 2).double(),
        "inputs": inputs,
        "target": torch.tensor([0, 1]),
        "baseline": torch.zeros_like(inputs),
        "feature_mask": torch.tensor([[0, 1, 1], [0, 0, -1]]),
        "players": 2,
    }
    return Case(**{**stated, **known})


def method(attribute, **stated):
    return Method(name="mine", attribute=attribute, **stated)


def offered_to(attribute_of_seen, **known):
    """The keywords that a method with the signature given by `attribute_of_seen(seen)` receives."""
    seen = {}
    explain(method(attribute_of_seen(seen)), case(**known))
    return seen


def test_a_method_gets_the_keywords_it_names_and_no_others():
    def naming(seen):
        def attribute(model, inputs, *, target, seeds, n_steps=7):
            seen.update(target=target.tolist(), seeds=seeds.tolist(), n_steps=n_steps)
            return inputs

        return attribute

    assert offered_to(naming) == {"target": [0, 1], "seeds": [0, 1], "n_steps": 7}


def test_names_of_its_own_for_model_and_inputs_and_keywords_by_position_are_a_method_s_affair():
    assert explain(method(lambda net, x, baseline: x - baseline), case()).shape == (2, 3)


def swallowing(seen):
    def attribute(model, inputs, **offers):
        seen.update(offers)
        return inputs

    return attribute


def test_a_method_with_open_keywords_gets_everything_but_the_truth():
    assert set(offered_to(swallowing, truth=torch.ones(2, 2))) == set(OFFERED) - {"truth"}


def test_the_truth_is_given_only_by_name():
    def naming(seen):
        def attribute(model, inputs, *, truth, **offers):
            seen.update(offers, truth=truth)
            return inputs

        return attribute

    assert set(offered_to(naming, truth=torch.ones(2, 2))) == set(OFFERED)


@pytest.mark.parametrize(
    ("attribute", "reason"),
    [
        (lambda model, inputs, *, truth: truth, "it is made from the exact truth"),
        (lambda model, inputs, *, reference: inputs, "it needs reference data"),
        (lambda model, inputs, *, twin: inputs, "it needs the network as a torch-geometric module"),
    ],
    ids=["truth", "reference", "twin"],
)
def test_a_method_that_requires_what_a_case_does_not_have_does_not_apply_and_says_why(attribute, reason):
    with pytest.raises(NotApplicable, match=f"mine does not apply to by-hand: {reason}"):
        explain(method(attribute), case())


def test_a_method_with_a_default_for_what_a_case_does_not_have_gets_none():
    given = []

    def attribute(model, inputs, *, reference=0):
        given.append(reference)
        return inputs

    explain(method(attribute), case())
    assert given == [None]


def test_the_twin_of_a_network_is_not_offered_with_another_network():
    twin = lambda: (torch.nn.Identity(), lambda row: row)  # noqa: E731
    stated = replace(case(), twin=twin)
    asked = method(lambda model, inputs, *, twin: inputs)
    assert explain(asked, stated, model=stated.model).shape == stated.inputs.shape
    with pytest.raises(NotApplicable, match="torch-geometric module"):
        explain(asked, stated, model=torch.nn.Linear(2, 1).double())


@pytest.mark.parametrize(
    "attribute",
    [
        lambda model, inputs, *, layer: inputs,
        lambda model, inputs, layer: inputs,
        lambda model, inputs, *, layer, **offers: inputs,
    ],
    ids=["keyword", "positional", "beside open keywords"],
)
def test_a_required_keyword_that_is_not_offered_is_named_with_the_offers(attribute):
    with pytest.raises(MethodError, match=r"mine requires the keyword 'layer', which the laboratory does not offer") as error:
        explain(method(attribute), case())
    assert all(name in str(error.value) for name in OFFERED)
    assert "(on by-hand)" in str(error.value)


def test_further_positional_arguments_are_not_required():
    assert torch.equal(explain(method(lambda model, inputs, *rest, target: inputs * len(rest)), case()), torch.zeros(2, 3).double())


@pytest.mark.parametrize(
    ("returned", "kind"), [(None, "NoneType"), ([[1.0]], "list"), (torch.ones(1).numpy(), "ndarray"), ((torch.ones(1),), "tuple")]
)
def test_what_is_not_a_tensor_is_refused_by_type(returned, kind):
    with pytest.raises(MethodError, match=rf"mine must return a tensor shaped like its inputs, \(2, 3\) \(got {kind}\)"):
        explain(method(lambda model, inputs: returned), case())


def test_an_error_of_the_method_is_told_with_its_type_and_kept_as_the_cause():
    with pytest.raises(MethodError, match="mine raised KeyError: 'x'") as error:
        explain(method(lambda model, inputs: {}["x"]), case())
    assert isinstance(error.value.__cause__.__cause__, KeyError)


def test_scores_are_detached_and_otherwise_as_they_were_returned():
    returned = torch.tensor([[math.nan, 1e300, -0.0]], dtype=torch.float64, requires_grad=True)
    scores = call(method(lambda model, inputs: returned), nn.Identity(), torch.zeros(1, 3), {})
    assert not scores.requires_grad
    assert torch.equal(scores.nan_to_num(7), returned.detach().nan_to_num(7))


def test_a_method_that_ruins_what_it_is_given_harms_nobody():
    def ruinous(model, inputs, *, target, baseline, feature_mask, seeds, generator, truth):
        torch.rand(5, generator=generator)
        for tensor in (inputs, target, baseline, feature_mask, seeds, truth, *(parameter.data for parameter in model.parameters())):
            tensor.zero_().add_(9)
        model.train().register_forward_hook(lambda *_: None)
        return inputs

    subject = case(truth=torch.ones(2, 2, dtype=torch.float64), seeds=torch.tensor([3, 4]))
    subject.model.eval()
    kept = {name: value.clone() for name, value in vars(subject).items() if isinstance(value, torch.Tensor)}
    outputs = subject.model(subject.inputs)
    assert explain(method(ruinous), subject).unique().tolist() == [9.0]
    assert all(torch.equal(getattr(subject, name), value) for name, value in kept.items())
    assert torch.equal(subject.model(subject.inputs), outputs)
    assert not subject.model.training
    assert not subject.model._forward_hooks


def test_another_network_may_stand_in_for_the_case_s_own_and_is_copied_too():
    other = nn.Linear(3, 2).double()

    def weight(model, inputs):
        weight = model.weight.detach().clone()
        model.weight.data.zero_()
        return weight

    expected = other.weight.detach().clone()
    assert torch.equal(explain(method(weight), case(), model=other), expected)
    assert torch.equal(other.weight, expected)


def test_equal_seeds_give_equal_generators_and_row_seeds_and_others_do_not():
    noise = method(lambda model, inputs, *, generator: torch.rand(2, 3, generator=generator))
    rows = method(lambda model, inputs, *, seeds: seeds)
    assert torch.equal(explain(noise, case(), seed=5), explain(noise, case(), seed=5))
    assert not torch.equal(explain(noise, case(), seed=5), explain(noise, case(), seed=6))
    assert torch.equal(explain(rows, case(), seed=5), explain(rows, case(), seed=5))
    assert not set(explain(rows, case(), seed=5).tolist()) & set(explain(rows, case(), seed=6).tolist())


def test_parameters_are_set_in_turn_and_remembered():
    def attribute(model, inputs, *, n_steps=5, scale=1.0):
        return inputs * n_steps * scale

    tuned = method(attribute).with_parameters(n_steps=2).with_parameters(scale=0.5)
    assert torch.equal(explain(tuned, case()), case().inputs)
    assert tuned.parameters == {"n_steps": 2, "scale": 0.5}
    assert method(attribute).parameters == {}


@pytest.mark.parametrize(
    ("attribute", "parameter", "has"),
    [
        (lambda model, inputs, *, n_steps=5, scale=1.0: inputs, "steps", "n_steps, scale"),
        (lambda model, inputs: inputs, "steps", "none"),
        (lambda model, inputs, *, target: inputs, "target", "none"),
        (lambda model, inputs, *rest: inputs, "rest", "none"),
        (lambda model, inputs, **options: inputs, "baseline", "none"),
    ],
    ids=["misspelt", "none at all", "offered", "*rest", "offered to **options"],
)
def test_a_parameter_that_the_method_does_not_have_is_refused(attribute, parameter, has):
    with pytest.raises(InvalidInput, match=rf"mine has no parameter '{parameter}'; its parameters are {has} \(got '{parameter}'\)"):
        method(attribute).with_parameters(**{parameter: 3})


def test_a_method_with_open_keywords_takes_any_parameter():
    tuned = method(lambda model, inputs, **options: inputs * options["n_steps"]).with_parameters(n_steps=2)
    assert torch.equal(explain(tuned, case()), 2 * case().inputs)


def test_whether_a_keyword_is_named_is_read_from_partial_functions_and_callable_objects_too():
    class Callable:
        def __call__(self, model, inputs, *, target):
            return inputs

    assert method(Callable()).names("target")
    assert not method(Callable()).names("self")
    assert not method(Callable()).names("inputs")
    assert method(functools.partial(lambda model, inputs, *, a, target: inputs, a=1)).names("target")
    assert torch.equal(explain(method(Callable()), case()), case().inputs)


@st.composite
def masks(draw):
    """A mask in which each player 0 ... n-1 has at least one entry in each row, and some entries may be nobody's."""
    players, rows = draw(st.integers(1, 4), label="players"), draw(st.integers(1, 3), label="rows")
    extra = draw(st.integers(0, 4), label="further entries")
    owners = st.integers(-1, players - 1)
    return [
        draw(st.permutations([*range(players), *draw(st.lists(owners, min_size=extra, max_size=extra), label="owners")]), label="mask")
        for _ in range(rows)
    ], players


@given(drawn=masks(), seed=st.integers(0, 99))
@settings(deadline=None)  # machines differ in speed, and speed is not the claim
def test_spread_scores_sum_to_what_was_spread_and_nobody_s_entries_get_nothing(drawn, seed):
    mask, players = torch.tensor(drawn[0]), drawn[1]
    scores = torch.randn(len(mask), players, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    entries = spread(scores, mask)
    assert entries.shape == mask.shape
    assert not entries[mask < 0].any()
    torch.testing.assert_close(players_of(entries, mask, players), scores, atol=1e-14, rtol=1e-14)  # a division, and sums of 8 parts
    for row, owner in zip(entries, mask, strict=True):
        assert all(len(row[owner == player].unique()) == 1 for player in range(players))


def test_players_own_entries_of_any_shape_and_a_player_without_entries_scores_nothing():
    scores = torch.arange(8.0).view(1, 2, 2, 2)
    mask = torch.tensor([0, 0, -1, 3, 3, 3, 0, -1]).view(1, 2, 2, 2)
    assert players_of(scores, mask, 5).tolist() == [[0 + 1 + 6, 0, 0, 3 + 4 + 5, 0]]
    assert spread(torch.tensor([[3.0, 9.0, 9.0, 6.0, 9.0]]), mask).tolist() == [[[[1, 1], [0, 2]], [[2, 2], [1, 0]]]]


def test_scores_per_player_are_summed_by_the_mask_of_their_own_row():
    assert player_scores(method(lambda model, inputs: inputs), case()).tolist() == [[1, 5], [9, 0]]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=str)
def test_scores_that_are_not_finite_are_counted(value):
    def attribute(model, inputs):
        scores = inputs.clone()
        scores[0, :2] = value
        return scores

    with pytest.raises(MethodError, match=r"mine returned 2 scores on by-hand that are NaN or infinite \(got 2 of 6\)"):
        player_scores(method(attribute), case())
