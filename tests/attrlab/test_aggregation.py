"""The sign that a stage drops is all that the members of the family differ in, and without it a map no longer tells classes apart."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.methods.aggregation import SIGNS, STAGES, aggregated_gradients
from attrlab.methods.class_activation import grad_cam, grad_cam_plus_plus, hires_cam, layer_cam
from attrlab.methods.full_grad import full_grad_signed
from attrlab.methods.registered import class_activation as registered  # registers the family
from attrlab.registry import find_method

STAGE = pytest.mark.parametrize("stage", STAGES)


def drawn(module, seed=1):
    """The module in float64, its parameters drawn."""
    module, stream = module.double().eval().requires_grad_(False), torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=stream, dtype=torch.float64) / 2)
    return module


def network():
    layers = nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 4, 2, stride=2), nn.ReLU(), nn.Flatten()
    return drawn(nn.Sequential(*layers, nn.Linear(16, 5), nn.ReLU(), nn.Linear(5, 2)))


def images(batch=4):
    stream = torch.Generator().manual_seed(2)
    return torch.randn(batch, 2, 4, 4, generator=stream, dtype=torch.float64), torch.arange(batch) % 2


def with_sign(stage, sign, model=None, **keywords):
    inputs, target = images()
    return aggregated_gradients(network() if model is None else model, inputs, target=target, stage=stage, sign=sign, **keywords)


@STAGE
@pytest.mark.parametrize("layer", [None, "2"])
def test_all_is_the_positive_and_the_negative_part_and_absolute_their_difference(stage, layer):
    if stage == "bias_x_gradient":
        layer = None  # it reads every layer
    positive, negative = with_sign(stage, "positive", layer=layer), with_sign(stage, "negative", layer=layer)
    torch.testing.assert_close(positive + negative, with_sign(stage, "all", layer=layer))
    torch.testing.assert_close(positive - negative, with_sign(stage, "absolute", layer=layer))
    assert float((positive + negative).abs().max()) > 1e-3


@pytest.mark.parametrize(
    ("stage", "method"),
    [("gradient", grad_cam), ("map", grad_cam), ("gradient_x_activation", hires_cam), ("bias_x_gradient", full_grad_signed)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_with_all_signs_a_stage_is_the_method_of_that_name(stage, method):
    inputs, target = images()
    torch.testing.assert_close(with_sign(stage, "all"), method(network(), inputs, target=target))


def test_the_positive_map_is_grad_cam_with_its_relu():
    inputs, target = images()
    torch.testing.assert_close(with_sign("map", "positive"), grad_cam(network(), inputs, target=target, relu=True))


def test_positive_products_are_layer_cam_where_no_activation_is_negative_and_not_elsewhere():
    inputs, target = images()
    rectified = layer_cam(network(), inputs, target=target)
    torch.testing.assert_close(with_sign("gradient_x_activation", "positive"), rectified)
    signed = drawn(nn.Sequential(nn.Conv2d(2, 3, 1), nn.Flatten(), nn.Linear(48, 2)))
    gap = with_sign("gradient_x_activation", "positive", model=signed) - layer_cam(signed, inputs, target=target)
    assert float(gap.abs().max()) > 1e-3


def test_every_member_is_registered_but_those_that_are_another_method():
    names = [
        f"{stem}_{sign}{rest}"
        for stem, rest in (("grad_cam", "_gradient"), ("hires_cam", ""), ("full_grad", ""), ("grad_cam", "_map"))
        for sign in SIGNS
        if sign != "all"
    ]
    inputs, target = images()
    assert len(names) == 12
    for name in names:
        method = find_method(name)
        stage, sign = method.attribute.keywords["stage"], method.attribute.keywords["sign"]
        assert sign in name
        torch.testing.assert_close(method.attribute(network(), inputs, target=target), with_sign(stage, sign))
    assert registered.WITNESS == "positions-witness-v1"


def left_and_right():
    """Two classes with evidence L on the left and R on the right, read from the channels 2L + R and L + 2R: f = ±(their difference)."""
    body, head = nn.Conv2d(2, 2, 1, bias=False), nn.Linear(32, 2, bias=False)
    model = nn.Sequential(body, nn.ReLU(), nn.Flatten(), head).double().requires_grad_(False)
    body.weight.copy_(torch.tensor([[2.0, 1.0], [1.0, 2.0]])[:, :, None, None])
    difference = torch.cat([torch.ones(16), -torch.ones(16)])
    head.weight.copy_(torch.stack([difference, -difference]))
    image = torch.zeros(1, 2, 4, 4, dtype=torch.float64)
    image[:, 0, :, 0] = image[:, 1, :, 3] = 1.0
    return model, image.repeat(2, 1, 1, 1)


def likeness(maps):
    """The cosine between the maps of the two classes."""
    first, second = maps.flatten(1)
    return float(torch.nn.functional.cosine_similarity(first, second, dim=0))


@pytest.mark.parametrize(
    ("stage", "sign", "expected"),
    # with L and R apart and of one length: signed (1, -1) and (-1, 1); positive slopes (2, 1) and (1, 2), whose cosine is 4/5
    [
        ("gradient", "all", -1.0),
        ("gradient", "positive", 0.8),
        ("gradient", "negative", 0.8),
        ("gradient", "absolute", 1.0),
        ("gradient_x_activation", "all", -1.0),
        ("gradient_x_activation", "positive", 0.8),
        ("gradient_x_activation", "absolute", 1.0),
        ("map", "all", -1.0),
        ("map", "positive", 0.0),
        ("map", "absolute", 1.0),
        ("bias_x_gradient", "all", -1.0),
        ("bias_x_gradient", "positive", 0.0),
        ("bias_x_gradient", "absolute", 1.0),
    ],
)
def test_without_signs_the_maps_of_two_opposed_classes_are_alike(stage, sign, expected):
    model, inputs = left_and_right()
    maps = aggregated_gradients(model, inputs, target=torch.tensor([0, 1]), stage=stage, sign=sign)
    assert likeness(maps) == pytest.approx(expected, abs=1e-12)


def test_grad_cam_plus_plus_credits_the_evidence_against_a_class_with_its_relu_and_without():
    model, inputs = left_and_right()
    target = torch.tensor([0, 1])
    published = grad_cam_plus_plus(model, inputs, target=target)
    assert float(published[0, :, :, 3].min()) > 0  # the right column speaks against class 0
    assert likeness(published) == pytest.approx(0.8, abs=1e-12)
    assert float(grad_cam(model, inputs, target=target)[0, :, :, 3].max()) < 0
    # α = g² / (2 g² + 12 g³) is 1/14 at g = 1 and -1/10 at g = -1: the negative slope comes out as a positive weight
    signed = grad_cam_plus_plus(model, inputs, target=target, rectify=False)
    weights = torch.tensor([16 / 14, 16 / 10], dtype=torch.float64)
    torch.testing.assert_close(signed[0].sum(0), torch.einsum("k,khw->hw", weights, model[0](inputs)[0]))


def test_an_unknown_stage_or_sign_is_told_with_the_known_ones():
    with pytest.raises(InvalidInput, match=r"stage is one of gradient, gradient_x_activation, map, bias_x_gradient.*got stage='mean'"):
        with_sign("mean", "all")
    with pytest.raises(InvalidInput, match=r"sign one of all, positive, negative, absolute.*sign='relu'"):
        with_sign("map", "relu")
    with pytest.raises(InvalidInput, match="reads every layer"):
        with_sign("bias_x_gradient", "all", layer="2")
    with pytest.raises(NotApplicable, match="rows must be"):
        aggregated_gradients(nn.Linear(2, 1), torch.ones(1, 2), target=torch.zeros(1, dtype=torch.int64), stage="bias_x_gradient")


@STAGE
@pytest.mark.parametrize("sign", SIGNS)
def test_a_row_has_the_scores_that_it_has_alone(stage, sign):
    inputs, target = images()
    whole = with_sign(stage, sign)
    for row in (0, 3):
        alone = aggregated_gradients(network(), inputs[row : row + 1], target=target[row : row + 1], stage=stage, sign=sign)
        torch.testing.assert_close(alone[0], whole[row], atol=1e-9, rtol=0)
