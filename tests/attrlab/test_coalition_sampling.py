"""Sampled values are unbiased, complete where they promise it, and drawn for each row on its own."""

from __future__ import annotations

import doctest
from itertools import combinations

import pytest
import torch
from captum.attr import ShapleyValueSampling
from hypothesis import given, settings
from hypothesis import strategies as st

import attrlab.methods.sampling
from attrlab.errors import InvalidInput
from attrlab.games import AllSubsets, Masks, concatenate, evaluate
from attrlab.games.drawn import Alone, Drawn, Prefixes, Windows, all_masks
from attrlab.games.evaluate import zobrist
from attrlab.methods.coalitions import banzhaf, shapley
from attrlab.methods.sampling import among, banzhaf_sampling, of_sizes, orders, shapley_sampling
from tests.attrlab.ragged_games import CLOSE, asked, ragged, table_game

BOTH = pytest.mark.parametrize("method", [shapley_sampling, banzhaf_sampling], ids=lambda method: method.__name__)


def standard_errors(draws, exact):
    """How many standard errors the mean of independent draws, (draws, ...), is from what it should be."""
    spread = draws.std(0) / len(draws) ** 0.5
    return ((draws.mean(0) - exact).abs() / spread.clamp(min=CLOSE)).max()


@pytest.mark.parametrize(("method", "exact"), [(shapley_sampling, shapley), (banzhaf_sampling, banzhaf)], ids=["shapley", "banzhaf"])
def test_the_mean_of_many_estimates_is_the_exact_value(method, exact):
    game = table_game(rows=1, columns=6)
    repeated = slice(None), 400
    offers = {name: value.expand(repeated[1], *value.shape[1:]) for name, value in asked(game).items()}
    inputs = game.inputs.expand(repeated[1], 6)
    draws = method(game.model, inputs, seeds=torch.arange(400), samples=4, **offers)
    # 6 means of 400 draws: beyond 4.5 standard errors with a chance of 4e-5 in all, and the seeds are fixed
    assert float(standard_errors(draws, exact(game.model, game.inputs, **asked(game))[0])) < 4.5
    assert float(draws.std(0).max()) > 0.01  # they do differ


@given(seed=st.integers(0, 10**6), samples=st.integers(1, 6))
@settings(max_examples=15, deadline=None)
def test_sampled_shapley_values_are_complete_for_every_number_of_orders(seed, samples):
    game = ragged(seed)
    found = shapley_sampling(game.model, game.inputs, seeds=torch.arange(len(game)) + seed, samples=samples, **asked(game))
    difference = (game.model(game.inputs) - game.model(game.baseline)).gather(1, game.target[:, None])[:, 0]
    torch.testing.assert_close(found.flatten(1).sum(1), difference, atol=CLOSE, rtol=0)


def test_of_two_players_an_order_and_its_reverse_are_the_shapley_value():
    game = table_game(rows=4, columns=2)
    found = shapley_sampling(game.model, game.inputs, seeds=torch.arange(4), samples=2, **asked(game))
    torch.testing.assert_close(found, shapley(game.model, game.inputs, **asked(game)), atol=CLOSE, rtol=0)


def test_a_column_that_the_network_ignores_gets_exactly_nothing_from_orders():
    game = table_game(rows=4, columns=6)
    found = shapley_sampling(
        lambda x: (x[:, :5].prod(1) + x[:, 0]).unsqueeze(1).expand(-1, 3), game.inputs, seeds=torch.arange(4), samples=3, **asked(game)
    )
    assert (found[:, 5] == 0).all()  # differences of equal numbers
    assert (found[:, 0] != 0).all()


def test_sampled_banzhaf_values_are_exact_where_all_coalitions_can_be_asked():
    game = ragged(3)
    found = banzhaf_sampling(game.model, game.inputs, seeds=torch.arange(len(game)), **asked(game))
    torch.testing.assert_close(found, banzhaf(game.model, game.inputs, **asked(game)), atol=CLOSE, rtol=0)


@BOTH
def test_a_rows_scores_do_not_depend_on_its_batch(method):
    game = ragged(5, rows=6)
    seeds = torch.tensor([7, 7, 1, 0, 3, 2])
    together = method(game.model, game.inputs, seeds=seeds, samples=5, **asked(game))
    order = torch.tensor([4, 1, 3])
    apart = method(game.model, game.inputs[order], seeds=seeds[order], samples=5, **asked(game, order))
    torch.testing.assert_close(apart, together[order], atol=CLOSE, rtol=0)


@BOTH
def test_scores_are_in_the_type_of_the_inputs_and_a_second_seed_gives_others(method):
    game = table_game(rows=2, columns=12)
    found = [method(game.model, game.inputs, seeds=torch.arange(2) + start, samples=4, **asked(game)) for start in (0, 0, 9)]
    assert found[0].dtype == torch.float64
    assert torch.equal(found[0], found[1])
    assert not torch.isclose(found[0], found[2]).all(1).any()


