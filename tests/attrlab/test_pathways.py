"""Pathways: neurons, contributions and gates are those of one row written out, and the ball in which a pathway is linear is exact."""

from __future__ import annotations

import doctest

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

import attrlab.methods.pathways
import attrlab.methods.routing
from attrlab.errors import InvalidInput, NotApplicable
from attrlab.methods.gradients import gradient
from attrlab.methods.linear_ball import linear_ball
from attrlab.methods.neurons import gated, integrated_contributions, marginal_contributions, passed
from attrlab.methods.pathways import critical_pathway, pathway_gradient, prune_gradient
from attrlab.methods.routing import cdrp_gradient, routing_gates
from synthetic import make_environment
from tests import reference_pathways as twin
from tests.attrlab.small_rows import drawn, image_rows, table_rows

CLOSE = 1e-10  # rounding of a few layers
METHODS = [pathway_gradient, prune_gradient, cdrp_gradient]
SHORT = {pathway_gradient: {"contribution": "integrated"}, prune_gradient: {"portion": 0.1}, cdrp_gradient: {"steps": 5}}


def rectified(columns=5, *, seed=0):
    layers = [nn.Linear(columns, 9), nn.ReLU(), nn.Linear(9, 7), nn.ReLU(), nn.Linear(7, 3)]
    return drawn(nn.Sequential(*layers).double(), torch.Generator().manual_seed(seed))


def written_out(model):
    return [(layer.weight, layer.bias) for layer in model if isinstance(layer, nn.Linear)]


@given(seed=st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_contributions_of_neurons_are_those_of_one_row_written_out(seed):
    model, (inputs, offers) = rectified(seed=seed), table_rows(seed=seed)
    found = {
        "marginal": marginal_contributions(model, inputs, offers["target"]),
        "integrated": integrated_contributions(model, inputs, offers["target"], n_steps=4),
    }
    for row, target in enumerate(offers["target"].tolist()):
        wanted = {
            "marginal": twin.marginal(written_out(model), inputs[row], target),
            "integrated": twin.integrated(written_out(model), inputs[row], target, 4),
        }
        for kind, layers in wanted.items():
            for ours, theirs in zip(found[kind], layers, strict=True):
                torch.testing.assert_close(ours[row], theirs, atol=CLOSE, rtol=CLOSE)


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.85])
def test_the_gradient_of_a_pathway_is_that_of_the_network_with_the_other_neurons_silenced(sparsity):
    model, (inputs, offers) = rectified(), table_rows()
    layers, kept = written_out(model), max(1, round((1 - sparsity) * 16))
    marginal = pathway_gradient(model, inputs, target=offers["target"], sparsity=sparsity)
    integrated = pathway_gradient(model, inputs, target=offers["target"], sparsity=sparsity, contribution="integrated", n_steps=4)
    for row, target in enumerate(offers["target"].tolist()):
        for found, scores in (
            (marginal, twin.marginal(layers, inputs[row], target)),
            (integrated, twin.integrated(layers, inputs[row], target, 4)),
        ):
            torch.testing.assert_close(found[row], twin.gradient(layers, inputs[row], target, twin.keep(scores, kept)), atol=CLOSE, rtol=0)


def test_greedy_pruning_is_that_of_one_row_written_out():
    model, (inputs, offers) = rectified(), table_rows()
    layers = written_out(model)
    found = prune_gradient(model, inputs, target=offers["target"], sparsity=0.75, portion=0.125)
    for row, target in enumerate(offers["target"].tolist()):
        gates = twin.pruned(layers, inputs[row], target, 4, 0.125)
        torch.testing.assert_close(found[row], twin.gradient(layers, inputs[row], target, gates), atol=CLOSE, rtol=0)


@pytest.mark.parametrize("method", METHODS)
def test_with_nothing_silenced_a_pathway_is_the_network(method):
    model, (inputs, offers) = rectified(), table_rows()
    settings_of = {name: value for name, value in SHORT[method].items() if name != "contribution"}
    found = method(model, inputs, target=offers["target"], sparsity=0.0, **settings_of)
    torch.testing.assert_close(found, gradient(model, inputs, target=offers["target"]), atol=CLOSE, rtol=0)


