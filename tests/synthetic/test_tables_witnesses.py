"""A witness shows what it is stored for: each published effect is computed here from the definition of the method that has it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from synthetic import make_environment

MASKS = np.array(list(itertools.product((0, 1), repeat=3)), dtype=np.float64)
ROUNDING = 1e-9  # float64, a few terms of size 1


def drawn(id, n=1):
    return make_environment(id).sample(n, torch.Generator())


def values(id):
    """The network on every mask of the row (1, 1, 1)."""
    return make_environment(id).model(torch.from_numpy(MASKS))[:, 0].numpy()


def surrogate(outputs, width):
    """LIME's coefficients with all masks, the kernel exp(-D²/(2 w²)) of the cosine distance D to the full mask, and no penalty."""
    size = MASKS.sum(1)
    cosine = np.sqrt(size / 3)  # of a 0/1 vector with `size` ones to the vector of three ones; 0 for the empty mask
    weight = np.exp(-((1 - cosine) ** 2) / (2 * width**2))
    design = np.column_stack([np.ones(len(MASKS)), MASKS])
    solution = np.linalg.solve(design.T @ (weight[:, None] * design), design.T @ (weight * outputs))
    return solution[1:]


@pytest.mark.parametrize(("width", "bias"), [(0.25, 0.008), (0.5, 0.051), (0.75, 0.029), (1.5, 0.008)], ids=str)
def test_a_linear_surrogate_gives_a_null_feature_a_coefficient_whose_sign_is_that_of_the_interaction(width, bias):
    beside_and, beside_or = (surrogate(values(id), width)[0] for id in ("null-beside-and-witness-v1", "null-beside-or-witness-v1"))
    assert beside_and == pytest.approx(bias, abs=5e-4)  # published to three digits
    assert beside_or == pytest.approx(-bias, abs=5e-4)


@pytest.mark.parametrize("width", [0.5, 0.75])
def test_a_linear_surrogate_gives_a_feature_that_only_raises_f_a_negative_coefficient(width):
    assert surrogate(values("small-rise-witness-v1"), width)[0] < -0.01
    assert drawn("small-rise-witness-v1").truth.attributions["shapley"][0, 0] == 1 / 64  # exact: a single dyadic difference


def test_a_mean_over_masks_gives_a_null_feature_as_much_as_the_output_has_on_average():
    outputs = values("null-beside-and-witness-v1")
    means = [outputs[MASKS[:, column] == 1].mean() for column in range(3)]
    np.testing.assert_allclose(means, [0.25, 0.5, 0.5], atol=ROUNDING)


def test_the_path_integral_of_the_maximum_jumps_between_two_neighbouring_rows_and_the_shapley_value_does_not():
    batch = drawn("continuity-witness-v1", 2)
    step = (batch.inputs[0] - batch.inputs[1]).abs().max()
    jump = {name: float((scores[0] - scores[1]).abs().max()) for name, scores in batch.truth.attributions.items()}
    assert step < 0.002
    assert jump["integrated_gradients"] > 1 - step
    assert jump["shapley"] <= step


def test_what_multipliers_of_two_implementations_add_up_to_is_negative_where_f_rises():
    """DeepLIFT's multipliers by hand at (3, 1) against 0: F passes 1/2 of relu(x1) - relu(x2), G all of what x1 is above 1."""
    environment, batch = make_environment("sign-witness-v1"), drawn("sign-witness-v1")
    noise = torch.randn(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    (slope,) = torch.autograd.grad(environment.model(noise).sum(), noise)
    assert (slope > 0).all()
    outside = (3 - 1 - 1) / (3 - 1)  # relu from -1 at the baseline to 1: Δout / Δin
    inside = (2 - 1) / (2 - 1)  # relu from 0 to 1
    first = outside * 3 - inside * 2 + batch.inputs[0, 0] / 8
    assert first == pytest.approx(-0.125, abs=ROUNDING)


def test_passing_positive_signals_back_only_finds_minus_one_where_the_slope_is_plus_one():
    environment, batch = make_environment("guided-sign-witness-v1"), drawn("guided-sign-witness-v1")
    inputs = batch.inputs.clone().requires_grad_()
    (slope,) = torch.autograd.grad(environment.model(inputs).sum(), inputs)
    first, _, last = environment.model
    active = first(batch.inputs) > 0
    guided = (last.weight.clamp(min=0) * active) @ first.weight
    assert slope.item() == 1
    assert guided.item() == -1


def test_a_column_that_no_coalition_shows_has_a_path_integral():
    environment, batch = make_environment("off-lattice-witness-v1"), drawn("off-lattice-witness-v1")
    corners = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=torch.float64)
    assert (environment.model(corners) == 0).all()
    assert environment.model(corners[3:] / 2).item() == 0.5  # exact: dyadic
    assert not batch.truth.support.any()
    assert (batch.truth.attributions["integrated_gradients"] != 0).all()


def test_of_a_function_of_the_sum_the_path_gives_shares_as_the_summands_and_removal_does_not():
    batch = drawn("sum-witness-v1")
    shares = {name: (scores / batch.inputs)[0] for name, scores in batch.truth.attributions.items()}
    assert shares["integrated_gradients"][0] == pytest.approx(float(shares["integrated_gradients"][1]), abs=ROUNDING)
    assert abs(float(shares["removal"][0] - shares["removal"][1])) > 0.1
