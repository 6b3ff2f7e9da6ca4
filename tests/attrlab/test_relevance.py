"""Relevance is shared out as the rules say, unit by unit, is conserved where theory says so, and agrees with published numbers."""

from __future__ import annotations

import doctest
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from captum.attr import LRP
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule
from torch import nn
from torch.nn import functional
from torch_geometric.nn import GCNConv, GraphConv, SAGEConv

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.methods import composites, input_rules, relevance
from attrlab.methods.composites import lrp_epsilon_alpha2_beta1, lrp_epsilon_gamma_box, lrp_epsilon_plus, lrp_epsilon_plus_flat
from attrlab.methods.gradients import input_x_gradient
from attrlab.methods.input_rules import lrp_flat, lrp_w_squared, lrp_z_box
from attrlab.methods.relevance import lrp_0, lrp_alpha_beta, lrp_epsilon, lrp_gamma
from synthetic.gadgets import linear, relu_network
from tests import reference_relevance

z_plus = partial(lrp_alpha_beta, alpha=1.0, beta=0.0)
tight = partial(lrp_epsilon, epsilon=0.0)
boxed = partial(lrp_z_box, low=-1.0, high=1.0)

GOLDEN = {
    # Zennit 0.5.1 and 1.0.0 on one unit with weights (2, -1, 0.5) and bias 0.3, at x = (1, 1, 1) and x = (1, -1, 2).
    "epsilon": (lrp_0, (2, -1, 0.5), (2, 1, 1)),
    "epsilon, bias zeroed": (partial(lrp_0, zero_bias=True), (2.4, -1.2, 0.6), (2.15, 1.075, 1.075)),
    "gamma": (lrp_gamma, (1.8, -0.72, 0.45), (2, 1, 1)),
    "z plus": (z_plus, (1.2857, 0, 0.3214), (2, 1, 1)),
    "alpha 2 beta 1": (lrp_alpha_beta, (2.5714, -1.8, 0.6429), (4, 2, 2)),
    "w squared": (lrp_w_squared, (1.3483, 0.3371, 0.0843), (3.2210, 0.8052, 0.2013)),
    "flat": (lrp_flat, (0.6, 0.6, 0.6), (1.4333, 1.4333, 1.4333)),
    "z box": (boxed, (1.44, 0, 0.36), (2.2933, 1.1467, 0.86)),
}


@pytest.mark.parametrize(("method", "ones", "mixed"), GOLDEN.values(), ids=GOLDEN)
def test_one_unit_shares_as_published(method, ones, mixed):
    unit = linear([[2.0, -1.0, 0.5]], [0.3])
    x = torch.tensor([[1, 1, 1], [1, -1, 2]], dtype=torch.float64)
    expected = torch.tensor([ones, mixed], dtype=torch.float64)
    # The numbers are published with four digits.
    torch.testing.assert_close(method(unit, x, target=zeros(2)), expected, rtol=0, atol=5e-5)


def zeros(n):
    return torch.zeros(n, dtype=torch.int64)


def drawn(generator, *sizes, bias=True):
    """Weights and biases of a dense network, as arrays and as the network."""
    pairs = zip(sizes[1:], sizes[:-1], strict=True)
    layers = [(torch.randn(n, m, generator=generator).double(), torch.randn(n, generator=generator).double() * bias) for n, m in pairs]
    return [(weight.numpy(), b.numpy()) for weight, b in layers], relu_network([(weight, b.tolist()) for weight, b in layers])


PLUS = ("alpha_beta", 1.0, 0.0)
TWINS = {
    "epsilon": (partial(lrp_epsilon, epsilon=0.25), [("epsilon", 0.25)] * 3),
    "gamma": (lrp_gamma, [("gamma", 0.25)] * 3),
    "z plus": (z_plus, [PLUS] * 3),
    "alpha 2 beta 1": (lrp_alpha_beta, [("alpha_beta", 2.0, 1.0)] * 3),
    "w squared": (lrp_w_squared, [("w_squared",), PLUS, PLUS]),
    "flat": (lrp_flat, [("flat",), PLUS, PLUS]),
    "z box": (partial(lrp_z_box, low=-3.0, high=3.0), [("z_box", -3.0, 3.0), PLUS, PLUS]),
}


