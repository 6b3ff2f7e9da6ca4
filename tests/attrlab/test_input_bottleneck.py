"""InputIBA and the readout bottleneck: closed forms are divergences, games are the rows' own, and what is read passes."""

from __future__ import annotations

import doctest
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence
from torch.nn import functional

import attrlab.methods.input_bottleneck
import attrlab.methods.readout_bottleneck
from attrlab.errors import InvalidInput, NotApplicable
from attrlab.methods.bottlenecks import regression_iba, spaced
from attrlab.methods.critics import CLIP, critics_of, wasserstein_rounds
from attrlab.methods.input_bottleneck import Prior, input_iba, input_iba_lite, input_information
from attrlab.methods.positions import share_out
from attrlab.methods.readout_bottleneck import _weights, readout_iba
from attrlab.methods.seams import seams_of
from attrlab.metrics.localisation import support_auroc
from synthetic import make_environment
from tests import reference_input_bottlenecks as twin
from tests.attrlab.small_rows import convolutional, dense, image_rows, table_rows

CLOSE = 1e-9  # rounding of sums in another order, 1e-16, through a few steps of Adam
QUICK = {"steps": 3, "copies": 2}
METHODS = {
    "input_iba": (input_iba, {**QUICK, "rounds": 2, "samples": 4}),
    "input_iba_lite": (input_iba_lite, QUICK),
    "readout_iba": (readout_iba, {"epochs": 1}),
}


def asked(name, offers):
    left = {"baseline"} | ({"seeds"} if name == "readout_iba" else set())
    return {key: value for key, value in offers.items() if key not in left}


def known_rows(inputs, rows=30):
    return torch.randn(rows, *inputs.shape[1:], generator=torch.Generator().manual_seed(7), dtype=inputs.dtype)


@given(
    logit=st.floats(-15, 15),
    value=st.floats(-4, 4),
    mask=st.floats(0.01, 0.99),
    mean=st.floats(-2, 2),
    deviation=st.floats(0.1, 3),
)
@settings(max_examples=40, deadline=None)
def test_information_of_the_input_is_the_divergence_from_the_masked_prior(logit, value, mask, mean, deviation):
    share = torch.tensor([[logit]], dtype=torch.float64).sigmoid()
    x, lam = torch.tensor(value, dtype=torch.float64), share.squeeze()
    wide = partial(torch.tensor, dtype=torch.float64)
    prior = Prior(mask=wide([[mask]]), mean=wide([[mean]]), deviation=wide([[deviation]]))
    # given x, Z = λ x + (1 - λ) ε; under the prior, the same bottleneck on what the mask leaves, Z_G = λ_G x + (1 - λ_G) ε with one ε
    given_x = Normal(lam * x + (1 - lam) * mean, (1 - lam) * deviation)
    under_prior = Normal(lam * (mask * x + (1 - mask) * mean) + (1 - lam) * mean, (1 - lam * mask) * deviation)
    found = input_information(share, functional.logsigmoid(wide([[-logit]])), x.view(1, 1), prior)
    assert float(found) == pytest.approx(float(kl_divergence(given_x, under_prior)), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("name", "sigma"), [("input_iba", 0.0), ("input_iba", 1.0), ("input_iba_lite", 1.0)])
def test_shares_are_those_of_each_image_written_out(name, sigma):
    model, (inputs, offers) = convolutional(), image_rows(2)
    known, method = known_rows(inputs), METHODS[name][0]
    how = {"beta": 2.0, "steps": 4, "copies": 2, "feature_beta": 1.0} | ({"rounds": 2, "samples": 3} if name == "input_iba" else {})
    scores = method(model, inputs, **asked(name, offers), reference=known, layer="3", smoothing=sigma, **how)
    for row in range(2):
        target = int(offers["target"][row])
        loss = lambda out, t=target: -out.log_softmax(0)[t]  # noqa: E731
        found = twin.input_bottleneck_of_an_image(model, 4, inputs[row], int(offers["seeds"][row]), known, loss, sigma=sigma, **how)
        torch.testing.assert_close(scores[row].sum(0), found, atol=CLOSE, rtol=0)
        assert float(found.max() - found.min()) > 1e-4