@given(order=st.permutations(range(4)), cut=st.integers(1, 3), method=st.sampled_from(METHODS))
@settings(max_examples=9, deadline=None)
def test_a_row_has_the_pathway_it_has_alone_whatever_the_batch(order, cut, method):
    model, (inputs, offers) = rectified(), table_rows(4)
    whole = method(model, inputs, target=offers["target"], **SHORT[method])
    for part in (order[:cut], order[cut:]):
        index = torch.tensor(part)
        found = method(model, inputs[index], target=offers["target"][index], **SHORT[method])
        torch.testing.assert_close(found, whole[index], atol=CLOSE, rtol=0)


@given(seed=st.integers(0, 10**6), integrated=st.booleans())
@settings(max_examples=15, deadline=None)
def test_inside_of_its_ball_a_pathway_is_linear(seed, integrated):
    model, (inputs, offers) = rectified(seed=seed), table_rows(seed=seed)
    target = offers["target"]
    gates = critical_pathway(model, inputs, target=target, sparsity=0.5, contribution="integrated" if integrated else "marginal")
    ball = linear_ball(model, inputs, target=target, gates=gates)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(20):
        step = torch.randn(inputs.shape, generator=generator, dtype=torch.float64)
        step = step / step.norm(dim=1, keepdim=True) * torch.where(ball.radius.isinf(), 1, ball.radius).unsqueeze(1) * 0.999
        found = along(model, inputs + step, target, gates).detach()
        torch.testing.assert_close(found, ball.value + (ball.slope * step).sum(1), atol=1e-9, rtol=1e-9)


def along(model, rows, target, gates):
    return passed(model, rows.clone().requires_grad_(), target, gated(gates)).outputs


def test_the_ball_of_a_known_network_ends_at_its_nearest_kink_and_silenced_neurons_do_not_count():
    model = lambda x: functional.relu(torch.stack([3 * x[:, 0] + 4 * x[:, 1], x[:, 0] - 1.5], 1)).sum(1, keepdim=True)  # noqa: E731
    x, target = torch.tensor([[1.0, 1.0]], dtype=torch.float64), torch.tensor([0])
    both, first = (torch.tensor([gate], dtype=torch.float64) for gate in ([1.0, 1.0], [1.0, 0.0]))
    assert float(linear_ball(model, x, target=target, gates=[both]).radius) == pytest.approx(0.5)  # x0 = 1.5
    assert float(linear_ball(model, x, target=target, gates=[first]).radius) == pytest.approx(7 / 5)  # |3 + 4| / |(3, 4)|


def test_pathways_of_fewer_neurons_have_larger_balls():
    model, (inputs, offers) = rectified(), table_rows()
    radius = []
    for sparsity in (0.0, 0.5, 0.8):
        gates = critical_pathway(model, inputs, target=offers["target"], sparsity=sparsity)
        radius.append(linear_ball(model, inputs, target=offers["target"], gates=gates).radius)
    assert (radius[2] >= radius[0]).all()
    assert (radius[2] > radius[0]).any()


@pytest.mark.parametrize("sparsity", [0.5, 0.85])
def test_routing_gates_are_those_of_one_row_written_out(sparsity):
    model, (inputs, offers) = rectified(), table_rows()
    layers, how = written_out(model), {"steps": 30, "lr": 0.05, "l1": 0.02}
    gates = routing_gates(model, inputs, target=offers["target"], **how)
    scores = cdrp_gradient(model, inputs, target=offers["target"], sparsity=sparsity, **how)
    for row, target in enumerate(offers["target"].tolist()):
        wanted = twin.routed(layers, inputs[row], **how)
        for ours, theirs in zip(gates, wanted, strict=True):
            torch.testing.assert_close(ours[row], theirs, atol=CLOSE, rtol=0)
        kept = twin.keep(wanted, round((1 - sparsity) * 16))
        torch.testing.assert_close(scores[row], twin.gradient(layers, inputs[row], target, kept), atol=CLOSE, rtol=0)


