"""Modified gradients are those of the papers, on every way of writing a ReLU, and are wrong where theory says that they are."""

from __future__ import annotations

import doctest
import warnings

import numpy as np
import pytest
import torch
from captum.attr import Deconvolution, GuidedBackprop
from torch import nn
from torch.nn import functional

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.methods import backward_rules, excitation
from attrlab.methods.backward_rules import deconvnet, guided_backprop, rectgrad
from attrlab.methods.excitation import contrastive_excitation_backprop, excitation_backprop
from attrlab.methods.gradients import gradient
from synthetic.gadgets import relu_network
from tests import reference_relevance

METHODS = (deconvnet, guided_backprop, rectgrad, excitation_backprop, contrastive_excitation_backprop)


def drawn(generator, *sizes, bias=True):
    """Weights and biases of a dense network, as arrays and as the network."""
    pairs = zip(sizes[1:], sizes[:-1], strict=True)
    layers = [(torch.randn(n, m, generator=generator).double(), torch.randn(n, generator=generator).double() * bias) for n, m in pairs]
    return [(weight.numpy(), b.numpy()) for weight, b in layers], relu_network([(weight, b.tolist()) for weight, b in layers])


def zeros(n):
    return torch.zeros(n, dtype=torch.int64)


def deconvolved(before, signal):
    del before
    return np.maximum(signal, 0)


def guided(before, signal):
    return np.where(before > 0, np.maximum(signal, 0), 0)


def rectified(before, signal):
    weight = np.maximum(before, 0) * signal
    return np.where(weight > np.percentile(weight, 98), signal, 0)


@pytest.mark.parametrize(("method", "at_relu"), [(deconvnet, deconvolved), (guided_backprop, guided), (rectgrad, rectified)])
def test_the_slow_twin_says_the_same(method, at_relu, generator):
    layers, model = drawn(generator, 4, 9, 7, 3)
    x = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    found = method(model, x, target=torch.arange(6) % 3).numpy()
    assert np.abs(found).max() > 0.1
    for row in range(6):
        expected = reference_relevance.modified_gradient(layers, x[row].numpy(), row % 3, at_relu)
        expected = expected * x[row].numpy() if method is rectgrad else expected
        np.testing.assert_allclose(found[row], expected, rtol=1e-10, atol=1e-10)  # rounding of three layers


class Reused(nn.Module):
    """One ReLU, used twice, beside a residual sum; `relu` may be any function."""

    def __init__(self, relu, generator) -> None:
        super().__init__()
        self.a, self.b = (nn.Linear(n, m).double() for n, m in ((4, 6), (6, 6)))
        self.c = nn.Linear(6, 2).double()
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        self.relu = relu

    def forward(self, x):
        hidden = self.relu(self.a(x))
        return self.c(self.relu(self.b(hidden)) + hidden)


@pytest.mark.parametrize("method", METHODS)
def test_module_functional_and_reused_activations_are_the_same(method):
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    relus = (nn.ReLU(), nn.ReLU(inplace=True), functional.relu, torch.relu, lambda z: z.clamp(min=0))
    maps = [method(Reused(relu, torch.Generator().manual_seed(1)), x, target=zeros(5)) for relu in relus]
    assert maps[0].abs().max() > 0.01
    for other in maps[1:]:
        assert torch.equal(other, maps[0])  # the same operations in the same order


@pytest.mark.parametrize(("method", "oracle"), [(guided_backprop, GuidedBackprop), (deconvnet, Deconvolution)])
def test_captum_says_the_same_of_relu_modules(method, oracle, generator):
    _, model = drawn(generator, 4, 8, 8, 3)
    x, target = torch.randn(6, 4, generator=generator, dtype=torch.float64), torch.arange(6) % 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Captum announces its hooks
        expected = oracle(model).attribute(x.clone().requires_grad_(), target=target)
    torch.testing.assert_close(method(model, x, target=target), expected)


