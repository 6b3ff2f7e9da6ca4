"""The path integral is checked against a Riemann sum, the exact sum in fractions, and numbers worked out by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attrlab.errors import InvalidInput
from attrlab.games import policy
from attrlab.methods import kinks
from attrlab.methods.adaptive_paths import guided_ig
from attrlab.methods.captum_paths import captum_integrated_gradients
from attrlab.methods.deeplift import deeplift
from attrlab.methods.deeplift_rescale import deeplift_rescale
from attrlab.methods.paths import exact_integrated_gradients, integrated_gradients
from synthetic.families import dense
from synthetic.gadgets import relu_network
from synthetic.graphs.networks import MessageNetwork
from synthetic.oracles import path_integral
from tests.attrlab.path_cases import Function, drawn, gap, zeros
from tests.reference_gradients import riemann

SEARCH = settings(max_examples=60, deadline=None)  # machines differ in speed, and speed is not the claim
WEIGHTS_IN_FLOAT32 = 1e-5
"""Captum holds nodes and weights of the quadrature in float32: 6e-8, times scores of order 10 and slopes that jump by as much."""

ROUNDING = 1e-12
"""Float64 rounding of some fifty terms of order 10."""


def slope_of(model, target):
    """The gradient of one row as a function on numpy arrays."""

    def slope(point):
        row = torch.from_numpy(point)[None].requires_grad_()
        return torch.autograd.grad(model(row)[0, target], row)[0][0].numpy()

    return slope


def test_quadrature_agrees_with_a_riemann_sum_on_a_smooth_network(generator):
    model = Function(torch.tanh, width=6)
    inputs, baseline, target = drawn(generator, 3, 4), drawn(generator, 3, 4), torch.tensor([1, 0, 1])
    found = integrated_gradients(model, inputs, target=target, baseline=baseline)
    for row in range(3):
        expected = riemann(slope_of(model, target[row]), inputs[row].numpy(), baseline[row].numpy(), steps=2000)
        # Middles of 2000 steps err by f''/24 · 2.5e-7; the 50 Gauss-Legendre nodes by far less.
        np.testing.assert_allclose(found[row].numpy(), expected, atol=2e-5)


@pytest.mark.parametrize(
    ("function", "point", "expected", "atol"),
    [
        (lambda x: x[:, :1] * x[:, 1:2] + x[:, 2:], (2.0, 3.0, 4.0), (3.0, 3.0, 4.0), ROUNDING),
        # A kink at a = 1/2, which 50 symmetric nodes straddle without error.
        (lambda x: torch.relu(x[:, :1] + x[:, 1:] - 1), (1.0, 1.0), (0.5, 0.5), ROUNDING),
    ],
    ids=["x1 x2 + x3", "relu(x1 + x2 - 1)"],
)
def test_integrated_gradients_of_functions_worked_out_by_hand(function, point, expected, atol):
    inputs = torch.tensor([point], dtype=torch.float64)
    found = integrated_gradients(Function(function), inputs, target=zeros(1), baseline=torch.zeros_like(inputs))
    assert found[0].tolist() == pytest.approx(expected, abs=atol)


@pytest.mark.parametrize("n_steps", [0, -3, 2.5, "50", None])
def test_n_steps_that_is_not_a_positive_whole_number_is_refused(n_steps):
    with pytest.raises(InvalidInput, match="n_steps is the number of quadrature nodes"):
        integrated_gradients(Function(torch.tanh), torch.ones(1, 2), target=zeros(1), baseline=torch.zeros(1, 2), n_steps=n_steps)


@pytest.mark.parametrize("bytes_", [1, 4000, 10**9], ids=["few points at a time", "in part", "at once"])
@pytest.mark.parametrize("method", [integrated_gradients, exact_integrated_gradients])
def test_working_through_the_points_in_parts_changes_nothing(method, bytes_, generator, monkeypatch):
    model = Function(torch.relu, width=16)
    inputs, baseline, target = drawn(generator, 5, 4), drawn(generator, 5, 4), torch.tensor([0, 1, 0, 1, 1])
    whole = method(model, inputs, target=target, baseline=baseline)
    sizes = []
    model.register_forward_pre_hook(lambda _, arguments: sizes.append((len(arguments[0]), arguments[0].requires_grad)))
    monkeypatch.setattr(policy, "CPU_BYTES", bytes_)
    torch.testing.assert_close(method(model, inputs, target=target, baseline=baseline), whole, atol=1e-13, rtol=0)  # sums in another order
    largest = max(size for size, slope in sizes if slope)
    if bytes_ == 1:
        assert largest <= 17  # the first chunk, which shows how large the others may be; then 16
    if method is integrated_gradients:
        assert sum(size for size, _ in sizes) == 5 * 50  # as many passes as steps, and no others


def test_rows_that_are_cut_apart_are_cut_as_they_are_together(generator, monkeypatch):
    model = Function(lambda z: torch.relu(torch.relu(z) - torch.relu(z.flip(1))), width=16)
    inputs, baseline = drawn(generator, 5, 4), drawn(generator, 5, 4)
    whole = exact_integrated_gradients(model, inputs, target=zeros(5), baseline=baseline)
    monkeypatch.setitem(kinks.KEPT_BYTES, "cpu", 1)
    apart = exact_integrated_gradients(model, inputs, target=zeros(5), baseline=baseline)
    torch.testing.assert_close(apart, whole, atol=1e-13, rtol=0)  # products in another order
    assert gap(model, inputs, baseline, zeros(5), apart) <= 1e-12  # rounding of some dozen pieces


@pytest.mark.parametrize(
    ("rule", "captum_rule"),
    [("gauss_legendre", "gausslegendre"), ("midpoint", "riemann_middle"), ("left", "riemann_left"), ("right", "riemann_right")],
)
@pytest.mark.parametrize("n_steps", [2, 7, 50])
def test_every_rule_agrees_with_captum_at_equal_steps(rule, captum_rule, n_steps, generator):
    model = Function(torch.relu, width=16)
    inputs, baseline, target = drawn(generator, 5, 4), drawn(generator, 5, 4), torch.tensor([0, 1, 0, 1, 1])
    found = integrated_gradients(model, inputs, target=target, baseline=baseline, n_steps=n_steps, rule=rule)
    captum = IntegratedGradients(model).attribute(inputs, baselines=baseline, target=target, n_steps=n_steps, method=captum_rule)
    torch.testing.assert_close(found, captum, atol=WEIGHTS_IN_FLOAT32, rtol=0)


def test_the_trapezoid_rule_of_the_library_loses_a_part_of_every_score_and_ours_does_not(generator):
    """Its n weights are 1/n, halved at the ends, so that they sum to 1 - 1/n: a linear function is not attributed completely."""
    model = nn.Linear(3, 1).double().requires_grad_(False)
    inputs, baseline = drawn(generator, 4, 3), drawn(generator, 4, 3)
    wanted = model.weight * (inputs - baseline)
    library = IntegratedGradients(model).attribute(inputs, baselines=baseline, target=0, n_steps=10, method="riemann_trapezoid")
    torch.testing.assert_close(library, 0.9 * wanted, atol=WEIGHTS_IN_FLOAT32, rtol=0)
    found = integrated_gradients(model, inputs, target=zeros(4), baseline=baseline, n_steps=10, rule="trapezoid")
    torch.testing.assert_close(found, wanted, atol=ROUNDING, rtol=0)


@pytest.mark.parametrize("rule", ["midpoint", "trapezoid", "left", "right"])
def test_the_rules_are_the_sums_they_are_named_after(rule):
    """On f = x² from 0 to 1, whose slope at a is 2a, with four nodes."""
    nodes = {"midpoint": (1, 3, 5, 7), "trapezoid": (0, 1, 2, 3), "left": (0, 1, 2, 3), "right": (1, 2, 3, 4)}[rule]
    whole, weights = {"midpoint": (8, (1, 1, 1, 1)), "trapezoid": (3, (0.5, 1, 1, 0.5))}.get(rule, (4, (1, 1, 1, 1)))
    expected = sum(weight * 2 * node / whole for node, weight in zip(nodes, weights, strict=True)) / sum(weights)
    one = torch.ones(1, 1, dtype=torch.float64)
    found = integrated_gradients(lambda x: x**2, one, target=zeros(1), baseline=0 * one, n_steps=4, rule=rule)
    assert found.item() == pytest.approx(expected, abs=ROUNDING)


def test_gauss_legendre_is_exact_for_polynomials_up_to_twice_its_nodes():
    one = torch.ones(1, 1, dtype=torch.float64)
    for power in range(1, 9):  # the slope has degree power - 1, and 4 nodes are exact up to degree 7
        found = integrated_gradients(lambda x, power=power: x**power, one, target=zeros(1), baseline=0 * one, n_steps=4)
        assert found.item() == pytest.approx(1, abs=ROUNDING)


def test_a_trapezoid_of_one_node_and_an_unknown_rule_are_refused():
    one = torch.ones(1, 1)
    with pytest.raises(InvalidInput, match=r"trapezoid rule, both ends among them, a whole number of at least 2 \(got 1\)"):
        integrated_gradients(torch.tanh, one, target=zeros(1), baseline=one, n_steps=1, rule="trapezoid")
    with pytest.raises(InvalidInput, match=r"rule is one of 'gauss_legendre', 'midpoint'.*\(got 'simpson'\)"):
        integrated_gradients(torch.tanh, one, target=zeros(1), baseline=one, rule="simpson")


@pytest.mark.parametrize("batch", [1, 6])
def test_images_in_float32_are_integrated_as_in_float64(batch, generator):
    """In float32 rows are laid channels last, where that is faster; a network that views them as if they were not works as well."""
    convolution = nn.Conv2d(3, 4, 3, padding=1).double().requires_grad_(False)
    inputs, baseline = drawn(generator, batch, 3, 5, 5), drawn(generator, batch, 3, 5, 5)
    for model in (
        lambda x: torch.tanh(convolution(x)).mean((2, 3)),
        lambda x: convolution(torch.tanh(x.view(-1, 3, 5, 5))).reshape(len(x), -1)[:, :2],
        lambda x: torch.tanh(x.view(len(x), -1)[:, :2]),
    ):
        exact = integrated_gradients(model, inputs, target=zeros(batch), baseline=baseline)
        convolution.float()
        single = integrated_gradients(model, inputs.float(), target=zeros(batch), baseline=baseline.float())
        convolution.double()
        assert single.dtype == torch.float32
        torch.testing.assert_close(single.double(), exact, atol=1e-5, rtol=0)  # rounding 6e-8 of sums of fifty


@pytest.mark.parametrize("method", [integrated_gradients, exact_integrated_gradients, captum_integrated_gradients])
def test_an_empty_batch_gets_no_scores(method):
    nothing = torch.zeros(0, 4, dtype=torch.float64)
    assert method(Function(torch.relu, width=8), nothing, target=zeros(0), baseline=nothing).shape == (0, 4)


@st.composite
def networks(draw):
    """Layers of small integers with one to three hidden layers, and a segment between half-integer points."""
    weights = st.integers(-2, 2)
    widths = [draw(st.integers(1, 3), label="width") for _ in range(draw(st.integers(1, 3), label="hidden layers") + 1)] + [1]
    layers = [
        (
            draw(st.lists(st.lists(weights, min_size=into, max_size=into), min_size=out, max_size=out), label="weight"),
            draw(st.lists(weights, min_size=out, max_size=out), label="bias"),
        )
        for into, out in itertools.pairwise(widths)
    ]
    halves = st.lists(st.integers(-6, 6).map(lambda v: v / 2), min_size=widths[0], max_size=widths[0])
    return layers, draw(halves, label="x"), draw(halves, label="baseline")


@given(drawn_=networks())
@SEARCH
def test_exact_integral_is_the_sum_in_fractions(drawn_):
    """Also through points where several units change sign at once, and along pieces on which a unit is identically zero."""
    layers, x, baseline = drawn_
    numbers = [(np.array(weight, dtype=float), np.array(bias, dtype=float)) for weight, bias in layers]
    expected = path_integral(numbers, np.array(x), np.array(baseline))
    inputs, start = torch.tensor([x], dtype=torch.float64), torch.tensor([baseline], dtype=torch.float64)
    found = exact_integrated_gradients(dense(layers).model, inputs, target=zeros(1), baseline=start)
    np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-9)  # values up to 10^4, and cuts closed over 256 eps


def test_exact_integral_of_a_convolution_is_the_limit_of_fine_quadrature(generator):
    convolutions = (nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(3, 2, 2), nn.ReLU())
    model = nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(8, 2))
    for parameter in model.double().requires_grad_(False).parameters():
        parameter.copy_(drawn(generator, *parameter.shape))
    inputs, baseline, target = drawn(generator, 2, 2, 6, 6), torch.zeros(2, 2, 6, 6, dtype=torch.float64), torch.tensor([0, 1])
    found = exact_integrated_gradients(model, inputs, target=target, baseline=baseline)
    assert gap(model, inputs, baseline, target, found) <= 1e-11  # rounding of some hundred pieces of a function of order 10
    for row in range(2):
        middles = ((torch.arange(4000, dtype=torch.float64) + 0.5) / 4000).view(-1, 1, 1, 1)
        points = (baseline[row] + middles * (inputs[row] - baseline[row])).requires_grad_()
        (slopes,) = torch.autograd.grad(model(points)[:, target[row]].sum(), points)
        # Each kink spoils one of 4000 steps; the jumps of the gradient are of order 10.
        torch.testing.assert_close(found[row], slopes.mean(0) * (inputs[row] - baseline[row]), atol=2e-2, rtol=0)


def test_exact_integral_of_a_graph_row_is_the_limit_of_fine_quadrature(generator):
    """In the edge game the messages are constant along the path and the product A_ij relu(...) is linear; in the feature game A is."""
    model = MessageNetwork(receiver=[1.0, 0.5], sender=[-1.0, 2.0], offset=0.25, root=[1.0, -1.0]).double().requires_grad_(False)
    inputs = drawn(generator, 2, 4, 6)
    for part in (slice(0, 4), slice(4, 6)):
        baseline = inputs.clone()
        baseline[:, :, part] = 0
        found = exact_integrated_gradients(model, inputs, target=zeros(2), baseline=baseline)
        assert gap(model, inputs, baseline, zeros(2), found) <= 1e-12  # rounding of 16 messages
        for row in range(2):
            expected = riemann(slope_of(model, 0), inputs[row].numpy(), baseline[row].numpy(), steps=400)
            np.testing.assert_allclose(found[row].numpy(), expected, atol=5e-2)  # 16 kinks, each spoils one of 400 steps


@pytest.mark.parametrize("seed", range(5))
def test_completeness_gap_of_random_networks_is_rounding(seed):
    generator = torch.Generator().manual_seed(seed)
    layers = [(drawn(generator, out, into) / into**0.5, drawn(generator, out)) for into, out in ((20, 64), (64, 64), (64, 1))]
    model = relu_network([(weight, bias.tolist()) for weight, bias in layers]).requires_grad_(False)
    inputs, baseline = drawn(generator, 2, 20), drawn(generator, 2, 20)
    scores = exact_integrated_gradients(model, inputs, target=zeros(2), baseline=baseline)
    assert gap(model, inputs, baseline, zeros(2), scores) <= 1e-12  # a hundred pieces of rounding 1e-15


def test_a_linear_network_gets_weight_times_difference(generator):
    model = nn.Linear(3, 2).double().requires_grad_(False)
    inputs, baseline = drawn(generator, 4, 3), drawn(generator, 4, 3)
    for method in (exact_integrated_gradients, integrated_gradients):
        scores = method(model, inputs, target=torch.tensor([0, 1, 0, 1]), baseline=baseline)
        expected = model.weight[[0, 1, 0, 1]] * (inputs - baseline)
        torch.testing.assert_close(scores, expected, atol=ROUNDING, rtol=0)


@pytest.mark.parametrize("method", [exact_integrated_gradients, integrated_gradients])
@pytest.mark.parametrize("trainable", [False, True], ids=["frozen", "trainable"])
def test_a_constant_function_gets_zeros(method, trainable):
    model = nn.Module()
    model.value = nn.Parameter(torch.ones(1, 2), requires_grad=trainable)
    model.forward = lambda inputs: model.value.expand(len(inputs), 2)
    inputs = torch.ones(3, 4)
    assert torch.equal(method(model, inputs, target=zeros(3), baseline=0 * inputs), torch.zeros_like(inputs))


@pytest.mark.parametrize("method", [exact_integrated_gradients, integrated_gradients])
def test_an_input_that_is_its_baseline_gets_zeros(method, generator):
    inputs = drawn(generator, 3, 4)
    scores = method(Function(torch.relu, width=8), inputs, target=zeros(3), baseline=inputs.clone())
    assert torch.equal(scores, torch.zeros_like(inputs))


def test_many_rows_at_once_equal_the_rows_alone(generator):
    model = Function(lambda z: torch.relu(torch.relu(z) - torch.relu(z.flip(1))), width=8)
    inputs, baseline, target = drawn(generator, 40, 4), drawn(generator, 40, 4), torch.arange(40) % 2
    whole = exact_integrated_gradients(model, inputs, target=target, baseline=baseline)
    alone = [exact_integrated_gradients(model, inputs[[r]], target=target[[r]], baseline=baseline[[r]]) for r in range(40)]
    torch.testing.assert_close(whole, torch.cat(alone), atol=1e-12, rtol=0)  # sums in another order


def test_in_float32_the_exact_integral_keeps_float32_accuracy(generator):
    layers = [(drawn(generator, out, into) / into**0.5, drawn(generator, out).tolist()) for into, out in ((10, 64), (64, 64), (64, 1))]
    model = relu_network(layers).requires_grad_(False)
    inputs, baseline = drawn(generator, 4, 10), drawn(generator, 4, 10)
    exact = exact_integrated_gradients(model, inputs, target=zeros(4), baseline=baseline)
    single = exact_integrated_gradients(model.float(), inputs.float(), target=zeros(4), baseline=baseline.float())
    assert single.dtype == torch.float32
    # Kinks closer than 256 eps = 3e-5 are taken as one, and the gradient jumps by less than 1 there.
    torch.testing.assert_close(single.double(), exact, atol=1e-3, rtol=0)


@pytest.mark.cuda
@pytest.mark.parametrize("method", [integrated_gradients, exact_integrated_gradients, deeplift, deeplift_rescale, guided_ig])
def test_a_device_gives_what_the_cpu_gives(method, generator):
    layers = [(drawn(generator, out, into) / into**0.5, drawn(generator, out).tolist()) for into, out in ((10, 32), (32, 32), (32, 2))]
    model = relu_network(layers).requires_grad_(False)
    inputs, baseline, target = drawn(generator, 6, 10), drawn(generator, 6, 10), torch.arange(6) % 2
    on_cpu = method(model, inputs, target=target, baseline=baseline)
    on_device = method(model.cuda(), inputs.cuda(), target=target.cuda(), baseline=baseline.cuda())
    assert on_device.is_cuda
    # Sums in another order; that a node lies so close to a kink that rounding decides its side has a chance of 1e-10.
    torch.testing.assert_close(on_device.cpu(), on_cpu, atol=1e-9, rtol=0)
