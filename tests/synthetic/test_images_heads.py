"""Every head equals its specification, and its truth is the one that enumeration finds."""

from itertools import product

import numpy as np
import pytest
import torch

from synthetic import make_environment
from synthetic.gadgets import least_preactivation
from synthetic.images import heads
from synthetic.images.heads import Head
from synthetic.images.specification import apply_head
from synthetic.oracles import game_truth

NEW = ("colour-single-v1", "colour-threshold-v1", "colour-dominant-v1", "colour-deep-modulo-v1")
EACH = pytest.mark.parametrize("id", NEW)
ROUNDING = 1e-12  # scores are exact fractions, rounded once, beside float64 sums of at most 2^11 terms of order one


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def mixed(batch):
    kept = torch.rand(len(batch), batch.players, generator=generator(7)) < 0.5
    return torch.where(kept.gather(1, batch.feature_mask.flatten(1)).view_as(batch.inputs), batch.inputs, batch.baseline)


@EACH
def test_the_network_equals_its_specification_in_both_precisions(id):
    environment = make_environment(id)
    batch = environment.sample(1250, generator())
    images = torch.cat([batch.inputs, mixed(batch)])  # 4 x 2 500 images
    expected = torch.from_numpy(environment.specification(images.numpy())).double()
    assert torch.equal(environment.model(images), expected)  # dyadic weights: exact, no tolerance
    assert least_preactivation(environment.model, images) >= 0.25
    assert torch.equal(make_environment(id).model.float()(images.float()).double(), expected)


HEADS = [
    Head(name="dominant", colours=3),
    Head(name="threshold", colours=1, threshold=4),
    Head(name="long-division", colours=2, modulus=3),
    Head(name="absence", colours=2),
    Head(name="difference", colours=2, negative=0.375),
]


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_head_is_exact_on_every_count(head, dtype):
    counts = np.array(list(product(range(9), repeat=head.colours)))
    network = heads.network(head, largest=8 * head.colours).to(dtype)
    offset = torch.from_numpy(counts).to(dtype) + 0.5
    assert torch.equal(network(offset).double(), torch.from_numpy(apply_head(counts, head)).double())
    assert least_preactivation(network, offset) >= (0.25 if head.name != "difference" else 0)


@pytest.mark.parametrize("modulus", [2, 3, 7])
def test_long_division_is_exact_for_every_count_of_a_large_image_in_float32(modulus):
    counts = torch.arange(50177)
    network = heads.network(Head(name="long-division", colours=1, modulus=modulus), largest=50176).float()
    assert torch.equal(network(counts.float()[:, None] + 0.5)[:, 0].long(), counts % modulus)


def test_the_dominant_colour_is_the_only_largest_one():
    counts = np.array([[3, 1, 2], [2, 2, 1], [0, 1, 4], [0, 0, 0]])
    assert apply_head(counts, HEADS[0]).tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 1], [0, 0, 0]]


@EACH
@pytest.mark.parametrize("knobs", [{}, {"players": "patches"}, {"patch": 2, "counts": (0, 2)}], ids=["pixels", "patches", "squares"])
def test_the_truth_is_that_of_the_image_enumerated_where_it_stands(id, knobs):
    environment = make_environment(id, distraction=(0, 1), **{"counts": (0, 4), **knobs})
    batch = environment.sample(4, generator(3))
    direct = game_truth(
        environment.specification, batch.inputs, batch.baseline, batch.feature_mask, batch.target, players=batch.players, limit=18
    )
    assert torch.equal(batch.truth.support, direct.support)
    assert torch.equal(batch.truth.sign, direct.sign)
    for convention in ("shapley", "removal"):
        assert torch.allclose(batch.truth.attributions[convention], direct.attributions[convention], rtol=0, atol=ROUNDING)


def test_below_the_threshold_nothing_is_to_be_explained_and_at_it_every_pixel_is_necessary():
    environment = make_environment("colour-threshold-v1", threshold=3, counts=(1, 5))
    batch = environment.sample(200, generator())
    red = (batch.inputs[:, 0] == 2).flatten(1)
    count = red.sum(1)
    assert {1, 2, 3, 4, 5} == set(count.tolist())
    assert not batch.truth.support[count < 3].any()
    assert torch.equal(batch.truth.necessary, red & (count == 3)[:, None])
    shares = red.double() / count[:, None] * (count >= 3)[:, None]
    for convention in ("shapley", "integrated_gradients"):
        assert torch.allclose(batch.truth.attributions[convention], shares, rtol=0, atol=ROUNDING)


def test_rivals_are_evidence_against_the_dominant_colour():
    batch = make_environment("colour-dominant-v1", counts=(1, 3)).sample(60, generator())
    red, green = ((batch.inputs[:, channel] == 2).flatten(1) for channel in (0, 1))
    own = torch.where(batch.target[:, None] == 0, red, green)
    rival = torch.where(batch.target[:, None] == 0, green, red)
    assert (batch.truth.attributions["shapley"][own] > 0).all()
    assert (batch.truth.attributions["shapley"][rival] < 0).all()


def test_the_weight_of_negative_evidence_is_what_a_pixel_of_it_is_worth():
    batch = make_environment("colour-difference-v1", negative=0.5).sample(20, generator())
    expected = (batch.inputs[:, 0] == 2).double() - 0.5 * (batch.inputs[:, 1] == 2)
    for scores in batch.truth.attributions.values():
        assert torch.equal(scores, expected.flatten(1))  # one subtraction of dyadic numbers


@pytest.mark.parametrize("id", ["colour-threshold-v1", "colour-dominant-v1"])
def test_no_class_dominates(id):
    environment = make_environment(id)
    outputs = environment.specification(environment.sample(1000, generator()).inputs.numpy())
    assert abs(outputs.mean() - 0.5) < 0.08  # five standard deviations: 5 x 0.5 / √1000


def test_deep_and_shallow_modulo_have_one_truth_in_every_coalition():
    deep, shallow = (make_environment(id).sample(30, generator()) for id in ("colour-deep-modulo-v1", "colour-modulo-v1"))
    assert torch.equal(deep.inputs, shallow.inputs)
    for convention in ("shapley", "removal"):
        assert torch.equal(deep.truth.attributions[convention], shallow.truth.attributions[convention])


REFUSED = {
    "threshold-colours": ("colour-threshold-v1", {"targets": ((2, 0, 0), (0, 2, 0)), "distractors": ()}, "exactly one target .got 2"),
    "threshold-constant": ("colour-threshold-v1", {"threshold": 9}, "output is constant .got threshold=9"),
    "threshold-low": ("colour-threshold-v1", {"threshold": 0}, "at least 1, such as 3 .got 0"),
    "dominant": ("colour-dominant-v1", {"counts": (2, 2)}, r"if counts vary, such as \(1, 4\) .got \(2, 2\)"),
    "negative": ("colour-difference-v1", {"negative": 0.6}, "multiple of 1/16 .*got 0.6"),
    "wide-modulo": ("colour-modulo-v1", {"size": 81, "counts": (1, 1500)}, "up to 2048 pixels.*long-division.*got up to 3000"),
    "modulo-patch": ("colour-modulo-v1", {"patch": 3, "counts": (1, 2), "distraction": (0, 1)}, "always count 0 mod 3"),
}


@pytest.mark.parametrize(("id", "knobs", "message"), REFUSED.values(), ids=REFUSED)
def test_a_knob_out_of_range_is_refused_with_what_to_write(id, knobs, message):
    with pytest.raises(ValueError, match=message):
        make_environment(id, **knobs)
