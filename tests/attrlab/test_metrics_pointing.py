"""Localisation and complexity have known answers on constant maps, single players and ties; nothing depends on the order of indices."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attrlab.metrics import METRICS

CLOSE = 1e-12  # ratios of sums of at most ten numbers of order one
LOCAL = ("pointing_game", "relevance_mass", "relevance_rank", "effective_heat_ratio")
COMPLEX = ("entropy", "sparsity", "effective_players")


def local(name, scores, support, present=None):
    scores = torch.tensor([scores], dtype=torch.float64)
    support = torch.tensor([support], dtype=torch.bool)
    present = torch.ones_like(support) if present is None else torch.tensor([present], dtype=torch.bool)
    return METRICS[name].measure(scores, truth=scores, support=support, present=present).item()


def complexity(name, scores, present=None):
    scores = torch.tensor([scores], dtype=torch.float64)
    present = torch.ones_like(scores, dtype=torch.bool) if present is None else torch.tensor([present], dtype=torch.bool)
    return METRICS[name].measure(scores, present=present).item()


@pytest.mark.parametrize("name", LOCAL)
@pytest.mark.parametrize("support", [[1, 0, 0, 0], [0, 0, 0, 1], [1, 1, 0, 0], [0, 1, 1, 0]])
def test_a_flat_map_finds_what_chance_finds_wherever_the_support_is(name, support):
    assert local(name, [1.0] * 4, support) == pytest.approx(sum(support) / 4, abs=CLOSE)


@pytest.mark.parametrize("name", LOCAL)
def test_a_map_that_is_the_support_is_perfect_and_its_complement_is_not(name):
    assert local(name, [1.0, 1.0, 0.0, 0.0], [1, 1, 0, 0]) == pytest.approx(1, abs=CLOSE)
    assert local(name, [0.0, 0.0, 1.0, 1.0], [1, 1, 0, 0]) == pytest.approx(0, abs=CLOSE)


@pytest.mark.parametrize("name", LOCAL)
def test_an_empty_support_and_scores_that_are_not_finite_are_undefined(name):
    assert math.isnan(local(name, [1.0, 2.0], [0, 0]))
    assert math.isnan(local(name, [math.nan, 2.0], [1, 0]))
    assert not math.isnan(local(name, [3.0, 2.0, math.nan], [1, 0, 0], present=[1, 1, 0]))


def test_known_answers_of_each():
    assert local("pointing_game", [2.0, 2.0, 1.0], [1, 0, 0]) == pytest.approx(1 / 2, abs=CLOSE)
    assert local("pointing_game", [-5.0, 2.0, 1.0], [1, 0, 0]) == 0  # the largest signed score, not the largest magnitude
    assert local("relevance_mass", [3.0, 1.0, -9.0], [1, 0, 0]) == pytest.approx(3 / 4, abs=CLOSE)
    assert math.isnan(local("relevance_mass", [-1.0, -2.0], [1, 0]))
    # two wanted: one is the top, the other by chance one of two tied players
    assert local("relevance_rank", [3.0, 2.0, 2.0, 1.0], [1, 1, 0, 0]) == pytest.approx((1 + 1 / 2) / 2, abs=CLOSE)
    # thresholds 0 ... 0.4: both players, 1 of heat in G over 2; 0.5 ... 0.9: the one in G alone
    assert local("effective_heat_ratio", [2.0, -1.0], [1, 0]) == pytest.approx((5 / 2 + 5) / 10, abs=CLOSE)


@given(seed=st.integers(0, 10**6), factor=st.sampled_from([0.5, 64.0]))
@settings(max_examples=20, deadline=None)
def test_neither_numbering_nor_unit_changes_a_value(seed, factor):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(-2, 4, (4, 7), generator=generator).double()
    support = torch.rand(4, 7, generator=generator) < 0.5
    present = torch.arange(7) < torch.randint(1, 8, (4, 1), generator=generator)
    order = torch.randperm(7, generator=generator)
    for name in (*LOCAL, *COMPLEX):
        known = {"truth": scores, "support": support & present} if name in LOCAL else {}
        moved = {key: value[:, order] for key, value in known.items()}
        one = METRICS[name].measure(scores, present=present, **known)
        two = METRICS[name].measure(factor * scores[:, order], present=present[:, order], **moved)
        torch.testing.assert_close(one, two, atol=CLOSE, rtol=0, equal_nan=True)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_equal_scores_are_as_complex_as_n_players_can_be(n):
    assert complexity("entropy", [-2.0] * n) == pytest.approx(math.log(n), abs=CLOSE)
    assert complexity("sparsity", [-2.0] * n) == pytest.approx(0, abs=CLOSE)
    assert complexity("effective_players", [-2.0] * n) == n


@pytest.mark.parametrize("n", [1, 2, 5])
def test_one_player_with_everything_is_as_simple_as_can_be(n):
    one = [0.0] * (n - 1) + [7.0]
    assert complexity("entropy", one) == pytest.approx(0, abs=CLOSE)
    assert complexity("sparsity", one) == pytest.approx(1 - 1 / n, abs=CLOSE)
    assert complexity("effective_players", one) == 1


@pytest.mark.parametrize("name", COMPLEX)
def test_complexity_of_nothing_is_undefined_and_absent_players_are_not_read(name):
    assert math.isnan(complexity(name, [0.0, 0.0]))
    assert math.isnan(complexity(name, [math.nan, 1.0]))
    whole = complexity(name, [1.0, 3.0])
    assert complexity(name, [1.0, 3.0, 99.0], present=[1, 1, 0]) == pytest.approx(whole, abs=CLOSE)


def test_gini_equals_the_mean_absolute_difference():
    scores = [1.0, 4.0, 2.0, 5.0]
    pairs = sum(abs(a - b) for a in scores for b in scores)
    assert complexity("sparsity", scores) == pytest.approx(pairs / (2 * 16 * 3.0), abs=CLOSE)  # 2 n^2 mean


def test_necessary_players_are_the_object_of_necessary_auroc():
    assert METRICS["necessary_auroc"].object == "necessary"
    assert METRICS["support_auroc"].object == "support"
