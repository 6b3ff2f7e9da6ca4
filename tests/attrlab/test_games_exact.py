"""Exact values agree with orders of arrival, with closed forms, and with an oracle that shares no code."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attrlab.errors import NotApplicable
from attrlab.games import (
    coalition_values,
    constant,
    make_game,
    moebius,
    removal,
    shapley,
    shapley_from_moebius,
    shapley_of_table,
)
from attrlab.games import exact as exact_values
from synthetic import oracles
from tests import reference
from tests.attrlab.ragged_games import CLOSE, ragged


def table_game(function, n, *, rows=1):
    """A game of n binary players on a function of (rows, n)."""
    inputs = torch.ones(rows, n, dtype=torch.float64)
    mask = torch.arange(n).expand(rows, n)
    return make_game(
        lambda x: function(x).unsqueeze(1),
        inputs,
        target=torch.zeros(rows, dtype=torch.int64),
        baseline=torch.zeros_like(inputs),
        feature_mask=mask,
    )


def worth_of(game, row):
    def worth(kept):
        logits = reference.logits_of(game.model, game.inputs[row], game.baseline[row], game.feature_mask[row], kept)
        return float(logits[game.target[row]])

    return worth


@given(seed=st.integers(0, 10**6), rows=st.integers(1, 4), players=st.integers(1, 5))
@settings(max_examples=15, deadline=None)
def test_shapley_values_are_mean_marginal_contributions_over_all_orders(seed, rows, players):
    game = ragged(seed, rows=rows, players=players)
    found = shapley(game)
    for row in range(rows):
        expected = reference.shapley(worth_of(game, row), range(players))
        torch.testing.assert_close(found[row], torch.tensor([expected[p] for p in range(players)], dtype=torch.float64), atol=CLOSE, rtol=0)


@given(seed=st.integers(0, 10**6), rows=st.integers(1, 4), players=st.integers(1, 6))
@settings(max_examples=20, deadline=None)
def test_removal_is_the_difference_that_one_player_makes_to_everyone(seed, rows, players):
    game = ragged(seed, rows=rows, players=players)
    found = removal(game)
    for row in range(rows):
        worth, everyone = worth_of(game, row), frozenset(range(players))
        expected = [worth(everyone) - worth(everyone - {p}) for p in range(players)]
        torch.testing.assert_close(found[row], torch.tensor(expected, dtype=torch.float64), atol=CLOSE, rtol=0)


def test_players_that_change_nothing_score_zero_exactly():
    game = ragged(11, rows=6)
    dead = ~game.live
    assert dead.any()
    assert (shapley(game)[dead] == 0).all()  # they are not in the table, so nothing is computed for them
    assert (removal(game)[dead] == 0).all()


def test_a_null_player_of_a_table_scores_zero_exactly():
    worth = torch.randn(2, 2, 2, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64).expand(2, 2, 2, 2)
    assert (shapley_of_table(worth.reshape(16))[0] == 0).all()  # bit 0 is the last dimension: sums of v - v


@given(seed=st.integers(0, 10**6), players=st.integers(0, 7))
@settings(max_examples=30, deadline=None)
def test_tables_agree_with_the_oracle_of_the_worlds(seed, players):
    values = torch.randn(2**players, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    close = {"atol": 1e-13, "rtol": 0}  # at most 2^7 additions of numbers of order 1, 1e-16 each
    torch.testing.assert_close(shapley_of_table(values), torch.from_numpy(oracles.shapley_from_table(values.numpy())), **close)
    torch.testing.assert_close(moebius(values), torch.from_numpy(oracles.moebius(values.numpy())), **close)
    torch.testing.assert_close(shapley_from_moebius(moebius(values)), shapley_of_table(values), **close)


def test_dividends_are_those_of_inclusion_and_exclusion():
    game = ragged(2, rows=1, players=4)
    (table,) = coalition_values(game)
    members = table.members[0].tolist()
    expected = [reference.dividend(worth_of(game, 0), coalition) for coalition in reference.subsets(members)]
    torch.testing.assert_close(moebius(table.values)[0], torch.tensor(expected, dtype=torch.float64), atol=CLOSE, rtol=0)


def test_a_table_leaves_the_values_it_was_given_alone():
    values = torch.arange(8, dtype=torch.float64)
    moebius(values)
    assert torch.equal(values, torch.arange(8, dtype=torch.float64))


@pytest.mark.parametrize("size", [1, 2, 5])
def test_shapley_of_a_unanimity_game_is_one_over_its_size(size):
    game = table_game(lambda x: x[:, :size].prod(1), 6)
    expected = torch.tensor([1 / size] * size + [0.0] * (6 - size), dtype=torch.float64)
    torch.testing.assert_close(shapley(game)[0], expected, atol=CLOSE, rtol=0)


def test_shapley_of_a_linear_game_is_each_weight():
    weights = torch.tensor([3.0, -1.0, 0.0, 0.25], dtype=torch.float64)
    torch.testing.assert_close(shapley(table_game(lambda x: x @ weights, 4))[0], weights, atol=CLOSE, rtol=0)


@pytest.mark.parametrize("n", [3, 5, 7])
def test_shapley_of_a_majority_is_shared_equally_while_nobody_is_missed(n):
    game = table_game(lambda x: (x.sum(1) > n / 2).double(), n)
    torch.testing.assert_close(shapley(game), torch.full((1, n), 1 / n, dtype=torch.float64), atol=CLOSE, rtol=0)
    assert (removal(game) == 0).all()  # 1 - 1


def test_eighteen_players_are_exact_and_quick():
    game = table_game(lambda x: torch.relu(x.sum(1) - 9), 18)
    start = time.perf_counter()
    found = shapley(game)
    assert time.perf_counter() - start < 10  # about 0.1 s; far below what enumerating 18! orders could ever take
    torch.testing.assert_close(found, torch.full((1, 18), 0.5, dtype=torch.float64), atol=CLOSE, rtol=0)


def test_rows_of_different_numbers_of_players_share_a_call():
    game = ragged(21, rows=8, players=6)
    assert len(set(game.live.sum(1).tolist())) > 1
    tables = list(coalition_values(game))
    assert sorted(torch.cat([table.rows for table in tables]).tolist()) == list(range(8))
    for table in tables:
        assert table.values.shape == (len(table.rows), 2 ** table.members.shape[1])


def test_probability_and_functions_of_the_logits_can_be_the_worth():
    game = ragged(12, rows=2)
    whole = torch.softmax(game.model(game.inputs), 1).gather(1, game.target[:, None])[:, 0]
    none = torch.softmax(game.model(game.baseline), 1).gather(1, game.target[:, None])[:, 0]
    torch.testing.assert_close(shapley(game, value="probability").sum(1), whole - none, atol=CLOSE, rtol=0)
    largest = shapley(game, value=lambda logits, _: logits.amax(1)).sum(1)
    torch.testing.assert_close(largest, game.model(game.inputs).amax(1) - game.model(game.baseline).amax(1), atol=CLOSE, rtol=0)


def test_the_probability_of_a_single_output_is_logistic():
    game = table_game(lambda x: 3 * x.sum(1) - 2, 2)
    expected = torch.tensor(4.0, dtype=torch.float64).sigmoid() - torch.tensor(-2.0, dtype=torch.float64).sigmoid()
    torch.testing.assert_close(shapley(game, value="probability").sum(), expected, atol=CLOSE, rtol=0)


def test_too_many_players_are_refused_before_anything_is_computed():
    calls = []
    game = table_game(lambda x: calls.append(1) or x.sum(1), 21)
    with pytest.raises(NotApplicable, match=r"row 0 has 21 live players, .* asked only up to 20: .* limit=21 for 2\^21 forwards"):
        shapley(game)
    assert not calls


def test_the_limit_itself_is_enumerated():
    game = table_game(lambda x: x.sum(1), 3)
    torch.testing.assert_close(shapley(game, limit=3), torch.ones(1, 3, dtype=torch.float64), atol=CLOSE, rtol=0)


def test_the_imputer_decides_who_is_live():
    inputs = torch.tensor([[0.0, 7.0, 1.0]], dtype=torch.float64)
    options = {"target": torch.tensor([0]), "baseline": torch.zeros_like(inputs), "feature_mask": torch.tensor([[0, 1, 2]])}
    assert make_game(lambda x: x, inputs, **options).live.tolist() == [[False, True, True]]
    assert make_game(lambda x: x, inputs, imputer=constant(7.0), **options).live.tolist() == [[True, False, True]]


def test_progress_covers_all_tables():
    game, seen = ragged(21, rows=8, players=6), []
    shapley(game, progress=lambda done, total: seen.append((done, total)))
    total = int(np.sum(2 ** game.live.sum(1).numpy()))
    assert seen[-1] == (total, total)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize("within", [1, 2, 4])
def test_values_do_not_depend_on_how_many_coalitions_the_algebra_takes_at_a_time(monkeypatch, within):
    table = torch.randn(2, 1 << 6, generator=torch.Generator().manual_seed(within), dtype=torch.float64)
    wanted = shapley_from_moebius(moebius(table))
    exact_values._weights.cache_clear()
    monkeypatch.setattr(exact_values, "DIFFERENCES", within)
    found = shapley_of_table(table)
    exact_values._weights.cache_clear()
    torch.testing.assert_close(found, wanted, atol=CLOSE, rtol=0)


def test_a_table_that_is_filled_in_blocks_is_the_whole_table(monkeypatch):
    game = table_game(lambda x: x.cumprod(1).sum(1) + x[:, 3] * x[:, 5], 7)
    (whole,) = coalition_values(game)
    seen = []
    monkeypatch.setattr(exact_values, "BLOCK", 9)
    (found,) = coalition_values(game, progress=lambda done, total: seen.append((done, total)))
    torch.testing.assert_close(found.values, whole.values, atol=CLOSE, rtol=0)
    assert seen[-1] == (128, 128)
    assert seen == sorted(seen)
