"""Smoothing methods: mean, second moment and variance of the gradient over noisy copies of the input.

Noise is relative to the row's own scale, so that no result depends on the batch: sigma is a share of the range, largest minus smallest
value, of the row's players in input and baseline together. It is added to entries of players only; what belongs to no player is the row's
world, and another world would be another question. Every row has a noise stream of its own, and every sample of it too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from attrlab.errors import InvalidInput
from attrlab.games.game import Model
from attrlab.methods.gradients import gradient
from attrlab.methods.sampled_gradients import gradients_at, require_count
from attrlab.randomness import row_uniform


def smoothgrad(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    samples: int = 50,
    noise: float = 0.15,
) -> Tensor:  # (batch, *features)
    """SmoothGrad: A_i = E ∂_i f(x + e), e ~ N(0, (noise · range)²), the gradient of f blurred by a Gaussian.

    Args:
        model: maps (rows, *features) to (rows, outputs).
        inputs: the rows that are explained.
        target: which output of each row.
        baseline: with the inputs, what the range of a row is read from.
        feature_mask: the player of each entry; entries of none get no noise.
        seeds: one noise stream per row.
        samples: noisy copies per row; the paper finds little change above 50.
        noise: standard deviation as a share of the row's range; the paper recommends 0.1 to 0.2. With 0 it is the gradient.

    Returns:
        Scores in units of output per unit of input.

    Raises:
        InvalidInput: if samples is not a whole number of at least 1, or noise is negative or not finite.

    Example:
        >>> kink, rows = (lambda x: torch.relu(x)), torch.zeros(1, 1)
        >>> settings = dict(baseline=rows - 1, feature_mask=torch.tensor([[0]]), seeds=torch.tensor([0]))
        >>> score = smoothgrad(kink, rows, target=torch.tensor([0]), samples=1000, **settings)
        >>> bool(0.4 < score < 0.6)
        True

    Reference:
        Smilkov, Thorat, Kim, Viégas, Wattenberg (2017), "SmoothGrad: removing noise by adding noise", section 3.

    Differs from the paper in: the range is that of a row's players in input and baseline, instead of the image alone, so that a
        constant image has one.
    """
    total = torch.zeros_like(inputs)
    for rows, slopes in _noisy(model, inputs, target, baseline, feature_mask, seeds, samples, noise):
        total[rows] += slopes.sum(1)
    return total / samples


def smoothgrad_squared(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    samples: int = 50,
    noise: float = 0.15,
) -> Tensor:  # (batch, *features)
    """SmoothGrad-Squared: A_i = E (∂_i f(x + e))², e ~ N(0, (noise · range)²); arguments and errors as `smoothgrad`.

    Returns scores in units of output² per unit of input²; none is negative.

    Example:
        >>> rows, settings = torch.zeros(1, 1), dict(feature_mask=torch.tensor([[0]]), seeds=torch.tensor([0]))
        >>> smoothgrad_squared(lambda x: 3 * x, rows, target=torch.tensor([0]), baseline=rows - 1, **settings)
        tensor([[9.]])

    Reference:
        Hooker, Erhan, Kindermans, Kim (2019), "A benchmark for interpretability methods in deep neural networks", section 3.

    Differs from the paper in: the range, as `smoothgrad`.
    """
    total = torch.zeros_like(inputs)
    for rows, slopes in _noisy(model, inputs, target, baseline, feature_mask, seeds, samples, noise):
        total[rows] += slopes.square().sum(1)
    return total / samples


def vargrad(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    samples: int = 50,
    noise: float = 0.15,
) -> Tensor:  # (batch, *features)
    """VarGrad: A_i = Var ∂_i f(x + e), e ~ N(0, (noise · range)²); arguments and errors as `smoothgrad`.

    Returns scores in units of output² per unit of input²; 0 where the gradient is the same at every sample. Deviations are taken from the
    gradient at x, so that a variance small beside the gradient is not lost to rounding.

    Example:
        >>> rows, settings = torch.zeros(1, 1), dict(feature_mask=torch.tensor([[0]]), seeds=torch.tensor([0]))
        >>> vargrad(lambda x: 3 * x, rows, target=torch.tensor([0]), baseline=rows - 1, **settings)
        tensor([[0.]])

    Reference:
        Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim (2018), "Sanity checks for saliency maps", section 2; Adebayo, Gilmer, Goodfellow,
        Kim (2018), "Local explanation methods for deep neural networks lack sensitivity to parameter values".

    Differs from the paper in: the range, as `smoothgrad`.
    """
    centre = gradient(model, inputs, target=target)
    first, second = torch.zeros_like(inputs), torch.zeros_like(inputs)
    for rows, slopes in _noisy(model, inputs, target, baseline, feature_mask, seeds, samples, noise):
        deviation = slopes - centre[rows, None]
        first[rows] += deviation.sum(1)
        second[rows] += deviation.square().sum(1)
    return (second / samples - (first / samples).square()).clamp(min=0)


def row_range(
    inputs: Tensor,  # (batch, *features)
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
) -> Tensor:  # (batch,)
    """Largest minus smallest value of the entries of a row's players, in input and baseline together; 0 for a row without players."""
    outside = feature_mask.flatten(1) < 0
    top = torch.maximum(inputs, baseline).flatten(1).masked_fill(outside, -math.inf).amax(1)
    bottom = torch.minimum(inputs, baseline).flatten(1).masked_fill(outside, math.inf).amin(1)
    return torch.where(outside.all(1), torch.zeros_like(top), top - bottom)


def row_normal(
    seeds: Tensor,  # (rows,) int64
    shape: tuple[int, ...],
    *,
    dtype: torch.dtype,
) -> Tensor:  # (rows, *shape)
    """Independent standard normals, row r from the stream of seeds[r] (Box and Muller 1958)."""
    radius, angle = row_uniform(seeds, (2, *shape)).unbind(1)
    return ((-2 * torch.log1p(-radius)).sqrt() * torch.cos(2 * math.pi * angle)).to(dtype)


def sample_seeds(
    seeds: Tensor,  # (batch,) int64
    samples: int,
) -> Tensor:  # (batch, samples) int64
    """A seed for every sample of every row; the first ones do not depend on how many follow."""
    return (row_uniform(seeds, (samples,)) * 2.0**53).to(torch.int64)


def _noisy(
    model: Model,
    inputs: Tensor,
    target: Tensor,
    baseline: Tensor,
    feature_mask: Tensor,
    seeds: Tensor,
    samples: int,
    noise: float,
) -> Iterator[tuple[slice, Tensor]]:
    """Yield (rows, slopes), slopes of shape (rows, samples, *features), at noisy copies of the rows."""
    require_count("samples", samples, what="the number of noisy copies of a row")
    if not (noise >= 0 and math.isfinite(noise)):
        raise InvalidInput(f"noise is a standard deviation as a share of the row's range, a number of at least 0 (got {noise!r})")
    streams, features = sample_seeds(seeds, samples), tuple(inputs.shape[1:])
    sigma = noise * row_range(inputs, baseline, feature_mask).view(-1, *(1,) * len(features)) * (feature_mask >= 0)

    def points(rows: slice, part: slice) -> Tensor:
        seeds = streams[rows, part]
        drawn = row_normal(seeds.flatten(), features, dtype=inputs.dtype).view(*seeds.shape, *features)
        return torch.addcmul(inputs[rows, None], sigma[rows, None], drawn)

    for rows, _, slopes in gradients_at(model, inputs, points, samples=samples, target=target):
        yield rows, slopes
