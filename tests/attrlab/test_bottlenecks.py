"""Bottlenecks: bits are those of one row written out, information is a divergence, and what is found is what is needed."""

from __future__ import annotations

import doctest

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional

import attrlab.methods.bottlenecks
from attrlab.errors import InvalidInput, NotApplicable
from attrlab.methods.bottleneck import bottleneck_at
from attrlab.methods.bottlenecks import iba, inverse_iba, regression_iba, spaced
from attrlab.methods.seams import seam_at, seams_of
from synthetic import make_environment
from tests import reference_bottlenecks as twin
from tests.attrlab.small_rows import convolutional, dense, image_rows, table_rows

CLOSE = 1e-9  # rounding of sums in another order, 1e-16, through a few steps of Adam


def asked(offers):
    return {name: value for name, value in offers.items() if name != "baseline"}


def known_rows(inputs, rows=30):
    return torch.randn(rows, *inputs.shape[1:], generator=torch.Generator().manual_seed(7), dtype=inputs.dtype)


@pytest.mark.parametrize("sigma", [0.0, 1.0])
@pytest.mark.parametrize("name", ["iba", "regression_iba", "inverse_iba"])
def test_bits_are_those_of_each_row_written_out(name, sigma):
    model, (inputs, offers) = convolutional(), image_rows(2)
    known, how = known_rows(inputs), {"beta": 0.5, "steps": 4, "copies": 3}
    method = {"iba": iba, "regression_iba": regression_iba, "inverse_iba": inverse_iba}[name]
    scores = method(model, inputs, **asked(offers), reference=known, layer="3", smoothing=sigma, **how)
    for row in range(2):
        target = int(offers["target"][row])
        wanted, spread = model(inputs)[row, target], model(known)[:, target].std()
        loss = {
            "iba": lambda out, t=target: -out.log_softmax(0)[t],
            "regression_iba": lambda out, t=target, w=wanted, s=spread: ((out[t] - w) / s) ** 2,
            "inverse_iba": lambda out, t=target: -(1 - out.softmax(0)[t]).log(),
        }[name]
        found = twin.bottleneck_of_an_image(
            model[:4], model[4:], inputs[row], int(offers["seeds"][row]), known, loss, sigma=sigma, inverted=name == "inverse_iba", **how
        )
        torch.testing.assert_close(scores[row].sum(0), found, atol=CLOSE, rtol=CLOSE)


@given(logit=st.floats(-20, 20), value=st.floats(-5, 5))
@settings(max_examples=30, deadline=None)
def test_information_is_the_divergence_of_what_passes_from_the_noise(logit, value):
    bottleneck = single_unit(value)
    share = torch.tensor(logit, dtype=torch.float64).sigmoid()
    mean, deviation = bottleneck.mean[0, 0, 0], bottleneck.deviation[0, 0, 0]
    wanted = kl_divergence(Normal(share * value + (1 - share) * mean, (1 - share) * deviation), Normal(mean, deviation))
    found = bottleneck.information(torch.full((1, 1, 1, 2), logit, dtype=torch.float64))
    assert float(found[0, 0, 0, 0]) == pytest.approx(float(wanted), rel=1e-6, abs=1e-9)  # 1 - λ of the oracle has lost its last digits


def single_unit(value, dtype=torch.float64):
    known = torch.tensor([[-1.0], [2.0], [0.5]]).view(3, 1, 1, 1).repeat(1, 1, 1, 2).to(dtype)
    inputs = torch.full((1, 1, 1, 2), value, dtype=dtype)
    pooled = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten()).to(dtype).requires_grad_(False)
    pooled[0].weight.fill_(1.0)
    pooled[0].bias.fill_(0.0)
    return bottleneck_at(seam_at(pooled, inputs, target=torch.tensor([0])), inputs, known, smoothing=0)


