"""DeepLIFT is the Rescale rule on what the library sees rightly, and is refused, by name, on everything it sees wrongly."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from attrlab.errors import NotApplicable
from attrlab.methods.deeplift import deeplift
from attrlab.side_effects import hooks_of
from synthetic.families import dense
from synthetic.gadgets import relu_network
from tests.reference_gradients import rescale

SEARCH = settings(max_examples=40, deadline=None)  # machines differ in speed, and speed is not the claim


class Network(nn.Module):
    """first, a middle that may be any function or module, last; what the middle holds is registered."""

    def __init__(self, middle, *, columns=4, width=8):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.first, self.middle, self.last = nn.Linear(columns, width), middle, nn.LazyLinear(2)
        self.double()(torch.zeros(2, columns, dtype=torch.float64))
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        self.eval().requires_grad_(False)

    def forward(self, rows):
        return self.last(self.middle(self.first(rows)).flatten(1))


class Residual(nn.Module):
    """z + relu(W z)."""

    def __init__(self):
        super().__init__()
        self.inner, self.relu = nn.Linear(8, 8), nn.ReLU()

    def forward(self, z):
        return z + self.relu(self.inner(z))


class Gated(nn.Module):
    """relu(z) times a factor: a constant, itself, or its own neighbour."""

    def __init__(self, factor):
        super().__init__()
        self.relu, self.factor = nn.ReLU(), factor

    def forward(self, z):
        return self.factor(self.relu(z))


class Twice(nn.Module):
    """The same module on two layers."""

    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, z):
        return self.relu(self.relu(z) - 1)


class Squashed(nn.ReLU):
    """A subclass of an activation, which the library's table of rules does not know."""


def image(module, *, size=(2, 2, 2)):
    """The eight units as two channels of an image, or of a sequence."""
    return nn.Sequential(nn.Unflatten(1, size), module)


def question(generator, rows=4):
    inputs = torch.randn(rows, 4, generator=generator, dtype=torch.float64)
    return inputs, torch.arange(rows) % 2, torch.randn(rows, 4, generator=generator, dtype=torch.float64)


@st.composite
def networks(draw):
    weights = st.integers(-2, 2)
    widths = [draw(st.integers(1, 3), label="width") for _ in range(draw(st.integers(1, 3), label="hidden layers") + 1)] + [1]
    layers = [
        (
            draw(st.lists(st.lists(weights, min_size=into, max_size=into), min_size=out, max_size=out), label="weight"),
            draw(st.lists(weights, min_size=out, max_size=out), label="bias"),
        )
        for into, out in itertools.pairwise(widths)
    ]
    points = st.lists(st.integers(-3, 3), min_size=widths[0], max_size=widths[0])
    return layers, draw(points, label="x"), draw(points, label="baseline")


@given(drawn=networks())
@SEARCH
def test_deeplift_is_the_rescale_rule_layer_by_layer(drawn):
    layers, x, baseline = drawn
    numbers = [(np.array(weight, dtype=float), np.array(bias, dtype=float)) for weight, bias in layers]
    expected = rescale(numbers, np.array(x, dtype=float), np.array(baseline, dtype=float))
    inputs, start = torch.tensor([x], dtype=torch.float64), torch.tensor([baseline], dtype=torch.float64)
    found = deeplift(dense(layers).model, inputs, target=torch.tensor([0]), baseline=start)
    np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-9)  # integers up to 10^4 and at most 3 quotients


def test_the_difference_of_two_equal_networks_gets_credit_from_deeplift():
    """F - G = 0 on R², F = relu(relu(x1) - 1 - relu(x2)), G = relu(relu(x1 - 1) - relu(x2)): (-1/2, 1/2) at (3, 1)."""
    network = relu_network(
        [
            ([[1, 0], [0, 1], [1, 0]], [0, 0, -1]),
            ([[1, -1, 0], [0, -1, 1]], [-1, 0]),
            ([[1, -1]], [0]),
        ]
    ).requires_grad_(False)
    inputs = torch.tensor([[3.0, 1.0]], dtype=torch.float64)
    assert network(inputs).item() == 0
    found = deeplift(network, inputs, target=torch.tensor([0]), baseline=torch.zeros_like(inputs))
    assert found[0].tolist() == pytest.approx([-0.5, 0.5], abs=1e-12)


