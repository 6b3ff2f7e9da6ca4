"""The truth of an image has a second derivation for each convention: enumeration, closed forms, quadrature."""

import numpy as np
import pytest
import torch

from synthetic import make_environment
from synthetic.oracles import count_game_shapley, game_truth

HEADS = ("count", "difference", "or", "and", "modulo")
EACH = pytest.mark.parametrize("head", HEADS)
ROUNDING = 1e-12
"""Scores are sums of at most 2^11 fractions of order one, and each of them is rounded to float64 once: 2^11 x 1e-16."""


def world(head, **knobs):
    return make_environment(f"colour-{head}-v1", **knobs)


def sample(environment, rows, seed=0):
    return environment.sample(rows, torch.Generator().manual_seed(seed))


def pixel_counts(batch):
    """Pixels of red, green, blue of each row, and which of them each player is (-1 for background)."""
    colours = np.array([[2, 0, 0], [0, 2, 0], [0, 0, 2]])
    pixels = np.moveaxis(batch.inputs.numpy(), 1, 3).reshape(len(batch), -1, 1, 3)
    same = (pixels == colours).all(3)  # (batch, players, 3)
    return same.sum(1), np.where(same.any(2), same.argmax(2), -1)


def per_pixel(batch, scores):
    """Spread the score of one pixel of red and green, (batch, 2), over the players of these colours; the others get 0."""
    _, colour = pixel_counts(batch)
    padded = np.concatenate([scores, np.zeros((len(scores), 2))], axis=1)  # blue, and -1: the background
    return torch.from_numpy(np.take_along_axis(padded, colour, axis=1))


def close(one, two, tolerance=ROUNDING):
    return torch.allclose(one, two, rtol=0, atol=tolerance)


@EACH
@pytest.mark.parametrize("players", ["pixels", "patches"])
def test_the_truth_is_that_of_the_image_enumerated_where_it_stands(head, players):
    environment = world(head, players=players, counts=(1, 3), distraction=(1, 2))
    batch = sample(environment, 5, seed=2)
    direct = game_truth(environment.specification, batch.inputs, batch.baseline, batch.feature_mask, batch.target, players=batch.players)
    assert torch.equal(batch.truth.support, direct.support)
    assert torch.equal(batch.truth.sign, direct.sign)
    for convention in ("shapley", "removal"):
        assert close(batch.truth.attributions[convention], direct.attributions[convention])


VALUE = {
    "difference": lambda n: n[0] - n[1],
    "or": lambda n: int(n[0] + n[1] > 0),
    "and": lambda n: int(n[0] > 0 and n[1] > 0),
    "modulo": lambda n: (n[0] + n[1]) % 3,
}


@pytest.mark.parametrize("head", VALUE)
def test_shapley_values_are_those_of_the_count_game(head):
    batch = sample(world(head), 12)
    counts, _ = pixel_counts(batch)
    scores = np.array([count_game_shapley(VALUE[head], row[:2].tolist()) for row in counts])
    assert close(batch.truth.attributions["shapley"], per_pixel(batch, scores))


def test_on_the_counting_head_every_convention_gives_each_target_pixel_one():
    batch = sample(world("count"), 30)
    _, colour = pixel_counts(batch)
    expected = torch.from_numpy(colour == batch.target.numpy()[:, None]).double()
    for scores in batch.truth.attributions.values():
        assert close(scores, expected)


def test_on_the_difference_every_convention_gives_plus_and_minus_one():
    batch = sample(world("difference"), 30)
    expected = per_pixel(batch, np.tile([1.0, -1.0], (30, 1)))
    for scores in batch.truth.attributions.values():
        assert close(scores, expected)


def test_on_or_credit_is_shared_equally_and_removal_finds_nothing():
    batch = sample(world("or"), 30)
    total = pixel_counts(batch)[0][:, :2].sum(1)
    expected = per_pixel(batch, np.tile(1 / total, (2, 1)).T)
    assert close(batch.truth.attributions["shapley"], expected)
    assert close(batch.truth.attributions["integrated_gradients"], expected)
    assert (total >= 2).all()
    assert not batch.truth.attributions["removal"].any()


def test_removal_finds_the_only_pixel_of_an_or():
    batch = sample(world("or", targets=((2, 0, 0),), counts=(1, 1), distractors=((0, 2, 0), (0, 0, 2))), 4)
    _, colour = pixel_counts(batch)
    assert torch.equal(batch.truth.attributions["removal"], torch.from_numpy(colour == 0).double())


def test_on_modulo_each_pixel_has_its_share_and_removal_may_be_negative():
    batch = sample(world("modulo"), 60)
    total = pixel_counts(batch)[0][:, :2].sum(1)
    share = per_pixel(batch, np.tile(total % 3 / total, (2, 1)).T)
    removal = per_pixel(batch, np.tile(np.where(total % 3 == 0, -2.0, 1.0), (2, 1)).T)
    assert close(batch.truth.attributions["shapley"], share)
    assert close(batch.truth.attributions["integrated_gradients"], share)
    assert close(batch.truth.attributions["removal"], removal)
    assert (total % 3 == 0).any()


