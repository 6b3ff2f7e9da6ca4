"""Smoothing methods have the moments they are named after, on functions whose moments are known and beside a plain sampler."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from captum.attr import NoiseTunnel, Saliency
from torch import nn

from attrlab.errors import InvalidInput
from attrlab.methods.gradients import gradient
from attrlab.methods.smoothing import row_normal, row_range, sample_seeds, smoothgrad, smoothgrad_squared, vargrad
from tests.reference_paths import noisy_slopes

ALL = [smoothgrad, smoothgrad_squared, vargrad]


def kink(x):
    """relu(x1 + x2 - 1)."""
    return torch.relu(x[:, :1] + x[:, 1:2] - 1)


def network(generator, columns=4, activation=nn.Tanh):
    model = nn.Sequential(nn.Linear(columns, 16), activation(), nn.Linear(16, 2)).double().requires_grad_(False)
    for parameter in model.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return model


def question(generator, rows=5, columns=4):
    inputs, baseline = (torch.randn(rows, columns, generator=generator, dtype=torch.float64) for _ in range(2))
    return inputs, {
        "target": torch.arange(rows) % 2,
        "baseline": baseline,
        "feature_mask": torch.arange(columns).expand(rows, columns),
        "seeds": torch.arange(rows) + 100,
    }


def at_the_kink(rows=1):
    inputs = torch.full((rows, 2), 0.5, dtype=torch.float64)
    zeros = torch.zeros(rows, dtype=torch.int64)
    return inputs, {"target": zeros, "baseline": 0 * inputs, "feature_mask": torch.arange(2).expand(rows, 2), "seeds": torch.arange(rows)}


@pytest.mark.parametrize(("method", "golden"), [(smoothgrad, 0.5), (smoothgrad_squared, 0.5), (vargrad, 0.25)])
def test_moments_at_the_kink_of_a_rectifier(method, golden):
    """Half of the noisy copies are on either side, so the slope is a fair coin: mean 1/2, second moment 1/2, variance 1/4."""
    inputs, offers = at_the_kink()
    found = method(kink, inputs, samples=20_000, **offers)[0]
    # The mean of 20000 coins has a standard deviation of 0.0035; five of them.
    assert found.tolist() == pytest.approx([golden, golden], abs=0.018)


def test_the_moments_are_those_of_a_plain_sampler(generator):
    model = network(generator)
    inputs, offers = question(generator, rows=2)
    offers["feature_mask"] = torch.tensor([[0, 1, -1, 2], [0, -1, 1, 1]])
    ranges = row_range(inputs, offers["baseline"], offers["feature_mask"])
    found = {method: method(model, inputs, samples=4000, noise=0.2, **offers).numpy() for method in ALL}
    for row in range(2):

        def slope(point, row=row):
            leaf = torch.from_numpy(point)[None].requires_grad_()
            return torch.autograd.grad(model(leaf)[0, row], leaf)[0][0].numpy()

        movable = (offers["feature_mask"][row] >= 0).double().numpy()
        drawn = noisy_slopes(slope, inputs[row].numpy(), movable, 0.2 * float(ranges[row]), samples=800, seed=row)
        spread, higher = drawn.std(0), (drawn**2).std(0)
        # Six standard errors of the smaller sample; the variance of a variance is bounded by the spread of the squared deviations.
        error = 6 * math.sqrt(1 / 800 + 1 / 4000)
        assert (np.abs(found[smoothgrad][row] - drawn.mean(0)) <= error * spread + 1e-12).all()
        assert (np.abs(found[smoothgrad_squared][row] - (drawn**2).mean(0)) <= error * higher + 1e-12).all()
        squared = ((drawn - drawn.mean(0)) ** 2).std(0)
        assert (np.abs(found[vargrad][row] - drawn.var(0)) <= error * squared + 1e-12).all()


@pytest.mark.parametrize(("method", "kind"), [(smoothgrad, "smoothgrad"), (smoothgrad_squared, "smoothgrad_sq"), (vargrad, "vargrad")])
def test_the_library_s_noise_tunnel_agrees_in_distribution(method, kind, generator):
    """Captum draws one noise for the whole batch from the global generator, and takes sigma in units of the input."""
    model = network(generator)
    inputs, offers = question(generator, rows=1)
    sigma = 0.15 * float(row_range(inputs, offers["baseline"], offers["feature_mask"]))
    with torch.random.fork_rng():
        torch.manual_seed(5)
        tunnel = NoiseTunnel(Saliency(model))
        library = tunnel.attribute(inputs, nt_type=kind, nt_samples=4000, stdevs=sigma, target=offers["target"], abs=False)
    found = method(model, inputs, samples=4000, **offers)
    slopes = smoothgrad_squared(model, inputs, samples=4000, **offers).sqrt().max()
    # Both are means of 4000 draws of size `slopes` (or its square): five standard errors of their difference.
    bound = 5 * math.sqrt(2 / 4000) * float(slopes if method is smoothgrad else 3 * slopes**2)
    torch.testing.assert_close(found, library.detach(), atol=bound, rtol=0)


def test_without_noise_smoothgrad_is_the_gradient_and_nothing_varies(generator):
    model = network(generator)
    inputs, offers = question(generator)
    slope = gradient(model, inputs, target=offers["target"])
    torch.testing.assert_close(smoothgrad(model, inputs, noise=0.0, samples=3, **offers), slope, atol=1e-14, rtol=0)  # rounding
    torch.testing.assert_close(smoothgrad_squared(model, inputs, noise=0, samples=3, **offers), slope**2, atol=1e-13, rtol=0)
    assert vargrad(model, inputs, noise=0.0, samples=3, **offers).max() <= 1e-28  # the square of rounding 1e-14
    near = smoothgrad(model, inputs, noise=1e-7, samples=3, **offers)
    torch.testing.assert_close(near, slope, atol=1e-4, rtol=0)  # a second derivative of order 10^2 times 1e-6


def test_a_variance_small_beside_the_gradient_survives_float32():
    """Let f = 1000 x + x² / 2: the gradient varies by e alone, with variance sigma² = 0.01 beside a square of 10^6."""
    inputs = torch.zeros(1, 1)
    offers = {"target": torch.tensor([0]), "baseline": inputs + 1, "feature_mask": torch.tensor([[0]]), "seeds": torch.tensor([3])}
    found = vargrad(lambda x: 1000 * x + x**2 / 2, inputs, samples=5000, noise=0.1, **offers)
    assert found.item() == pytest.approx(0.01, rel=0.1)  # five standard errors of a variance, 5 sqrt(2 / 5000), are 0.1


@pytest.mark.parametrize("method", ALL)
def test_rows_have_noise_of_their_own_whatever_their_batch(method, generator):
    model = network(generator)
    inputs, offers = question(generator, rows=40)
    whole = method(model, inputs, samples=7, **offers)
    order = torch.randperm(40, generator=generator)
    shuffled = method(model, inputs[order], samples=7, **{name: value[order] for name, value in offers.items()})
    torch.testing.assert_close(shuffled, whole[order], atol=1e-12, rtol=0)  # products in another order
    alone = [method(model, inputs[[r]], samples=7, **{name: value[[r]] for name, value in offers.items()}) for r in range(40)]
    torch.testing.assert_close(torch.cat(alone), whole, atol=1e-12, rtol=0)
    twins, twin_offers = at_the_kink(rows=8)
    assert (
        len(set(smoothgrad(lambda x: x**3, twins, samples=3, **{**twin_offers, "target": twin_offers["target"] + 0})[:, 0].tolist())) == 8
    )


def test_entries_of_no_player_get_no_noise():
    """Let f = x1 x2: the gradient at x1 is x2, which stays where it is."""
    inputs = torch.tensor([[1.0, 3.0]], dtype=torch.float64)
    offers = {"target": torch.tensor([0]), "baseline": 0 * inputs, "seeds": torch.tensor([0])}
    product = lambda x: x[:, :1] * x[:, 1:]  # noqa: E731
    fixed = smoothgrad(product, inputs, feature_mask=torch.tensor([[0, -1]]), **offers)
    assert fixed[0, 0].item() == pytest.approx(3.0, abs=1e-12)
    assert abs(fixed[0, 1].item() - 1.0) > 1e-6
    free = smoothgrad(product, inputs, feature_mask=torch.tensor([[0, 1]]), **offers)
    assert abs(free[0, 0].item() - 3.0) > 1e-6


def test_the_range_of_a_row_is_that_of_its_players_in_input_and_baseline():
    inputs = torch.tensor([[1.0, 5.0, 100.0], [2.0, 2.0, 2.0], [1.0, 2.0, 3.0]])
    baseline = torch.tensor([[-2.0, 0.0, 100.0], [2.0, 2.0, 2.0], [0.0, 0.0, 0.0]])
    mask = torch.tensor([[0, 1, -1], [0, 1, 2], [-1, -1, -1]])
    assert row_range(inputs, baseline, mask).tolist() == [7.0, 0.0, 0.0]


def test_normals_are_normal_and_samples_have_streams_that_do_not_depend_on_how_many_follow():
    seeds = sample_seeds(torch.tensor([0, 1]), 50)
    assert torch.equal(seeds[:, :20], sample_seeds(torch.tensor([0, 1]), 20))
    assert len(seeds.unique()) == 100
    drawn = row_normal(seeds.flatten(), (400,), dtype=torch.float64)
    # 40000 draws: standard errors 0.005 of the mean, 0.007 of the variance, 0.024 of the fourth moment; five of each.
    assert drawn.mean().item() == pytest.approx(0, abs=0.025)
    assert drawn.var().item() == pytest.approx(1, abs=0.035)
    assert (drawn**4).mean().item() == pytest.approx(3, abs=0.25)
    between = torch.corrcoef(drawn[:20]).fill_diagonal_(0).abs().max().item()
    assert between <= 5 / 400**0.5  # correlations of 400 pairs


@pytest.mark.parametrize("method", ALL)
def test_what_is_out_of_range_is_refused(method, generator):
    inputs, offers = question(generator)
    for samples in (0, 2.5, True):
        with pytest.raises(InvalidInput, match=r"samples is the number of noisy copies of a row, a whole number of at least 1 \(got"):
            method(torch.tanh, inputs, samples=samples, **offers)
    for noise in (-0.1, math.inf, math.nan):
        with pytest.raises(InvalidInput, match=r"noise is a standard deviation.*a number of at least 0 \(got"):
            method(torch.tanh, inputs, noise=noise, **offers)


@pytest.mark.parametrize("method", ALL)
def test_scores_keep_type_and_shape_also_of_no_rows_and_of_a_constant(method):
    for rows in (0, 3):
        inputs = torch.ones(rows, 2, 3)
        zeros = torch.zeros(rows, dtype=torch.int64)
        offers = {"target": zeros, "baseline": 0 * inputs, "feature_mask": inputs.long(), "seeds": zeros}
        found = method(lambda x: torch.full((len(x), 1), 2.0), inputs, samples=4, **offers)
        assert (found.dtype, found.shape) == (torch.float32, (rows, 2, 3))
        assert torch.equal(found, torch.zeros_like(inputs))


@pytest.mark.cuda
@pytest.mark.parametrize("method", ALL)
def test_a_device_gives_what_the_cpu_gives(method, generator):
    model = network(generator)
    inputs, offers = question(generator)
    on_cpu = method(model, inputs, samples=9, **offers)
    on_device = method(model.cuda(), inputs.cuda(), samples=9, **{name: value.cuda() for name, value in offers.items()})
    assert on_device.is_cuda
    torch.testing.assert_close(on_device.cpu(), on_cpu, atol=1e-9, rtol=0)  # noise is the same to rounding of log and cos