ALLOWED = {
    **{kind.__name__: kind for kind in (nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Identity)},
    "in-place ReLU": lambda: nn.ReLU(inplace=True),
    "residual": Residual,
    "eval batch norm": lambda: nn.Sequential(nn.BatchNorm1d(8), nn.ReLU()),
    "eval dropout": lambda: nn.Sequential(nn.Dropout(), nn.Tanh()),
    "max pool": lambda: image(nn.MaxPool2d(2)),
    "max pool 1d": lambda: image(nn.MaxPool1d(2), size=(2, 4)),
    "max pool, stride written out": lambda: image(nn.MaxPool2d(2, stride=(2, 2))),
    "max pool, kernel written out": lambda: image(nn.MaxPool2d((2, 2), stride=2)),
    "average pool": lambda: image(nn.Sequential(nn.ReLU(), nn.AvgPool2d(2, stride=1))),
    "times a constant": lambda: Gated(lambda h: 3 * h),
    "times a constant per unit": lambda: Gated(lambda h: h * torch.arange(8.0, dtype=h.dtype)),
    "divided by a constant": lambda: Gated(lambda h: h / 4),
    "matrix of constants": lambda: Gated(lambda h: h @ torch.ones(8, 3, dtype=h.dtype)),
    "added in place": lambda: Gated(lambda h: h.clone().add_(h)),
}


def test_a_constant_with_as_many_entries_as_there_are_rows_is_still_a_constant(generator):
    """Input and baseline are stacked: eight weights beside four rows must not be read as four values and their baselines."""
    model = Network(Gated(lambda h: h * torch.arange(8.0, dtype=h.dtype)))
    inputs, target, baseline = question(generator, rows=5)
    whole = deeplift(model, inputs, target=target, baseline=baseline)
    for rows in (1, 2, 3, 4):
        part = deeplift(model, inputs[:rows], target=target[:rows], baseline=baseline[:rows])
        torch.testing.assert_close(part, whole[:rows], atol=1e-12, rtol=0)  # products in another order


@pytest.mark.parametrize("name", ALLOWED)
def test_networks_that_the_library_sees_rightly_are_complete(name, generator):
    model = Network(ALLOWED[name]())
    inputs, target, baseline = question(generator)
    scores = deeplift(model, inputs, target=target, baseline=baseline)
    rows = torch.arange(len(inputs))
    delta = model(inputs)[rows, target] - model(baseline)[rows, target]
    torch.testing.assert_close(scores.sum(1), delta, atol=1e-9, rtol=0)  # the library treats differences below 1e-10 as 0
    assert hooks_of(model) == []


REFUSED = {
    "functional relu": (lambda: torch.relu, "'relu' is called as a function in Network.forward.*make it one of the modules ReLU"),
    "relu method": (lambda: lambda z: z.clone().relu_(), "'relu_' is called as a function in Network"),
    "functional tanh": (lambda: functional.tanh, "'tanh' is called as a function"),
    **{
        kind.__name__: (kind, f"called as a function in {kind.__name__}.*make it one of the modules ReLU, ELU")
        for kind in (nn.GELU, nn.SiLU, nn.PReLU, nn.ReLU6, nn.Hardtanh, nn.CELU, nn.LogSigmoid)
    },
    "layer norm": (lambda: nn.LayerNorm(8), "'layer_norm' is called as a function in LayerNorm"),
    "subclass of ReLU": (Squashed, "'relu' is called as a function in Squashed.forward"),
    "product of two units": (lambda: Gated(lambda h: h * h.flip(1)), "Gated multiplies or divides two values.*Use integrated_gradients"),
    "product by keyword": (lambda: Gated(lambda h: torch.mul(h, other=h.flip(1))), "Gated multiplies or divides"),
    "product in place": (lambda: Gated(lambda h: h.clone().mul_(h.flip(1))), "Gated multiplies or divides"),
    "matrix product": (lambda: Gated(lambda h: torch.bmm(h[:, None], mat2=h[:, :, None])), "Gated multiplies or divides"),
    "quotient of two units": (lambda: Gated(lambda h: h / (h.flip(1) + 1)), "Gated multiplies or divides"),
    "constant over a unit": (lambda: Gated(lambda h: torch.div(torch.ones(8, dtype=h.dtype), other=h + 1)), "Gated multiplies or divides"),
    "reciprocal": (lambda: Gated(lambda h: 1 / (h + 1)), "Gated"),
    "square": (lambda: Gated(lambda h: h**2), "pow.*is called as a function in Gated"),
    "overlapping max pool": (lambda: image(nn.MaxPool2d(2, stride=1)), "MaxPool2d with overlapping windows.*stride = kernel_size"),
    "padded max pool": (lambda: image(nn.MaxPool2d(2, padding=1)), "MaxPool2d with overlapping windows or padding"),
    "dilated max pool": (lambda: image(nn.MaxPool1d(2, dilation=2), size=(2, 4)), "no dilation"),
    "padded max pool 1d": (lambda: image(nn.MaxPool1d(2, padding=1), size=(2, 4)), "MaxPool1d with overlapping windows or padding"),
    "adaptive max pool": (lambda: image(nn.AdaptiveMaxPool2d(1)), "is called as a function in AdaptiveMaxPool2d"),
    "functional max": (lambda: lambda z: z.amax(1, keepdim=True), "'amax' is called as a function"),
    "softmax module": (lambda: nn.Softmax(dim=1), "nn.Softmax divides by the size of the whole batch.*return logits"),
    "reused module": (Twice, "one ReLU module is called 2 times.*give each use its own ReLU"),
    "detached": (lambda: Gated(lambda h: h.detach()), "does not sum to the difference of outputs"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_networks_that_the_library_sees_wrongly_are_refused_by_name(name, generator):
    """Warnings are errors in these tests, so that a refusal is silent but for its reason; and no hook stays."""
    build, message = REFUSED[name]
    model = Network(build())
    inputs, target, baseline = question(generator)
    with pytest.raises(NotApplicable, match=message):
        deeplift(model, inputs, target=target, baseline=baseline)
    assert hooks_of(model) == []


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(8), nn.Dropout(0.5)], ids=["batch norm", "dropout"])
def test_a_network_in_training_mode_is_refused_and_not_run(layer, generator):
    model = Network(layer).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    inputs, target, baseline = question(generator)
    with pytest.raises(NotApplicable, match=r"middle is in training mode.*call model.eval\(\) first"):
        deeplift(model, inputs, target=target, baseline=baseline)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_plain_callable_is_refused(generator):
    inputs, target, baseline = question(generator)
    with pytest.raises(NotApplicable, match=r"needs an nn.Module.*\(got function\)"):
        deeplift(lambda x: x, inputs, target=target, baseline=baseline)