def test_captums_sampling_of_float64_is_in_float32_and_right_on_average():
    game = table_game(rows=1, columns=5)
    exact = shapley(game.model, game.inputs, **asked(game))
    torch.manual_seed(0)
    theirs = ShapleyValueSampling(game.model).attribute(
        game.inputs, game.baseline, target=int(game.target[0]), n_samples=100, perturbations_per_eval=8
    )
    ours = shapley_sampling(game.model, game.inputs, seeds=torch.tensor([0]), samples=100, **asked(game))
    assert theirs.dtype == torch.float32
    for found in (theirs, ours):
        assert float((found - exact).abs().max()) < 0.25  # contributions spread by up to about 0.5, a standard error of 0.05


def test_orders_are_uniform_and_each_is_followed_by_its_reverse():
    drawn = orders(torch.arange(600), 4, 3)
    assert torch.equal(drawn[:, 1], 2 - drawn[:, 0])
    _, counts = torch.unique(drawn[:, ::2].reshape(-1, 3), dim=0, return_counts=True)
    expected = 1200 / 6
    assert len(counts) == 6
    assert float(((counts - expected).square() / expected).sum()) < 20.5  # chi-squared with 5 degrees of freedom, one in 1000


def test_coalitions_of_a_size_are_uniform_and_sizes_have_their_probability():
    drawn = of_sizes(torch.arange(50), 40, 4, sizes=range(1, 4), probability=[1.0, 2.0, 1.0]).reshape(-1, 4)
    sets = {frozenset(subset): size for size in (1, 2, 3) for subset in combinations(range(4), size)}
    expected = {subset: 2000 * {1: 1 / 16, 2: 1 / 12, 3: 1 / 16}[size] for subset, size in sets.items()}
    counts = dict.fromkeys(sets, 0)
    for mask in drawn.tolist():
        counts[frozenset(i for i, kept in enumerate(mask) if kept)] += 1
    assert sum((counts[s] - expected[s]) ** 2 / expected[s] for s in sets) < 34.5  # chi-squared, 13 degrees of freedom, one in 1000


def test_the_members_of_least_noise_are_as_many_as_asked_for():
    noise = torch.tensor([[0.3, 0.1, 0.2], [0.3, 0.1, 0.2], [0.3, 0.1, 0.2], [0.3, 0.1, 0.0]])
    wanted = [[False, False, False], [False, True, False], [True, True, True], [False, False, False]]
    assert among(noise, torch.tensor([[0], [1], [3], [0]])).tolist() == wanted


def test_every_kind_of_plan_asks_for_the_kept_sets_it_says_and_keys_them_as_a_written_out_mask():
    game = ragged(1, rows=2, players=4)
    rows, members = torch.tensor([1, 0]), torch.tensor([[0, 2, 3], [1, 2, 3]])
    masks = all_masks(3, rows.device)
    rank = torch.tensor([[[0, 1, 2], [2, 0, 1]], [[1, 0, 2], [0, 2, 1]]])
    plans = [
        Drawn(rows=rows, members=members, mask=masks.unsqueeze(0), players=4),
        Drawn(rows=rows, members=members, mask=torch.stack([masks, ~masks]), players=4),
        Prefixes(rows=rows, members=members, rank=rank, players=4),
        Alone(sample=torch.tensor([0, 1, 1]), player=torch.tensor([-1, 0, 3]), players=4),
        Windows(batch=2, top=torch.tensor([0, 1]), left=torch.tensor([0, 0]), height=1, width=2, image=(2, 2)),
        AllSubsets(rows=rows, members=members, players=4),
    ]
    jobs = concatenate(*plans)
    kept = jobs.keep(torch.arange(len(jobs)))
    written = Masks(sample=jobs.sample, mask=kept)
    assert torch.equal(jobs.keys(zobrist(game)), written.keys(zobrist(game)))
    torch.testing.assert_close(evaluate(game, jobs).logits, evaluate(game, written).logits, atol=CLOSE, rtol=0)
    drawn, pairs, prefixes, alone, windows, everything = jobs.split(kept)
    assert torch.equal(drawn, everything)
    assert torch.equal(pairs[:8], drawn[:8])
    assert torch.equal(pairs[8:][:, 1:], ~drawn[8:][:, 1:])  # row 0 speaks of players 1 to 3
    assert prefixes[:4, [0, 2, 3]].int().tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1]]
    assert alone.int().tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
    assert windows[:2].int().tolist() == [[0, 0, 1, 1], [1, 1, 0, 0]]


@BOTH
def test_nothing_drawn_is_refused(method):
    game = ragged(5)
    with pytest.raises(InvalidInput, match=r"samples must be at least 1 \(got 0\)"):
        method(game.model, game.inputs, seeds=torch.arange(3), samples=0, **asked(game))


def test_the_examples_in_the_documentation_run():
    found = doctest.testmod(attrlab.methods.sampling)
    assert found.attempted >= 6
    assert found.failed == 0
