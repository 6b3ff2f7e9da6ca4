"""Graded colours are worth 5/4 minus their distance, exactly, and what the gradient is multiplied with decides its sign."""

import numpy as np
import pytest
import torch

from synthetic import make_environment
from synthetic.gadgets import least_preactivation
from synthetic.oracles import game_truth

IDS = ("colour-continuous-v1", "imbalanced-background-v1")
EACH = pytest.mark.parametrize("id", IDS)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@EACH
@pytest.mark.parametrize("deviation", ["inward", "any"])
def test_the_network_equals_its_specification_in_both_precisions(id, deviation):
    environment = make_environment(id, deviation=deviation)  # 2 x 2 x 2 500 images
    batch = environment.sample(1250, generator())
    kept = torch.rand(1250, 1, 9, 9, generator=generator(7)) < 0.5
    images = torch.cat([batch.inputs, torch.where(kept, batch.inputs, batch.baseline)])
    expected = torch.from_numpy(environment.specification(images.numpy()))
    assert torch.equal(environment.model(images), expected)  # multiples of 1/16: exact
    assert least_preactivation(environment.model, images) >= 0.25
    assert torch.equal(environment.model.float()(images.float()).double(), expected)


def worth_by_hand(pixel, centre):
    return max(0.0, 1 - sum(max(abs(a - b) - 0.25, 0) for a, b in zip(pixel, centre, strict=True)))


@EACH
def test_a_pixel_is_worth_what_one_would_compute_by_hand(id):
    environment = make_environment(id)
    batch = environment.sample(6, generator())
    for row in range(6):
        centre = environment.knobs["targets"][int(batch.target[row])]
        expected = [worth_by_hand(pixel, centre) for pixel in batch.inputs[row].flatten(1).T.tolist()]
        for scores in batch.truth.attributions.values():
            assert scores[row].tolist() == expected  # dyadic numbers


@EACH
def test_the_truth_is_the_enumerated_one(id):
    environment = make_environment(id, counts=(1, 3), distraction=(1, 2))
    batch = environment.sample(5, generator())
    direct = game_truth(environment.specification, batch.inputs, batch.baseline, batch.feature_mask, batch.target, players=81)
    assert torch.equal(batch.truth.support, direct.support)
    for convention in ("shapley", "removal"):
        assert torch.allclose(batch.truth.attributions[convention], direct.attributions[convention], rtol=0, atol=1e-12)  # 2^8 terms


@EACH
def test_values_are_graded(id):
    scores = make_environment(id).sample(200, generator()).truth.attributions["shapley"]
    assert set(scores[scores > 0].tolist()) == {0.25 + j / 16 for j in range(9)}


@pytest.mark.parametrize(("id", "times_input"), [("colour-continuous-v1", 1), ("imbalanced-background-v1", -1)])
def test_gradient_times_input_has_the_wrong_sign_on_a_bright_background_and_times_the_difference_the_right_one(id, times_input):
    environment = make_environment(id)
    batch = environment.sample(40, generator())
    inputs = batch.inputs.clone().requires_grad_()
    environment.model(inputs).gather(1, batch.target[:, None]).sum().backward()
    gradient = inputs.grad
    assert torch.equal((gradient != 0).any(1).flatten(1), batch.truth.support)  # it points to all of the evidence and to nothing else
    by_input, by_difference = ((gradient * part).sum(1).flatten(1)[batch.truth.support] for part in (inputs, inputs - batch.baseline))
    assert (by_input * times_input > 0).all()
    assert (by_difference > 0).all()


def test_the_amount_of_evidence_varies_between_few_and_many():
    support = make_environment("imbalanced-background-v1").sample(500, generator()).truth.support.sum(1)
    assert set(support.tolist()) == set(range(1, 11))


@EACH
def test_equal_networks_agree_on_the_whole_box(id):
    environment = make_environment(id)
    batch = environment.sample(50, generator())
    place = torch.rand(50, 1, 1, 1, generator=generator(1), dtype=torch.float64)
    images = torch.lerp(batch.baseline, batch.inputs, place)
    for network in environment.equals.values():
        assert torch.allclose(network(images), environment.model(images), rtol=0, atol=1e-9)  # the same sums in another order


def test_pixels_of_one_orbit_look_alike():
    batch = make_environment("colour-continuous-v1", levels=2).sample(5, generator())
    looks = batch.inputs.flatten(2).transpose(1, 2).numpy()
    for row in range(5):
        for number in np.unique(batch.truth.orbit[row]):
            assert len(np.unique(looks[row, batch.truth.orbit[row].numpy() == number], axis=0)) == 1


REFUSED = {
    "levels": ({"levels": 4}, "1 plus a power of two.*got 4"),
    "deviation": ({"deviation": "outward"}, "'inward' or 'any'"),
    "near": ({"targets": ((5, 2, 2), (5, 3, 8))}, "equal or 2 apart"),
    "too-near": ({"targets": ((5, 2, 2), (5, 4, 2))}, "too close|equal or 2 apart"),
}


@pytest.mark.parametrize(("knobs", "message"), REFUSED.values(), ids=REFUSED)
def test_a_knob_out_of_range_is_refused_with_what_to_write(knobs, message):
    with pytest.raises(ValueError, match=message):
        make_environment("colour-continuous-v1", **knobs)