def test_a_product_whose_terms_cancel_in_the_sum_is_refused_all_the_same():
    """x1 x2 - x3 x4 at (1, 1, 1, 1): the gradient gives (1, 1, -1, -1), which sums to the difference of outputs, 0, and is wrong."""

    class Terms(nn.Module):
        def forward(self, x):
            return torch.mul(input=x[:, :1], other=x[:, 1:2]) - torch.mul(input=x[:, 2:3], other=x[:, 3:])

    ones = torch.ones(1, 4, dtype=torch.float64)
    with pytest.raises(NotApplicable, match="Terms multiplies or divides"):
        deeplift(Terms(), ones, target=torch.tensor([0]), baseline=0 * ones)


@pytest.mark.parametrize("side", ["edges", "features"])
def test_a_product_of_which_one_factor_varies_is_allowed(side, generator):
    """A_ij h_j with A fixed, or h fixed: linear in what varies, so the multiplier is the other factor."""

    class Graph(nn.Module):
        def forward(self, rows):
            return (rows[:, :3, :3] @ rows[:, :3, 3:]).sum((1, 2))[:, None]

    inputs = torch.randn(2, 3, 5, generator=generator, dtype=torch.float64)
    baseline = inputs.clone()
    baseline[:, :, slice(0, 3) if side == "edges" else slice(3, 5)] = 0
    scores = deeplift(Graph(), inputs, target=torch.zeros(2, dtype=torch.int64), baseline=baseline)
    adjacency, features = inputs[..., :3], inputs[..., 3:]
    by_edge = adjacency * features.sum(-1)[:, None, :]
    by_feature = features * adjacency.sum(1)[:, :, None]
    expected = torch.cat([by_edge, 0 * features] if side == "edges" else [0 * adjacency, by_feature], -1)
    torch.testing.assert_close(scores, expected, atol=1e-12, rtol=0)  # rounding of sums of nine terms


def test_a_constant_network_gets_zeros(generator):
    model = Network(nn.ReLU())
    model.last.weight.zero_()
    inputs, target, baseline = question(generator)
    assert deeplift(model, inputs, target=target, baseline=baseline).abs().max() == 0
    model.middle = Gated(torch.ones_like)
    assert deeplift(model, inputs, target=target, baseline=baseline).abs().max() == 0


def test_rows_do_not_depend_on_their_batch(generator):
    model = Network(nn.Sequential(nn.Tanh(), nn.Linear(8, 8), nn.ReLU()))
    inputs, target, baseline = question(generator, rows=6)
    together = deeplift(model, inputs, target=target, baseline=baseline)
    alone = [deeplift(model, inputs[[r]], target=target[[r]], baseline=baseline[[r]]) for r in range(6)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-12, rtol=0)  # products in another order


def test_a_bad_target_leaves_no_hook(generator):
    model = Network(nn.ReLU())
    inputs, target, baseline = question(generator)
    with pytest.raises((IndexError, AssertionError, RuntimeError)):
        deeplift(model, inputs, target=target + 7, baseline=baseline)
    assert hooks_of(model) == []
