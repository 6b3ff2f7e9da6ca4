"""Class activation maps equal their papers' definitions, each other where theory says so, and Captum's where it has them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import GuidedGradCam, LayerGradCam
from torch import nn
from torch.nn import functional

from attrlab.errors import InvalidInput
from attrlab.method import players_of
from attrlab.methods.activation_masks import guided_grad_cam, score_cam
from attrlab.methods.activations import activation_at
from attrlab.methods.backward_rules import guided_backprop
from attrlab.methods.class_activation import grad_cam, grad_cam_plus_plus, hires_cam, layer_cam, x_grad_cam
from synthetic import make_environment
from tests import reference_class_activation as reference

ONE_PASS = [grad_cam, grad_cam_plus_plus, hires_cam, layer_cam, x_grad_cam]
ALL = [*ONE_PASS, score_cam, guided_grad_cam]
EACH = pytest.mark.parametrize("method", ALL, ids=lambda method: method.__name__)


def drawn(module, seed=1):
    """The module in float64, its parameters drawn."""
    module, stream = module.double().eval().requires_grad_(False), torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=stream, dtype=torch.float64) / 2)
    return module


def network():
    """Two convolutions, the second on half the size, and a dense head of two outputs: not linear after the layer."""
    layers = nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 4, 2, stride=2), nn.ReLU(), nn.Flatten()
    return drawn(nn.Sequential(*layers, nn.Linear(16, 5), nn.ReLU(), nn.Linear(5, 2)))


class Functional(nn.Module):
    """The same network from functional calls and one activation that is reused."""

    def __init__(self, chain):
        super().__init__()
        self.chain = chain

    def forward(self, x):
        first, _, second, _, _, hidden, rectify, head = self.chain
        z = functional.conv2d(x, first.weight, first.bias, padding=1)
        return head(rectify(hidden(torch.relu(second(rectify(z))).flatten(1))))


def images(batch=4, seed=2):
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 2, 4, 4, generator=stream, dtype=torch.float64), torch.arange(batch) % 2


@pytest.mark.parametrize("method", ONE_PASS, ids=lambda method: method.__name__)
def test_it_is_what_its_paper_defines(method):
    inputs, target = images()
    model = network()
    at = activation_at(model, inputs, target=target)
    scores = method(model, inputs, target=target)
    for row in range(len(inputs)):
        cells = getattr(reference, method.__name__)(at.values[row].numpy(), at.slopes[row].numpy())
        expected = np.stack([reference.bilinear(cells, 4, 4) / 4 / 2] * 2)  # 4 pixels to a cell, 2 channels to a pixel
        np.testing.assert_allclose(scores[row].numpy(), expected, atol=1e-12)
        assert np.abs(expected).max() > 1e-3


def test_score_cam_is_what_its_paper_defines():
    inputs, target = images()
    model = network()
    values = activation_at(model, inputs, target=target).values
    scores = score_cam(model, inputs, target=target)
    for row in range(len(inputs)):

        def score(image, row=row):
            return float(model(torch.from_numpy(image)[None])[0, target[row]])

        cells = reference.score_cam(values[row].numpy(), score, inputs[row].numpy(), lambda cells: reference.bilinear(cells, 4, 4))
        expected = np.stack([reference.bilinear(cells, 4, 4) / 4 / 2] * 2)
        np.testing.assert_allclose(scores[row].numpy(), expected, atol=1e-12)


def test_score_cam_masks_towards_the_baseline_and_gives_no_weight_to_a_flat_channel():
    inputs, target = images()
    shifted = network()
    assert (score_cam(shifted, inputs, target=target) - score_cam(shifted, inputs, target=target, baseline=inputs)).abs().max() > 1e-6
    flat = drawn(nn.Sequential(nn.Conv2d(2, 2, 1), nn.Flatten(), nn.Linear(32, 1)))
    flat[0].weight.zero_()
    assert torch.count_nonzero(score_cam(flat, inputs, target=torch.zeros_like(target))) == 0
    flat[0].weight[0] = 1.0  # one channel is left, so all weight is on it
    alone = share_of_pixels(flat[0](inputs)[:, 0])
    torch.testing.assert_close(score_cam(flat, inputs, target=torch.zeros_like(target)), alone)


def share_of_pixels(cells):
    return (cells / 2).unsqueeze(1).repeat(1, 2, 1, 1)


def test_grad_cam_at_a_layer_is_captums():
    inputs, target = images()
    model = network()
    for layer, ratio in (("0", 1), ("2", 2), ("3", 2)):
        captum = LayerGradCam(model, model.get_submodule(layer)).attribute(inputs, target=target)
        expected = functional.interpolate(captum, size=(4, 4), mode="bilinear").expand(-1, 2, -1, -1) / 2 / ratio**2
        torch.testing.assert_close(grad_cam(model, inputs, target=target, layer=layer), expected.detach())


def test_guided_grad_cam_is_captums_with_nearest_interpolation():
    inputs, target = images()
    model = network()
    with pytest.warns(UserWarning, match="Setting backward hooks"):
        expected = GuidedGradCam(model, model[2]).attribute(inputs.clone().requires_grad_(), target=target).detach()
    found = guided_grad_cam(model, inputs, target=target, layer="2", interpolation="nearest")
    torch.testing.assert_close(found, expected)
    assert float(found.abs().max()) > 1e-3


def test_captums_guided_grad_cam_misses_functional_rectifiers_and_this_one_does_not():
    inputs, target = images()
    chain = network()
    with pytest.warns(UserWarning, match="Setting backward hooks"):
        captum = GuidedGradCam(Functional(chain), chain[2]).attribute(inputs.clone().requires_grad_(), target=target).detach()
    own = guided_grad_cam(Functional(chain), inputs, target=target, layer="chain.2", interpolation="nearest")
    torch.testing.assert_close(own, guided_grad_cam(chain, inputs, target=target, layer="2", interpolation="nearest"))
    assert float((captum - own).abs().max()) > 1e-3


def test_guided_grad_cam_is_guided_backpropagation_times_the_rectified_map():
    inputs, target = images()
    model = network()
    at = activation_at(model, inputs, target=target)
    cells = np.stack([np.maximum(reference.grad_cam(a.numpy(), g.numpy()), 0) for a, g in zip(at.values, at.slopes, strict=True)])
    upsampled = torch.from_numpy(np.stack([reference.bilinear(row, 4, 4) for row in cells]))[:, None]
    expected = guided_backprop(model, inputs, target=target) * upsampled
    torch.testing.assert_close(guided_grad_cam(model, inputs, target=target), expected)
    with pytest.raises(InvalidInput, match="'bilinear' or 'nearest'"):
        guided_grad_cam(model, inputs, target=target, interpolation="cubic")


def test_for_a_network_with_global_average_pooling_grad_cam_is_the_class_activation_map():
    inputs, target = images()
    body, head = drawn(nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU())), drawn(nn.Linear(3, 2), seed=4)
    scores = grad_cam(lambda x: head(body(x).mean((2, 3))), inputs, target=target)
    cam = torch.einsum("bk,bkhw->bhw", head.weight[target], body(inputs))  # Zhou et al. 2016, equation 2
    torch.testing.assert_close(scores, share_of_pixels(cam / 16))
    torch.testing.assert_close(scores.sum((1, 2, 3)), head(body(inputs).mean((2, 3))).gather(1, target[:, None])[:, 0] - head.bias[target])


@pytest.mark.parametrize("method", [hires_cam, x_grad_cam])
def test_before_a_linear_head_hires_cam_and_x_grad_cam_sum_to_the_output_less_its_bias(method):
    inputs, target = images()
    for size in (2, 3, 4):  # a kernel of 3 leaves a map of 2, one of 2 a map of 3: sums are kept at any ratio
        model = drawn(nn.Sequential(nn.Conv2d(2, 3, 5 - size), nn.ReLU(), nn.Flatten(), nn.Linear(3 * size**2, 2)))
        expected = model(inputs).gather(1, target[:, None])[:, 0] - model[3].bias[target]
        torch.testing.assert_close(method(model, inputs, target=target).sum((1, 2, 3)), expected)


def test_grad_cam_does_not_sum_to_the_output_before_a_linear_head():
    inputs, target = images()
    model = drawn(nn.Sequential(nn.Conv2d(2, 3, 1), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2)))
    expected = model(inputs).gather(1, target[:, None])[:, 0] - model[3].bias[target]
    assert float((grad_cam(model, inputs, target=target).sum((1, 2, 3)) - expected).abs().min()) > 1e-2


def test_where_every_slope_is_positive_layer_cam_is_hires_cam():
    inputs, target = images()
    model = network()
    for layer in (5, 7):
        model[layer].weight.abs_()
    torch.testing.assert_close(layer_cam(model, inputs, target=target), hires_cam(model, inputs, target=target))
    model[7].weight.neg_()
    assert torch.count_nonzero(layer_cam(model, inputs, target=target)) == 0


@pytest.mark.parametrize(
    ("method", "expected"),
    # one channel, a = (3, 1), slopes (1, 0): Grad-CAM a/2; Grad-CAM++ a · 1/(2 + 4); XGrad-CAM a · 3/4
    [(grad_cam, (1.5, 0.5)), (grad_cam_plus_plus, (1 / 2, 1 / 6)), (hires_cam, (3, 0)), (layer_cam, (3, 0)), (x_grad_cam, (9 / 4, 3 / 4))],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_on_one_channel_of_two_positions_it_has_a_closed_form(method, expected):
    world = make_environment("positions-witness-v1")
    batch = world.sample(2, torch.Generator())
    scores = method(world.model, batch.inputs, target=batch.target)
    torch.testing.assert_close(scores[1].flatten(), torch.tensor(expected, dtype=torch.float64))


@EACH
def test_a_row_has_the_scores_that_it_has_alone_and_in_any_order(method):
    inputs, target = images(batch=7)
    model, order = network(), torch.randperm(7, generator=torch.Generator().manual_seed(3))
    whole = method(model, inputs, target=target)
    torch.testing.assert_close(method(model, inputs[order], target=target[order]), whole[order], atol=1e-9, rtol=0)
    alone = torch.cat([method(model, inputs[i : i + 1], target=target[i : i + 1]) for i in range(7)])
    torch.testing.assert_close(alone, whole, atol=1e-9, rtol=0)


@EACH
def test_modules_and_functional_calls_have_the_same_scores(method):
    inputs, target = images()
    torch.testing.assert_close(method(Functional(network()), inputs, target=target), method(network(), inputs, target=target))


@EACH
def test_it_keeps_the_type_of_its_input_and_works_where_gradients_are_off(method):
    inputs, target = images()
    exact = method(network(), inputs, target=target)
    with torch.no_grad():
        single = method(network().float(), inputs.float(), target=target)
    assert single.dtype == torch.float32
    assert not single.requires_grad
    torch.testing.assert_close(single.double(), exact, atol=1e-5, rtol=1e-4)  # float32 rounds to 6e-8 a term


@EACH
def test_a_batch_of_no_rows_has_no_scores(method):
    inputs, target = images()
    assert method(network(), inputs[:0], target=target[:0]).shape == (0, 2, 4, 4)


@pytest.mark.parametrize("method", [*ONE_PASS, score_cam], ids=lambda method: method.__name__)
def test_with_relu_negative_cells_are_dropped_before_the_map_is_resized(method):
    inputs, target = images()
    model = drawn(nn.Sequential(nn.Conv2d(2, 3, 1), nn.Flatten(), nn.Linear(48, 2)))  # map and image have one size
    plain = method(model, inputs, target=target)
    assert float(plain.min()) < 0 < float(plain.max())
    torch.testing.assert_close(method(model, inputs, target=target, relu=True), plain.clamp(min=0))


@pytest.mark.parametrize("method", ONE_PASS, ids=lambda method: method.__name__)
def test_on_graphs_an_edge_has_the_mean_of_what_its_end_points_have_as_players(method):
    world = make_environment("edge-types-v1")
    batch = world.sample(3, torch.Generator().manual_seed(0))
    mask = batch.feature_mask
    edges = players_of(method(world.model, batch.inputs, target=batch.target, feature_mask=mask), mask, batch.players)
    rows = torch.arange(batch.inputs.shape[1])[None, :, None].expand_as(batch.inputs)
    nodes = players_of(method(world.model, batch.inputs, target=batch.target, feature_mask=rows), rows, batch.inputs.shape[1])
    met = 0
    for row in range(3):
        for player in range(batch.players):
            ends = [i for i, _ in (mask[row] == player).nonzero().tolist()]
            if ends:
                met += 1
                assert len(ends) == 2
                assert float(edges[row, player]) == pytest.approx(float(nodes[row, ends].mean()), abs=1e-12)
    assert met > 10


def test_grad_cam_on_a_graph_is_popes_mean_over_nodes(generator):
    graphs = torch.rand(2, 3, 5, generator=generator, dtype=torch.float64)  # [A | X], three nodes, two features
    target, rows = torch.tensor([0, 1]), torch.arange(3)[None, :, None].expand(2, 3, 5)

    def model(x):
        return ((x[..., :3] @ x[..., 3:]) * torch.tensor([[1.0], [2.0], [6.0]], dtype=x.dtype)).sum(1)

    found = players_of(grad_cam(lambda x: model(x), graphs, target=target, feature_mask=rows), rows, 3)
    hidden = graphs[..., :3] @ graphs[..., 3:] * torch.tensor([[1.0], [2.0], [6.0]], dtype=torch.float64)
    expected = hidden[torch.arange(2), :, target]  # the last tensor with nodes is the weighted one, whose slopes are 1 and 0
    torch.testing.assert_close(found, expected)
