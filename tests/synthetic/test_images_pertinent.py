"""Absence is evidence like any other once the baseline has what is absent."""

import pytest
import torch

from attrlab.methods.paths import exact_integrated_gradients
from synthetic import make_environment
from synthetic.gadgets import least_preactivation
from synthetic.oracles import game_truth

ID = "pertinent-negative-v1"


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_network_equals_its_specification_in_both_precisions():
    environment = make_environment(ID)
    batch = environment.sample(5000, generator())
    kept = torch.rand(5000, 1, 9, 9, generator=generator(7)) < 0.5
    images = torch.cat([batch.inputs, torch.where(kept, batch.inputs, batch.baseline)])
    expected = torch.from_numpy(environment.specification(images.numpy())).double()
    assert torch.equal(environment.model(images), expected)  # dyadic weights: exact
    assert least_preactivation(environment.model, images) >= 0.25
    assert torch.equal(environment.model.float()(images.float()).double(), expected)


def test_the_specification_is_red_without_blue():
    environment = make_environment(ID)
    inputs = environment.sample(300, generator()).inputs
    red, blue = ((inputs[:, channel] == 2).flatten(1).any(1) for channel in (0, 2))
    assert torch.from_numpy(environment.specification(inputs.numpy()))[:, 0].bool().equal(red & ~blue)


def test_the_truth_is_the_enumerated_one_and_its_path_integral_that_of_the_network():
    environment = make_environment(ID)
    batch = environment.sample(8, generator())
    direct = game_truth(environment.specification, batch.inputs, batch.baseline, batch.feature_mask, batch.target, players=81)
    assert torch.equal(batch.truth.support, direct.support)
    assert torch.equal(batch.truth.sign, direct.sign)
    for convention in ("shapley", "removal"):
        assert torch.allclose(batch.truth.attributions[convention], direct.attributions[convention], rtol=0, atol=1e-12)  # 2^10 terms
    path = exact_integrated_gradients(environment.model, batch.inputs, target=batch.target, baseline=batch.baseline)
    assert torch.allclose(path.sum(1).flatten(1), batch.truth.attributions["integrated_gradients"], rtol=0, atol=1e-10)  # float64 pieces


def test_black_pixels_are_the_evidence_where_blue_was_cleared():
    batch = make_environment(ID).sample(60, generator())
    cleared = ((batch.baseline[:, 2] == 2) & (batch.inputs == 0).all(1)).flatten(1)
    positive = batch.truth.support.any(1)
    assert (batch.truth.attributions["shapley"][positive][cleared[positive]] > 0).all()
    assert batch.truth.necessary[positive][cleared[positive]].all()
    assert not batch.truth.support[~positive].any()


def test_half_of_the_answers_are_yes():
    environment = make_environment(ID)
    outputs = environment.specification(environment.sample(1000, generator()).inputs.numpy())
    assert abs(outputs.mean() - 0.5) < 0.08  # five standard deviations: 5 x 0.5 / √1000


def test_the_amount_of_evidence_says_nothing_about_the_answer():
    environment = make_environment(ID)
    inputs = environment.sample(2000, generator()).inputs
    yes = torch.from_numpy(environment.specification(inputs.numpy()))[:, 0] == 1
    for channel in (0, 1):
        counts = (inputs[:, channel] == 2).sum((1, 2)).double()
        assert (counts[yes].mean() - counts[~yes].mean()).abs() < 0.19  # five standard deviations: 5 x √(2/3) x √(2/1000)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [({"evidence": (0, 2)}, "evidence is at least 1"), ({"size": 3, "absences": (1, 8)}, "at most 9"), ({"absences": 3}, "such as")],
    ids=["evidence", "room", "bounds"],
)
def test_a_knob_out_of_range_is_refused_with_what_to_write(knobs, message):
    with pytest.raises(ValueError, match=message):
        make_environment(ID, **knobs)
