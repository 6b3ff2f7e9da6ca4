"""The Unseen Data Effect is exactly the redundant weight, and is there only where a method leaves the palette."""

import pytest
import torch

from attrlab.methods.coalitions import occlusion
from attrlab.methods.deeplift import deeplift
from attrlab.methods.paths import exact_integrated_gradients, integrated_gradients
from synthetic import make_environment
from synthetic.gadgets import least_preactivation
from synthetic.oracles import game_truth


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pixels(scores):
    return scores.sum(1).flatten(1)


def of_each_kind(batch, scores):
    """Scores of the target colour's pixels, of other coloured pixels and of the background's."""
    own = torch.where(batch.target[:, None] == 0, (batch.inputs[:, 0] == 2).flatten(1), (batch.inputs[:, 1] == 2).flatten(1))
    background = (batch.inputs == 0).all(1).flatten(1)
    return scores[own], scores[~own & ~background], scores[background]


def explain(method, environment, batch):
    arguments = {"target": batch.target, "baseline": batch.baseline}
    if method is occlusion:
        arguments["feature_mask"] = batch.feature_mask
    return pixels(method(environment.model, batch.inputs, **arguments))


METHODS = {"exact_integrated_gradients": exact_integrated_gradients, "deeplift": deeplift, "occlusion": occlusion}
EXPECTED = {"background": (1.0, 0.0, 0.0), "unseen": (0.4, -0.6, -0.6)}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("baseline", EXPECTED)
def test_a_method_errs_by_exactly_the_redundant_weight_when_its_baseline_was_never_seen(method, baseline):
    environment = make_environment("unseen-colour-v1", baseline=baseline, redundant_weight=0.6)
    batch = environment.sample(12, generator())
    found = of_each_kind(batch, explain(METHODS[method], environment, batch))
    for scores, expected in zip(found, EXPECTED[baseline], strict=True):
        assert len(scores) > 5
        # 0.6 is not dyadic: sums of 16 of them in float64 differ in the last digits.
        assert torch.allclose(scores, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)


def test_quadrature_sees_the_same_effect_up_to_its_own_error():
    environment = make_environment("unseen-colour-v1", baseline="unseen", redundant_weight=0.6)
    batch = environment.sample(4, generator())
    scores = pixels(integrated_gradients(environment.model, batch.inputs, target=batch.target, baseline=batch.baseline, n_steps=500))
    for found, expected in zip(of_each_kind(batch, scores), EXPECTED["unseen"], strict=True):
        assert (found - expected).abs().max() < 0.1  # the error of 500 steps at slopes up to 8 x 2 channels wide 1/8


def test_on_the_palette_the_truth_is_that_of_the_counting_world():
    batch = make_environment("unseen-colour-v1").sample(20, generator())
    plain = make_environment("colour-count-v1", size=4, counts=(1, 3)).sample(20, generator())
    assert torch.equal(batch.inputs, plain.inputs)
    for convention, scores in plain.truth.attributions.items():
        assert torch.equal(batch.truth.attributions[convention], scores)


@pytest.mark.parametrize(("redundant", "weight"), [(1, 0.625), (3, 0.25), (2, 1.0)])
@pytest.mark.parametrize("id", ["unseen-colour-v1", "unseen-colour-baseline-v1"])
def test_the_network_equals_its_specification_on_the_palette_and_off_it(id, redundant, weight):
    environment = make_environment(id, redundant=redundant, redundant_weight=weight)
    colours = torch.tensor([[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 2], [1, 1, 1], [3, 0, 2], [4, 4, 4]]).double()
    images = colours[torch.randint(7, (1700, 4, 4), generator=generator())].movedim(3, 1)
    expected = torch.from_numpy(environment.specification(images.numpy()))
    assert torch.equal(environment.model(images), expected)  # dyadic weights: exact
    assert least_preactivation(environment.model, images) >= 0.25
    assert torch.equal(environment.model.float()(images.float()).double(), expected)
    assert "unseen_sensitive" in environment.traits


def test_the_truth_against_the_unseen_baseline_is_the_enumerated_one():
    environment = make_environment("unseen-colour-baseline-v1", size=3, counts=(1, 2), distraction=(1, 2))
    batch = environment.sample(6, generator())
    direct = game_truth(environment.specification, batch.inputs, batch.baseline, batch.feature_mask, batch.target, players=9)
    assert torch.equal(batch.truth.support, direct.support)
    for convention in ("shapley", "removal"):
        assert torch.allclose(batch.truth.attributions[convention], direct.attributions[convention], rtol=0, atol=1e-12)  # 2^9 terms


def test_the_default_weight_gives_a_target_pixel_three_eighths_of_its_worth():
    batch = make_environment("unseen-colour-baseline-v1").sample(10, generator())
    found = of_each_kind(batch, batch.truth.attributions["shapley"])
    assert [set(scores.tolist()) for scores in found] == [{0.375}, {-0.625}, {-0.625}]


def test_equal_networks_agree_off_the_palette_too():
    environment = make_environment("unseen-colour-v1", redundant=2)
    images = 3 * torch.rand(200, 3, 4, 4, generator=generator(), dtype=torch.float64)
    for network in environment.equals.values():
        assert torch.allclose(network(images), environment.model(images), rtol=0, atol=1e-9)  # the same sums in another order


def test_a_weight_that_is_not_dyadic_is_declared():
    assert "approximate" in make_environment("unseen-colour-baseline-v1", redundant_weight=0.6).traits
    assert "approximate" not in make_environment("unseen-colour-v1", redundant_weight=0.6).traits  # no image meets it
    assert "approximate" not in make_environment("unseen-colour-baseline-v1").traits


REFUSED = {
    "head": ({"head": "or"}, "need the head 'count'.*got head='or'"),
    "channels": ({"redundant": 17}, "0 to 16 .got 17"),
    "weight": ({"redundant_weight": 0}, "above 0 and at most 16 .got 0"),
    "seen": ({"baseline": "unseen", "unseen": (0, 0, 2)}, "neither background, target nor distractor"),
    "baseline": ({"baseline": "grey"}, "'background' or 'unseen'"),
    "path": ({"baseline": "unseen", "redundant": 0, "head": "or"}, "needs the head 'count' or 'difference'"),
}


@pytest.mark.parametrize(("knobs", "message"), REFUSED.values(), ids=REFUSED)
def test_a_knob_out_of_range_is_refused_with_what_to_write(knobs, message):
    with pytest.raises(ValueError, match=message):
        make_environment("unseen-colour-v1", **knobs)