def test_on_and_a_single_pixel_of_one_colour_takes_the_whole_path_integral():
    # With n_1 = 1 and n_2 >= 2 marks grow alike, the second colour's step is over before the first one's matters.
    batch = sample(world("and", counts=(1, 4)), 200)
    counts, colour = pixel_counts(batch)
    rows = (counts[:, 0] == 1) & (counts[:, 1] >= 2)
    assert rows.sum() >= 5
    integrals = batch.truth.attributions["integrated_gradients"][rows]
    assert close(integrals, torch.from_numpy(colour[rows] == 0).double())
    shapley = batch.truth.attributions["shapley"][rows]
    assert (shapley[torch.from_numpy(colour[rows] == 1)] > 0.01).all()


def test_on_or_the_colour_reached_first_takes_the_whole_path_integral():
    batch = sample(world("or", targets=((2, 0, 0), (0, 4, 0))), 20)
    red = (batch.inputs[:, 0] == 2).flatten(1).double()  # within a quarter of its colour from 7/8 of the path on, green from 15/16
    assert close(batch.truth.attributions["integrated_gradients"], red / red.sum(1, keepdim=True))
    assert (batch.truth.attributions["shapley"] > 0).sum() > red.sum()


def quadrature(environment, batch, steps):
    """The path integral by torch's own gradients of the full network at midpoints of `steps` equal steps."""
    place = ((torch.arange(steps, dtype=torch.float64) + 0.5) / steps)[:, None, None, None]
    scores = []
    for x, x0, target in zip(batch.inputs, batch.baseline, batch.target, strict=True):
        points = (x0 + place * (x - x0)).requires_grad_()
        environment.model(points)[:, target].sum().backward()
        scores.append(points.grad.mean(0) * (x - x0))
    owner = batch.feature_mask.flatten(1)
    return torch.zeros(len(batch), batch.players, dtype=torch.float64).scatter_add_(1, owner, torch.stack(scores).flatten(1))


@EACH
@pytest.mark.parametrize("players", ["pixels", "patches"])
def test_the_path_integral_is_that_of_the_network_by_quadrature(head, players):
    environment = world(head, counts=(2, 3), players=players)
    batch = sample(environment, 3, seed=4)
    # Marks rise as 4t - 5/2 on the path; with counts 2 and 3 every kink is a multiple of 1/1920, between midpoints, so that the
    # midpoint rule is exact and what remains is float64 rounding of 1920 gradients of order 100.
    assert close(quadrature(environment, batch, 1920), batch.truth.attributions["integrated_gradients"], 1e-9)


@EACH
def test_every_distractor_and_background_pixel_has_score_zero_and_is_no_support(head):
    batch = sample(world(head), 40)
    _, colour = pixel_counts(batch)
    others = torch.from_numpy((colour == 2) | (colour == -1))
    assert not batch.truth.support[others].any()
    for scores in batch.truth.attributions.values():
        assert not scores[others].any()


@EACH
def test_shapley_and_path_integrals_are_complete(head):
    environment = world(head)
    batch = sample(environment, 40)
    difference = (environment.model(batch.inputs) - environment.model(batch.baseline)).gather(1, batch.target[:, None])[:, 0]
    for convention in ("shapley", "integrated_gradients"):
        assert close(batch.truth.attributions[convention].sum(1), difference)


def test_where_a_colour_is_missing_nothing_supports_the_conjunction():
    environment = world("and")
    batch = sample(environment, 40)
    absent = environment.specification(batch.inputs.numpy())[:, 0] == 0
    assert absent.any()
    assert torch.equal(batch.truth.support.any(1), torch.from_numpy(~absent))


@EACH
@pytest.mark.parametrize("players", ["pixels", "patches"])
def test_players_of_one_orbit_look_alike_and_may_be_exchanged(head, players):
    batch = sample(world(head, players=players), 10)
    truth = batch.truth
    for row in range(len(batch)):
        for number in truth.orbit[row].unique():
            members = (truth.orbit[row] == number).nonzero()[:, 0]
            looks = torch.stack([batch.inputs[row][batch.feature_mask[row] == member] for member in members])
            assert torch.equal(looks, looks[:1].expand_as(looks))
            for scores in truth.attributions.values():
                assert (scores[row, members] == scores[row, members[0]]).all()  # one enumeration, read twice


def test_pixels_of_different_colours_are_in_different_orbits():
    batch = sample(world("count", distractors=((0, 0, 2), (0, 0, 4)), distraction=(1, 1)), 10)
    looks = batch.inputs.flatten(2).transpose(1, 2) @ torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64)  # one number per colour
    same_look = looks[:, :, None] == looks[:, None, :]
    same_orbit = batch.truth.orbit[:, :, None] == batch.truth.orbit[:, None, :]
    assert torch.equal(same_look, same_orbit)


def test_no_pixel_is_stated_to_be_independent():
    truth = sample(world("or"), 3).truth
    assert not truth.independent.any()


@EACH
def test_the_truth_of_a_row_does_not_depend_on_the_size_of_the_image(head):
    small, large = sample(world(head), 6), sample(world(head, size=27), 6)
    for convention, scores in small.truth.attributions.items():
        for largest in (True, False):  # an image has at most 11 coloured pixels
            assert close(scores.topk(11, largest=largest).values, large.truth.attributions[convention].topk(11, largest=largest).values)