@pytest.mark.parametrize("sigma", [0.0, 0.5])
def test_bits_of_the_readout_are_those_of_one_trained_row_by_row(sigma):
    model, (inputs, offers) = convolutional(), image_rows(2)
    known, how = known_rows(inputs, 7), {"beta": 0.5, "epochs": 2}
    seams = seams_of(model, inputs, target=offers["target"])
    cuts = [cut for seam in seams for cut in range(1, 6) if same(seam.read(inputs), model[:cut](inputs))]
    assert len(cuts) == len(seams)
    chosen_cuts = [cuts[index] for index in spaced(len(cuts), 3)]
    weights = _weights([model[:cut](inputs).shape[1] for cut in chosen_cuts], inputs, 3)
    scores = readout_iba(
        model, inputs, **asked("readout_iba", offers), reference=known, smoothing=sigma, batch_size=3, lr=0.05, seed=3, **how
    )
    found = twin.readout_of_images(model, chosen_cuts, inputs, known, weights, sigma=sigma, size=3, lr=0.05, seed=3, **how)
    wanted = share_out(found, inputs, offers["feature_mask"])
    torch.testing.assert_close(scores, wanted, atol=CLOSE, rtol=0)


def same(one, other):
    return one.shape == other.shape and torch.equal(one, other)


def test_critics_train_apart_and_learn_to_tell_what_is_real():
    like = torch.zeros(2, 3, dtype=torch.float64)
    critics = critics_of(3, torch.tensor([5, 6]), like=like)
    far = torch.tensor([3.0, 0.0], dtype=torch.float64).view(2, 1, 1)
    before = [weight.clone() for weight in critics.weights]

    def made(parameters, grain):
        return grain + parameters["mean"].unsqueeze(1)

    wasserstein_rounds(
        critics,
        {"mean": like.clone()},
        made,
        lambda uniform, grain: grain + far,
        torch.tensor([5, 6]),
        owned=torch.ones(2, 3, dtype=torch.bool),
        rounds=5,
        samples=16,
        critic_steps=20,
    )
    assert max(float(weight.abs().max()) for weight in critics.weights) <= CLIP
    assert all((now != old).flatten(1).any(1).all() for now, old in zip(critics.weights, before, strict=True))
    grain = torch.randn(2, 200, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        gap = critics.scores(grain + far).mean(1) - critics.scores(grain).mean(1)
    assert float(gap[0]) > 0


def test_the_prior_follows_its_critics():
    like = torch.zeros(1, 2, dtype=torch.float64)
    critics = critics_of(2, torch.tensor([1]), like=like)
    moved = wasserstein_rounds(
        critics,
        {"mean": like.clone()},
        lambda parameters, grain: 0.1 * grain + parameters["mean"].unsqueeze(1),
        lambda uniform, grain: 0.1 * grain + 4.0,
        torch.tensor([1]),
        owned=torch.ones(1, 2, dtype=torch.bool),
        rounds=20,
        samples=8,
        critic_steps=5,
    )["mean"]
    assert float(moved.sum()) > 0


@pytest.mark.parametrize("method", [input_iba, input_iba_lite])
def test_shares_at_the_input_tell_pixels_apart_that_bits_at_a_pooled_layer_do_not(method):
    world = make_environment("two-class-patches-v1")
    batch = world.sample(6, torch.Generator().manual_seed(0))
    known, support = world.sample(64, torch.Generator().manual_seed(1)).inputs, batch.truth.support
    offers = {"target": batch.target, "feature_mask": batch.feature_mask, "seeds": torch.arange(6), "reference": known}

    def auroc(scores):
        pixels = scores.sum(1).flatten(1)
        return float(support_auroc(pixels, truth=pixels, support=support, present=torch.ones_like(support)).mean())

    shares = method(world.model, batch.inputs, **offers, beta=0.1, feature_beta=0.1, steps=30)
    assert shares.min() >= 0
    assert shares.sum(1).max() <= 1 + 1e-12  # a mean over channels, put together again
    bits = [regression_iba(world.model, batch.inputs, **offers, beta=beta) for beta in (10.0, 1.0, 0.1, 0.01)]
    assert auroc(shares) > max(auroc(one) for one in bits) + 0.05


def test_what_a_method_needs_is_said():
    (flat, plain), (inputs, offers) = table_rows(), image_rows()
    for name, (method, _) in METHODS.items():
        with pytest.raises(NotApplicable, match="positions"):
            method(dense(5), flat, **asked(name, plain), reference=flat)
        with pytest.raises(InvalidInput, match="shaped like the inputs"):
            method(convolutional(), inputs, **asked(name, offers), reference=inputs[..., :3])


def test_examples_run():
    for module in (attrlab.methods.input_bottleneck, attrlab.methods.readout_bottleneck):
        assert doctest.testmod(module).failed == 0