def test_information_is_finite_in_float32_where_one_minus_the_share_is_zero():
    bottleneck = single_unit(1.5, torch.float32)
    logits = torch.full((1, 1, 1, 2), 40.0).requires_grad_()
    nats = bottleneck.information(logits)
    assert (1 - logits.sigmoid()).max() == 0  # exactly: this is what a logarithm would be taken of
    torch.testing.assert_close(nats, torch.full_like(nats, 40.0), rtol=0.05, atol=0)  # -log(1 - λ) ≈ the logit
    (slope,) = torch.autograd.grad(nats.sum(), logits)
    torch.testing.assert_close(slope, torch.ones_like(slope), rtol=1e-3, atol=0)


def places(*, reads):
    """An image of one row whose places are read one by one, through a convolution that is the identity."""
    conv = nn.Conv2d(1, 1, 1).double().requires_grad_(False)
    conv.weight.fill_(1.0)
    conv.bias.fill_(0.0)
    inputs = torch.full((6, 1, 1, 4), 3.0, dtype=torch.float64)
    offers = {
        "target": torch.zeros(6, dtype=torch.int64),
        "feature_mask": torch.arange(4).view(1, 1, 1, 4).expand(6, 1, 1, 4),
        "seeds": torch.arange(6),
        "reference": torch.randn(200, 1, 1, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64),
    }
    return lambda x: reads(conv(x)[:, 0, 0]).unsqueeze(1), inputs, offers


LONG = {"smoothing": 0, "beta": 0.5, "steps": 60, "lr": 0.3}


def test_of_an_or_the_bottleneck_keeps_what_suffices_and_the_inverse_one_takes_all():
    model, inputs, offers = places(reads=lambda x: x[:, :2].amax(1).clamp(max=1.5))
    enough = regression_iba(model, inputs, **offers, **LONG).flatten(1)
    all_of_it = inverse_iba(model, inputs, **offers, **LONG).flatten(1)
    assert (enough[:, :2].amin(1) < 0.5 * enough[:, :2].amax(1)).all()
    assert (all_of_it[:, :2].amin(1) > 0.5 * all_of_it[:, :2].amax(1)).all()
    assert (all_of_it[:, :2].amin(1) > 5 * all_of_it[:, 2:].amax(1)).all()


@pytest.mark.slow
@pytest.mark.parametrize(("id", "all_of_it"), [("colour-or-v1", inverse_iba), ("colour-and-v1", regression_iba)])
def test_of_an_or_of_pixels_the_inverse_bottleneck_finds_more_and_of_an_and_of_colours_less(id, all_of_it):
    """To lose an OR all must go and one is enough to keep it; to lose an AND one colour is enough and each must stay to keep it."""
    world = make_environment(id)
    batch = world.sample(16, torch.Generator().manual_seed(0))
    known, support = world.sample(64, torch.Generator().manual_seed(1)).inputs, batch.truth.support
    rows = (support.sum(1) > 1).nonzero().squeeze(1)
    offers = {"target": batch.target[rows], "feature_mask": batch.feature_mask[rows], "seeds": rows, "reference": known}
    how = {"layer": "detector.2", "smoothing": 0.0, "steps": 60, "lr": 0.3, "beta": 3.0}
    found = {}
    for method in (regression_iba, inverse_iba):
        bits = method(world.model, batch.inputs[rows], **offers, **how).sum(1).flatten(1)
        high = bits >= 0.25 * bits.amax(1, keepdim=True)
        found[method] = float(((high & support[rows]).sum(1) / support[rows].sum(1)).mean())
        assert float((high & ~support[rows]).sum() / (~support[rows]).sum()) < 0.05
    assert max(found, key=found.__getitem__) is all_of_it
    assert abs(found[inverse_iba] - found[regression_iba]) > 0.2  # of the share of the support that is found