@pytest.mark.parametrize(("method", "oracle"), [(guided_backprop, GuidedBackprop), (deconvnet, Deconvolution)])
def test_captum_takes_the_plain_gradient_of_a_functional_relu(method, oracle):
    class Functional(nn.Module):
        def forward(self, x):
            return torch.relu(x) - torch.relu(x)

    x = torch.tensor([[1.0]], dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        captum = oracle(Functional()).attribute(x.clone().requires_grad_(), target=0)
    assert captum.item() == 0.0  # the slope 1 - 1
    assert method(Functional(), x, target=zeros(1)).item() == 1.0  # the positive signal of the first ReLU (W4)


def test_guided_backprop_is_the_gradient_if_no_weight_above_the_first_relu_is_negative(generator):
    """Identity E5: no signal is negative, so none is held back."""
    layers, _ = drawn(generator, 4, 8, 6, 2)
    layers = [layers[0], *((np.abs(weight), bias) for weight, bias in layers[1:])]
    model = relu_network([(torch.from_numpy(weight), bias.tolist()) for weight, bias in layers])
    x = torch.randn(7, 4, generator=generator, dtype=torch.float64)
    assert torch.equal(guided_backprop(model, x, target=zeros(7)), gradient(model, x, target=zeros(7)))


def at(method, function, *x):
    return method(function, torch.tensor([x], dtype=torch.float64), target=zeros(1))[0].tolist()


def columns(function):
    return lambda x: function(*x.split(1, 1))


def test_w1_where_the_output_saturates_nothing_passes():
    one_minus = relu_network([([[-1.0]], [1.0]), ([[-1.0]], [1.0])])
    for method in METHODS:
        assert at(method, one_minus, 2.0) == [0.0]


def test_w4_a_sum_of_opposites_is_seen_and_a_negative_input_is_not():
    nothing = columns(lambda x: torch.relu(x) - torch.relu(x))
    assert at(guided_backprop, nothing, 1.0) == at(deconvnet, nothing, 1.0) == [1.0]
    identity = columns(lambda x: torch.relu(x) - torch.relu(-x))
    assert at(guided_backprop, identity, 1.0) == [1.0]
    assert at(guided_backprop, identity, -1.0) == [0.0]  # true slope 1


def test_w4_deconvolution_depends_on_how_the_function_is_written():
    assert at(deconvnet, columns(torch.relu), -1.0) == [1.0]
    assert at(deconvnet, columns(lambda x: x + torch.relu(-x)), -1.0) == [0.0]


def test_w5_of_two_sufficient_causes_none_is_seen():
    either = columns(lambda x, y: 1 - torch.relu(1 - x - y))
    for method in (guided_backprop, deconvnet, rectgrad):
        assert at(method, either, 1.0, 1.0) == [0.0, 0.0]


def test_w6_a_symmetric_function_gets_asymmetric_scores():
    lopsided = columns(lambda x, y: torch.relu(x) + 2 * torch.relu(y) - torch.relu(y))
    assert at(guided_backprop, lopsided, 1.0, 1.0) == at(deconvnet, lopsided, 1.0, 1.0) == [1.0, 2.0]


def test_w7_the_sign_can_be_wrong():
    rising = columns(lambda x: torch.relu(5 - x) - 2 * torch.relu(5 - x))  # x - 5, with slope 1
    assert at(guided_backprop, rising, 1.0) == at(deconvnet, rising, 1.0) == [-1.0]


def test_excitation_sums_to_one_and_the_contrastive_map_to_zero(generator):
    layers, _ = drawn(generator, 5, 8, 6, 3, bias=False)
    layers = [*((np.abs(weight), bias) for weight, bias in layers[:2]), layers[2]]  # every hidden unit is active
    model = relu_network([(torch.from_numpy(weight), bias.tolist()) for weight, bias in layers])
    x = torch.rand(6, 5, generator=generator, dtype=torch.float64)
    found = excitation_backprop(model, x, target=torch.arange(6) % 3)
    assert found.min() >= 0
    # Rounding of three normalisations.
    torch.testing.assert_close(found.sum(1), torch.ones(6, dtype=torch.float64), rtol=1e-12, atol=1e-12)
    contrast = contrastive_excitation_backprop(model, x, target=torch.arange(6) % 3)
    assert contrast.abs().max() > 0.01
    torch.testing.assert_close(contrast.sum(1), torch.zeros(6, dtype=torch.float64), rtol=0, atol=1e-12)


def test_excitation_is_the_product_of_transition_probabilities(generator):
    """P(i) = Σ_j P(i | j) P(j) with P(i | j) ∝ a_i w⁺_ij, the paper's equations, as a chain of stochastic matrices."""
    layers, _ = drawn(generator, 4, 7, 2)
    layers[0] = (np.abs(layers[0][0]) * np.array([1, 1, 1, -0.01]), layers[0][1])
    model = relu_network([(torch.from_numpy(weight), bias.tolist()) for weight, bias in layers])
    x = torch.rand(5, 4, generator=generator, dtype=torch.float64)
    (w1, b1), (w2, _) = layers
    for row in range(5):
        hidden = np.maximum(w1 @ x[row].numpy() + b1, 0)
        top = hidden * np.maximum(w2[1], 0)
        below = x[row].numpy() * np.maximum(w1, 0)
        expected = (top / top.sum()) @ (below / below.sum(1, keepdims=True))
        found = excitation_backprop(model, x[row : row + 1], target=torch.tensor([1]))[0]
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_excitation_starts_from_one_even_where_the_output_is_zero():
    layer = relu_network([(torch.tensor([[1.0, -1.0]]), [0.0])])
    x = torch.ones(1, 2, dtype=torch.float64)
    assert layer(x).item() == 0.0
    assert excitation_backprop(layer, x, target=zeros(1)).tolist() == [[1.0, 0.0]]
    assert contrastive_excitation_backprop(layer, x, target=zeros(1)).tolist() == [[1.0, -1.0]]


def test_excitation_needs_a_linear_layer():
    with pytest.raises(NotApplicable, match="no linear layer"):
        excitation_backprop(torch.relu, torch.ones(1, 1), target=zeros(1))


def test_in_a_layer_of_one_unit_no_unit_is_above_its_percentile():
    assert rectgrad(torch.relu, torch.ones(3, 1), target=zeros(3)).tolist() == [[0.0]] * 3


@pytest.mark.parametrize("percentile", [-1.0, 100.0])
def test_a_percentile_is_in_its_range(percentile):
    with pytest.raises(InvalidInput, match=r"\[0, 100\)"):
        rectgrad(torch.relu, torch.ones(1, 1), target=zeros(1), percentile=percentile)


@pytest.mark.parametrize("method", METHODS)
def test_each_row_is_on_its_own(method, generator):
    _, model = drawn(generator, 4, 8, 8, 3)
    x, target, order = torch.randn(6, 4, generator=generator).double(), torch.arange(6) % 3, torch.tensor([3, 1, 5, 0, 4, 2])
    whole = method(model, x, target=target)
    torch.testing.assert_close(method(model, x[order], target=target[order]), whole[order], rtol=1e-9, atol=1e-9)
    parts = [method(model, x[part], target=target[part]) for part in (slice(0, 1), slice(1, 4), slice(4, 6))]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-9, atol=1e-9)
    assert method(model, x[:0], target=target[:0]).shape == (0, 4)
    assert method(model.float(), x.float(), target=target).dtype == torch.float32


@pytest.mark.parametrize("module", [backward_rules, excitation])
def test_the_examples_run(module):
    found = doctest.testmod(module, extraglobs={"torch": torch})
    assert found.attempted > 0
    assert found.failed == 0