@pytest.mark.parametrize(("method", "rules"), TWINS.values(), ids=TWINS)
def test_the_slow_twin_says_the_same(method, rules, generator):
    layers, model = drawn(generator, 4, 6, 5, 3)
    x = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    found = method(model, x, target=torch.arange(5) % 3)
    for row in range(5):
        expected = reference_relevance.relevance(layers, x[row].tolist(), row % 3, rules)
        # Rounding, magnified by denominators near zero.
        np.testing.assert_allclose(found[row].numpy(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("zero", [(), (1,), (0, 3)])
@pytest.mark.parametrize("method", [lrp_flat, lrp_w_squared])
def test_input_rules_reach_inputs_that_are_zero(method, zero, generator):
    layers, model = drawn(generator, 4, 6, 2, bias=False)
    x = torch.rand(3, 4, generator=generator, dtype=torch.float64)
    x[:, list(zero)] = 0
    found = method(model, x, target=zeros(3))
    rule = ("flat",) if method is lrp_flat else ("w_squared",)
    for row in range(3):
        expected = reference_relevance.relevance(layers, x[row].tolist(), 0, [rule, PLUS])
        np.testing.assert_allclose(found[row].numpy(), expected, rtol=1e-9, atol=1e-12)
        assert np.abs(expected).min() > 0


def convolution(generator, **settings):
    layer = nn.Conv2d(2, 3, 2, dtype=torch.float64, **settings).requires_grad_(False)
    for parameter in layer.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return layer


@pytest.mark.parametrize("settings", [{}, {"padding": 1}, {"stride": 2}, {"dilation": 2, "bias": False}], ids=str)
@pytest.mark.parametrize(
    "method",
    [tight, lrp_gamma, z_plus, lrp_alpha_beta, lrp_w_squared, boxed],
    ids=["tight", "gamma", "z_plus", "alpha_beta", "w_squared", "boxed"],
)
def test_a_convolution_is_the_dense_layer_of_its_matrix(method, settings, generator):
    layer = convolution(generator, **settings)
    basis = torch.eye(18, dtype=torch.float64).view(18, 2, 3, 3)
    offset = layer(torch.zeros_like(basis[:1])).flatten()
    dense = linear((layer(basis).flatten(1) - offset).T, offset.tolist())
    units = dense.out_features
    above, _ = drawn(generator, units, 2)
    top = linear(torch.from_numpy(above[0][0]), above[0][1].tolist())
    x = torch.randn(4, 2, 3, 3, generator=generator, dtype=torch.float64)
    found = method(nn.Sequential(layer, nn.ReLU(), nn.Flatten(), top), x, target=zeros(4))
    expected = method(nn.Sequential(nn.Flatten(), dense, nn.ReLU(), top), x, target=zeros(4))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_lrp_0_is_input_x_gradient_on_relu_networks(generator):
    """Identity E2, biases included: on ReLU networks f(x)/x of an activation is its derivative."""
    _, model = drawn(generator, 4, 8, 8, 3)
    x, target = torch.randn(6, 4, generator=generator, dtype=torch.float64), torch.arange(6) % 3
    torch.testing.assert_close(lrp_0(model, x, target=target), input_x_gradient(model, x, target=target), rtol=1e-12, atol=1e-12)
    # Each layer is off by ε / |z|, and |z| is above 1e-3 here.
    torch.testing.assert_close(lrp_epsilon(model, x, target=target, epsilon=1e-9), lrp_0(model, x, target=target), rtol=1e-4, atol=1e-4)


class Residual(nn.Module):
    """A convolutional network without biases: residual sums, a reused ReLU, both poolings, an overlapping one."""

    def __init__(self, relu=functional.relu) -> None:
        super().__init__()
        self.relu = relu
        self.convs = nn.ModuleList(nn.Conv2d(n, 4, 3, padding=1, bias=False) for n in (2, 4, 4))
        self.head = nn.Linear(4 * 4, 3, bias=False)
        self.double().requires_grad_(False)
        generator = torch.Generator().manual_seed(0)
        for parameter in self.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))

    def forward(self, x):
        hidden = self.relu(self.convs[0](x))
        for conv in self.convs[1:]:
            hidden = hidden + self.relu(conv(hidden))
        hidden = functional.avg_pool2d(functional.max_pool2d(hidden, 3, 1, 1), 2)
        return self.head(hidden.flatten(1))


