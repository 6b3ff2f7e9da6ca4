"""Averages over reference data agree with their slow twins and, in distribution or to rounding, with Captum."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from captum.attr import DeepLiftShap, GradientShap
from torch import nn

from attrlab.errors import InvalidInput
from attrlab.methods import expectations
from attrlab.methods.deeplift_rescale import deeplift_rescale
from attrlab.methods.expectations import deepshap, expected_gradients
from tests.reference_paths import expected


def drawn(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def network(generator, activation=nn.Tanh, columns=4):
    model = nn.Sequential(nn.Linear(columns, 12), activation(), nn.Linear(12, 2)).double().requires_grad_(False)
    for parameter in model.parameters():
        parameter.copy_(drawn(generator, *parameter.shape) / 2)
    return model


def question(generator, rows=3, columns=4):
    inputs = drawn(generator, rows, columns)
    mask = torch.arange(columns).expand(rows, columns)
    return inputs, {"target": torch.arange(rows) % 2, "feature_mask": mask, "reference": drawn(generator, 5, columns)}


def slope_of(model, output):
    def slope(point):
        leaf = torch.from_numpy(point)[None].requires_grad_()
        return torch.autograd.grad(model(leaf)[0, output], leaf)[0][0].numpy()

    return slope


def test_expected_gradients_is_the_average_path_integral(generator):
    model = network(generator)
    inputs, offers = question(generator)
    seeds = torch.arange(3)
    fine = expected_gradients(model, inputs, seeds=seeds, samples=1000, stratified=True, **offers)
    coarse = expected_gradients(model, inputs, seeds=seeds, samples=2000, **offers)
    for row in range(3):
        wanted = expected(slope_of(model, row % 2), inputs[row].numpy(), offers["reference"].numpy(), steps=100)
        # 200 strata per path of slopes that vary by order 1: 1 / 200^1.5 a path.
        np.testing.assert_allclose(fine[row].numpy(), wanted, atol=2e-3)
        # Plain draws of terms of order 2: five standard errors of 2000.
        np.testing.assert_allclose(coarse[row].numpy(), wanted, atol=5 * 2 / 2000**0.5)


def test_stratified_samples_err_less_than_plain_ones(generator):
    model = network(generator)
    inputs, offers = question(generator, rows=1)
    exact = torch.from_numpy(expected(slope_of(model, 0), inputs[0].numpy(), offers["reference"].numpy(), steps=100))

    def error(**settings):
        found = [expected_gradients(model, inputs, seeds=torch.tensor([seed]), samples=50, **offers, **settings) for seed in range(10)]
        return float(torch.stack([(scores[0] - exact).square().sum() for scores in found]).mean())

    assert error(stratified=True) < error() / 10


def test_the_mean_over_reference_rows_of_a_linear_function_is_weight_times_the_mean_difference(generator):
    model = nn.Linear(4, 2).double().requires_grad_(False)
    inputs, offers = question(generator)
    wanted = model.weight[offers["target"]] * (inputs - offers["reference"].mean(0))
    found = expected_gradients(model, inputs, seeds=torch.arange(3), samples=5, stratified=True, **offers)
    torch.testing.assert_close(found, wanted, atol=1e-13, rtol=0)  # rounding of five terms
    torch.testing.assert_close(deepshap(model, inputs, **offers), wanted, atol=1e-13, rtol=0)


def test_the_library_s_gradient_shap_agrees_in_distribution(generator):
    """Captum draws the reference rows from numpy's global generator and the positions too, one set for the whole batch."""
    model = network(generator)
    inputs, offers = question(generator, rows=1)
    state = np.random.get_state()
    np.random.seed(4)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(4)
            library = GradientShap(model).attribute(inputs, baselines=offers["reference"], n_samples=3000, stdevs=0.0, target=0)
    finally:
        np.random.set_state(state)
    found = expected_gradients(model, inputs, seeds=torch.tensor([9]), samples=3000, **offers)
    torch.testing.assert_close(
        found, library.detach(), atol=5 * 2 * math.sqrt(2 / 3000), rtol=0
    )  # five standard errors of terms of order 2


def test_deepshap_is_the_library_s_where_the_library_is_right(generator):
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 2)).double().requires_grad_(False)
    inputs, offers = question(generator)
    with pytest.warns(UserWarning, match="hooks"):
        library = DeepLiftShap(model).attribute(inputs, baselines=offers["reference"], target=offers["target"])
    torch.testing.assert_close(deepshap(model, inputs, **offers), library.detach(), atol=1e-12, rtol=0)  # rounding


