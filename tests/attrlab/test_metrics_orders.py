"""Inside a tie a curve is the mean over all orders: so a map that states no order scores what a random order scores on average."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.games import area, curve, make_game
from attrlab.metrics import orders as orders_of_ties
from attrlab.metrics.orders import mean_curve
from attrlab.metrics.tie_blocks import EXACT
from tests import reference_metrics
from tests.attrlab.ragged_games import CLOSE, ragged
from tests.attrlab.small_games import additive, conjunction, one_row, worth_of

BOTH = list(itertools.product(("morf", "lerf"), ("deletion", "insertion")))


def tied(seed, rows=3, players=5):
    return torch.randint(-1, 2, (rows, players), generator=torch.Generator().manual_seed(seed)).double()


@given(seed=st.integers(0, 10**6))
@settings(max_examples=12, deadline=None)
def test_every_point_is_the_mean_over_all_orders_that_the_scores_leave_open(seed):
    game, scores = ragged(seed), tied(seed)
    for order, mode in BOTH:
        found = mean_curve(game, scores, order=order, mode=mode)
        for row in range(3):
            own = {p: float(scores[row, p]) for p in range(5) if game.present[row, p]}
            if not own:
                assert found.value[row].isnan().all()
                continue
            expected = reference_metrics.mean_curve(worth_of(game, row), own, descending=order == "morf", deletion=mode == "deletion")
            assert found.value[row, : len(expected)].tolist() == pytest.approx(expected, abs=CLOSE)


def test_no_map_is_the_mean_over_random_ones_on_an_and():
    game = conjunction(4, of=2)
    constant = torch.ones(1, 4, dtype=torch.float64)
    random = torch.tensor(list(itertools.permutations(range(4)))).double()
    wide = conjunction(4, of=2, rows=len(random))
    for mode in ("deletion", "insertion"):
        mean = area(mean_curve(wide, random, mode=mode)).mean()
        assert area(mean_curve(game, constant, mode=mode)).item() == pytest.approx(mean.item(), abs=CLOSE)
    # deletion: C(2, k) C(2, 0) / C(4, k) of the k-subsets leave both members: 1, 1/2, 1/6, 0, 0
    assert mean_curve(game, constant).value[0].tolist() == pytest.approx([1, 1 / 2, 1 / 6, 0, 0], abs=CLOSE)


@pytest.mark.parametrize("members", [2, 3, 5])
def test_the_truth_of_an_and_beats_no_map_at_all(members):
    game = conjunction(6, of=members)
    truth = torch.zeros(1, 6, dtype=torch.float64)
    truth[0, :members] = 1 / members
    constant = torch.ones(1, 6, dtype=torch.float64)
    for mode, sign in (("deletion", -1), ("insertion", 1)):
        gain = area(mean_curve(game, truth, mode=mode)) - area(mean_curve(game, constant, mode=mode))
        assert (sign * gain).item() > 1e-3
    # a line across the tie of `truth` starts at 1 and ends at 0, above every order, whose output is gone with its first member
    assert area(curve(game, truth)).item() > area(mean_curve(game, truth)).item() + 0.5 * (members - 1) / 6 - CLOSE


@given(seed=st.integers(0, 10**6))
@settings(max_examples=12, deadline=None)
def test_numbering_players_otherwise_changes_no_curve(seed):
    game, scores = ragged(seed, players=6), tied(seed, 3, 6)
    name = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
    renamed = torch.where(game.feature_mask < 0, -1, name[game.feature_mask.clamp(min=0)])
    other = make_game(game.model, game.inputs, target=game.target, baseline=game.baseline, feature_mask=renamed, players=6)
    moved = torch.empty_like(scores)
    moved[:, name] = scores
    torch.testing.assert_close(mean_curve(game, scores).value, mean_curve(other, moved).value, atol=CLOSE, rtol=0, equal_nan=True)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=12, deadline=None)
def test_removing_the_least_relevant_is_inserting_the_most_relevant_read_backwards(seed):
    game, scores = ragged(seed), tied(seed)
    backwards, forwards = (
        area(mean_curve(game, scores, order=order, mode=mode)) for order, mode in (("lerf", "deletion"), ("morf", "insertion"))
    )
    torch.testing.assert_close(backwards, forwards, atol=CLOSE, rtol=0, equal_nan=True)


def test_a_block_too_large_for_its_table_is_exact_where_players_add_up():
    players = EXACT + 5
    game = additive(torch.full((1, players), 2.0))
    found = mean_curve(game, torch.zeros(1, players, dtype=torch.float64), mode="insertion")
    assert found.value[0].tolist() == pytest.approx([2.0 * k for k in range(players + 1)], abs=CLOSE)


def test_large_blocks_are_estimated_without_regard_to_the_batch():
    players = EXACT + 4
    inputs = torch.rand(3, players, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    game = make_game(
        lambda x: x.sum(1, keepdim=True) ** 2,
        inputs,
        target=torch.zeros(3, dtype=torch.int64),
        baseline=torch.zeros_like(inputs),
        feature_mask=torch.arange(players).expand(3, players),
    )
    scores = torch.zeros(3, players, dtype=torch.float64)
    together = mean_curve(game, scores).value
    for row in range(3):
        torch.testing.assert_close(together[row : row + 1], mean_curve(one_row(game, row), scores[:1]).value, atol=CLOSE, rtol=0)


def test_orders_of_large_blocks_approach_their_mean():
    game, scores = conjunction(6, of=3), torch.ones(1, 6, dtype=torch.float64)
    ranked = orders_of_ties.rank(scores, game.present)
    ranks = orders_of_ties.seeded_ranks(ranked, orders=2000)
    gone_at = ranks[:, 0, :3].amin(1) + 1  # the output is gone with the first of the three members
    # 4000 orders: the standard error of a share is at most 0.5 / sqrt(4000) = 0.008, and 0.04 is five of them
    assert (gone_at == 1).double().mean().item() == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("steps", [1, 3, 4, 40])
def test_steps_read_the_full_curve_at_their_fractions(steps):
    game, scores = ragged(31, players=6), tied(31, 3, 6)
    full, coarse = mean_curve(game, scores), mean_curve(game, scores, steps=steps)
    count = game.present.sum(1)
    for row in range(3):
        at = [int((2 * t * int(count[row]) + steps) // (2 * steps)) for t in range(steps + 1)]
        assert coarse.value[row].tolist() == pytest.approx(full.value[row][at].tolist(), abs=CLOSE)


def test_bad_options_and_games_without_players_are_refused():
    game = additive([[1.0, 2.0]])
    with pytest.raises(InvalidInput, match="order is 'morf' or 'lerf'"):
        mean_curve(game, game.inputs, order="best")
    with pytest.raises(InvalidInput, match="positive number"):
        mean_curve(game, game.inputs, steps=0)
    empty = additive(torch.zeros(2, 0))
    with pytest.raises(NotApplicable, match="no order to follow"):
        mean_curve(empty, torch.zeros(2, 0, dtype=torch.float64))
