"""Pairwise interaction indices against their definitions, against each other, and against the values that they add up to."""

from __future__ import annotations

import doctest

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import attrlab.methods.interactions
from attrlab.errors import InvalidInput, NotApplicable
from attrlab.method import players_of
from attrlab.methods.coalitions import feature_alone, shapley
from attrlab.methods.interactions import (
    banzhaf_interactions,
    shapley_interaction_sampling,
    shapley_interactions,
    shapley_main_effects,
    shapley_taylor,
)
from tests import reference_coalitions as twin
from tests.attrlab.ragged_games import CLOSE, asked, ragged, table_game, worth_of

SEARCH = settings(max_examples=10, deadline=None)
INDICES = [shapley_interactions, shapley_taylor, banzhaf_interactions]
EACH = pytest.mark.parametrize("index", INDICES, ids=lambda index: index.__name__)


@example(seed=430)  # no row has the fourth player
@given(seed=st.integers(0, 10**6))
@SEARCH
def test_indices_are_those_of_their_definitions(seed):
    game = ragged(seed, rows=2, players=4)
    found = {index: index(game.model, game.inputs, **asked(game)) for index in INDICES}
    for row in range(2):
        worth, players = worth_of(game, row), range(found[banzhaf_interactions].shape[1])  # as many as some row has
        quadratic = twin.best_quadratic(worth, players)
        torch.testing.assert_close(found[banzhaf_interactions][row], torch.from_numpy(quadratic), atol=1e-11, rtol=0)  # least squares
        for i in players:
            for j in set(players) - {i}:
                wanted = {shapley_interactions: twin.shapley_interaction, shapley_taylor: twin.shapley_taylor}
                for index, slow in wanted.items():
                    assert float(found[index][row, i, j]) == pytest.approx(slow(worth, players, i, j), abs=CLOSE)


@given(seed=st.integers(0, 10**6))
@SEARCH
def test_shapley_interactions_and_shapley_taylor_shared_equally_are_the_shapley_value(seed):
    game = ragged(seed)
    value = players_of(shapley(game.model, game.inputs, **asked(game)), game.feature_mask, game.players)
    for index in (shapley_interactions, shapley_taylor):
        matrix = index(game.model, game.inputs, **asked(game))
        main = matrix.diagonal(dim1=1, dim2=2)
        players = main.shape[1]
        torch.testing.assert_close(main + (matrix.sum(2) - main) / 2, value[:, :players], atol=CLOSE, rtol=0)
        upper = matrix.triu().sum((1, 2))
        difference = (game.model(game.inputs) - game.model(game.baseline)).gather(1, game.target[:, None])[:, 0]
        torch.testing.assert_close(upper, difference, atol=CLOSE, rtol=0)


def test_the_main_effect_of_the_shapley_taylor_index_is_the_player_alone():
    game = table_game()
    matrix = shapley_taylor(game.model, game.inputs, **asked(game))
    wanted = feature_alone(game.model, game.inputs, **asked(game))
    torch.testing.assert_close(matrix.diagonal(dim1=1, dim2=2), wanted, atol=CLOSE, rtol=0)


@EACH
def test_of_three_that_are_needed_together_a_pairs_share_is_known(index):
    """For v = 1 where 0, 1 and 2 are all kept, among 4: 1/2, 2/(3 x 2) and 1/2, each the index's own share of a triple."""
    inputs = torch.ones(1, 4, dtype=torch.float64)
    offers = {"target": torch.tensor([0]), "baseline": torch.zeros_like(inputs), "feature_mask": torch.arange(4).unsqueeze(0)}
    found = index(lambda x: x[:, :3].prod(1, keepdim=True), inputs, **offers)[0]
    share = {shapley_interactions: 1 / 2, shapley_taylor: 1 / 3, banzhaf_interactions: 1 / 2}[index]
    assert float(found[0, 2]) == pytest.approx(share, abs=CLOSE)
    assert not found[3].any()
    assert torch.equal(found, found.T)


