"""Shapes are matched exactly, wherever they stand, and what is known of their pixels is found again by enumeration."""

from itertools import product

import numpy as np
import pytest
import torch

from attrlab.methods.paths import exact_integrated_gradients
from synthetic import make_environment
from synthetic.gadgets import least_preactivation
from synthetic.images.templates import TEMPLATES, matcher, matches
from synthetic.oracles import game_truth

IDS = (
    "planted-template-v1",
    "spurious-mark-v1",
    "spurious-mark-unused-v1",
    "two-class-patches-v1",
    "null-patch-v1",
    "repeated-patch-v1",
)
EACH = pytest.mark.parametrize("id", IDS)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


WINDOWS = torch.tensor(list(product((0.0, 1.0), repeat=9)), dtype=torch.float64).view(-1, 1, 3, 3)


@pytest.mark.parametrize("split", [False, True], ids=["two-units", "split"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_of_all_binary_windows_a_template_matches_itself_alone(split, dtype):
    network = matcher(tuple(TEMPLATES), split=split).to(dtype)
    found = network(WINDOWS.to(dtype)).flatten(1)
    expected = [[float((window == template).all()) for template in TEMPLATES.values()] for window in WINDOWS[:, 0].numpy()]
    assert found.tolist() == expected  # dyadic weights: exact
    assert least_preactivation(network, WINDOWS.to(dtype)) >= 0.25


def test_templates_have_equally_many_pixels_and_no_empty_line():
    for template in TEMPLATES.values():
        assert template.sum() == 5
        assert template.any(0).all()
        assert template.any(1).all()
    assert len({template.tobytes() for template in TEMPLATES.values()}) == len(TEMPLATES)


@EACH
def test_the_network_equals_its_specification_in_both_precisions(id):
    environment = make_environment(id)  # 6 x 2 000 images
    batch = environment.sample(750, generator())
    kept = torch.rand(750, 1, 9, 9, generator=generator(7)) < 0.8
    noise = (torch.rand(500, 1, 9, 9, generator=generator(8)) < 0.5).double()
    images = torch.cat([batch.inputs, batch.inputs * kept, noise])
    expected = torch.from_numpy(environment.specification(images.numpy())).double()
    assert torch.equal(environment.model(images), expected)  # dyadic weights: exact
    assert least_preactivation(environment.model, images) >= 0.25
    assert torch.equal(environment.model.float()(images.float()).double(), expected)
    for network in environment.equals.values():
        assert torch.equal(network(images), expected)


@EACH
@pytest.mark.parametrize("size", [7, 9])
def test_the_truth_is_the_enumerated_one_and_its_path_integral_that_of_the_network(id, size):
    environment = make_environment(id, size=size)
    batch = environment.sample(12, generator(4))
    batch = batch.rows(torch.arange(12)[batch.inputs.sum((1, 2, 3)) <= 10][:3])  # 2^10 coalitions at most
    direct = game_truth(
        environment.specification,
        batch.inputs,
        batch.baseline,
        batch.feature_mask,
        batch.target,
        players=size**2,
        independent=batch.truth.independent,
    )
    assert torch.equal(batch.truth.support, direct.support)
    assert torch.equal(batch.truth.sign, direct.sign)
    for convention in ("shapley", "removal"):
        assert torch.allclose(batch.truth.attributions[convention], direct.attributions[convention], rtol=0, atol=1e-12)  # 2^10 terms
    path = exact_integrated_gradients(environment.model, batch.inputs, target=batch.target, baseline=batch.baseline)
    assert torch.allclose(path.flatten(1), batch.truth.attributions["integrated_gradients"], rtol=0, atol=1e-10)  # float64 pieces


@pytest.mark.parametrize("size", [27, 81])
@EACH
def test_larger_images_are_exact_too(id, size):
    environment = make_environment(id, size=size)
    images = environment.sample(3, generator()).inputs
    assert torch.equal(environment.model(images), torch.from_numpy(environment.specification(images.numpy())).double())


def test_pixel_counts_say_nothing_about_the_template():
    environment = make_environment("planted-template-v1")
    inputs = environment.sample(2000, generator()).inputs
    there = torch.from_numpy(environment.specification(inputs.numpy()))[:, 0] == 1
    assert abs(there.double().mean() - 0.5) < 0.06  # five standard deviations: 5 x 0.5 / √2000
    counts = inputs.sum((1, 2, 3))
    assert set(counts.tolist()) == {10.0, 15.0}
    assert (counts[there].mean() - counts[~there].mean()).abs() < 0.56  # five standard deviations: 5 x 2.5 x √(2/1000)


def test_shapes_stand_anywhere_with_a_blank_line_between_them():
    inputs = make_environment("planted-template-v1", size=14, shapes=(3, 3)).sample(500, generator()).inputs
    assert (inputs.sum((1, 2, 3)) == 15).all()
    assert (inputs.sum(0)[0] > 0).all()
    names = tuple(TEMPLATES)
    assert (matches(inputs.numpy(), names).sum((1, 2, 3)) == 3).all()


def test_counting_templates_pays_each_one_in_full():
    batch = make_environment("planted-template-v1", head="count", shapes=(3, 3)).sample(30, generator())
    scores = batch.truth.attributions["shapley"]
    assert set(scores[batch.truth.support].tolist()) == {0.2}
    assert batch.truth.necessary[batch.truth.support].all()


def test_the_mark_is_evidence_where_it_is_used_and_independent_where_it_is_not():
    used, unused = (make_environment(id) for id in ("spurious-mark-v1", "spurious-mark-unused-v1"))
    one, two = used.sample(100, generator()), unused.sample(100, generator())
    assert torch.equal(one.inputs, two.inputs)
    corner = torch.zeros(9, 9, dtype=torch.bool)
    corner[:3, :3] = True
    on = (one.inputs[:, 0] > 0) & corner
    marked = on.any((1, 2))
    assert 20 < int(marked.sum()) < 80
    assert one.truth.support[on.flatten(1)].all()
    assert not two.truth.support[:, corner.flatten()].any()
    assert torch.equal(two.truth.independent, corner.flatten().expand(100, -1))
    assert not one.truth.independent.any()
    free = torch.where(corner, torch.rand(100, 1, 9, 9, generator=generator(2), dtype=torch.float64) * 4 - 2, two.inputs)
    assert torch.equal(unused.model(free), unused.model(two.inputs))  # not one bit of the corner is read


@pytest.mark.parametrize("correlation", [0.0, 0.75, 1.0])
def test_the_mark_goes_along_with_the_evidence_as_often_as_the_knob_says(correlation):
    environment = make_environment("spurious-mark-unused-v1", correlation=correlation)
    inputs = environment.sample(1000, generator()).inputs
    there = torch.from_numpy(environment.specification(inputs.numpy()))[:, 0] > 0
    agree = (there == inputs[:, 0, :3, :3].flatten(1).any(1)).double().mean()
    assert abs(agree - (1 + correlation) / 2) < 0.08  # five standard deviations: 5 x 0.5 / √1000
    assert ("shortcut" in environment.traits) == (correlation > 0)


def patch(batch, name):
    """The pixels of the only shape of this name, (batch, players)."""
    at = torch.from_numpy(matches(batch.inputs.numpy(), (name,))[:, 0])
    pixels = torch.zeros(len(batch), 9, 9, dtype=torch.bool)
    for row, top, left in at.nonzero().tolist():
        pixels[row, top : top + 3, left : left + 3] = torch.from_numpy(TEMPLATES[name] > 0)
    return pixels.flatten(1)


def test_two_class_patches_drive_their_own_class_alone():
    batch = make_environment("two-class-patches-v1").sample(50, generator())
    plus, cross = patch(batch, "plus"), patch(batch, "cross")
    own = torch.where(batch.target[:, None] == 0, plus, cross)
    assert torch.equal(batch.truth.support, own)
    assert torch.equal(batch.truth.attributions["shapley"], own.double() / 5)
    assert 0.2 < batch.target.double().mean() < 0.8


@pytest.mark.parametrize("epsilon", [0.0, 0.125, -0.5])
def test_the_null_patch_is_worth_its_cross_weight(epsilon):
    environment = make_environment("null-patch-v1", cross_weight=epsilon)
    batch = environment.sample(20, generator())
    expected = patch(batch, "cross").double() / 5 + epsilon * patch(batch, "plus").double() / 5
    assert torch.equal(batch.truth.attributions["shapley"], expected)
    assert torch.equal(batch.truth.support, expected != 0)
    assert (batch.target == 1).all()


@pytest.mark.parametrize("repeats", [2, 4])
def test_repeated_patches_get_equal_credit_and_no_one_is_missed(repeats):
    batch = make_environment("repeated-patch-v1", repeats=repeats).sample(20, generator())
    on = (batch.inputs > 0).flatten(1)
    assert (on.sum(1) == 5 * repeats).all()
    for convention in ("shapley", "integrated_gradients"):
        assert torch.allclose(batch.truth.attributions[convention], on.double() / (5 * repeats), rtol=0, atol=1e-15)  # one division
    assert not batch.truth.attributions["removal"].any()


REFUSED = {
    "size": ("planted-template-v1", {"size": 6}, "at least 7"),
    "template": ("planted-template-v1", {"template": "star"}, "distinct ones of plus, cross"),
    "twice": ("planted-template-v1", {"distractors": ("plus",)}, "distinct ones of"),
    "shapes": ("planted-template-v1", {"shapes": (1, 5)}, "1 to 4 at this size"),
    "head": ("planted-template-v1", {"head": "or"}, "'presence' or 'count'"),
    "weight": ("spurious-mark-v1", {"weight": 0.3}, "multiple of 1/64"),
    "correlation": ("spurious-mark-v1", {"correlation": -1}, "from 0"),
    "cross": ("null-patch-v1", {"cross_weight": 0.3}, "multiple of 1/64"),
    "explained": ("null-patch-v1", {"explained": "first"}, "'both' or 'second'"),
    "repeats": ("repeated-patch-v1", {"repeats": 5}, "2 to 4 at this size"),
}


@pytest.mark.parametrize(("id", "knobs", "message"), REFUSED.values(), ids=REFUSED)
def test_a_knob_out_of_range_is_refused_with_what_to_write(id, knobs, message):
    with pytest.raises(ValueError, match=message):
        make_environment(id, **knobs)


def test_the_specification_slides_as_one_would_by_hand():
    images = make_environment("planted-template-v1").sample(20, generator()).inputs.numpy()
    by_hand = [
        int(any((image[0, r : r + 3, c : c + 3] == TEMPLATES["plus"]).all() for r, c in product(range(7), repeat=2))) for image in images
    ]
    assert np.array(by_hand).tolist() == make_environment("planted-template-v1").specification(images)[:, 0].tolist()
