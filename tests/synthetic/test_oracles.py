"""Every exact solver has a second derivation: orders of joining, dividends, enumeration, quadrature."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic import oracles
from synthetic.gadgets import relu_network

ROUNDING = 1e-9  # sums of at most 2^10 float64 terms of size 10


@st.composite
def games(draw, most: int = 4):
    n = draw(st.integers(0, most), label="players")
    return np.array(draw(st.lists(st.integers(-9, 9), min_size=2**n, max_size=2**n), label="values"), dtype=float)


@given(values=games())
@settings(max_examples=60, deadline=None)
def test_three_derivations_of_the_shapley_value_agree(values):
    expected = oracles.shapley_by_orders(values)
    np.testing.assert_allclose(oracles.shapley_from_table(values), expected, atol=ROUNDING)
    np.testing.assert_allclose(oracles.shapley_from_moebius(oracles.moebius(values)), expected, atol=ROUNDING)


@given(values=games(most=6))
@settings(max_examples=60, deadline=None)
def test_the_shapley_value_is_complete(values):
    assert oracles.shapley_from_table(values).sum() == pytest.approx(values[-1] - values[0], abs=ROUNDING)


@given(values=games())
@settings(max_examples=60, deadline=None)
def test_dividends_are_the_alternating_sums_and_add_up_to_the_game(values):
    dividends, codes = oracles.moebius(values), range(len(values))
    for code in codes:
        subsets = [t for t in codes if t & ~code == 0]
        alternating = sum((-1) ** (code.bit_count() - t.bit_count()) * values[t] for t in subsets)
        assert dividends[code] == pytest.approx(alternating, abs=ROUNDING)
        assert dividends[subsets].sum() == pytest.approx(values[code], abs=ROUNDING)


@pytest.mark.parametrize("members", [(0,), (1, 3), (0, 2, 4), (0, 1, 2, 3, 4)], ids=str)
def test_shapley_of_a_unanimity_game_is_one_over_its_size(members):
    code = sum(1 << i for i in members)
    values = np.array([float(s & code == code) for s in range(32)])
    expected = [1 / len(members) if i in members else 0.0 for i in range(5)]
    np.testing.assert_allclose(oracles.shapley_from_table(values), expected, atol=ROUNDING)
    assert oracles.null_players(values).tolist() == [i not in members for i in range(5)]
    assert oracles.removal_from_table(values).tolist() == [float(i in members) for i in range(5)]


@given(values=games())
@settings(max_examples=60, deadline=None)
def test_a_player_is_null_exactly_when_every_dividend_it_takes_part_in_vanishes(values):
    dividends = oracles.moebius(values)
    n = len(values).bit_length() - 1
    expected = [all(dividends[s] == 0 for s in range(len(values)) if s >> k & 1) for k in range(n)]  # integers: exact
    assert oracles.null_players(values).tolist() == expected


def test_a_table_that_is_no_power_of_two_is_refused():
    with pytest.raises(ValueError, match=r"2\^n of them \(got 6\)"):
        oracles.shapley_from_table(np.zeros(6))


def test_averaging_over_orders_is_refused_beyond_seven_players():
    with pytest.raises(ValueError, match=r"at most 7 players.*got 8"):
        oracles.shapley_by_orders(np.zeros(256))


HEADS = {
    "or": lambda n: int(sum(n) > 0),
    "difference": lambda n: n[0] - n[-1],
    "modulo 3": lambda n: n[0] % 3,
    "and": lambda n: int(all(n)),
    "ratio": lambda n: n[0] / (1 + sum(n)),
}


@pytest.mark.parametrize("sizes", [(5,), (3, 2), (2, 1, 3), (2, 0, 3)], ids=str)
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_a_count_game_is_its_enumeration(head, sizes):
    group = [g for g, size in enumerate(sizes) for _ in range(size)]
    kept = itertools.product((0, 1), repeat=len(group))  # the first player varies slowest: bit n-1-k of the code is player k
    counts = [tuple(sum(k for k, owner in zip(bits, group, strict=True) if owner == g) for g in range(len(sizes))) for bits in kept]
    members = oracles.shapley_from_table(np.array([float(head(n)) for n in counts]))[::-1]
    expected = [next((members[i] for i, owner in enumerate(group) if owner == g), 0.0) for g in range(len(sizes))]
    np.testing.assert_allclose(oracles.count_game_shapley(head, sizes), expected, atol=ROUNDING)


def test_a_count_game_of_many_players_is_complete():
    sizes = (30, 20)
    scores = oracles.count_game_shapley(lambda n: (n[0] + 2 * n[1]) % 5, sizes)
    assert np.dot(scores, sizes) == pytest.approx(70 % 5, abs=ROUNDING)


def network(widths, seed):
    """A dense network with small integer weights, and half-integer biases so that no kink lies at an end of a path."""
    draw = np.random.default_rng(seed)
    return [(draw.integers(-2, 3, (out, into)).astype(float), draw.integers(-2, 3, out) + 0.5) for into, out in itertools.pairwise(widths)]


def by_quadrature(layers, x, baseline, steps):
    model = relu_network([(torch.from_numpy(w), b.tolist()) for w, b in layers])
    t = (torch.arange(steps, dtype=torch.float64)[:, None] + 0.5) / steps
    points = (torch.from_numpy(baseline) + t * torch.from_numpy(x - baseline)).requires_grad_()
    (slopes,) = torch.autograd.grad(model(points)[:, 0].sum(), points)
    return slopes.mean(0).numpy() * (x - baseline)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("widths", [(2, 4, 1), (3, 4, 3, 1), (2, 3, 3, 3, 1)], ids=str)
def test_the_walk_from_kink_to_kink_is_the_limit_of_quadrature(widths, seed):
    layers = network(widths, seed)
    draw = np.random.default_rng(100 + seed)
    x, baseline = draw.integers(-3, 4, (2, widths[0])).astype(float)
    steps = 20_000
    walked, quadrature = oracles.path_integral(layers, x, baseline), by_quadrature(layers, x, baseline, steps)
    # Midpoints err only in cells that hold a kink: at most 20 of them, each by half a gradient jump (<= 100) times |x - x'| <= 6.
    np.testing.assert_allclose(walked, quadrature, atol=20 * 300 / steps)


@given(seed=st.integers(0, 10_000), x=st.lists(st.integers(-4, 4), min_size=3, max_size=3))
@settings(max_examples=40, deadline=None)
def test_the_path_integral_is_complete(seed, x):
    layers = network((3, 4, 3, 1), seed)
    value = relu_network([(torch.from_numpy(w), b.tolist()) for w, b in layers])
    rise = value(torch.tensor([x, [1.0, 0.0, -1.0]]).double()).flatten()
    scores = oracles.path_integral(layers, np.array(x, dtype=float), np.array([1.0, 0.0, -1.0]))
    assert scores.sum() == pytest.approx(float(rise[0] - rise[1]), abs=ROUNDING)


def test_a_unit_that_is_zero_along_the_path_has_gradient_zero():
    along_the_kink = [(np.array([[1.0, -1.0]]), np.array([0.0])), (np.array([[1.0]]), np.array([0.0]))]
    # min(x1, x2) = x1 - relu(x1 - x2) at (1, 1): the whole path lies in the kink.
    assert oracles.path_integral(along_the_kink, np.ones(2), np.zeros(2)).tolist() == [0, 0]


def test_an_output_is_chosen_and_a_linear_network_needs_no_kink():
    layers = [(np.array([[2.0, 0.0], [0.0, -3.0]]), np.zeros(2))]
    assert oracles.path_integral(layers, np.array([1.0, 2.0]), np.array([0.0, 1.0]), output=1).tolist() == [0, -3]


def doubled_product(x):
    """Two outputs: x1 x2 + x3, and twice that."""
    value = x[:, 0] * x[:, 1] + x[:, 2]
    return np.stack([value, 2 * value], 1)


def test_the_product_plus_one_term_has_its_published_values():
    x = np.array([[2.0, 3.0, 4.0]])
    truth = oracles.game_truth(doubled_product, x, 0 * x, np.array([[0, 1, 2]]), np.array([0]), players=3)
    assert truth.attributions["shapley"].tolist() == [[3, 3, 4]]
    assert truth.attributions["removal"].tolist() == [[6, 6, 4]]


def test_rows_targets_shared_players_and_padding_are_told_apart():
    truth = oracles.game_truth(
        doubled_product,
        torch.tensor([[2.0, 3.0, 4.0], [1.0, 1.0, 0.0]]),
        torch.zeros(2, 3),
        torch.tensor([[0, 0, 1], [2, 0, 1]]),
        torch.tensor([1, 0]),
        players=4,
        integrated_gradients=torch.tensor([[6.0, 6.0, 8.0], [0.5, 0.5, 0.0]]),
    )
    assert truth.attributions["shapley"].tolist() == [[12, 8, 0, 0], [0.5, 0, 0.5, 0]]
    assert truth.attributions["integrated_gradients"].tolist() == [[12, 8, 0, 0], [0.5, 0, 0.5, 0]]
    assert truth.support.tolist() == [[True, True, False, False], [True, False, True, False]]
    assert truth.sign.tolist() == [[1, 1, 0, 0], [1, 0, 1, 0]]
    assert truth.orbit.tolist() == [[-1] * 4] * 2
    assert not truth.independent.any()


def test_a_false_statement_of_independence_is_refused():
    with pytest.raises(ValueError, match="player 2 of row 0 is stated to be independent"):
        oracles.game_truth(
            doubled_product,
            np.ones((1, 3)),
            np.zeros((1, 3)),
            np.array([[0, 1, 2]]),
            np.array([0]),
            players=3,
            independent=np.array([False, False, True]),
        )


def test_only_players_that_differ_from_the_baseline_are_enumerated():
    live, values = oracles.coalition_table(doubled_product, np.array([2.0, 5.0, 4.0]), np.array([0.0, 5.0, 0.0]), np.array([7, 8, 3]), 0)
    assert live == [3, 7]
    assert values.tolist() == [0, 4, 10, 14]  # bit 0 keeps player 3, which is x3; bit 1 player 7, which is x1


def test_a_table_longer_than_a_block_is_in_the_order_of_its_codes():
    weights = 2.0 ** np.arange(13)
    _, values = oracles.coalition_table(lambda x: x @ weights[:, None], np.ones(13), np.zeros(13), np.arange(13), 0)
    assert values.tolist() == list(range(2**13))


def test_too_many_players_are_refused_with_the_bound():
    with pytest.raises(ValueError, match=r"limited to 16 players.*got 17"):
        oracles.coalition_table(lambda x: x[:, :1], np.ones(17), np.zeros(17), np.arange(17), 0)


def test_an_entry_of_no_player_that_differs_from_its_baseline_is_refused():
    with pytest.raises(ValueError, match=r"feature_mask -1.*got 1 such"):
        oracles.coalition_table(doubled_product, np.ones(3), np.zeros(3), np.array([0, -1, 1]), 0)


def test_rounding_makes_no_player_relevant():
    def nearly_x2(x):
        return (0.1 + x[:, :1] * 0.2) - x[:, :1] * 0.2 + x[:, 1:]

    truth = oracles.game_truth(nearly_x2, np.ones((1, 2)), np.zeros((1, 2)), np.array([[0, 1]]), np.array([0]), players=2)
    assert math.isclose(0.1 + 0.2 - 0.2, 0.1)
    assert 0.1 + 0.2 - 0.2 != 0.1  # the rounding is there
    assert truth.support.tolist() == [[False, True]]
    assert truth.sign.tolist() == [[0, 1]]