@EACH
def test_a_game_without_interaction_has_a_diagonal_only(index):
    inputs = torch.tensor([[1.0, -2.0, 3.0]], dtype=torch.float64)
    offers = {"target": torch.tensor([0]), "baseline": torch.zeros_like(inputs), "feature_mask": torch.arange(3).unsqueeze(0)}
    found = index(lambda x: x.square().sum(1, keepdim=True), inputs, **offers)[0]
    torch.testing.assert_close(found, torch.diag(inputs[0].square()), atol=CLOSE, rtol=0)


@EACH
def test_more_players_than_the_limit_are_refused_and_no_pair_is_no_problem(index):
    game = table_game(rows=2, columns=3)
    with pytest.raises(NotApplicable, match="asked only up to 2"):
        index(game.model, game.inputs, limit=2, **asked(game))
    one = table_game(rows=2, columns=1)
    difference = (one.model(one.inputs) - one.model(one.baseline)).gather(1, one.target[:, None])[:, 0]
    torch.testing.assert_close(index(one.model, one.inputs, **asked(one)).flatten(), difference, atol=CLOSE, rtol=0)


def test_the_mean_of_many_sampled_interactions_is_the_exact_one():
    game = table_game(rows=1, columns=5)
    exact = shapley_interactions(game.model, game.inputs, **asked(game))[0]
    offers = {name: value.expand(200, *value.shape[1:]) for name, value in asked(game).items()}
    draws = shapley_interaction_sampling(game.model, game.inputs.expand(200, 5), seeds=torch.arange(200), samples=4, **offers)
    low, high = torch.triu_indices(5, 5, 1)
    pairs = draws[:, low, high]
    error = pairs.std(0) / 200**0.5
    assert float(((pairs.mean(0) - exact[low, high]).abs() / error).max()) < 4.5  # 10 means of 200: a chance of 1e-4, seeds are fixed
    assert torch.equal(draws, draws.transpose(1, 2))
    assert not draws.diagonal(dim1=1, dim2=2).any()


def test_sampled_interactions_are_exact_where_a_pairs_derivative_is_everywhere_the_same():
    game = table_game(rows=3, columns=9)

    def quadratic(x):
        return (x[:, 0] * x[:, 1] - 2 * x[:, 2] * x[:, 3] + x.sum(1)).unsqueeze(1).expand(-1, 3)

    found = shapley_interaction_sampling(quadratic, game.inputs, seeds=torch.arange(3), samples=2, **asked(game))
    x, wanted = game.inputs, torch.zeros(3, 9, 9, dtype=torch.float64)
    wanted[:, 0, 1] = wanted[:, 1, 0] = x[:, 0] * x[:, 1]
    wanted[:, 2, 3] = wanted[:, 3, 2] = -2 * x[:, 2] * x[:, 3]
    torch.testing.assert_close(found, wanted, atol=CLOSE * 10, rtol=0)  # sums of order 20


def test_a_rows_sampled_interactions_do_not_depend_on_its_batch():
    game = ragged(5, rows=5)
    seeds = torch.tensor([3, 1, 4, 1, 5])
    together = shapley_interaction_sampling(game.model, game.inputs, seeds=seeds, samples=3, **asked(game))
    order = torch.tensor([4, 2])
    apart = shapley_interaction_sampling(game.model, game.inputs[order], seeds=seeds[order], samples=3, **asked(game, order))
    players = apart.shape[1]
    torch.testing.assert_close(apart, together[order][:, :players, :players], atol=CLOSE, rtol=0)


def test_main_effects_are_the_diagonal_and_spread_over_the_entries():
    game = ragged(5)
    found = shapley_main_effects(game.model, game.inputs, **asked(game))
    matrix = shapley_interactions(game.model, game.inputs, **asked(game))
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(players_of(found, game.feature_mask, diagonal.shape[1]), diagonal, atol=CLOSE, rtol=0)


def test_no_samples_are_refused():
    game = ragged(5)
    with pytest.raises(InvalidInput, match=r"samples must be at least 1 \(got 0\)"):
        shapley_interaction_sampling(game.model, game.inputs, seeds=torch.arange(3), samples=0, **asked(game))


def test_the_examples_in_the_documentation_run():
    found = doctest.testmod(attrlab.methods.interactions)
    assert found.attempted >= 10
    assert found.failed == 0