CONSERVING = {
    "lrp_0": lrp_0,
    "epsilon": tight,
    "gamma": lrp_gamma,
    "plus": partial(lrp_epsilon_plus, epsilon=0.0),
    "plus flat": partial(lrp_epsilon_plus_flat, epsilon=0.0),
}


@pytest.mark.parametrize("method", CONSERVING.values(), ids=CONSERVING)
def test_relevance_is_conserved_through_residual_sums(method):
    model, x = Residual(), torch.rand(5, 2, 4, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    output = model(x)[:, 1]
    found = method(model, x, target=torch.ones(5, dtype=torch.int64))
    # Sums of up to some thousand rounded terms of relevances of order 1e3.
    torch.testing.assert_close(found.flatten(1).sum(1), output, rtol=1e-8, atol=1e-8)


ALL = {
    **CONSERVING,
    "z plus": z_plus,
    "alpha 2 beta 1": lrp_alpha_beta,
    "w squared": lrp_w_squared,
    "flat": lrp_flat,
    "z box": boxed,
    "gamma box": partial(lrp_epsilon_gamma_box, low=0.0, high=1.0),
    "alpha beta composite": lrp_epsilon_alpha2_beta1,
}


@pytest.mark.parametrize("method", ALL.values(), ids=ALL)
def test_module_functional_and_reused_activations_are_the_same(method):
    x = torch.rand(3, 2, 4, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    relus = (functional.relu, nn.ReLU(), nn.ReLU(inplace=True), torch.relu, lambda z: z.clamp(min=0))
    maps = [method(Residual(relu), x, target=zeros(3)) for relu in relus]
    assert maps[0].abs().max() > 0.01
    for other in maps[1:]:
        # ReLU has its own derivative; the others divide, x (y / x), and round.
        torch.testing.assert_close(other, maps[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", ALL.values(), ids=ALL)
def test_each_row_is_on_its_own(method):
    model, order = Residual(), torch.tensor([3, 1, 0, 2])
    x, target = torch.rand(4, 2, 4, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64), torch.tensor([0, 1, 2, 0])
    whole = method(model, x, target=target)
    torch.testing.assert_close(method(model, x[order], target=target[order]), whole[order], rtol=1e-9, atol=1e-9)
    parts = [method(model, x[part], target=target[part]) for part in (slice(0, 1), slice(1, 4))]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("layer", [GCNConv, SAGEConv, GraphConv])
def test_node_relevance_sums_to_the_output_inside_torch_geometric_layers(layer):
    edges = torch.tensor([[0, 1, 2, 3, 1, 0, 4], [1, 2, 3, 0, 3, 2, 0]])
    torch.manual_seed(0)
    first, second = layer(3, 8, bias=False).double(), layer(8, 8, bias=False).double()
    read = nn.Linear(8, 2, bias=False).double()

    def model(x):
        hidden = first(x, edges).relu()
        return read(second(hidden, edges).relu().sum(0, keepdim=True)).expand(len(x), -1)

    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    one = torch.tensor([1])
    found = lrp_0(lambda rows: model(rows[0])[:1], x[None], target=one)
    expected = model(x)[0, 1]
    assert expected.abs() > 1e-3
    torch.testing.assert_close(found.sum(), expected.detach(), rtol=1e-12, atol=1e-12)


def test_a_product_gives_half_to_each_factor_and_conserves():
    x = torch.tensor([[2.0, 3.0, 4.0]], dtype=torch.float64)

    def model(x):
        return x[:, :1] * x[:, 1:2] + x[:, 2:]

    for method in (lrp_0, z_plus, lrp_gamma, lrp_alpha_beta):
        assert method(model, x, target=zeros(1)).tolist() == [[3.0, 3.0, 4.0]]


@pytest.mark.parametrize("method", [lrp_0, lrp_gamma, tight])
def test_a_matrix_product_of_two_dependent_values_conserves(method):
    x = torch.randn(4, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def model(x):
        return (x @ (x @ x).relu()).flatten(1)

    found = method(model, x, target=torch.tensor([0, 4, 8, 2]))
    output = model(x)[torch.arange(4), torch.tensor([0, 4, 8, 2])]
    torch.testing.assert_close(found.flatten(1).sum(1), output, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("activation", [torch.tanh, functional.gelu, functional.silu, functional.leaky_relu, lambda z: z**3, torch.abs])
def test_an_activation_that_is_zero_at_zero_hands_on_all_it_received(activation):
    x = torch.tensor([[1.5, -2.0, 0.0]], dtype=torch.float64)
    found = lrp_0(lambda x: activation(x).sum(1, keepdim=True), x, target=zeros(1))
    torch.testing.assert_close(found, activation(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("norm", [nn.LayerNorm(6), nn.GroupNorm(2, 6), nn.RMSNorm(6)], ids=lambda n: type(n).__name__)
def test_a_norm_is_the_linear_map_of_its_constant_scale(norm):
    norm = norm.double()
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        norm.weight.copy_(torch.rand(6, generator=generator) + 0.5)
    x = torch.randn(3, 6, generator=generator, dtype=torch.float64)
    found = lrp_0(lambda x: norm(x).sum(1, keepdim=True), x, target=zeros(3))
    # The mean is linear, so a norm without bias conserves relevance.
    torch.testing.assert_close(found.sum(1), norm(x).sum(1).detach(), rtol=1e-10, atol=1e-10)


def test_a_softmax_by_hand_is_the_softmax():
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)

    def by_hand(x):
        return (x.exp() / x.exp().sum(1, keepdim=True)) * x

    found = lrp_0(by_hand, x, target=zeros(4))
    torch.testing.assert_close(found, lrp_0(lambda x: torch.softmax(x, 1) * x, x, target=zeros(4)), rtol=1e-12, atol=1e-12)
    assert found.abs().max() > 0.01


def test_first_means_whatever_reads_the_input_rearranged(generator):
    _, model = drawn(generator, 6, 5, 2)
    x = torch.randn(3, 6, generator=generator, dtype=torch.float64)
    order = torch.tensor([5, 0, 3, 1, 2, 4])

    def shuffled(rows):
        return model(torch.cat([rows.view(-1, 2, 3).transpose(1, 2).reshape(-1, 6)], 1)[:, order])

    straight = x.view(-1, 2, 3).transpose(1, 2).reshape(-1, 6)[:, order]
    for method in (lrp_flat, lrp_w_squared, boxed):
        expected = method(model, straight, target=zeros(3))
        back = torch.empty_like(expected)
        back[:, order] = expected
        torch.testing.assert_close(method(shuffled, x, target=zeros(3)), back.view(-1, 3, 2).transpose(1, 2).reshape(-1, 6))


def test_the_box_is_from_baseline_to_input_if_nothing_else_is_said(generator):
    _, model = drawn(generator, 4, 5, 2)
    x, baseline = (torch.randn(3, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    baseline[:, 1] = x[:, 1]
    found = lrp_z_box(model, x, target=zeros(3), baseline=baseline)
    assert torch.equal(found[:, 1], torch.zeros(3, dtype=torch.float64))
    assert found.abs().sum() > 0.1


def captum(model, x, rule, target):
    for layer in model.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            layer.rule = rule()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LRP(model).attribute(x.clone().requires_grad_(), target=target).detach()


def test_captum_says_the_same_of_the_epsilon_rule(generator):
    _, model = drawn(generator, 4, 8, 8, 3)
    x, target = torch.randn(6, 4, generator=generator, dtype=torch.float64), torch.arange(6) % 3
    expected = captum(model, x, partial(EpsilonRule, 1e-9), target)
    torch.testing.assert_close(lrp_epsilon(model, x, target=target, epsilon=1e-9), expected, rtol=1e-7, atol=1e-7)


def test_captum_says_the_same_of_z_plus_for_non_negative_inputs_only(generator):
    _, model = drawn(generator, 4, 8, 3, bias=False)
    x = torch.rand(6, 4, generator=generator, dtype=torch.float64)
    expected = captum(model, x, Alpha1_Beta0_Rule, zeros(6))
    torch.testing.assert_close(z_plus(model, x, target=zeros(6)), expected, rtol=1e-6, atol=1e-6)  # Captum's stabiliser
    unit, point = linear([[2.0, -1.0, 0.5]], [0.3]), torch.tensor([[1.0, -1.0, 2.0]], dtype=torch.float64)
    wrong = captum(nn.Sequential(unit), point, Alpha1_Beta0_Rule, zeros(1))
    torch.testing.assert_close(wrong, torch.tensor([[2.6061, 0, 1.3030]], dtype=torch.float64), rtol=0, atol=5e-5)


def test_captum_does_not_conserve_through_a_residual_sum(generator):
    class Doubled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = linear([[1.0]], None)

        def forward(self, x):
            return x + self.layer(x)

    x = torch.ones(1, 1, dtype=torch.float64)
    assert lrp_0(Doubled(), x, target=zeros(1)).item() == 2.0
    assert captum(Doubled(), x, partial(EpsilonRule, 1e-9), zeros(1)).item() != pytest.approx(2.0, abs=0.1)


def at(method, function, *x):
    point = torch.tensor([x], dtype=torch.float64)
    return method(function, point, target=zeros(1))[0].tolist()


def test_w1_and_w5_where_the_output_saturates_nothing_passes():
    saturated = relu_network([([[-1.0]], [1.0]), ([[-1.0]], [1.0])])
    either = relu_network([([[-1.0, -1.0]], [1.0]), ([[-1.0]], [1.0])])
    for method in (lrp_0, z_plus):
        assert at(method, saturated, 2.0) == [0.0]
        assert at(method, either, 1.0, 1.0) == [0.0, 0.0]


def test_w4_an_unused_input_gets_half_of_the_relevance_under_z_plus():
    # x1 as [relu(x1 + x2) - relu(-x1 - x2)] - [relu(x2) - relu(-x2)].
    network = relu_network([([[1, 1], [-1, -1], [0, 1], [0, -1]], [0, 0, 0, 0]), ([[1, -1, -1, 1]], [0])])
    x1, x2 = at(z_plus, network, 1.0, 1.0)
    assert (x1, x2) == (0.5, 0.5)
    assert at(lrp_0, network, 1.0, 1.0) == [1.0, 0.0]


def test_w6_a_symmetric_function_gets_asymmetric_relevance_under_z_plus():
    network = relu_network([([[1, 0], [0, 1], [0, 1]], [0, 0, 0]), ([[1, 2, -1]], [0])])
    assert at(z_plus, network, 1.0, 1.0) == pytest.approx([2 / 3, 4 / 3])


BAD = [
    (lrp_epsilon, {"epsilon": -1.0}),
    (lrp_gamma, {"gamma": -0.1}),
    (lrp_alpha_beta, {"alpha": 2.0, "beta": 2.0}),
    (lrp_alpha_beta, {"alpha": 0.5, "beta": -0.5}),
    (lrp_z_box, {"low": 1.0, "high": 0.0}),
    (lrp_z_box, {"low": 1.0}),
    (lrp_epsilon_plus, {"epsilon": -1.0}),
    (lrp_epsilon_gamma_box, {"gamma": -1.0, "low": 0.0, "high": 1.0}),
]


@pytest.mark.parametrize(("method", "keywords"), BAD)
def test_a_parameter_out_of_range_is_refused_with_what_was_got(method, keywords):
    with pytest.raises(InvalidInput, match=r"\(got "):
        method(linear([[1.0, 1.0]], None), torch.ones(1, 2, dtype=torch.float64), target=zeros(1), **keywords)


def test_an_input_rule_needs_an_input_layer():
    with pytest.raises(NotApplicable, match="reads the input itself"):
        lrp_flat(lambda x: x.relu() @ torch.ones(2, 1), torch.ones(1, 2), target=zeros(1))


@pytest.mark.parametrize("module", [relevance, input_rules, composites])
def test_the_examples_run(module):
    found = doctest.testmod(module, extraglobs={"torch": torch})
    assert found.attempted > 0
    assert found.failed == 0
