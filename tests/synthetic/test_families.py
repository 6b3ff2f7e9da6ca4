"""What is known of a drawn network by construction is true of it everywhere: searched over networks and over inputs."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic import families
from synthetic.formulas import formula_of
from synthetic.gadgets import least_preactivation
from synthetic.oracles import path_integral
from synthetic.readings import layers_of
from synthetic.rewritings import REWRITINGS

SEARCH = settings(max_examples=30, deadline=None)  # machines differ in speed, and speed is not the claim
ROUNDING = 1e-9  # weights are small integers and halves, depth at most 3: values below 10^5 in float64
weights = st.integers(-2, 2)


def rows(out, into):
    return st.lists(st.lists(weights, min_size=into, max_size=into), min_size=out, max_size=out)


@st.composite
def networks(draw, *, least_inputs=1, hidden=(1, 2)):
    inputs = draw(st.integers(least_inputs, 3), label="inputs")
    widths = [inputs, *(draw(st.integers(1, 3), label="width") for _ in range(draw(st.sampled_from(hidden), label="hidden layers"))), 1]
    return [
        (draw(rows(out, into), label="weight"), draw(st.lists(weights, min_size=out, max_size=out), label="bias"))
        for into, out in itertools.pairwise(widths)
    ]


@st.composite
def threshold_terms(draw, *, inputs=2):
    def affine():
        return draw(st.lists(weights, min_size=inputs, max_size=inputs), label="w"), draw(weights, label="b")

    others = [(draw(st.integers(0, 2), label="a"), affine()) for _ in range(draw(st.integers(0, 2), label="others"))]
    return affine(), draw(st.integers(0, 2), label="c"), others


def points(columns, n=500, seed=0):
    return 3 * torch.randn(n, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_same(first, second, inputs):
    torch.testing.assert_close(first(inputs), second(inputs), atol=ROUNDING, rtol=0)


@given(layers=networks())
@SEARCH
def test_rewritings_keep_the_function_everywhere(layers):
    drawn = families.dense(layers)
    assert set(drawn.equal) == {*REWRITINGS, "functional relu", "double negation", "batch norm"}
    for other in drawn.equal.values():
        assert_same(other, drawn.model, points(len(layers[0][0][0])))


def test_rewritings_change_the_weights_where_there_is_something_to_change():
    layers = [([[1, 2], [0, -1]], [1, 0]), ([[1, -2]], [0])]
    assert all(rewrite(layers) != layers for rewrite in REWRITINGS.values())


@given(terms=threshold_terms())
@SEARCH
def test_a_threshold_may_stand_inside_or_outside_of_the_first_relu(terms):
    drawn = families.threshold_pair(*terms)
    for other in drawn.equal.values():
        assert_same(other, drawn.model, points(2))
    assert "threshold inside" in drawn.equal


def test_the_published_pair_is_the_simplest_threshold_pair():
    drawn = families.threshold_pair(([1, 0], 0), 1, [(1, ([0, 1], 0))])
    assert drawn.formula == "f(x) = relu(relu(x1) - relu(x2) - 1)"
    x = points(2)
    expected = torch.relu(torch.relu(x[:, :1] - 1) - torch.relu(x[:, 1:]))
    torch.testing.assert_close(drawn.model(x), expected, atol=ROUNDING, rtol=0)
    assert drawn.independent == (False, False)


def test_a_negative_threshold_is_refused_because_the_two_forms_differ():
    with pytest.raises(ValueError, match=r"c >= 0 .*got c=-1"):
        families.threshold_pair(([1], 0), -1)
    with pytest.raises(ValueError, match=r"every a >= 0 .*a=\[-1\]"):
        families.threshold_pair(([1], 0), 1, [(-1, ([1], 0))])


def assert_independence_is_true(drawn, columns):
    inputs, others = points(columns), points(columns, seed=1)
    free = torch.tensor(drawn.independent)
    assert len(drawn.independent) == len(drawn.orbit) == columns
    torch.testing.assert_close(drawn.model(torch.where(free, others, inputs)), drawn.model(inputs), atol=ROUNDING, rtol=0)


def assert_symmetry_is_true(drawn, columns):
    inputs = points(columns)
    for number in set(drawn.orbit) - {-1}:
        members = [i for i, orbit in enumerate(drawn.orbit) if orbit == number]
        assert len(members) > 1
        swapped = inputs.clone()
        swapped[:, members] = inputs[:, members[1:] + members[:1]]
        torch.testing.assert_close(drawn.model(swapped), drawn.model(inputs), atol=ROUNDING, rtol=0)


@given(layers=networks())
@SEARCH
def test_independence_and_symmetry_read_off_the_weights_are_true(layers):
    drawn = families.dense(layers)
    assert_independence_is_true(drawn, len(layers[0][0][0]))
    assert_symmetry_is_true(drawn, len(layers[0][0][0]))


def test_a_column_whose_only_unit_is_cut_off_is_independent():
    drawn = families.dense([([[1, 0], [0, 1]], [0, 0]), ([[1, 0]], [0])])
    assert drawn.independent == (False, True)


@given(layers=networks(), at=st.integers(0, 3))
@SEARCH
def test_a_null_column_changes_nothing_but_the_numbering(layers, at):
    width = len(layers[0][0][0])
    at = min(at, width)
    drawn = families.with_null_column(layers, at=at)
    rest = [i for i in range(width + 1) if i != at]
    assert drawn.independent[at]
    assert_same(drawn.model, lambda x: families.dense(layers).model(x[:, rest]), points(width + 1))


@given(layers=networks(), terms=threshold_terms())
@SEARCH
def test_a_difference_of_equals_adds_columns_that_are_used_and_without_effect(layers, terms):
    width = len(layers[0][0][0])
    drawn = families.difference_of_equals(layers, *terms)
    assert drawn.independent[width:] == (True, True)
    assert_same(drawn.model, lambda x: families.dense(layers).model(x[:, :width]), points(width + 2))
    assert_independence_is_true(drawn, width + 2)
    assert_symmetry_is_true(drawn, width + 2)
    assert bool(drawn.model[0].weight[:, width:].any()) or not any(terms[0][0])


def test_a_difference_of_equals_fits_one_or_two_hidden_layers_only():
    deep = [([[1]], [0])] * 4
    with pytest.raises(ValueError, match=r"one or two hidden layers \(got 3\)"):
        families.difference_of_equals(deep, ([1], 0), 1)


@given(layers=networks(least_inputs=2))
@SEARCH
def test_tied_weights_and_swapped_copies_are_symmetric_in_columns_one_and_two(layers):
    for drawn in (families.tied(layers), families.symmetric(layers)):
        assert drawn.orbit[0] == drawn.orbit[1] == 0
        assert_symmetry_is_true(drawn, len(layers[0][0][0]))
        assert_independence_is_true(drawn, len(layers[0][0][0]))


@given(terms=threshold_terms(inputs=3))
@SEARCH
def test_copies_that_are_implemented_two_ways_are_symmetric_as_a_function(terms):
    drawn = families.symmetric_threshold(*terms)
    assert drawn.orbit == (0, 0, -1)
    assert_symmetry_is_true(drawn, 3)
    for other in drawn.equal.values():
        assert_same(other, drawn.model, points(3))


def test_swapped_copies_are_the_sum_of_the_network_and_its_mirror_image():
    layers = [([[1, -2, 1], [0, 1, 0]], [0, 1]), ([[1, -1]], [2])]
    x, single = points(3), families.dense(layers).model
    assert_same(families.symmetric(layers).model, lambda x: single(x) + single(x[:, [1, 0, 2]]), x)


def evaluated(formula, inputs):
    """Read a formula as Python: a number before a name or a call is a coefficient."""
    expression = re.sub(r"(\d) (?=[a-z])", r"\1*", formula.removeprefix("f(x) = "))
    names = {f"x{i + 1}": column for i, column in enumerate(inputs.T)}
    return eval(expression, {"relu": lambda z: torch.as_tensor(z).clamp(min=0), **names}) + inputs.new_zeros(len(inputs))


@given(layers=networks(hidden=(0, 1, 2)))
@SEARCH
def test_the_formula_evaluates_to_the_network(layers):
    drawn, inputs = families.dense(layers), points(len(layers[0][0][0]), n=200)
    torch.testing.assert_close(drawn.model(inputs)[:, 0], evaluated(drawn.formula, inputs), atol=ROUNDING, rtol=0)


@pytest.mark.parametrize(
    ("layers", "formula"),
    [
        ([([[1, -2], [0, 1]], [1, 0]), ([[1, -1]], [0])], "f(x) = relu(x1 - 2 x2 + 1) - relu(x2)"),
        ([([[-1, 0.5]], [-0.5]), ([[2]], [0])], "f(x) = 2 relu(-x1 + 0.5 x2 - 0.5)"),
        ([([[1], [1]], [0, -1]), ([[1, -3]], [1]), ([[-1]], [2])], "f(x) = -relu(relu(x1) - 3 relu(x1 - 1) + 1) + 2"),
        ([([[1]], [0]), ([[0]], [0])], "f(x) = 0"),
        ([([[1, 0, -1]], [3])], "f(x) = x1 - x3 + 3"),
    ],
    ids=["one hidden layer", "halves", "nested", "zero", "linear"],
)
def test_formulas_are_written_as_a_reader_would(layers, formula):
    assert formula_of(layers) == formula


def arrays(layers):
    return [(np.array(weight), np.array(bias)) for weight, bias in layers]


@given(layers=networks(), x=st.lists(st.integers(-3, 3), min_size=3, max_size=3))
@SEARCH
def test_the_path_integral_of_equal_networks_is_equal_off_their_kinks(layers, x):
    """Integrated gradients are implementation invariant; a path within a kink is decided by convention and left out."""
    drawn, width = families.dense(layers), len(layers[0][0][0])
    inputs = torch.tensor([x[:width]], dtype=torch.float64)
    path = torch.linspace(0.013, 0.987, 60, dtype=torch.float64)[:, None] * inputs
    if least_preactivation(drawn.model, path) < 1e-6:
        return
    scores = [
        path_integral(arrays(layers_of(model)), inputs[0].numpy(), 0 * inputs[0].numpy())
        for name, model in {"": drawn.model, **drawn.equal}.items()
        if layers_of(model) is not None
    ]
    for other in scores[1:]:
        torch.testing.assert_close(torch.from_numpy(other), torch.from_numpy(scores[0]), atol=ROUNDING, rtol=0)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([([[1, 2], [1]], [0, 0]), ([[1, 1]], [0])], "rows as long as the layer before is wide, 2"),
        ([([[1, 2]], [0, 0]), ([[1]], [0])], "a bias per row"),
        ([([[1], [1]], [0, 0])], r"one output.*got 2"),
    ],
    ids=["ragged", "too many biases", "two outputs"],
)
def test_layers_that_do_not_fit_are_refused(layers, message):
    with pytest.raises(ValueError, match=message):
        families.dense(layers)


def relu(z):
    return z.clamp(min=0)


def value(form, x):
    w, b = form
    return x @ torch.tensor(w, dtype=torch.float64) + b


@st.composite
def forms(draw, columns=2):
    return draw(st.lists(weights, min_size=columns, max_size=columns)), draw(weights)


@given(u=forms(), v=forms())
@SEARCH
def test_minimum_and_maximum_are_what_their_names_say_and_rise_where_both_do(u, v):
    x = points(2)
    for build, of in ((families.minimum, torch.minimum), (families.maximum, torch.maximum)):
        drawn = build(u, v)
        torch.testing.assert_close(drawn.model(x)[:, 0], of(relu(value(u, x)), relu(value(v, x))), atol=ROUNDING, rtol=0)
        for other in drawn.equal.values():
            torch.testing.assert_close(other(x), drawn.model(x), atol=1e-6, rtol=0)  # the root of batch norm's variance
        for column, rises in enumerate(drawn.monotone):
            higher = x.clone()
            higher[:, column] += 1.5
            assert not rises or (drawn.model(higher) - drawn.model(x)).min() >= -ROUNDING


@given(layers=networks(hidden=(2,)), terms=threshold_terms(inputs=3))
@SEARCH
def test_a_disguise_changes_the_network_and_not_the_function(layers, terms):
    width = len(layers[0][0][0])
    z, c, others = terms
    cut = (z[0][:width], z[1]), c, [(a, (w[:width], b)) for a, (w, b) in others]
    x, plain = points(width), families.dense(layers)
    for drawn in (families.disguised(layers, *cut), families.split_unevenly(layers)):
        assert_same(drawn.model, plain.model, x)
        assert (drawn.independent, drawn.monotone, drawn.summed) == (plain.independent, plain.monotone, plain.summed)
        assert len(drawn.model[0].weight) > len(plain.model[0].weight)


def test_a_disguise_has_the_depth_of_a_threshold_pair():
    with pytest.raises(ValueError, match=r"two hidden layers .*got 1"):
        families.disguised([([[1]], [0]), ([[1]], [0])], ([1], 0), 1)


@given(first=networks(least_inputs=2, hidden=(1,)), second=networks(least_inputs=2, hidden=(1,)), factors=st.tuples(weights, weights))
@SEARCH
def test_parallel_branches_add_up(first, second, factors):
    first, second = ([([row[:2] for row in layers[0][0]], layers[0][1]), *layers[1:]] for layers in (first, second))
    drawn, x = families.parallel(first, second, weights=factors), points(2)
    assert_same(drawn.model, lambda x: sum(factor * branch(x) for factor, branch in drawn.branches), x)
    assert [factor for factor, _ in drawn.branches] == list(factors)


@given(a=st.lists(st.integers(1, 3), min_size=1, max_size=3), k=weights, rest=networks(hidden=(1,)))
@SEARCH
def test_a_saturated_sum_is_capped_at_one_and_stands_beside_the_rest(a, k, rest):
    drawn, d = families.saturated(a, k, rest), len(a)
    x = points(d + len(rest[0][0][0]))
    capped = torch.minimum(x[:, :d] @ torch.tensor(a, dtype=torch.float64), torch.ones(len(x), dtype=torch.float64))
    wanted = k * capped + families.dense(rest).model(x[:, d:])[:, 0]
    torch.testing.assert_close(drawn.model(x)[:, 0], wanted, atol=ROUNDING, rtol=0)
    assert drawn.redundant == (*[True] * d, *[False] * len(rest[0][0][0]))


def test_a_term_that_does_not_saturate_alone_is_refused():
    with pytest.raises(ValueError, match=r"each weight is at least 1.*a=\[0\]"):
        families.saturated([0], 1, [([[1]], [0]), ([[1]], [0])])


@given(first=networks(hidden=(1,)), second=networks(least_inputs=2, hidden=(1,)), z=forms(), c=st.integers(0, 2))
@SEARCH
def test_two_outputs_are_two_functions_of_columns_of_their_own(first, second, z, c):
    second = [([row[:2] for row in second[0][0]], second[0][1]), *second[1:]]
    d = len(first[0][0][0])
    x, model = points(d + 2), families.two_outputs(first, second, z, c)
    wanted = torch.cat([families.dense(first).model(x[:, :d]), families.dense(second).model(x[:, d:])], 1)
    torch.testing.assert_close(model(x), wanted, atol=ROUNDING, rtol=0)
