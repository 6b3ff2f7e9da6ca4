"""The exact path integral is taken of every piecewise-linear network, however it is written, and refused of others by name."""

from __future__ import annotations

import pytest
import torch
from hypothesis import settings
from torch import nn
from torch.nn import functional

from attrlab.errors import NotApplicable
from attrlab.methods.paths import exact_integrated_gradients
from tests.attrlab.path_cases import Function, drawn, gap, zeros

SEARCH = settings(max_examples=60, deadline=None)  # machines differ in speed, and speed is not the claim
WEIGHTS_IN_FLOAT32 = 1e-5
"""Captum holds nodes and weights of the quadrature in float32: 6e-8, times scores of order 10 and slopes that jump by as much."""

ROUNDING = 1e-12
"""Float64 rounding of some fifty terms of order 10."""


TWICE = nn.ReLU()
PIECEWISE = {
    "functional relu": torch.relu,
    "tensor method": lambda z: z.relu(),
    "relu_": lambda z: z.clone().relu_(),
    "in-place functional": lambda z: functional.relu(z, inplace=True),
    "in-place by position": lambda z: functional.relu(z, True),
    "in-place module": nn.ReLU(inplace=True),
    "reused module": lambda z: TWICE(TWICE(z) - 0.5),
    "leaky_relu": lambda z: functional.leaky_relu(z, 0.3),
    "in-place leaky_relu": nn.LeakyReLU(0.3, inplace=True),
    "clamp": lambda z: z.clamp(-0.3, 0.4),
    "clamp by one bound": lambda z: torch.clamp(z, max=0.4),
    "clamp_min": lambda z: z.clamp_min(-0.2),
    "clip": lambda z: torch.clip(z, min=0.1),
    "abs": torch.abs,
    "maximum": lambda z: torch.maximum(z, z.flip(1)),
    "minimum": lambda z: torch.minimum(z, 0.2 - z),
    "relu6": lambda z: functional.relu6(8 * z),
    "in-place relu6": lambda z: functional.relu6(8 * z, inplace=True),
    "hardtanh": nn.Hardtanh(-0.4, 0.2),
    "in-place hardtanh": nn.Hardtanh(-0.4, 0.2, inplace=True),
    "prelu": nn.PReLU().double().requires_grad_(False),
    "argument written over afterwards": lambda z: torch.relu(z) + z.sub_(3),
    "residual in place": lambda z: _plus_in_place(2 * z, torch.relu(z)),
    "weighted by a constant": lambda z: torch.relu(2 * z) @ z.new_ones(8, 8) * z.new_tensor([2.0]) / 3,
    "eval batch norm": nn.Sequential(nn.BatchNorm1d(8), nn.ReLU()).double().eval().requires_grad_(False),
}


def _plus_in_place(one, two):
    one += two
    return one


@pytest.mark.parametrize("name", PIECEWISE)
def test_piecewise_linear_calls_are_integrated_exactly(name, generator):
    """The scores are complete to rounding, and fine quadrature gives the same to the width of a step."""
    model = Function(PIECEWISE[name], width=8)
    inputs, baseline, target = drawn(generator, 3, 4), drawn(generator, 3, 4), torch.tensor([0, 1, 0])
    found = exact_integrated_gradients(model, inputs, target=target, baseline=baseline)
    assert gap(model, inputs, baseline, target, found) <= 1e-11  # rounding, outputs of order 100
    for row in range(3):
        middles = ((torch.arange(3000, dtype=torch.float64) + 0.5) / 3000)[:, None]
        points = (baseline[row] + middles * (inputs[row] - baseline[row])).requires_grad_()
        (slopes,) = torch.autograd.grad(model(points)[:, target[row]].sum(), points)
        expected = slopes.mean(0) * (inputs[row] - baseline[row])
        torch.testing.assert_close(found[row], expected, atol=5e-3 * float(1 + expected.abs().max()), rtol=0)


