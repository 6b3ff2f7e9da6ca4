"""Blur and guided integrated gradients equal their algorithms run entry by entry, and are complete where theory says so."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import nn

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.methods import adaptive_paths
from attrlab.methods.adaptive_paths import blur_ig, guided_ig
from attrlab.methods.paths import integrated_gradients
from tests.reference_paths import blur_path, guided


def drawn(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def dense(generator, activation=nn.Tanh, columns=6):
    model = nn.Sequential(nn.Linear(columns, 16), activation(), nn.Linear(16, 2)).double().requires_grad_(False)
    for parameter in model.parameters():
        parameter.copy_(drawn(generator, *parameter.shape) / 2)
    return model


def images(generator, activation=nn.Tanh, channels=2):
    model = nn.Sequential(nn.Conv2d(channels, 3, 3), activation(), nn.Flatten(), nn.Linear(3 * 9, 2)).double().requires_grad_(False)
    for parameter in model.parameters():
        parameter.copy_(drawn(generator, *parameter.shape) / 2)
    return model


def pixels(rows, channels=2, side=5):
    return torch.arange(side * side).view(1, 1, side, side).expand(rows, channels, side, side)


def slope_of(model, output):
    def slope(point):
        leaf = torch.from_numpy(point)[None].requires_grad_()
        return torch.autograd.grad(model(leaf)[0, output], leaf)[0][0].numpy()

    return slope


def rise(model, inputs, baseline, target):
    return (model(inputs) - model(baseline)).gather(1, target[:, None]).squeeze(1)


@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU])
@pytest.mark.parametrize(("fraction", "max_dist"), [(0.25, 0.02), (0.25, 0.3), (0.5, 1.0), (0.1, 0.1)])
def test_guided_ig_is_the_algorithm_entry_by_entry(activation, fraction, max_dist, generator):
    model = dense(generator, activation)
    inputs, baseline, target = drawn(generator, 3, 6), drawn(generator, 3, 6), torch.tensor([0, 1, 0])
    inputs[1, 2:4] = baseline[1, 2:4]
    found = guided_ig(model, inputs, target=target, baseline=baseline, steps=25, fraction=fraction, max_dist=max_dist)
    for row in range(3):
        wanted = guided(
            slope_of(model, int(target[row])), inputs[row].numpy(), baseline[row].numpy(), steps=25, fraction=fraction, max_dist=max_dist
        )
        np.testing.assert_allclose(found[row].numpy(), wanted, atol=1e-10)  # rounding, and what is left over between steps


def test_guided_ig_becomes_complete_as_steps_grow_on_a_smooth_function(generator):
    model = dense(generator)
    inputs, baseline, target = drawn(generator, 4, 6), drawn(generator, 4, 6), torch.tensor([0, 1, 0, 1])
    wanted = rise(model, inputs, baseline, target)
    gaps = [
        float((guided_ig(model, inputs, target=target, baseline=baseline, steps=steps).sum(1) - wanted).abs().max()) for steps in (25, 100)
    ]
    # The gradient at the beginning of a step: an error of first order, which falls by 4; 2.5 is enough.
    assert gaps[1] <= gaps[0] / 2.5


def test_along_a_kink_guided_ig_stays_incomplete_however_many_steps():
    """Let f = 3 |x1 - x2| + x1 from (0, 0) to (1, 2): below the diagonal x2 is the steeper, above it x1 (slopes 4, -3 and -2, 3).

    Where x1 > x2 the smaller |slope| is x2's, where x2 > x1 it is x1's, so the path slides along the kink and crosses it at every step.
    """
    inputs = torch.tensor([[1.0, 2.0]], dtype=torch.float64)

    def bent(x):
        return 3 * (x[:, :1] - x[:, 1:]).abs() + x[:, :1]

    settings = {"target": torch.tensor([0]), "baseline": 0 * inputs, "max_dist": 1.0}
    gaps = [abs(guided_ig(bent, inputs, steps=steps, **settings).sum().item() - 4.0) for steps in (100, 400)]
    assert min(gaps) > 0.1


@pytest.mark.parametrize("straight", [{"fraction": 1.0}, {"max_dist": 0.0}])
def test_guided_ig_without_freedom_is_the_left_sum_on_the_straight_line(straight, generator):
    model = dense(generator, nn.ReLU)
    inputs, baseline, target = drawn(generator, 4, 6), drawn(generator, 4, 6), torch.tensor([0, 1, 0, 1])
    found = guided_ig(model, inputs, target=target, baseline=baseline, steps=40, **straight)
    wanted = integrated_gradients(model, inputs, target=target, baseline=baseline, n_steps=40, rule="left")
    torch.testing.assert_close(found, wanted, atol=1e-11, rtol=0)  # rounding of forty steps


def test_guided_ig_of_a_linear_function_is_weight_times_difference(generator):
    model = nn.Linear(5, 2).double().requires_grad_(False)
    inputs, baseline, target = drawn(generator, 3, 5), drawn(generator, 3, 5), torch.tensor([1, 0, 1])
    found = guided_ig(model, inputs, target=target, baseline=baseline, steps=20)
    torch.testing.assert_close(found, model.weight[target] * (inputs - baseline), atol=1e-11, rtol=0)  # rounding of twenty steps


def test_guided_ig_of_a_row_does_not_depend_on_its_batch_nor_on_padding(generator):
    model = dense(generator)
    inputs, baseline, target = drawn(generator, 6, 6), drawn(generator, 6, 6), torch.arange(6) % 2
    whole = guided_ig(model, inputs, target=target, baseline=baseline, steps=30)
    alone = [guided_ig(model, inputs[[r]], target=target[[r]], baseline=baseline[[r]], steps=30) for r in range(6)]
    torch.testing.assert_close(torch.cat(alone), whole, atol=1e-10, rtol=0)  # products in another order
    padded = [torch.cat([rows, torch.ones(6, 9, dtype=torch.float64)], 1) for rows in (inputs, baseline)]
    wide = guided_ig(lambda x: model(x[:, :6]), padded[0], target=target, baseline=padded[1], steps=30)
    torch.testing.assert_close(wide[:, :6], whole, atol=1e-10, rtol=0)
    assert wide[:, 6:].abs().max() == 0


@pytest.mark.parametrize("bad", [{"fraction": 0.0}, {"fraction": 1.2}, {"max_dist": -0.1}, {"max_dist": 2.0}, {"steps": 0}], ids=str)
def test_guided_ig_refuses_what_is_out_of_range(bad):
    one = torch.ones(1, 2)
    with pytest.raises(InvalidInput, match=r"fraction lies in \(0, 1\] and max_dist in \[0, 1\]|steps is the number of gradients"):
        guided_ig(torch.tanh, one, target=torch.tensor([0]), baseline=one, **bad)


def test_blur_ig_is_the_sum_pixel_by_pixel(generator):
    model = images(generator)
    inputs, target = drawn(generator, 2, 2, 5, 5), torch.tensor([0, 1])
    found = blur_ig(model, inputs, target=target, feature_mask=pixels(2), steps=4, max_sigma=1.6)
    for row in range(2):
        wanted = blur_path(slope_of(model, row), inputs[row].numpy(), max_sigma=1.6, steps=4)
        np.testing.assert_allclose(found[row].numpy(), wanted, atol=1e-12)  # rounding, and kernels cut off beyond ten sigma


@pytest.mark.parametrize("sigma", [0.4, 1.0, 3.0])
def test_the_blur_is_that_of_scipy(sigma, generator):
    image = drawn(generator, 7, 9)
    rows, columns = (adaptive_paths._blurs(torch.tensor([sigma], dtype=torch.float64), size)[0] for size in image.shape)
    wanted = scipy.ndimage.gaussian_filter(image.numpy(), sigma, mode="constant", truncate=12)
    np.testing.assert_allclose((rows @ image @ columns.T).numpy(), wanted, atol=1e-9)  # both cut their kernels somewhere


def test_blur_ig_becomes_complete_for_the_blurred_image(generator):
    model = images(generator)
    inputs, target = drawn(generator, 3, 2, 5, 5), torch.tensor([0, 1, 0])
    blurred = torch.from_numpy(scipy.ndimage.gaussian_filter(inputs.numpy(), (0, 0, 2, 2), mode="constant", truncate=12))
    wanted = rise(model, inputs, blurred, target)
    gaps = [
        float(
            (blur_ig(model, inputs, target=target, feature_mask=pixels(3), steps=steps, max_sigma=2.0).sum((1, 2, 3)) - wanted).abs().max()
        )
        for steps in (25, 100)
    ]
    assert gaps[1] <= gaps[0] / 8  # the middle of a step: an error of second order, which falls by 16
    assert gaps[1] <= 1e-3


def test_blur_ig_of_a_linear_function_is_weight_times_what_the_blur_takes_away(generator):
    model = nn.Sequential(nn.Flatten(), nn.Linear(25, 1)).double().requires_grad_(False)
    inputs = drawn(generator, 2, 1, 5, 5)
    blurred = torch.from_numpy(scipy.ndimage.gaussian_filter(inputs.numpy(), (0, 0, 1.5, 1.5), mode="constant", truncate=12))
    found = blur_ig(model, inputs, target=torch.zeros(2, dtype=torch.int64), feature_mask=pixels(2, 1), steps=3, max_sigma=1.5)
    torch.testing.assert_close(found, model[1].weight.view(1, 1, 5, 5) * (inputs - blurred), atol=1e-12, rtol=0)  # rounding


def test_the_default_blur_is_the_authors_share_of_the_image(generator):
    model, inputs = images(generator), drawn(generator, 2, 2, 5, 5)
    offers = {"target": torch.tensor([0, 1]), "feature_mask": pixels(2), "steps": 5}
    torch.testing.assert_close(blur_ig(model, inputs, **offers), blur_ig(model, inputs, max_sigma=50 * 5 / 224, **offers))


def test_what_belongs_to_no_player_is_not_blurred(generator):
    model, inputs = images(generator), drawn(generator, 2, 2, 5, 5)
    mask = pixels(2).clone()
    mask[:, 1] = -1
    scores = blur_ig(model, inputs, target=torch.tensor([0, 1]), feature_mask=mask, steps=60, max_sigma=2.0)
    assert scores[:, 1].abs().max() == 0
    half = inputs.clone()
    half[:, 0] = torch.from_numpy(scipy.ndimage.gaussian_filter(inputs[:, 0].numpy(), (0, 2, 2), mode="constant", truncate=12))
    torch.testing.assert_close(scores.sum((1, 2, 3)), rise(model, inputs, half, torch.tensor([0, 1])), atol=5e-3, rtol=0)  # second order


def test_blur_ig_of_a_row_does_not_depend_on_its_batch(generator):
    model, inputs, target = images(generator, nn.ReLU), drawn(generator, 6, 2, 5, 5), torch.arange(6) % 2
    whole = blur_ig(model, inputs, target=target, feature_mask=pixels(6), steps=7)
    alone = [blur_ig(model, inputs[[r]], target=target[[r]], feature_mask=pixels(1), steps=7) for r in range(6)]
    torch.testing.assert_close(torch.cat(alone), whole, atol=1e-12, rtol=0)  # products in another order


def test_blur_ig_refuses_rows_that_are_no_images_and_blurs_that_are_none():
    rows, image = torch.ones(2, 4), torch.ones(1, 1, 3, 3)
    with pytest.raises(NotApplicable, match=r"needs images, rows of \(channels, height, width\) \(got rows of shape \(4,\)\)"):
        blur_ig(torch.tanh, rows, target=torch.tensor([0, 0]), feature_mask=rows.long())
    for sigma in (0.0, -1.0, math.inf):
        with pytest.raises(InvalidInput, match="max_sigma is the last blur's standard deviation in pixels, a positive number"):
            blur_ig(lambda x: x.flatten(1), image, target=torch.tensor([0]), feature_mask=image.long(), max_sigma=sigma)


@pytest.mark.parametrize("rows", [0, 2])
def test_scores_keep_type_and_shape_also_of_no_rows(rows):
    table, image, zeros = torch.ones(rows, 3), torch.ones(rows, 1, 3, 3), torch.zeros(rows, dtype=torch.int64)
    assert torch.equal(guided_ig(lambda x: 0 * x[:, :1] + 1, table, target=zeros, baseline=0 * table, steps=3), 0 * table)
    found = blur_ig(lambda x: 0 * x.flatten(1) + 1, image, target=zeros, feature_mask=image.long(), steps=3)
    assert (found.dtype, found.shape) == (torch.float32, image.shape)
