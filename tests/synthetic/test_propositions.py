"""A formula is read as logic is written, and its network is its truth table, whatever the formula is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic import propositions
from synthetic.gadgets import MARGIN, least_preactivation, relu_network
from synthetic.propositions import Proposition

NAMES = ("a", "b", "c", "d")
SEARCH = settings(max_examples=60, deadline=None)  # machines differ in speed, and speed is not the claim

leaves = st.sampled_from(NAMES).map(lambda name: Proposition(operator="variable", name=name))


def _extended(inner):
    negations = st.builds(lambda part: Proposition(operator="not", parts=(part,)), inner)
    parts = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(
        negations,
        st.builds(lambda operator, parts: Proposition(operator=operator, parts=parts), st.sampled_from(["and", "or", "xor"]), parts),
    )


formulas = st.recursive(leaves, _extended, max_leaves=8)


def written(formula):
    """Python's own syntax, with every part in parentheses; exclusive or is !=, folded from the left."""
    if formula.operator == "variable":
        return formula.name
    parts = [f"({written(part)})" for part in formula.parts]
    if formula.operator == "not":
        return f"not {parts[0]}"
    if formula.operator != "xor":
        return f" {formula.operator} ".join(parts)
    folded = parts[0]
    for part in parts[1:]:
        folded = f"(({folded}) != ({part}))"
    return folded


def truth_table(python):
    """What Python says of every row of bits."""
    return [bool(eval(python, {}, dict(zip(NAMES, map(bool, row), strict=True)))) for row in itertools.product((0, 1), repeat=len(NAMES))]


ROWS = np.array(list(itertools.product((0, 1), repeat=len(NAMES))), dtype=np.float64)


def evaluated(formula):
    return propositions.evaluate(formula, {name: ROWS[:, i] for i, name in enumerate(NAMES)}).tolist()


@given(formula=formulas)
@SEARCH
def test_a_formula_means_what_python_means_by_it(formula):
    assert evaluated(formula) == truth_table(written(formula))


@given(formula=formulas, dtype=st.sampled_from([torch.float32, torch.float64]))
@SEARCH
def test_a_compiled_formula_is_its_truth_table_and_keeps_its_distance_from_kinks(formula, dtype):
    network = relu_network(propositions.layers_of(formula, NAMES)).to(dtype)
    bits = torch.from_numpy(ROWS).to(dtype)
    # Exact equality: the weights are dyadic and the values small.
    assert network(bits)[:, 0].tolist() == [float(value) for value in truth_table(written(formula))]
    assert least_preactivation(network, bits) >= MARGIN


@given(formula=formulas)
@SEARCH
def test_variables_that_exchange_in_the_formula_exchange_in_the_network_everywhere(formula):
    network = relu_network(propositions.layers_of(formula, NAMES))
    points = 3 * torch.randn(100, len(NAMES), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for column, other in enumerate(propositions.columns_that_exchange(formula, NAMES)):
        swapped = points.clone()
        swapped[:, [column, other]] = points[:, [other, column]]
        # Sums of a few terms of size 10 in another order, through at most eight layers.
        torch.testing.assert_close(network(swapped), network(points), atol=1e-9, rtol=0)


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("a and b or c", "(a and b) or c"),
        ("a or b and c", "a or (b and c)"),
        ("not a and b", "(not a) and b"),
        ("not not a", "a"),
        ("a xor b and c", "a != (b and c)"),
        ("a or b xor c", "a or (b != c)"),
        ("a xor b xor c", "(a != b) != c"),
        ("  ( a or b )and(c) ", "(a or b) and c"),
    ],
    ids=str,
)
def test_not_binds_tighter_than_and_than_xor_than_or(text, python):
    assert evaluated(propositions.parse(text)) == truth_table(python)


@given(formula=formulas)
@SEARCH
def test_a_formula_that_is_written_and_read_again_means_the_same(formula):
    text = written(formula).replace("!=", "xor")
    assert evaluated(propositions.parse(text)) == evaluated(formula)


def test_variables_come_in_the_order_in_which_they_appear():
    assert propositions.variables_of(propositions.parse("rain or (sun and rain) xor cloud_2")) == ("rain", "sun", "cloud_2")


@pytest.mark.parametrize(
    ("text", "position", "expected", "got"),
    [
        ("", 1, "a variable, 'not' or '\\(' was expected here", "the end"),
        ("a and", 6, "a variable, 'not' or '\\(' was expected here", "the end"),
        ("a and or b", 7, "a variable, 'not' or '\\(' was expected here", "'or'"),
        ("a b", 3, "'and', 'or', 'xor' or the end of the formula was expected here", "'b'"),
        ("(a or b", 8, "'\\)' was expected here, for the '\\(' at position 1", "the end"),
        ("a)", 2, "'and', 'or', 'xor' or the end of the formula was expected here", "'\\)'"),
        ("a and  & b", 8, "a name, an operator or a parenthesis was expected here", "'&'"),
        ("a and 1", 7, "a name, an operator or a parenthesis was expected here", "'1'"),
        ("(" * 40 + "a" + ")" * 40, 34, "nested at most 32 deep", "'\\('"),
        ("not " * 5000 + "a", 133, "nested at most 32 deep", "'not'"),
    ],
    ids=["empty", "cut off", "two operators", "no operator", "unclosed", "unopened", "symbol", "number", "deep", "negations"],
)
def test_what_is_no_formula_is_refused_with_the_position(text, position, expected, got):
    with pytest.raises(ValueError, match=rf"no formula: at position {position}, .*{expected}; write for example .* \(got {got}\)"):
        propositions.parse(text)
