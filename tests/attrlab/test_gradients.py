"""Gradient methods agree with finite differences and with Captum, and a function that does not look at its input gets zeros."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import InputXGradient, Saliency
from torch import nn

from attrlab.errors import NotApplicable
from attrlab.games import make_game, removal, shapley
from attrlab.methods.deeplift_rescale import deeplift_rescale
from attrlab.methods.gradients import absolute_gradient, gradient, gradient_x_difference, input_x_gradient
from attrlab.methods.paths import exact_integrated_gradients, integrated_gradients
from tests.reference_gradients import finite_difference


class Constant(nn.Module):
    """f = 3 everywhere, with a parameter that may require a gradient."""

    def __init__(self, *, trainable: bool = False) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.full((1, 2), 3.0, dtype=torch.float64), requires_grad=trainable)

    def forward(self, inputs):
        return self.value.expand(len(inputs), 2)


def network(activation, *, columns=4, outputs=3):
    torch_generator = torch.Generator().manual_seed(columns)
    model = nn.Sequential(nn.Linear(columns, 8), activation(), nn.Linear(8, outputs)).double().requires_grad_(False)
    for parameter in model.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=torch_generator, dtype=torch.float64))
    return model


def rows(generator, batch, columns):
    return torch.randn(batch, columns, generator=generator, dtype=torch.float64), torch.randint(3, (batch,), generator=generator)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.Softplus])
@pytest.mark.parametrize(("batch", "columns"), [(5, 4), (1, 4), (3, 1), (1, 1)])
def test_gradient_is_the_finite_difference(activation, batch, columns, generator):
    model = network(activation, columns=columns)
    inputs, target = rows(generator, batch, columns)
    if activation is nn.ReLU:
        assert model[0](inputs).abs().min() > 1e-3  # off every kink by more than a step
    found = gradient(model, inputs, target=target)
    for row in range(batch):
        expected = finite_difference(lambda x, row=row: float(model(torch.from_numpy(x)[None])[0, target[row]]), inputs[row].numpy())
        # Rounding 1e-15 / 1e-5, and h² = 1e-10 times a third derivative of order 10.
        np.testing.assert_allclose(found[row].numpy(), expected, atol=1e-8)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.GELU])
def test_captum_says_the_same(activation, generator):
    model = network(activation)
    inputs, target = rows(generator, 6, 4)
    leaf = inputs.clone().requires_grad_()
    torch.testing.assert_close(gradient(model, inputs, target=target), Saliency(model).attribute(leaf, target=target, abs=False))
    torch.testing.assert_close(absolute_gradient(model, inputs, target=target), Saliency(model).attribute(leaf, target=target))
    captum = InputXGradient(model).attribute(inputs.clone().requires_grad_(), target=target).detach()
    torch.testing.assert_close(input_x_gradient(model, inputs, target=target), captum)


@pytest.mark.parametrize("method", [gradient, input_x_gradient])
@pytest.mark.parametrize("model", [Constant(), Constant(trainable=True)], ids=["frozen", "trainable"])
def test_a_constant_function_gets_zeros(method, model):
    inputs = torch.ones(3, 2, 2, dtype=torch.float64)
    assert torch.equal(method(model, inputs, target=torch.tensor([0, 1, 0])), torch.zeros_like(inputs))


@pytest.mark.parametrize("method", [gradient, input_x_gradient])
def test_scores_are_the_same_where_gradients_are_off(method, generator):
    model = network(nn.Tanh)
    inputs, target = rows(generator, 3, 4)
    with torch.no_grad():
        off = method(model, inputs, target=target)
    assert torch.equal(off, method(model, inputs, target=target))
    assert off.abs().min() > 0


def test_at_the_kink_the_gradient_is_the_framework_s_zero():
    model = nn.Sequential(nn.ReLU()).double()
    assert gradient(model, torch.zeros(1, 1, dtype=torch.float64), target=torch.tensor([0])).item() == 0


def test_gradient_times_input_is_zero_where_the_input_is_zero_and_complete_on_a_homogeneous_function(generator):
    """Euler: Σ x_i ∂_i f = f for f homogeneous of degree 1."""
    model = nn.Sequential(nn.Linear(3, 8, bias=False), nn.ReLU(), nn.Linear(8, 2, bias=False)).double().requires_grad_(False)
    inputs = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    inputs[:, 1] = 0
    scores = input_x_gradient(model, inputs, target=torch.ones(6, dtype=torch.int64))
    assert scores[:, 1].abs().max() == 0
    torch.testing.assert_close(scores.sum(1), model(inputs)[:, 1], atol=1e-12, rtol=0)  # rounding of 11 products


def test_inputs_that_already_require_a_gradient_are_left_alone(generator):
    inputs = torch.randn(2, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    gradient(network(nn.Tanh), inputs, target=torch.tensor([0, 1]))
    assert inputs.grad is None


@pytest.mark.parametrize("model", [nn.Flatten(0), nn.Unflatten(1, (2, 1))], ids=["no outputs", "too many dimensions"])
def test_a_model_that_does_not_return_batch_by_outputs_is_refused(model):
    with pytest.raises(NotApplicable, match=r"must return \(batch, outputs\); wrap it"):
        gradient(model, torch.zeros(3, 2), target=torch.zeros(3, dtype=torch.int64))


def test_gradient_times_difference_is_the_linear_estimate_and_input_times_gradient_from_zero(generator):
    model = network(nn.Tanh)
    inputs, target = rows(generator, 5, 4)
    baseline = inputs + 1e-4 * torch.randn(5, 4, generator=generator, dtype=torch.float64)
    found = gradient_x_difference(model, inputs, target=target, baseline=baseline)
    delta = (model(inputs) - model(baseline)).gather(1, target[:, None]).squeeze(1)
    torch.testing.assert_close(found.sum(1), delta, atol=1e-6, rtol=0)  # second order: curvature of order 10 times 1e-8
    from_zero = gradient_x_difference(model, inputs, target=target, baseline=0 * inputs)
    assert torch.equal(from_zero, input_x_gradient(model, inputs, target=target))


def methods_with_a_baseline():
    return {
        "gradient_x_difference": gradient_x_difference,
        "integrated_gradients": integrated_gradients,
        "exact_integrated_gradients": exact_integrated_gradients,
        "deeplift_rescale": deeplift_rescale,
    }


def values(model, inputs, baseline, target):
    """Shapley values and effects of removal, one player a column."""
    players = torch.arange(inputs.shape[1]).expand(inputs.shape)
    game = make_game(model, inputs, target=target, baseline=baseline, feature_mask=players)
    return {"shapley": shapley(game), "occlusion": removal(game)}


def assert_all_equal(found, *, atol):
    first, *others = found.values()
    for name, other in zip(list(found)[1:], others, strict=True):
        torch.testing.assert_close(other, first, atol=atol, rtol=0, msg=lambda text, name=name: f"{name}: {text}")


def test_on_a_linear_function_all_methods_agree(generator):
    """E1: weight times difference."""
    model = nn.Linear(4, 3).double().requires_grad_(False)
    inputs, target = rows(generator, 5, 4)
    baseline = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    found = {name: method(model, inputs, target=target, baseline=baseline) for name, method in methods_with_a_baseline().items()}
    found |= values(model, inputs, baseline, target) | {"weight times difference": model.weight[target] * (inputs - baseline)}
    assert_all_equal(found, atol=1e-12)  # rounding


def test_on_a_network_without_biases_all_methods_on_gradients_agree_and_games_do_not(generator):
    """E2: f(a x) = a f(x), so the gradient is the same all along the path from 0."""
    model = nn.Sequential(nn.Linear(4, 8, bias=False), nn.ReLU(), nn.Linear(8, 8, bias=False), nn.ReLU(), nn.Linear(8, 3, bias=False))
    model.double().requires_grad_(False)
    inputs, target = rows(generator, 5, 4)
    found = {name: method(model, inputs, target=target, baseline=0 * inputs) for name, method in methods_with_a_baseline().items()}
    assert_all_equal(found | {"input_x_gradient": input_x_gradient(model, inputs, target=target)}, atol=1e-12)  # rounding
    apart = values(model, inputs, 0 * inputs, target)
    assert (apart["shapley"] - found["integrated_gradients"]).abs().max() > 1e-3


def test_on_an_additive_function_path_integral_shapley_occlusion_and_deeplift_agree(generator):
    """E3: f = Σ g_i(x_i), each branch on its own: g_i(x_i) - g_i(x'_i)."""

    def additive(x):
        return (torch.relu(2 * x - 0.3) - torch.relu(-x) + torch.tanh(x)).sum(1, keepdim=True).expand(-1, 3)

    inputs, target = rows(generator, 5, 4)
    baseline = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    found = values(additive, inputs, baseline, target)
    found["deeplift_rescale"] = deeplift_rescale(additive, inputs, target=target, baseline=baseline)
    assert_all_equal(found, atol=1e-12)  # rounding
    path = integrated_gradients(additive, inputs, target=target, baseline=baseline, n_steps=2000)
    torch.testing.assert_close(path, found["shapley"], atol=1e-2, rtol=0)  # two kinks, each spoils one of 2000 steps


def test_on_a_multilinear_function_the_path_integral_is_the_shapley_value(generator):
    """E4: x1 x2 x3 + 2 x2 x4 - x1; three Gauss-Legendre nodes are exact for its slopes of degree two."""

    def multilinear(x):
        a, b, c, d = x.unbind(1)
        return (a * b * c + 2 * b * d - a)[:, None].expand(-1, 3)

    inputs, target = rows(generator, 5, 4)
    baseline = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    path = integrated_gradients(multilinear, inputs, target=target, baseline=baseline, n_steps=3)
    torch.testing.assert_close(path, values(multilinear, inputs, baseline, target)["shapley"], atol=1e-12, rtol=0)  # rounding


def test_of_a_single_unit_deeplift_is_the_path_integral(generator):
    """E8: relu(w x + b) from a baseline off the kink."""
    inputs, target = rows(generator, 8, 4)
    baseline = torch.randn(8, 4, generator=generator, dtype=torch.float64)
    unit = nn.Sequential(nn.Linear(4, 3), nn.ReLU()).double().requires_grad_(False)
    assert unit[0](baseline).abs().min() > 1e-3
    path = exact_integrated_gradients(unit, inputs, target=target, baseline=baseline)
    found = deeplift_rescale(unit, inputs, target=target, baseline=baseline)
    torch.testing.assert_close(found, path, atol=1e-12, rtol=0)  # rounding