def test_of_an_and_both_find_all_places():
    model, inputs, offers = places(reads=lambda x: x[:, :2].amin(1).clamp(max=1.5))
    for method in (regression_iba, inverse_iba):
        bits = method(model, inputs, **offers, **LONG).flatten(1)
        assert (bits[:, :2].amin(1) > 0.3 * bits[:, :2].amax(1)).all()
        assert (bits[:, :2].amin(1) > 5 * bits[:, 2:].amax(1)).all()


def test_a_place_that_is_not_needed_has_no_bits():
    model, inputs, offers = places(reads=lambda x: x[:, 0])
    bits = regression_iba(model, inputs, **offers, **LONG).flatten(1)
    assert (bits[:, 0] > 0.5).all()
    assert bits[:, 1:].max() < 0.01


def test_units_that_are_rarely_active_are_left_alone_only_where_that_is_asked():
    model, (inputs, offers) = convolutional(), image_rows()
    known = known_rows(inputs)
    seam = seam_at(model, inputs, target=offers["target"], layer="3")
    assert not bottleneck_at(seam, inputs, known).open.any()
    share = (seam.read(known) != 0).double().mean(0)
    assert torch.equal(bottleneck_at(seam, inputs, known, rare=0.5).open, (share < 0.5).expand(3, -1, -1, -1))


def test_a_seam_is_read_and_replaced_like_the_two_halves_of_the_network():
    model, (inputs, offers) = convolutional(), image_rows()
    for layer, cut in (("1", 2), ("3", 4)):
        seam = seam_at(model, inputs, target=offers["target"], layer=layer)
        values = seam.read(inputs)
        torch.testing.assert_close(values, model[:cut](inputs), atol=0, rtol=0)
        torch.testing.assert_close(seam.replaced(inputs, 2 * values), model[cut:](2 * values), atol=0, rtol=0)
    places_of = [seam.read(inputs) for seam in seams_of(model, inputs, target=offers["target"])]
    for wanted in (model[:2](inputs), model[:4](inputs)):
        assert any(found.shape == wanted.shape and torch.equal(found, wanted) for found in places_of)


def test_a_functional_and_reused_activation_has_a_seam():
    conv = convolutional()[0]

    def model(x):
        return functional.relu(functional.relu(conv(x)) - 0.1).mean((2, 3))

    inputs, offers = image_rows()
    seam = seam_at(model, inputs, target=offers["target"])
    torch.testing.assert_close(seam.read(inputs).mean((2, 3)), model(inputs), atol=1e-15, rtol=0)
    torch.testing.assert_close(seam.replaced(inputs, torch.ones(3, 4, 6, 6).double()), torch.ones(3, 4).double(), atol=1e-15, rtol=0)


def test_layers_of_several_depths_go_from_the_first_to_the_last():
    assert spaced(6, 3) == [0, 2, 5]
    assert spaced(2, 3) == [0, 1]
    assert spaced(4, 1) == [3]


def test_what_a_bottleneck_needs_is_said():
    model, (inputs, offers) = convolutional(), image_rows()
    known = known_rows(inputs)
    with pytest.raises(NotApplicable, match="regression_iba"):
        iba(lambda x: model(x)[:, :1], inputs, **{**asked(offers), "target": torch.zeros(3).long()}, reference=known)
    with pytest.raises(InvalidInput, match="did you mean"):
        iba(model, inputs, **asked(offers), reference=known, layer="33")
    with pytest.raises(InvalidInput, match="shaped like the inputs"):
        iba(model, inputs, **asked(offers), reference=known[..., :3])
    flat, plain = table_rows()
    with pytest.raises(NotApplicable, match="positions"):
        iba(dense(5), flat, **asked(plain), reference=flat)
    for wrong in ({"beta": -1}, {"steps": 0}, {"copies": 0}, {"lr": 0}, {"smoothing": -1}, {"rare": 2}):
        with pytest.raises(InvalidInput, match="got"):
            iba(model, inputs, **asked(offers), reference=known, **wrong)


def test_examples_run():
    assert doctest.testmod(attrlab.methods.bottlenecks).failed == 0