def test_routing_gates_lower_what_they_are_found_for():
    model, (inputs, offers) = rectified(), table_rows()

    def cost(gates):
        out, wanted = (m.log_softmax(1) for m in (run(model, inputs, gates), model(inputs)))
        divergence = (wanted.exp() * (wanted - out)).sum(1)
        return divergence + 0.01 * sum(gate.flatten(1).sum(1) for gate in gates)

    ones = tuple(torch.ones_like(gate) for gate in routing_gates(model, inputs, target=offers["target"], steps=1))
    found = routing_gates(model, inputs, target=offers["target"], steps=200)
    assert (cost(found) < cost(ones)).all()
    assert min(float(gate.min()) for gate in found) >= 0


def run(model, rows, gates):
    """All outputs of the gated network."""
    value, number = rows, 0
    for layer in model:
        value = layer(value)
        if isinstance(layer, nn.ReLU):
            value, number = value * gates[number], number + 1
    return value


def test_reused_functional_and_in_place_rectifiers_have_neurons_for_each_call():
    weights = rectified(4)[0].weight[:4]

    def model(x):
        hidden = functional.relu(x @ weights, inplace=True)
        return torch.clamp(hidden @ weights, min=0).sum(1, keepdim=True).relu()

    inputs, _ = table_rows(2, 4)
    found = marginal_contributions(model, inputs, torch.zeros(2, dtype=torch.int64))
    assert [tuple(layer.shape) for layer in found] == [(2, 4), (2, 4), (2, 1)]


def test_images_keep_their_shape():
    inputs, offers = image_rows()
    model = drawn(nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 3)).double(), torch.Generator().manual_seed(1))
    assert pathway_gradient(model, inputs, target=offers["target"]).shape == inputs.shape


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("id", ["colour-count-v1", "saturated-or-v1"])
def test_a_pathway_has_no_slope_where_the_network_has_none(method, id):
    """Where each input is read through a step, the network is flat around its rows, whatever of it is silenced."""
    world = make_environment(id)
    batch = world.sample(2, torch.Generator().manual_seed(0))
    how = {name: value for name, value in SHORT[method].items() if name != "contribution"}
    for sparsity in (0.0, 0.85):
        assert method(world.model, batch.inputs, target=batch.target, sparsity=sparsity, **how).abs().max() == 0  # exactly: no unit is open
    assert "flat_gradient" in world.traits


@pytest.mark.parametrize("method", [pathway_gradient, prune_gradient])
def test_where_the_network_has_a_slope_a_pathway_names_what_it_reads(method):
    world = make_environment("colour-continuous-v1")
    batch = world.sample(2, torch.Generator().manual_seed(0))
    how = {name: value for name, value in SHORT[method].items() if name != "contribution"}
    slope = method(world.model, batch.inputs, target=batch.target, **how).abs().sum(1).flatten(1)
    support = batch.truth.support
    assert (slope * support).sum(1).min() > 0
    assert slope[support].mean() > 2 * slope[~support].mean()


def test_what_a_pathway_needs_is_said():
    inputs, offers = table_rows()
    smooth = drawn(nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).double(), torch.Generator().manual_seed(0))
    with pytest.raises(NotApplicable, match="relu"):
        pathway_gradient(smooth, inputs, target=offers["target"])
    for method, wrong in (
        (pathway_gradient, {"sparsity": 1.0}),
        (pathway_gradient, {"contribution": "all"}),
        (prune_gradient, {"portion": 0}),
    ):
        with pytest.raises(InvalidInput, match="got"):
            method(rectified(), inputs, target=offers["target"], **wrong)
    for wrong in ({"steps": 0}, {"lr": 0}, {"l1": -1}, {"sparsity": -0.1}):
        with pytest.raises(InvalidInput, match="got"):
            cdrp_gradient(rectified(), inputs, target=offers["target"], **wrong)


def test_examples_run():
    for module in (attrlab.methods.pathways, attrlab.methods.routing):
        assert doctest.testmod(module).failed == 0