def test_deepshap_is_the_mean_of_deeplift_and_complete_for_the_mean_output(generator, monkeypatch):
    model = lambda x: torch.relu(x[:, :2] * x[:, 2:]).cumsum(1)  # noqa: E731
    inputs, offers = question(generator)
    reference, target = offers["reference"], offers["target"]
    found = deepshap(model, inputs, **offers)
    each = [deeplift_rescale(model, inputs, target=target, baseline=row.expand_as(inputs)) for row in reference]
    torch.testing.assert_close(found, torch.stack(each).mean(0), atol=1e-13, rtol=0)  # rounding of five terms
    rows = torch.arange(3)
    wanted = model(inputs)[rows, target] - model(reference).mean(0)[target]
    torch.testing.assert_close(found.sum(1), wanted, atol=1e-12, rtol=0)
    monkeypatch.setattr(expectations, "PAIRS_BYTES", 100)
    torch.testing.assert_close(deepshap(model, inputs, **offers), found, atol=1e-13, rtol=0)


@pytest.mark.parametrize("method", ["expected_gradients", "deepshap"])
def test_what_belongs_to_no_player_keeps_the_value_of_the_input(method, generator):
    """Let f = x1 x2 with x2 of no player: linear in x1, so x1 gets (x1 - mean r1) x2 and x2 nothing."""
    inputs, offers = question(generator, columns=2)
    offers["feature_mask"], offers["target"] = torch.tensor([[0, -1]]).expand(3, 2), torch.zeros(3, dtype=torch.int64)
    more = {"seeds": torch.arange(3), "samples": 5, "stratified": True} if method == "expected_gradients" else {}
    found = getattr(expectations, method)(lambda x: x[:, :1] * x[:, 1:], inputs, **offers, **more)
    wanted = (inputs[:, 0] - offers["reference"][:, 0].mean()) * inputs[:, 1]
    torch.testing.assert_close(found, torch.stack([wanted, 0 * wanted], 1), atol=1e-13, rtol=0)  # rounding of five terms


@pytest.mark.parametrize("stratified", [False, True])
def test_rows_have_samples_of_their_own_whatever_their_batch(stratified, generator):
    model = network(generator, nn.ReLU)
    inputs, offers = question(generator, rows=20)
    offers["seeds"] = torch.arange(20) + 7
    reference = offers.pop("reference")
    settings = {"reference": reference, "samples": 13, "stratified": stratified}
    whole = expected_gradients(model, inputs, **offers, **settings)
    alone = [expected_gradients(model, inputs[[r]], **{key: value[[r]] for key, value in offers.items()}, **settings) for r in range(20)]
    torch.testing.assert_close(torch.cat(alone), whole, atol=1e-12, rtol=0)  # products in another order
    offers.pop("seeds")
    together = deepshap(model, inputs, reference=reference, **offers)
    apart = [deepshap(model, inputs[[r]], reference=reference, **{key: value[[r]] for key, value in offers.items()}) for r in range(20)]
    torch.testing.assert_close(torch.cat(apart), together, atol=1e-12, rtol=0)


def test_no_reference_or_one_of_another_shape_is_refused(generator):
    inputs, offers = question(generator)
    for reference in (torch.zeros(0, 4), torch.zeros(3, 5)):
        offers["reference"] = reference
        with pytest.raises(InvalidInput, match=r"reference holds rows like the inputs, at least one, of shape \(4,\) each \(got"):
            deepshap(network(generator), inputs, **offers)
        with pytest.raises(InvalidInput, match="reference holds rows like the inputs"):
            expected_gradients(network(generator), inputs, seeds=torch.arange(3), **offers)
    with pytest.raises(InvalidInput, match=r"samples is the number of reference rows.*\(got 0\)"):
        expected_gradients(network(generator), inputs, seeds=torch.arange(3), samples=0, **offers)


@pytest.mark.parametrize("rows", [0, 2])
def test_scores_keep_type_and_shape_also_of_no_rows_and_of_a_constant(rows):
    inputs, zeros = torch.ones(rows, 3), torch.zeros(rows, dtype=torch.int64)
    offers = {"target": zeros, "feature_mask": inputs.long(), "reference": torch.rand(4, 3, generator=torch.Generator().manual_seed(0))}
    for found in (
        expected_gradients(lambda x: torch.ones(len(x), 1), inputs, seeds=zeros, samples=3, **offers),
        deepshap(lambda x: torch.ones(len(x), 1), inputs, **offers),
    ):
        assert (found.dtype, found.shape) == (torch.float32, (rows, 3))
        assert not found.any()
