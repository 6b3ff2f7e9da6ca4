"""Deletion and insertion areas have closed forms, one direction for all rows, and no unit once normalised."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attrlab.games import make_game, shapley
from attrlab.metrics import METRICS, perturbation
from attrlab.metrics.perturbation import perturbation_area
from tests.attrlab.ragged_games import CLOSE, ragged

GAME = [metric for metric in METRICS.values() if metric.question == "game" and not metric.modalities]
CURVES = perturbation.METRICS


def linear(weights, *, bias=0.0, slope=1.0):
    weights = torch.as_tensor(weights, dtype=torch.float64)
    rows, players = weights.shape
    return make_game(
        lambda x: bias + slope * x.sum(1, keepdim=True),
        weights,
        target=torch.zeros(rows, dtype=torch.int64),
        baseline=torch.zeros_like(weights),
        feature_mask=torch.arange(players).expand(rows, players),
    )


def test_every_unit_has_both_directions():
    found = {metric.name: metric.direction for metric in GAME}
    for unit in ("", "_logit", "_probability"):
        assert (found[f"deletion{unit}"], found[f"insertion{unit}"]) == ("lower", "higher")


def test_a_constant_map_is_one_half_in_both_directions():
    game = linear([[1.0, 2.0, 5.0]], bias=3.0)
    constant = torch.ones(1, 3, dtype=torch.float64)
    for name, expected in {"deletion": 0.5, "insertion": 0.5, "deletion_logit": 7.0, "insertion_logit": 7.0}.items():
        assert METRICS[name].measure(game, constant).item() == pytest.approx(expected, abs=CLOSE)


def test_one_of_n_players_that_matters_is_worth_half_of_its_interval():
    game = linear([[0.0, 0.0, 4.0, 0.0]])
    first, last = torch.tensor([[0.0, 1, 2, 0]]).double(), torch.tensor([[2.0, 2, 1, 2]]).double()
    assert METRICS["deletion"].measure(game, first).item() == pytest.approx(1 / 8, abs=CLOSE)
    assert METRICS["insertion"].measure(game, first).item() == pytest.approx(7 / 8, abs=CLOSE)
    assert METRICS["deletion"].measure(game, last).item() == pytest.approx(7 / 8, abs=CLOSE)


@given(seed=st.integers(0, 10**6), slope=st.sampled_from([1.0, -1.0, 0.01]))
@settings(max_examples=20, deadline=None)
def test_on_a_linear_game_no_map_beats_the_truth_whichever_way_the_output_moves(seed, slope):
    generator = torch.Generator().manual_seed(seed)
    game = linear(torch.randint(-4, 5, (4, 5), generator=generator), bias=1.0, slope=slope)
    truth, other = shapley(game), torch.randn(4, 5, generator=generator, dtype=torch.float64)
    for metric in CURVES:
        better = metric.measure(game, truth) - metric.measure(game, other)
        defined = ~better.isnan()
        assert ((better if metric.direction == "higher" else -better)[defined] >= -CLOSE).all(), metric.name


@given(seed=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_normalised_areas_have_neither_unit_nor_offset(seed):
    weights = torch.randint(-4, 5, (4, 5), generator=torch.Generator().manual_seed(seed))
    scores = torch.randint(-2, 3, (4, 5), generator=torch.Generator().manual_seed(seed + 1)).double()
    for name in ("deletion", "insertion"):
        one = METRICS[name].measure(linear(weights), scores)
        two = METRICS[name].measure(linear(weights, bias=-8.0, slope=1024.0), scores)  # powers of two: no other rounding
        torch.testing.assert_close(one, two, atol=CLOSE, rtol=0, equal_nan=True)


def test_where_input_and_baseline_agree_only_the_raw_area_is_defined():
    game = linear([[1.0, -1.0]])
    scores = torch.tensor([[2.0, 1.0]], dtype=torch.float64)
    assert METRICS["deletion"].measure(game, scores).isnan().all()
    assert METRICS["deletion_logit"].measure(game, scores).item() == pytest.approx(-0.5, abs=CLOSE)  # 0, -1, 0 over halves


def test_a_difference_of_rounding_is_no_difference():
    game = linear([[0.1, 0.2, -0.3]])
    assert game.inputs.sum().item() != 0  # 5.6e-17
    assert METRICS["deletion"].measure(game, torch.tensor([[3.0, 2.0, 1.0]], dtype=torch.float64)).isnan().all()


@given(seed=st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_areas_do_not_depend_on_the_batch(seed):
    game = ragged(seed, rows=4)
    scores = torch.randint(-2, 3, (4, 5), generator=torch.Generator().manual_seed(seed)).double()
    for metric in GAME:
        together = metric.measure(game, scores)
        for row in range(4):
            part = slice(row, row + 1)
            own = make_game(
                game.model,
                game.inputs[part],
                target=game.target[part],
                baseline=game.baseline[part],
                feature_mask=game.feature_mask[part],
                players=5,
            )
            # the divisor may be small: rounding 1e-16 over a difference of at least 1e-4 on these networks
            torch.testing.assert_close(together[part], metric.measure(own, scores[part]), atol=1e-10, rtol=1e-10, equal_nan=True)


@pytest.mark.parametrize("metric", GAME, ids=lambda metric: metric.name)
def test_a_row_that_is_not_finite_is_undefined(metric):
    game = linear([[1.0, 2.0]] * 2)
    scores = torch.tensor([[1.0, torch.nan], [1.0, 2.0]], dtype=torch.float64)
    assert metric.measure(game, scores).isnan().tolist() == [True, False]


def test_steps_coarsen_the_curve():
    game = linear([[8.0, 0.0, 0.0, 0.0]])
    scores = torch.tensor([[4.0, 3.0, 2.0, 1.0]], dtype=torch.float64)
    assert perturbation_area(game, scores, mode="deletion").item() == pytest.approx(1 / 8, abs=CLOSE)
    assert perturbation_area(game, scores, mode="deletion", steps=2).item() == pytest.approx(1 / 4, abs=CLOSE)
