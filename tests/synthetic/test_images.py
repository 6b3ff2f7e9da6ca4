"""Colour worlds equal their integer specification, keep their margins, and draw what their knobs say."""

import numpy as np
import pytest
import torch

from synthetic import environment_ids, make_environment
from synthetic.gadgets import least_preactivation

HEADS = ("count", "difference", "or", "and", "modulo")
IDS = [f"colour-{head}-v1" for head in HEADS]
EACH = pytest.mark.parametrize("id", IDS)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def mixed(inputs, baseline, feature_mask, players):
    """Images of random coalitions: every player keeps its value or takes the baseline's."""
    kept = torch.rand(len(inputs), players, generator=generator(7)) < 0.5
    return torch.where(kept.gather(1, feature_mask.flatten(1)).view_as(inputs), inputs, baseline)


def by_hand(image, head, modulus=3):
    """The function of one image, pixel by pixel in plain Python."""
    red = green = 0
    for pixel in np.moveaxis(image, 0, 2).reshape(-1, 3).tolist():
        red, green = red + (pixel == [2, 0, 0]), green + (pixel == [0, 2, 0])
    return {
        "count": [red, green],
        "difference": [red - green],
        "or": [1 if red or green else 0],
        "and": [1 if red and green else 0],
        "modulo": [(red + green) % modulus],
    }[head]


def test_the_worlds_are_registered_in_the_order_of_their_difficulty():
    assert [id for id in environment_ids() if id.startswith("colour-") and id in IDS] == IDS


@EACH
def test_the_network_equals_its_specification_on_images_and_coalitions_in_both_precisions(id):
    environment = make_environment(id)  # five heads x 2 000 images: 10 000
    batch = environment.sample(1000, generator())
    images = torch.cat([batch.inputs, mixed(batch.inputs, batch.baseline, batch.feature_mask, batch.players)])
    expected = torch.from_numpy(environment.specification(images.numpy()))
    assert torch.equal(environment.model(images), expected.double())  # dyadic weights: exact, no tolerance
    single = make_environment(id).model.float()
    assert torch.equal(single(images.float()), expected.float())
    assert least_preactivation(environment.model, images) >= 0.25


@EACH
@pytest.mark.parametrize("knobs", [{}, {"accumulator": "irregular"}], ids=["uniform", "irregular"])
def test_the_network_equals_its_specification_where_every_pixel_is_coloured(id, knobs):
    environment = make_environment(id, **knobs)
    colours = torch.tensor([environment.knobs["background"], *environment.knobs["targets"], *environment.knobs["distractors"]])
    weights = torch.tensor([[1.0, 1, 1, 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]])
    labels = torch.multinomial(weights, 81, replacement=True, generator=generator())
    images = colours[labels].double().movedim(2, 1).reshape(-1, 3, 9, 9)
    expected = torch.from_numpy(environment.specification(images.numpy()))
    assert torch.equal(environment.model(images), expected.double())
    assert least_preactivation(environment.model, images) >= 0.25
    assert torch.equal(environment.model.float()(images.float()), expected.float())


@pytest.mark.parametrize("head", HEADS)
def test_the_specification_counts_as_one_would_by_hand(head):
    environment = make_environment(f"colour-{head}-v1")
    images = environment.sample(40, generator(3)).inputs.numpy()
    assert environment.specification(images).tolist() == [by_hand(image, head) for image in images]


@EACH
@pytest.mark.parametrize("size", [27, 81])
def test_larger_images_are_exact_too(id, size):
    environment = make_environment(id, size=size)
    images = environment.sample(4, generator()).inputs
    assert images.shape == (4, 3, size, size)
    assert torch.equal(environment.model(images), torch.from_numpy(environment.specification(images.numpy())).double())


@EACH
def test_equal_networks_agree_on_the_whole_box(id):
    environment = make_environment(id, counts=(2, 4))
    batch = environment.sample(100, generator(1))
    anywhere = torch.rand(batch.inputs.shape, generator=generator(2), dtype=torch.float64)
    place = torch.cat([anywhere, 0.6 + 0.1 * anywhere])  # detectors rise between 5/8 and 7/8 of the path
    images = batch.baseline.repeat(2, 1, 1, 1) + place * (batch.inputs - batch.baseline).repeat(2, 1, 1, 1)
    outputs = environment.model(images)
    assert (outputs != outputs.round()).any()  # off the lattice, where two networks could differ
    assert len(environment.equals) >= 2
    for network in environment.equals.values():
        assert torch.allclose(network(images), outputs, rtol=0, atol=1e-9)  # the same sums in another order
        assert least_preactivation(network, batch.inputs) >= 0.25


@EACH
def test_the_network_is_frozen_float64_modules_alone(id):
    model = make_environment(id).model
    assert not model.training
    assert {(p.dtype, p.requires_grad) for p in model.parameters()} == {(torch.float64, False)}
    kinds = {type(module).__name__ for module in model.modules()}
    assert kinds <= {"Sequential", "Conv2d", "Linear", "ReLU", "Flatten"}
    activations = [module for module in model.modules() if isinstance(module, torch.nn.ReLU)]
    called = []
    handles = [module.register_forward_hook(lambda module, *_: called.append(module)) for module in activations]
    model(torch.zeros(1, 3, 9, 9, dtype=torch.float64))
    for handle in handles:
        handle.remove()
    assert called == activations  # each once


@EACH
def test_every_gradient_is_zero_on_the_data(id):
    environment = make_environment(id)
    inputs = environment.sample(50, generator()).inputs.requires_grad_()
    environment.model(inputs).sum().backward()
    assert "flat_gradient" in environment.traits
    assert not inputs.grad.any()


