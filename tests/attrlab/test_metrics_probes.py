"""Known-answer probes that published toolkits are reported to fail, as minimal cases.

What every metric owes on any input (rows 25 and 26 among it) is in `test_metrics_owed.py`.
Numbers in test names' comments are those of the probes' rows: wrong answers, dropped data, crashes, refusals, waste and side effects.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from attrlab.games import Policy, make_game
from attrlab.games.imputers_data import channel_mean
from attrlab.metrics import METRICS
from attrlab.metrics.answers import Answers
from attrlab.metrics.orders import mean_curve
from attrlab.metrics.regions import of_regions, region_perturbation, road, selectivity
from attrlab.metrics.subsets import infidelity
from tests.attrlab.ragged_games import CLOSE
from tests.attrlab.small_games import additive, game_of

ASKED = [metric for metric in METRICS.values() if metric.question in ("game", "truth", "scores")]
EACH = pytest.mark.parametrize("metric", ASKED, ids=lambda metric: metric.name)
IMAGE_ONLY = frozenset({"image"})


def picture(rows=2, *, side=7, channels=3, dtype=torch.float64):
    """An additive game on images of several channels, whose pixels are players; and its exact scores."""
    images = torch.rand(rows, channels, side, side, generator=torch.Generator().manual_seed(0), dtype=dtype)
    mask = torch.arange(side * side).view(1, 1, side, side).expand(images.shape)
    game = make_game(
        lambda x: torch.stack([x.sum((1, 2, 3)), -x.sum((1, 2, 3))], 1) / side,
        images,
        target=torch.zeros(rows, dtype=torch.int64),
        baseline=torch.zeros_like(images),
        feature_mask=mask,
    )
    return game, images.sum(1).flatten(1) / side


def measured(metric, game, scores):
    """One metric of any of the three kinds; what matters are the players with a positive score."""
    if metric.question == "game":
        return metric.measure(game, scores)
    if metric.question == "scores":
        return metric.measure(scores, present=game.present)
    truth = torch.arange(scores.shape[1], dtype=scores.dtype).expand_as(scores) - 1
    return metric.measure(scores, truth=truth, support=truth > 0, present=game.present)


@EACH
@pytest.mark.parametrize("kind", ["negative", "zero", "constant", "float32", "not finite"])
def test_correct_attributions_are_never_refused(metric, kind):  # rows 7, 20, 27, 28
    dtype = torch.float32 if kind == "float32" else torch.float64
    game, exact = picture(dtype=dtype) if metric.modalities == IMAGE_ONLY else (additive([[1.0, -2.0, 3.0], [4.0, 5.0, 6.0]]), None)
    base = exact if exact is not None else game.inputs.to(dtype)
    scores = {"negative": -base.abs() - 1, "zero": 0 * base, "constant": 0 * base + 3, "float32": base, "not finite": base.clone()}[kind]
    if kind == "not finite":
        scores[0, 0] = torch.nan
    found = measured(metric, game, scores)
    assert found.shape == (2,)
    assert found.dtype == torch.float64
    assert not found.isinf().any()
    if kind == "not finite":
        assert found[0].isnan()


@EACH
def test_a_row_beside_a_large_one_keeps_its_score(metric):  # rows 5, 6, 10, 13
    game, scores = picture(3)
    scaled = scores * torch.tensor([[1.0], [1e6], [1.0]], dtype=torch.float64)
    together = measured(metric, game, scaled)
    for row in range(3):
        part = slice(row, row + 1)
        alone = make_game(
            game.model,
            game.inputs[part],
            target=game.target[part],
            baseline=game.baseline[part],
            feature_mask=game.feature_mask[part],
        )
        torch.testing.assert_close(together[part], measured(metric, alone, scaled[part]), atol=1e-9, rtol=1e-9, equal_nan=True)


@pytest.mark.parametrize("measure", [region_perturbation, selectivity])
def test_mirrored_images_have_mirrored_regions_where_they_tile(measure):
    game, scores = picture(side=6)
    mirrored = make_game(
        game.model, game.inputs.flip(3), target=game.target, baseline=game.baseline, feature_mask=game.feature_mask, players=36
    )
    moved = scores.view(-1, 6, 6).flip(2).flatten(1)
    torch.testing.assert_close(measure(mirrored, moved), measure(game, scores), atol=CLOSE, rtol=0)


def test_monotonicity_tells_an_exact_map_from_another():  # row 3
    game = game_of(lambda x: (x[:, :1] - x[:, 1:2]).clamp(min=0), [[1.0, 1.0]])  # 0, {1}: 1, {2}: 0, both: 0
    found = [METRICS["monotonicity_arya"].measure(game, torch.tensor([s], dtype=torch.float64)).item() for s in ([1.0, 2.0], [2.0, 1.0])]
    assert found == [0, 1]


def test_sensitivity_n_is_one_for_exact_scores():  # row 4
    game, scores = picture()
    assert METRICS["sensitivity_n"].measure(game, scores).tolist() == pytest.approx([1, 1], abs=1e-9)


def test_every_row_counts():  # rows 5, 6
    game, scores = picture(70)
    changed = scores.clone()
    changed[65:] = -scores[65:]
    for name in ("road", "sensitivity_n", "deletion"):
        one, two = (METRICS[name].measure(game, s) for s in (scores, changed))
        assert torch.equal(one[:65], two[:65]), name
        assert (one[65:] != two[65:]).all(), name


def test_regions_of_a_constant_model_are_worth_nothing():  # row 9
    game, scores = picture()
    flat = make_game(
        lambda x: 0 * x.sum((1, 2, 3)).unsqueeze(1) + 4,
        game.inputs,
        target=game.target,
        baseline=game.baseline,
        feature_mask=game.feature_mask,
    )
    assert region_perturbation(flat, scores).tolist() == [0, 0]


def test_a_mean_is_that_of_the_original_at_every_step():  # row 12
    images = torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    game = make_game(
        lambda x: x.sum((1, 2, 3)).unsqueeze(1),
        images,
        target=torch.tensor([0]),
        baseline=0 * images,
        feature_mask=torch.arange(16).view(1, 1, 4, 4),
        imputer=channel_mean(images),
    )
    curve = mean_curve(game, images.flatten(1))
    assert curve.value[0, -1].item() == pytest.approx(16 * images.mean().item(), abs=CLOSE)


def test_pointing_at_an_empty_mask_is_undefined_and_a_flat_map_points_nowhere():  # rows 14, 16, 17
    flat, present = torch.ones(1, 8, dtype=torch.float64), torch.ones(1, 8, dtype=torch.bool)
    assert METRICS["pointing_game"].measure(flat, truth=flat, support=~present, present=present).isnan().all()
    for half in (torch.arange(8) < 4, torch.arange(8) >= 4):
        for name in ("pointing_game", "relevance_rank"):
            found = METRICS[name].measure(flat, truth=flat, support=half.unsqueeze(0), present=present)
            assert found.item() == pytest.approx(0.5, abs=CLOSE)


def test_random_sets_are_drawn_and_not_repeated():  # row 19
    seen = []
    game = game_of(lambda x: seen.append(x.clone()) or x.sum(1, keepdim=True), torch.ones(1, 12))
    infidelity(game, torch.ones(1, 12, dtype=torch.float64), draws=50)
    asked = torch.cat(seen)
    assert len(asked.unique(dim=0)) == len(asked)  # each distinct set once
    assert len(asked) > 45  # of 51 sets among 4096, hardly two are equal


def test_regions_need_not_tile_the_image():  # rows 8, 20
    game, scores = picture(side=7)
    regions, sums = of_regions(game, scores)
    assert sums.shape == (2, 9)
    torch.testing.assert_close(sums.sum(1), scores.sum(1), atol=CLOSE, rtol=0)
    torch.testing.assert_close(Answers(regions.game).game.present, torch.ones(2, 9, dtype=torch.bool))


def test_a_prediction_of_zero_harms_no_correlation():  # row 21
    game = game_of(lambda x: x[:, :1] - x[:, 1:2] + x[:, 2:] * 0, [[1.0, 1.0, 5.0]])
    assert METRICS["monotonicity_nguyen"].measure(game, torch.tensor([[2.0, 2.0, 1.0]]).double()).item() == pytest.approx(1, abs=CLOSE)


def test_64_steps_over_1024_pixels_are_64_steps():  # row 29
    game, scores = picture(1, side=32)
    found = mean_curve(game, scores, steps=64)
    assert found.value.shape == (1, 65)
    assert found.forwards == 65


def test_single_removals_cost_one_forward_each():  # row 30
    game, scores = picture(4)
    known = Answers(game)
    METRICS["faithfulness_estimate"].measure(known, scores)
    assert known.forwards == 4 * (49 + 1)


def test_ties_do_not_follow_the_order_of_pixels():  # torch-cam, OpenXAI: a constant map, mirrored
    weights = torch.arange(1.0, 17.0, dtype=torch.float64).unsqueeze(0)
    for name in ("deletion_logit", "insertion_logit"):
        one, two = (METRICS[name].measure(additive(w), torch.ones(1, 16).double()).item() for w in (weights, weights.flip(1)))
        assert one == pytest.approx(two, abs=1e-9)  # an additive game: each order beside its reverse has the mean exactly


def test_unequal_steps_are_weighed_by_their_width():  # Xplique: fifteen features in ten steps
    game = additive(torch.ones(1, 15))
    scores = torch.arange(15.0, dtype=torch.float64).unsqueeze(0)
    found = mean_curve(game, scores, steps=10)
    assert float(((found.value[:, 1:] + found.value[:, :-1]) / 2 * found.fraction.diff(dim=1)).sum()) == pytest.approx(7.5, abs=CLOSE)


def test_a_module_of_another_type_is_said_to_be_so():  # float64 models are run in float64
    net = nn.Linear(3, 1).double().requires_grad_(False)
    game = make_game(
        net,
        torch.ones(1, 3, dtype=torch.float64),
        target=torch.tensor([0]),
        baseline=torch.zeros(1, 3, dtype=torch.float64),
        feature_mask=torch.arange(3).unsqueeze(0),
        policy=Policy(dtype=torch.float64),
    )
    found = METRICS["faithfulness_estimate"].measure(game, net.weight.detach())
    assert found.item() == pytest.approx(1, abs=1e-9)
    assert not math.isnan(road(*picture())[0].item())


def test_a_fifth_of_a_sparse_map_is_a_fifth_of_its_pixels():  # grad-cam: 4 of 256 pixels are not zero
    images = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 1
    scores = torch.zeros(1, 256, dtype=torch.float64)
    scores[0, :4] = 1
    absent = []
    game = make_game(
        lambda x: absent.append((x == 0).flatten(1).sum(1)) or x.sum((1, 2, 3)).unsqueeze(1),
        images,
        target=torch.tensor([0]),
        baseline=0 * images,
        feature_mask=torch.arange(256).view(1, 1, 16, 16),
    )
    for order in ("morf", "lerf"):
        absent.clear()
        mean_curve(game, scores, order=order, steps=10)
        assert set(torch.cat(absent).tolist()) <= {round(256 * step / 10) for step in range(11)}  # a tenth at a time, 51 at a fifth


def test_what_is_absent_is_replaced_by_the_mean_and_not_multiplied():  # BEExAI: an exact map against the mean
    inputs = torch.randn(3, 8, generator=torch.Generator().manual_seed(4), dtype=torch.float64) + 2
    weights = torch.arange(-3.0, 5.0, dtype=torch.float64)
    game = make_game(
        lambda x: x @ weights.unsqueeze(1),
        inputs,
        target=torch.zeros(3, dtype=torch.int64),
        baseline=0 * inputs,
        feature_mask=torch.arange(8).expand(3, 8),
        imputer=channel_mean(inputs),
    )
    exact = weights * (inputs - inputs.mean(0))
    for name in ("faithfulness_correlation", "faithfulness_estimate", "sensitivity_n"):
        assert METRICS[name].measure(game, exact).tolist() == pytest.approx([1] * 3, abs=1e-9)
    assert METRICS["faithfulness_estimate"].measure(game, weights * inputs).max() < 0.999  # the map that is exact against 0


def test_a_game_does_not_know_of_the_one_that_was_made_after_it():  # OpenXAI: parameters shared by all evaluators
    first = additive([[1.0, 2.0, 3.0]])
    alone = METRICS["infidelity"].measure(first, torch.ones(1, 3).double()).item()
    second = additive([[5.0, -2.0, 0.0]])
    assert METRICS["infidelity"].measure(second, torch.ones(1, 3).double()).item() != pytest.approx(alone, abs=1)
    assert METRICS["infidelity"].measure(first, torch.ones(1, 3).double()).item() == pytest.approx(alone, abs=CLOSE)


def test_a_uniform_map_over_twelve_speaks_of_twelve():  # BEExAI: divided by n
    flat, present = torch.full((1, 12), -0.3, dtype=torch.float64), torch.ones(1, 12, dtype=torch.bool)
    assert METRICS["entropy"].measure(flat, present=present).item() == pytest.approx(math.log(12), abs=CLOSE)
    assert METRICS["effective_players"].measure(flat, present=present).item() == 12
