"""RISE and sliding windows: masks are those of the paper, means are exact where they can be, maps keep the scale of what they share."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
import torch
from captum.attr import Occlusion
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import attrlab.methods.rise
import attrlab.methods.windows
from attrlab.errors import InvalidInput, NotApplicable
from attrlab.games import constant, evaluate, make_game
from attrlab.methods.coalitions import occlusion
from attrlab.methods.rise import Grids, _enlarged, rise, rise_players
from attrlab.methods.windows import occlusion_windows
from synthetic import make_environment
from tests import reference_coalitions as twin
from tests.attrlab.ragged_games import CLOSE, asked, network, ragged, table_game, worth_of


def image_game(*, rows: int = 2, channels: int = 2, side: int = 5, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(rows, channels, side, side, generator=generator, dtype=torch.float64)
    mask = torch.arange(side**2).view(1, 1, side, side).expand_as(inputs)
    return make_game(
        network(inputs[0].numel(), seed=seed),
        inputs,
        target=torch.zeros(rows, dtype=torch.int64),
        baseline=torch.zeros_like(inputs),
        feature_mask=mask,
    )


@given(seed=st.integers(0, 10**6), probability=st.sampled_from([0.5, 0.25]))
@settings(max_examples=10, deadline=None)
def test_with_few_players_rise_is_the_expectation_over_all_masks(seed, probability):
    game = table_game(seed=seed, rows=2, columns=4)
    found = rise_players(game.model, game.inputs, seeds=torch.arange(2), probability=probability, **asked(game))
    for row in range(2):
        wanted = twin.rise(worth_of(game, row), range(4), probability=probability)
        torch.testing.assert_close(found[row], torch.tensor(list(wanted.values()), dtype=torch.float64), atol=CLOSE, rtol=0)


def test_rise_gives_a_null_feature_beside_an_and_one_quarter():  # witness W13
    world = make_environment("null-beside-and-witness-v1")
    batch = world.sample(1, torch.Generator().manual_seed(0))
    offers = {"target": batch.target, "baseline": batch.baseline, "feature_mask": batch.feature_mask}
    found = rise_players(world.model, batch.inputs, seeds=torch.tensor([0]), **offers)
    torch.testing.assert_close(found, torch.tensor([[0.25, 0.5, 0.5]], dtype=torch.float64), atol=CLOSE, rtol=0)


def test_with_many_players_the_mean_of_many_estimates_is_the_expectation():
    game = table_game(rows=1, columns=5)
    exact = rise_players(game.model, game.inputs, seeds=torch.tensor([0]), **asked(game))[0]
    offers = {name: value.expand(300, *value.shape[1:]) for name, value in asked(game).items()}
    draws = rise_players(game.model, game.inputs.expand(300, 5), seeds=torch.arange(300), samples=8, **offers)
    error = draws.std(0) / 300**0.5
    assert float(((draws.mean(0) - exact).abs() / error).max()) < 4.5  # 5 means of 300: a chance of 3e-5


@pytest.mark.parametrize("side", [5, 9, 14])
def test_grids_are_enlarged_bilinearly_and_cut_out_where_they_say(side):
    generator = torch.Generator().manual_seed(side)
    matrix = _enlarged(side, 3, torch.zeros(1, dtype=torch.float64))
    coins = torch.rand(6, 3, 3, generator=generator) < 0.5
    down, across = (torch.randint(0, len(matrix), (6,), generator=generator) for _ in range(2))
    grids = Grids(rows=torch.tensor([0]), coins=coins, down=down, across=across, tall=matrix, wide=matrix.transpose(1, 2).contiguous())
    masks = grids.keep(torch.arange(6)).view(6, side, side)
    for k in range(6):
        wanted = twin.enlarged(coins[k].numpy().astype(float), side=side, down=int(down[k]), across=int(across[k]))
        torch.testing.assert_close(masks[k], torch.from_numpy(wanted), atol=CLOSE, rtol=0)


def test_the_mean_over_enlarged_grids_is_the_enlarged_mean_of_grids():
    generator = torch.Generator().manual_seed(0)
    matrix = _enlarged(7, 3, torch.zeros(1, dtype=torch.float64))
    coins, values = torch.rand(20, 3, 3, generator=generator) < 0.5, torch.randn(20, generator=generator, dtype=torch.float64)
    down, across = (torch.randint(0, len(matrix), (20,), generator=generator) for _ in range(2))
    grids = Grids(rows=torch.tensor([0, 1]), coins=coins, down=down, across=across, tall=matrix, wide=matrix.transpose(1, 2).contiguous())
    wanted = (grids.keep(torch.arange(20)) * values.unsqueeze(1)).view(2, 10, 49).sum(1)
    torch.testing.assert_close(grids.mean_of(values), wanted, atol=CLOSE, rtol=0)


def test_every_pixel_is_kept_with_the_stated_probability():
    image = torch.ones(60, 1, 6, 6, dtype=torch.float64)
    offers = {"target": torch.zeros(60, dtype=torch.int64), "baseline": torch.zeros_like(image)}
    mask = torch.arange(36).view(1, 1, 6, 6).expand_as(image)

    def one(x):
        return torch.ones(len(x), 1, dtype=x.dtype)

    found = rise(one, image, feature_mask=mask, seeds=torch.arange(60), samples=100, cells=3, probability=0.3, **offers)
    error = found.std(0) / 60**0.5
    assert float(((found.mean(0) - 1).abs() / error).max()) < 4.5  # 36 correlated means of 60: less than 2e-3 by Student's law


def test_masked_images_lie_between_the_image_and_its_baseline():
    seen = []

    def watched(x):
        seen.append(x)
        return x.flatten(1).sum(1, keepdim=True)

    image = torch.full((1, 1, 9, 9), 3.0)
    mask = torch.arange(81).view(1, 1, 9, 9)
    rise(watched, image, target=torch.tensor([0]), baseline=torch.ones_like(image), feature_mask=mask, seeds=torch.tensor([0]), samples=40)
    values = torch.cat(seen)
    assert len(values) == 40
    assert float(values.min()) >= 1
    assert float(values.max()) <= 3
    assert bool(((values > 1) & (values < 3)).any())  # masks are soft


@pytest.mark.parametrize("method", [rise, rise_players, occlusion_windows], ids=lambda method: method.__name__)
def test_a_rows_scores_do_not_depend_on_its_batch(method):
    game = image_game(rows=4)
    own = {"seeds": torch.tensor([4, 0, 2, 2]), "samples": 30} if method is not occlusion_windows else {}
    together = method(game.model, game.inputs, **own, **asked(game))
    order = torch.tensor([3, 1])
    part = {name: value[order] if isinstance(value, torch.Tensor) else value for name, value in own.items()}
    apart = method(game.model, game.inputs[order], **part, **asked(game, order))
    torch.testing.assert_close(apart, together[order], atol=CLOSE, rtol=0)


@pytest.mark.parametrize("method", [rise, rise_players, occlusion_windows], ids=lambda method: method.__name__)
def test_scores_are_equal_over_channels_in_the_type_of_the_inputs_and_0_for_entries_of_no_player(method):
    game = image_game(rows=2, channels=3)
    own = {"seeds": torch.arange(2), "samples": 30} if method is not occlusion_windows else {}
    mask = game.feature_mask.clone()
    mask[:, :, 0, 0] = -1
    baseline = torch.where(mask < 0, game.inputs, game.baseline).float()
    found = method(game.model.float(), game.inputs.float(), target=game.target, baseline=baseline, feature_mask=mask, **own)
    assert found.dtype == torch.float32
    assert torch.equal(found[:, 0], found[:, 1])
    assert torch.equal(found[:, 0], found[:, 2])
    assert not found[:, :, 0, 0].any()
    assert found[:, :, 1:, 1:].ne(0).all()


@pytest.mark.parametrize(("window", "stride"), [(1, 1), (2, 1), (2, 2), (3, 2), (5, 5)])
def test_windows_are_averaged_where_they_overlap_and_divided_among_their_pixels(window, stride):
    game = image_game()
    found = occlusion_windows(game.model, game.inputs, window=window, stride=stride, **asked(game)).sum(1)
    for row in range(2):
        wanted = twin.windows(worth_of(game, row), 5, window=window, stride=stride)
        torch.testing.assert_close(found[row], torch.from_numpy(wanted), atol=CLOSE, rtol=0)


def test_a_window_of_one_pixel_is_occlusion():
    game = image_game()
    found = occlusion_windows(game.model, game.inputs, window=1, **asked(game))
    torch.testing.assert_close(found, occlusion(game.model, game.inputs, **asked(game)), atol=CLOSE, rtol=0)


def test_captums_map_of_an_additive_image_sums_to_four_times_its_total_where_ours_is_complete():
    image = torch.arange(16.0, dtype=torch.float64).view(1, 1, 4, 4)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 1, bias=False)).double().requires_grad_(False)
    model[1].weight.fill_(1.0)
    theirs = Occlusion(model).attribute(image, sliding_window_shapes=(1, 2, 2), strides=(1, 2, 2), target=0)
    mask = torch.arange(16).view(1, 1, 4, 4)
    offers = {"target": torch.tensor([0]), "baseline": torch.zeros_like(image), "feature_mask": mask}
    ours = occlusion_windows(model, image, window=2, stride=2, **offers)
    assert float(theirs.sum()) == pytest.approx(480, abs=1e-5)  # Captum averages in float32
    torch.testing.assert_close(ours, theirs.double() / 4, atol=1e-6, rtol=0)
    assert float(ours.sum()) == pytest.approx(120, abs=CLOSE)


def test_a_window_larger_than_the_image_is_cut_down_to_it():
    game = image_game(side=3)
    found = occlusion_windows(game.model, game.inputs, window=7, stride=2, **asked(game)).sum(1)
    effect = (game.model(game.inputs) - game.model(game.baseline))[:, 0]
    torch.testing.assert_close(found, (effect / 9).view(-1, 1, 1).expand(-1, 3, 3), atol=CLOSE, rtol=0)


@pytest.mark.parametrize("method", [rise, occlusion_windows], ids=lambda method: method.__name__)
def test_what_is_not_an_image_is_refused_with_what_to_use_instead(method):
    game = ragged(5)
    own = {"seeds": torch.arange(3)} if method is rise else {}
    with pytest.raises(NotApplicable, match=r"use (rise_players|occlusion) \(got \(3, 2, 4\)\)"):
        method(game.model, game.inputs, **own, **asked(game))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"probability": 1.0}, r"\(got 1.0\)"), ({"samples": 0}, r"samples must be at least 1"), ({"cells": 0}, r"cells must be at least 1")],
    ids=["probability", "samples", "cells"],
)
def test_a_hyperparameter_out_of_range_is_told_its_bound(wrong, message):
    game = image_game()
    with pytest.raises(InvalidInput, match=message):
        rise(game.model, game.inputs, seeds=torch.arange(2), **wrong, **asked(game))


def test_a_stride_beyond_the_window_would_leave_pixels_out_and_is_refused():
    game = image_game()
    with pytest.raises(InvalidInput, match=r"window must be at least 3 \(got 2\)"):
        occlusion_windows(game.model, game.inputs, window=2, stride=3, **asked(game))


def test_players_cannot_be_kept_in_part_by_an_imputer_that_does_not_interpolate():
    game = image_game(rows=1, side=3)
    other = make_game(game.model, game.inputs, imputer=constant(0.5), **asked(game))
    matrix = _enlarged(3, 2, game.inputs)
    grids = Grids(
        rows=torch.tensor([0]),
        coins=torch.ones(1, 2, 2, dtype=torch.bool),
        down=torch.tensor([0]),
        across=torch.tensor([0]),
        tall=matrix,
        wide=matrix.transpose(1, 2).contiguous(),
    )
    with pytest.raises(NotApplicable, match=r"the imputer 'constant 0.5' has no meaning for"):
        evaluate(other, grids)
    assert np.isfinite(float(evaluate(game, grids).logits.sum()))


@pytest.mark.parametrize("module", [attrlab.methods.rise, attrlab.methods.windows], ids=lambda module: module.__name__)
def test_the_examples_in_the_documentation_run(module):
    found = doctest.testmod(module)
    assert found.attempted >= 3
    assert found.failed == 0
