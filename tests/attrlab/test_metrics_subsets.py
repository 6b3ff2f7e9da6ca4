"""Sums of scores against drops of the output: 1 and 0 on additive games, the definition elsewhere."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attrlab.games import shapley
from attrlab.metrics import METRICS
from attrlab.metrics.answers import Answers
from attrlab.metrics.monotonicity import monotonicity_arya, monotonicity_nguyen
from attrlab.metrics.subsets import (
    correlation,
    faithfulness_correlation,
    faithfulness_estimate,
    infidelity,
    sensitivity_n,
    single_drops,
    sums_and_drops,
)
from tests import reference_metrics
from tests.attrlab.ragged_games import CLOSE, ragged
from tests.attrlab.small_games import additive, conjunction, disjunction, game_of, one_row, worth_of

FOUR = ("sensitivity_n", "faithfulness_correlation", "infidelity", "faithfulness_estimate")


def scores_of(seed, rows=3, players=5):
    return torch.randn(rows, players, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(seed=st.integers(0, 10**6), bias=st.sampled_from([0.0, -3.0]))
@settings(max_examples=12, deadline=None)
def test_exact_scores_of_an_additive_game_have_nothing_to_be_blamed_for(seed, bias):
    weights = scores_of(seed, players=6)
    game = additive(weights, bias=bias)
    for name, best in zip(FOUR, (1.0, 1.0, 0.0, 1.0), strict=True):
        assert METRICS[name].measure(game, weights).tolist() == pytest.approx([best] * 3, abs=1e-9)  # differences of sums near 10, squared


@given(seed=st.integers(0, 10**6), factor=st.sampled_from([-2.0, 0.5, 1e3]))
@settings(max_examples=12, deadline=None)
def test_scaling_scores_turns_a_correlation_at_most_around_and_no_scaled_infidelity(seed, factor):
    game, scores = ragged(seed), scores_of(seed)
    sign = math.copysign(1, factor)
    for measure in (sensitivity_n, faithfulness_correlation, faithfulness_estimate):
        torch.testing.assert_close(measure(game, factor * scores), sign * measure(game, scores), atol=1e-9, rtol=0, equal_nan=True)
    one, two = (infidelity(game, s, scaled=True) for s in (scores, factor * scores))
    torch.testing.assert_close(one, two, atol=1e-9, rtol=1e-9, equal_nan=True)
    plain = infidelity(game, scores)
    assert (one[~one.isnan()] <= plain[~plain.isnan()] + 1e-12).all()


@given(seed=st.integers(0, 10**6), size=st.integers(0, 4))
@settings(max_examples=12, deadline=None)
def test_random_sets_have_the_size_asked_for_and_sums_and_drops_are_theirs(seed, size):
    game, scores = ragged(seed), scores_of(seed)
    sizes = game.present.sum(1, keepdim=True).clamp(max=size)
    sums, drops = sums_and_drops(Answers(game), scores, sizes, draws=5)
    keys = torch.rand(5, 1, 5, generator=torch.Generator().manual_seed(0x5B5E7))
    for row in range(3):
        own = [p for p in range(5) if game.present[row, p]]
        worth = worth_of(game, row)
        for draw in range(5):
            removed = set(sorted(own, key=lambda p, draw=draw: float(keys[draw, 0, p]))[: int(sizes[row])])
            assert sums[row, 0, draw].item() == pytest.approx(sum(float(scores[row, p]) for p in removed), abs=CLOSE)
            assert drops[row, 0, draw].item() == pytest.approx(worth(set(own)) - worth(set(own) - removed), abs=CLOSE)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=12, deadline=None)
def test_faithfulness_estimate_is_the_correlation_over_players(seed):
    game, scores = ragged(seed), scores_of(seed)
    found, drops = faithfulness_estimate(game, scores), single_drops(Answers(game))
    for row in range(3):
        own = [p for p in range(5) if game.present[row, p]]
        worth = worth_of(game, row)
        effects = [worth(set(own)) - worth(set(own) - {p}) for p in own]
        assert drops[row][own].tolist() == pytest.approx(effects, abs=CLOSE)
        expected = reference_metrics.pearson([float(scores[row, p]) for p in own], effects) if own else math.nan
        assert found[row].item() == pytest.approx(expected, abs=1e-6, nan_ok=True)  # one over the spread of the drops, at least 1e-6


def test_what_takes_part_in_an_or_alone_is_infidel_by_what_redundancy_hides():
    game = disjunction(2, of=2)  # drops: 0 without one player, 1 without both
    half = shapley(game)  # 1/2 each; sets {}, {1}, {2}, {1, 2} in equal share: errors 0, 1/2, 1/2, 0
    found = infidelity(game, half, draws=4000)
    # a share of one half of a Bernoulli sample of 4000: standard error 0.25 * 0.008, 0.01 is five of them
    assert found.item() == pytest.approx(1 / 8, abs=0.01)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=8, deadline=None)
def test_infidelity_is_captums_on_the_same_sets(seed):
    from captum.metrics import infidelity as captums

    weights = scores_of(seed, rows=3, players=6) + torch.tensor(3.0)
    game = game_of(lambda x: x.prod(1, keepdim=True) + x[:, :1].square(), weights)
    scores, draws = scores_of(seed + 1, rows=3, players=6), 16
    chosen = (torch.rand(draws, 6, generator=torch.Generator().manual_seed(0x5B5E7)) < 0.5).double().repeat(3, 1)
    slopes = scores / weights  # captum multiplies an attribution by the perturbation, here the input itself on the set
    found = captums(game.model, lambda x: (x * chosen, x * (1 - chosen)), weights, slopes, target=0, n_perturb_samples=draws)
    torch.testing.assert_close(infidelity(game, scores, draws=draws), found, atol=0, rtol=1e-9)  # squares of numbers up to 10^4


def test_a_constant_map_has_no_correlation_and_a_single_player_no_size():
    game = additive([[1.0, 2.0, 3.0]])
    flat = torch.ones(1, 3, dtype=torch.float64)
    assert faithfulness_estimate(game, flat).isnan().all()
    assert sensitivity_n(game, flat).isnan().all()
    assert sensitivity_n(additive([[2.0]]), torch.tensor([[2.0]], dtype=torch.float64)).isnan().all()


@given(seed=st.integers(0, 10**6))
@settings(max_examples=8, deadline=None)
def test_no_row_depends_on_its_batch(seed):
    game, scores = ragged(seed), scores_of(seed)
    measures = (sensitivity_n, faithfulness_correlation, infidelity, faithfulness_estimate, monotonicity_arya, monotonicity_nguyen)
    for measure in measures:
        together = measure(game, scores)
        for row in range(3):
            alone = measure(one_row(game, row), scores[row : row + 1])
            torch.testing.assert_close(together[row : row + 1], alone, atol=1e-9, rtol=0, equal_nan=True)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_correlation_is_pearsons(seed):
    first, second = scores_of(seed, 2, 6), scores_of(seed + 1, 2, 6)
    for row, found in enumerate(correlation(first, second).tolist()):
        assert found == pytest.approx(reference_metrics.pearson(first[row].tolist(), second[row].tolist()), abs=CLOSE)


def test_monotonicity_of_arya_tells_an_exact_map_from_its_opposite():
    game = additive([[1.0, 2.0, -3.0]])
    # ascending: -3 first lowers the output; no map of a game with a negative player can pass, any of a monotone game does
    assert monotonicity_arya(game, game.inputs).item() == 0
    rising = additive([[1.0, 2.0, 3.0]])
    assert monotonicity_arya(rising, rising.inputs).item() == 1
    peak = game_of(lambda x: -(x.sum(1, keepdim=True) - 3).square(), [[1.0, 2.0, 4.0]])
    found = [monotonicity_arya(peak, torch.tensor([s], dtype=torch.float64)).item() for s in ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0])]
    assert found == [0, 0]  # -9, -4, 0, -16 and -9, -1, -9: both fall in the end


def test_tied_scores_pass_aryas_test_in_the_share_of_orders_that_do():
    game = game_of(lambda x: x[:, :1] * (1 - x[:, 1:2]) + 2 * x[:, 1:2], [[1.0, 1.0]])  # 0, {1}: 1, {2}: 2, both: 2
    assert monotonicity_arya(game, torch.zeros(1, 2, dtype=torch.float64)).item() == 1
    falling = game_of(lambda x: x[:, :1] * (1 - 2 * x[:, 1:2]) + 2 * x[:, 1:2], [[1.0, 1.0]])  # {1}: 1, {2}: 2, both: 1
    # first player 1, then 2: 0, 1, 1 rises; first 2, then 1: 0, 2, 1 falls; orders come beside their reverses
    assert monotonicity_arya(falling, torch.zeros(1, 2, dtype=torch.float64)).item() == pytest.approx(0.5, abs=CLOSE)


def test_monotonicity_of_nguyen_reads_magnitudes_against_effects():
    game = additive([[1.0, -2.0, 3.0, 4.0]])
    assert monotonicity_nguyen(game, game.inputs).item() == pytest.approx(1, abs=CLOSE)
    assert monotonicity_nguyen(game, 10 - game.inputs.abs()).item() == pytest.approx(-1, abs=CLOSE)
    assert monotonicity_nguyen(game, torch.ones_like(game.inputs)).isnan().all()


def test_of_an_and_every_member_is_necessary_and_single_drops_say_so():
    assert single_drops(Answers(conjunction(4, of=2)))[0].tolist() == [1, 1, 0, 0]  # products of ones
    assert single_drops(Answers(disjunction(4, of=2)))[0].tolist() == [0, 0, 0, 0]
