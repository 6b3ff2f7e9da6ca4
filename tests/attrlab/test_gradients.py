"""Gradient methods agree with finite differences and with Captum, and a function that does not look at its input gets zeros."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import InputXGradient, Saliency
from torch import nn

from attrlab.errors import NotApplicable
from attrlab.methods.gradients import gradient, input_x_gradient
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
