"""Curves have closed forms on linear games, and never depend on how tied players are numbered."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attrlab.errors import InvalidInput
from attrlab.games import area, curve, make_game
from tests import reference
from tests.attrlab.ragged_games import CLOSE, ragged

DIRECTIONS = pytest.mark.parametrize(("order", "mode"), list(itertools.product(("morf", "lerf"), ("deletion", "insertion"))))


def linear(weights, *, bias=0.0):
    """The additive game v(S) = bias + the sum of the weights in S, one row for each row of weights."""
    weights = torch.as_tensor(weights, dtype=torch.float64)
    rows, players = weights.shape
    return make_game(
        lambda x: bias + x.sum(1, keepdim=True),
        weights,
        target=torch.zeros(rows, dtype=torch.int64),
        baseline=torch.zeros_like(weights),
        feature_mask=torch.arange(players).expand(rows, players),
    )


def tied_scores(seed, rows, players):
    return torch.randint(-2, 3, (rows, players), generator=torch.Generator().manual_seed(seed)).double()


@given(seed=st.integers(0, 10**6), rows=st.integers(1, 3), players=st.integers(1, 6))
@settings(max_examples=15, deadline=None)
def test_curves_are_those_of_taking_groups_of_equal_scores_one_by_one(seed, rows, players):
    game, scores = ragged(seed, rows=rows, players=players), tied_scores(seed, rows, players)
    for order, mode in itertools.product(("morf", "lerf"), ("deletion", "insertion")):
        found = curve(game, scores, order=order, mode=mode)
        for row in range(rows):
            own = {p: float(scores[row, p]) for p in range(players) if game.present[row, p]}
            if not own:
                assert found.value[row].isnan().all()
                continue

            def worth(kept, row=row):
                logits = reference.logits_of(game.model, game.inputs[row], game.baseline[row], game.feature_mask[row], kept)
                return float(logits[game.target[row]])

            expected = reference.curve(worth, own, order=order, mode=mode)
            valid = found.valid[row]
            assert found.fraction[row][valid].tolist() == pytest.approx([float(f) for f, _ in expected], abs=CLOSE)
            assert found.value[row][valid].tolist() == pytest.approx([v for _, v in expected], abs=CLOSE)
            assert float(area(found)[row]) == pytest.approx(reference.area(expected), abs=CLOSE)


@DIRECTIONS
def test_a_constant_map_has_a_straight_line_between_the_ends(order, mode):
    game = linear([[3.0, 1.0, -2.0, 0.0]])
    found = curve(game, torch.full((1, 4), 0.1, dtype=torch.float64), order=order, mode=mode)
    assert found.fraction.tolist() == [[0.0, 1.0]]
    assert found.value.tolist() == [[2.0, 0.0] if mode == "deletion" else [0.0, 2.0]]
    assert found.forwards == 2


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_numbering_players_otherwise_changes_no_curve(seed):
    game, scores = ragged(seed, players=6), tied_scores(seed, 3, 6)
    name = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
    renamed = torch.where(game.feature_mask < 0, -1, name[game.feature_mask.clamp(min=0)])
    other = make_game(game.model, game.inputs, target=game.target, baseline=game.baseline, feature_mask=renamed, players=6)
    moved = torch.empty_like(scores)
    moved[:, name] = scores
    one, two = curve(game, scores), curve(other, moved)
    assert torch.equal(one.fraction, two.fraction)  # ratios of the same integers
    torch.testing.assert_close(one.value, two.value, atol=CLOSE, rtol=0, equal_nan=True)


def test_scores_that_differ_by_rounding_are_tied():
    game = linear([[1.0, 2.0, 3.0]])
    exact = torch.tensor([[0.3, 0.3, 1.0]], dtype=torch.float64)
    rounded = torch.tensor([[0.1 + 0.2, 0.3, 1.0]], dtype=torch.float64)
    assert float(rounded[0, 0]) > float(rounded[0, 1])
    assert torch.equal(curve(game, exact).value, curve(game, rounded).value)  # the same coalitions of the same game


@given(weights=st.lists(st.integers(-5, 5), min_size=1, max_size=7, unique=True))
@settings(max_examples=30, deadline=None)
def test_deleting_a_linear_games_own_weights_has_its_closed_form_area(weights):
    game = linear([[float(w) for w in weights]], bias=2.0)
    n, ordered = len(weights), sorted(weights, reverse=True)
    # the k-th largest weight is present for k-1 whole intervals and half of the next
    expected = 2.0 + sum(w * (k + 0.5) for k, w in enumerate(ordered)) / n
    assert area(curve(game, game.inputs)).item() == pytest.approx(expected, abs=CLOSE)


@given(seed=st.integers(0, 10**6), players=st.integers(1, 7))
@settings(max_examples=20, deadline=None)
def test_deletion_and_insertion_of_a_linear_game_mirror_each_other(seed, players):
    game = linear(tied_scores(seed, 4, players), bias=-1.0)
    scores = tied_scores(seed + 1, 4, players)
    deletion, insertion = curve(game, scores, mode="deletion"), curve(game, scores, mode="insertion")
    ends = deletion.value[:, :1] + insertion.value[:, :1]
    torch.testing.assert_close(deletion.value + insertion.value, ends.expand_as(deletion.value), atol=CLOSE, rtol=0)


@given(seed=st.integers(0, 10**6), mode=st.sampled_from(["deletion", "insertion"]))
@settings(max_examples=15, deadline=None)
def test_deleting_most_relevant_first_is_inserting_least_relevant_first_backwards(seed, mode):
    game, scores = ragged(seed), tied_scores(seed, 3, 5)
    other = "insertion" if mode == "deletion" else "deletion"
    forwards, backwards = area(curve(game, scores, mode=mode)), area(curve(game, scores, order="lerf", mode=other))
    torch.testing.assert_close(forwards, backwards, atol=CLOSE, rtol=0, equal_nan=True)


@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1e-6, 0.5, 3.0, 1e8]))
@settings(max_examples=15, deadline=None)
def test_positive_rescaling_changes_no_curve(seed, scale):
    game, scores = ragged(seed), tied_scores(seed, 3, 5)
    assert torch.equal(curve(game, scores).fraction, curve(game, scores * scale).fraction)  # ratios of the same integers
    torch.testing.assert_close(curve(game, scores).value, curve(game, scores * scale).value, atol=CLOSE, rtol=0, equal_nan=True)


def test_fractions_are_those_of_the_rows_own_players():
    game = make_game(
        lambda x: x.sum(1, keepdim=True),
        torch.tensor([[1.0, 2.0, 0.0], [1.0, 2.0, 4.0]], dtype=torch.float64),
        target=torch.tensor([0, 0]),
        baseline=torch.zeros(2, 3, dtype=torch.float64),
        feature_mask=torch.tensor([[0, 1, -1], [0, 1, 2]]),
    )
    found = curve(game, torch.tensor([[1.0, 2.0, 99.0], [1.0, 2.0, 4.0]], dtype=torch.float64))
    assert found.fraction[0][found.valid[0]].tolist() == pytest.approx([0, 1 / 2, 1], abs=CLOSE)
    assert found.value[0][found.valid[0]].tolist() == [3.0, 1.0, 0.0]  # sums of small integers
    assert found.fraction[1].tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1], abs=CLOSE)


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 7, 50])
def test_steps_read_the_full_curve_at_the_ends_that_bracket_the_grid(steps):
    game, scores = ragged(31, players=6), tied_scores(31, 3, 6)
    full, coarse = curve(game, scores), curve(game, scores, steps=steps)
    for row in range(3):
        points = {round(f, 9): v for f, v in zip(full.fraction[row][full.valid[row]].tolist(), full.value[row].tolist(), strict=False)}
        ends = sorted(points)
        wanted = set()
        for t in range(steps + 1):
            wanted |= {max(e for e in ends if e <= t / steps + 1e-9), min(e for e in ends if e >= t / steps - 1e-9)}
        read = [round(f, 9) for f in coarse.fraction[row][coarse.valid[row]].tolist()]
        assert read == sorted(wanted)
        assert coarse.value[row][coarse.valid[row]].tolist() == pytest.approx([points[f] for f in read], abs=CLOSE)


def test_steps_that_do_not_divide_the_players_keep_the_area_of_a_linear_game_within_one_block():
    weights = torch.ones(1, 15, dtype=torch.float64)
    scores = torch.arange(15, dtype=torch.float64).unsqueeze(0)
    # equal weights: the curve is a straight line, whose area any polyline through its points has
    assert area(curve(linear(weights), scores, steps=10)).item() == pytest.approx(7.5, abs=CLOSE)


def test_many_steps_are_the_full_curve():
    game, scores = ragged(5), tied_scores(5, 3, 5)
    torch.testing.assert_close(area(curve(game, scores, steps=40)), area(curve(game, scores)), atol=CLOSE, rtol=0)


def test_a_row_without_finite_scores_is_undefined_and_harms_no_other():
    game = linear([[1.0, 2.0, 3.0]] * 3)
    scores = torch.tensor([[1.0, 2.0, 3.0], [1.0, torch.nan, 3.0], [torch.inf, 2.0, 3.0]], dtype=torch.float64)
    found = curve(game, scores)
    assert area(found).isnan().tolist() == [False, True, True]
    assert not found.valid[1:].any()
    torch.testing.assert_close(found.value[0], curve(linear([[1.0, 2.0, 3.0]]), scores[:1]).value[0], atol=CLOSE, rtol=0)


def test_a_score_of_an_absent_player_is_not_read():
    game = linear([[1.0, 2.0]])
    wide = make_game(game.model, game.inputs, target=game.target, baseline=game.baseline, feature_mask=game.feature_mask, players=4)
    found = curve(wide, torch.tensor([[1.0, 2.0, torch.nan, 9.0]], dtype=torch.float64))
    assert found.value[found.valid].tolist() == [3.0, 1.0, 0.0]  # sums of small integers


def test_absolute_ranking_takes_strong_negatives_first():
    game = linear([[1.0, -3.0, 2.0]])
    signed, absolute = curve(game, game.inputs), curve(game, game.inputs, ranking="absolute")
    assert signed.value.tolist() == [[0.0, -2.0, -3.0, 0.0]]  # sums of small integers
    assert absolute.value.tolist() == [[0.0, 3.0, 1.0, 0.0]]


def test_one_player_has_two_points():
    found = curve(linear([[4.0]]), torch.tensor([[-1.0]], dtype=torch.float64))
    assert found.value.tolist() == [[4.0, 0.0]]
    assert area(found).tolist() == [2.0]


def test_dead_players_cost_no_forward():
    game = linear([[0.0] * 30 + [1.0, 2.0]])
    found = curve(game, torch.arange(32, dtype=torch.float64).unsqueeze(0))
    assert found.value.shape == (1, 33)
    assert found.forwards == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "most"}, "order is 'morf' or 'lerf'"),
        ({"mode": "remove"}, "mode is 'deletion' or 'insertion'"),
        ({"ranking": "abs"}, "ranking is 'signed' or 'absolute'"),
        ({"steps": 0}, "steps is a positive number"),
        ({"value": "log"}, "value is 'logit', 'probability' or a function"),
        ({"value": lambda logits, _: logits}, "a value function returns one number per job"),
    ],
    ids=["order", "mode", "ranking", "steps", "value", "value function"],
)
def test_an_unknown_option_is_told_what_there_is(options, message):
    with pytest.raises(InvalidInput, match=message):
        curve(linear([[1.0, 2.0]]), torch.zeros(1, 2, dtype=torch.float64), **options)


def test_scores_shaped_like_inputs_are_told_to_be_summed_per_player():
    with pytest.raises(InvalidInput, match=r"players_of\(scores, feature_mask, players\) \(got \(1, 3\)\)"):
        curve(linear([[1.0, 2.0]]), torch.zeros(1, 3, dtype=torch.float64))


def test_integer_scores_are_told_to_be_floating_point():
    with pytest.raises(InvalidInput, match=r"write scores.double\(\) \(got torch.int64\)"):
        curve(linear([[1.0, 2.0]]), torch.tensor([[1, 2]]))


@pytest.mark.parametrize("mode", ["deletion", "insertion"])
def test_a_row_of_fewer_points_repeats_its_last_one_and_asks_for_it_once(mode):
    game = linear([[1.0, 2.0, 4.0], [8.0, 8.0, 8.0], [1.0, 1.0, 32.0]])
    found = curve(game, game.inputs, mode=mode)
    assert found.valid.sum(1).tolist() == [4, 2, 3]
    assert found.forwards == 4 + 2 + 3
    kept = {"deletion": [[7, 3, 1, 0], [24, 0, 0, 0], [34, 2, 0, 0]], "insertion": [[0, 4, 6, 7], [0, 24, 24, 24], [0, 32, 34, 34]]}
    assert found.value.tolist() == kept[mode]  # small integers are exact