CURVED = {
    "softplus": (functional.softplus, "'softplus'"),
    "gelu": (nn.GELU(), "'gelu'"),
    "tanh": (torch.tanh, "'tanh'"),
    "pow": (lambda z: z**3, "'pow'|'__pow__'"),
    "where": (lambda z: torch.where(z > 0, z, z - 1), "'gt'|'__gt__'"),
    "max pool": (lambda z: functional.max_pool1d(z[:, None], 2)[:, 0].repeat(1, 2), "max_pool1d'"),
    "square by product": (lambda z: z * z, "product 'mul'|product '__mul__'"),
    "square by keyword": (lambda z: torch.mul(z, other=z), "product 'mul'"),
    "square in place": (lambda z: z.clone().mul_(z), "product 'mul_'"),
    "quotient": (lambda z: 1 / (z.abs() + 1), "'reciprocal'|product|__rdiv__|__rtruediv__"),
    "matrix product": (lambda z: (z[:, :, None] @ z[:, None, :]).sum(1), "product 'matmul'|product '__matmul__'"),
}


@pytest.mark.parametrize("name", CURVED)
def test_what_is_not_piecewise_linear_is_refused_by_name(name, generator):
    function, named = CURVED[name]
    inputs = drawn(generator, 2, 4)
    with pytest.raises(NotApplicable, match=named) as refusal:
        exact_integrated_gradients(Function(function, width=8), inputs, target=zeros(2), baseline=torch.zeros_like(inputs))
    assert "integrated_gradients" in str(refusal.value)  # what to use instead


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[:, :1] * x[:, :1] * x[:, :1] - x[:, 1:] * x[:, 1:] * x[:, 1:],  # zero along the diagonal; (1, -1) is right
        lambda x: x[:, :1] * (x[:, :1] - 1) * (3 * x[:, :1] - 1),  # zero at 0, 1/3 and 1; (0, 0) is right
        lambda x: x[:, :1] * (1 - x[:, 1:]),  # zero at both ends; (1/2, -1/2) is right
    ],
    ids=["cubes that cancel", "a bump with a root at 1/3", "a bump between the ends"],
)
def test_curvature_that_the_output_does_not_show_is_refused(function):
    inputs = torch.ones(1, 2, dtype=torch.float64)
    with pytest.raises(NotApplicable, match=r"the product '\w+' bends by"):
        exact_integrated_gradients(Function(function), inputs, target=zeros(1), baseline=torch.zeros_like(inputs))


def test_a_bump_of_relus_that_is_invisible_at_the_ends_is_integrated_exactly():
    """hat(x1) + relu(x2 - 1/2), with a hat between 0.45 and 0.55: x1 goes up and down again, and gets 0."""

    def hat(x):
        s = x[:, :1]
        up, top, down = torch.relu(s - 0.45), torch.relu(s - 0.5), torch.relu(s - 0.55)
        return up - 2 * top + down + torch.relu(x[:, 1:] - 0.5)

    inputs = torch.ones(1, 2, dtype=torch.float64)
    scores = exact_integrated_gradients(Function(hat), inputs, target=zeros(1), baseline=torch.zeros_like(inputs))
    assert scores[0].tolist() == pytest.approx([0.0, 0.5], abs=1e-12)


def test_a_network_whose_gradient_is_not_that_of_its_function_is_refused(generator):
    inputs = drawn(generator, 2, 4)
    with pytest.raises(NotApplicable, match="as after detach"):
        exact_integrated_gradients(
            Function(lambda z: z.detach() + torch.relu(z), width=8), inputs, target=zeros(2), baseline=torch.zeros_like(inputs)
        )


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(8), nn.Dropout(0.5)], ids=["batch norm", "dropout"])
def test_a_network_in_which_rows_are_not_alone_is_refused_and_left_as_it_was(layer, generator):
    model = Function(layer.double().train(), width=8)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    inputs = drawn(generator, 3, 4)
    with pytest.raises(NotApplicable, match=r"function is in training mode.*call model.eval\(\)"):
        exact_integrated_gradients(model, inputs, target=zeros(3), baseline=torch.zeros_like(inputs))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