@EACH
def test_effects_of_single_pixels_add_up_exactly_where_the_world_says_so(id):
    environment = make_environment(id)
    batch = environment.sample(60, generator())
    empty = environment.model(batch.baseline)
    single = [torch.where(batch.feature_mask == player, batch.inputs, batch.baseline) for player in range(batch.players)]
    alone = [environment.model(images) - empty for images in single]
    additive = torch.equal(sum(alone), environment.model(batch.inputs) - empty)
    assert additive == ("additive" in environment.traits)


@EACH
@pytest.mark.parametrize("players", ["pixels", "patches"])
def test_the_same_generator_state_draws_the_same_batch(id, players):
    environment = make_environment(id, players=players)
    one, two = environment.sample(8, generator(5)), environment.sample(8, generator(5))
    assert torch.equal(one.inputs, two.inputs)
    assert torch.equal(one.target, two.target)
    assert not torch.equal(one.inputs, environment.sample(8, generator(6)).inputs)


@EACH
def test_building_and_sampling_leave_the_global_generator_alone(id):
    before = torch.random.get_rng_state()
    make_environment(id).sample(2, generator())
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(("players", "side"), [("pixels", 1), ("patches", 3)])
def test_a_player_is_a_square_with_all_its_channels(players, side):
    mask = make_environment("colour-or-v1", players=players).sample(2, generator()).feature_mask
    number = 0
    for row in range(0, 9, side):
        for column in range(0, 9, side):
            square = torch.zeros(9, 9, dtype=torch.bool)
            square[row : row + side, column : column + side] = True
            assert torch.equal(mask == number, square.expand(2, 3, 9, 9))
            number += 1
    assert mask.max() == number - 1


@pytest.mark.parametrize("head", ["count", "difference", "or"])
def test_images_have_as_many_coloured_pixels_as_the_knobs_say(head):
    environment = make_environment(f"colour-{head}-v1", counts=(2, 3), distraction=(1, 2))
    inputs = environment.sample(300, generator()).inputs.numpy()
    targets = make_environment("colour-count-v1").specification(inputs)
    blue = (inputs == np.array([0, 0, 2])[:, None, None]).all(1).sum((1, 2))
    assert set(targets.ravel()) == {2, 3}
    assert set(blue) == {1, 2}
    assert (inputs != 0).any(1).sum((1, 2)).tolist() == (targets.sum(1) + blue).tolist()  # placed without replacement


def test_every_place_is_as_likely_as_any_other():
    inputs = make_environment("colour-count-v1").sample(4000, generator()).inputs
    share = (inputs != 0).any(1).double().mean(0) * 81 / 7  # 2.5 + 2.5 + 2 pixels on average
    assert (share - 1).abs().max() < 5 * (81 / 7 / 4000) ** 0.5  # five standard deviations of a binomial share


def test_half_of_the_conjunctions_hold_and_either_colour_may_be_missing():
    environment = make_environment("colour-and-v1")
    inputs = environment.sample(1000, generator()).inputs.numpy()
    missing = make_environment("colour-count-v1").specification(inputs) == 0
    assert abs(environment.specification(inputs).mean() - 0.5) < 0.08  # five standard deviations: 5 x 0.5 / √1000
    assert not missing.all(1).any()
    assert missing[:, 0].any()
    assert missing[:, 1].any()


def test_zeros_do_not_dominate_the_modulo_world():
    environment = make_environment("colour-modulo-v1")
    values = environment.specification(environment.sample(1000, generator()).inputs.numpy())
    assert 0.05 < (values == 0).mean() < 0.25
    assert set(values.ravel()) == {0, 1, 2}


def test_both_logits_of_the_counting_world_are_explained():
    target = make_environment("colour-count-v1").sample(100, generator()).target
    assert 30 <= int(target.sum()) <= 70  # four standard deviations: 4 x √25


@EACH
def test_a_world_is_rebuilt_from_its_knobs(id):
    environment = make_environment(id, size=27, counts=(1, 2), targets=((3, 0, 0), (0, 3, 0)), modulus=2, players="patches")
    again = make_environment(id, **environment.knobs)
    assert again.formula == environment.formula
    assert torch.equal(again.sample(3, generator()).inputs, environment.sample(3, generator()).inputs)


REFUSED = {
    "size": ({"size": 2}, "at least 3 such as 9, 27 or 224 .got 2"),
    "tiles": ({"size": 10, "players": "patches"}, "sides that 3 divides.*got size=10"),
    "head": ({"head": "xor"}, "head must be one of count, difference, or, and, .* .got 'xor'"),
    "difference": ({"head": "difference", "targets": ((2, 0, 0),)}, "exactly two targets .got 1"),
    "and": ({"head": "and", "targets": ((2, 0, 0),)}, "at least two targets"),
    "modulus": ({"head": "modulo", "modulus": 1}, "at least 2, such as 3 .got 1"),
    "players": ({"players": "superpixels"}, "'pixels' or 'patches' .got 'superpixels'"),
    "accumulator": ({"accumulator": "mean"}, "'uniform' or 'irregular'"),
    "counts": ({"counts": (3, 1)}, r"such as \(1, 4\) \(got \(3, 1\)\)"),
    "one-count": ({"counts": 3}, r"such as \(1, 4\) \(got 3\)"),
    "no-room": ({"size": 3}, "do not fit into 3x3"),
    "palette": ({"targets": ((2, 0, 0), (4, 0, 0))}, "too close"),
}


@pytest.mark.parametrize(("knobs", "message"), REFUSED.values(), ids=REFUSED)
def test_a_knob_out_of_range_is_refused_with_what_to_write(knobs, message):
    with pytest.raises(ValueError, match=message):
        make_environment("colour-count-v1", **knobs)


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="at least one row"):
        make_environment("colour-count-v1").sample(0, generator())
