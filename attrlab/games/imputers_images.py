"""An absent pixel can be guessed from its neighbours: by blurring the image, or by solving for the smoothest filling of the hole.

A constant fill tells every network where the hole is; ROAD therefore fills each missing pixel with the weighted mean of its eight
neighbours, jointly over the hole, and adds a little noise. All holes of a chunk are solved together by conjugate gradients on the grid
itself, whose operator is eight shifted sums; the values and the progress of one hole do not depend on the others.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.games.imputers import Imputer, everywhere

STRAIGHT, DIAGONAL = 1 / 6, 1 / 12
"""Weights of a pixel's four nearest and four diagonal neighbours; those outside of the image are left out and the rest renormalised."""

CHECK = 8
"""Iterations between two looks at whether any hole is left to solve."""


def blur(
    *,
    sigma: float = 5.0,
    kernel: int = 9,
) -> Imputer:
    """What is absent takes its value in the blurred image, borders reflected where they are wide enough and repeated where not.

    Raises:
        InvalidInput: if sigma is not positive or the kernel is not odd and positive.
        NotApplicable: when asked about rows that are not (rows, channels, height, width).

    Reference:
        Fong and Vedaldi, "Interpretable explanations of black boxes by meaningful perturbation", 2017; RISE, 2018 (insertion).
    """
    if sigma <= 0 or kernel < 1 or kernel % 2 == 0:
        raise InvalidInput(f"sigma is positive and kernel odd and positive (got sigma={sigma}, kernel={kernel})")

    def impute(inputs: Tensor, baseline: Tensor, kept: Tensor, sample: Tensor) -> Tensor:
        del baseline, sample
        return torch.where(kept, inputs, blurred(inputs, sigma=sigma, kernel=kernel))

    def changes(inputs: Tensor, baseline: Tensor) -> Tensor:
        del baseline
        return inputs.ne(blurred(inputs, sigma=sigma, kernel=kernel))

    return Imputer(name=f"blur {sigma:g}", impute=impute, changes=changes, leaves="always")


def blurred(
    images: Tensor,  # (rows, channels, height, width)
    *,
    sigma: float,
    kernel: int,
) -> Tensor:  # (rows, channels, height, width)
    """Gaussian blur, one axis after the other."""
    _require_images(images)
    reach = kernel // 2
    distance = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    weight = torch.exp(-(distance**2) / (2 * sigma**2))
    weight = weight / weight.sum()
    mode = "reflect" if reach < min(images.shape[2:]) else "replicate"
    flat = functional.pad(images.flatten(0, 1).unsqueeze(1), (reach,) * 4, mode=mode)
    down = functional.conv2d(flat, weight.view(1, 1, -1, 1))
    return functional.conv2d(down, weight.view(1, 1, 1, -1)).view(images.shape)


def noisy_linear(
    *,
    noise: float = 0.01,
    seed: int = 0,
    tolerance: float = 1e-6,
) -> Imputer:
    """ROAD's noisy linear imputer: a missing pixel is the weighted mean of its neighbours, solved jointly, plus N(0, noise^2).

    The noise at a place is the same in every row and coalition. An image without any kept pixel takes its baseline's mean.

    Raises:
        InvalidInput: if noise is negative or the tolerance is not positive.
        NotApplicable: when asked about rows that are not (rows, channels, height, width).

    Reference:
        Rong et al., "A consistent and efficient evaluation strategy for attribution methods", 2022, section 4.1.

    Differs from the paper in: the solver (conjugate gradients to `tolerance`, where it factors a sparse matrix per image) and in that
        noise is seeded by place.
    """
    if noise < 0 or tolerance <= 0:
        raise InvalidInput(f"noise is not negative and tolerance positive (got noise={noise}, tolerance={tolerance})")

    def impute(inputs: Tensor, baseline: Tensor, kept: Tensor, sample: Tensor) -> Tensor:
        del sample
        filled = harmonic(inputs, baseline, kept, tolerance=tolerance)
        generator = torch.Generator().manual_seed(seed)
        grain = torch.randn(inputs.shape[1:], generator=generator, dtype=torch.float64).to(inputs) * noise
        return torch.where(kept, inputs, filled + grain)

    return Imputer(name=f"noisy linear {noise:g}", impute=impute, changes=everywhere, leaves="always")


def harmonic(
    images: Tensor,  # (rows, channels, height, width)
    baseline: Tensor,  # (rows, channels, height, width)
    kept: Tensor,  # (rows, channels, height, width) bool
    *,
    tolerance: float = 1e-6,
) -> Tensor:  # (rows, channels, height, width)
    """Fill what is not kept so that every filled pixel is the weighted mean of its neighbours: batched conjugate gradients.

    The matrix is the grid's Laplacian restricted to the hole, positive definite as soon as one pixel is kept. A hole is done when its
    residual is below `tolerance` x the spread of its kept values, and is not touched any more.
    """
    _require_images(images)
    hole = (~kept).to(images.dtype)
    amount = kept.flatten(2).sum(2).clamp(min=1)
    mean = torch.where(kept, images, 0).flatten(2).sum(2) / amount
    start = torch.where(kept.flatten(2).any(2), mean, baseline.flatten(2).mean(2))[:, :, None, None]
    bound = tolerance * torch.where(kept, (images - start).abs(), 0).amax((2, 3), keepdim=True)
    degree = _neighbours(torch.ones_like(images[:1, :1]))
    found = torch.where(kept, images, start)
    residual = hole * (_neighbours(found) - degree * found)
    direction, power = residual / degree, (residual.square() / degree).sum((2, 3), keepdim=True)
    for iteration in range(4 * images.shape[2] * images.shape[3] + CHECK):
        active = (residual.abs().amax((2, 3), keepdim=True) > bound).to(images.dtype)
        if iteration % CHECK == 0 and not bool(active.any()):
            break
        moved = hole * (degree * direction - _neighbours(direction))
        length = active * _quotient(power, (direction * moved).sum((2, 3), keepdim=True))
        found, residual = found + length * direction, residual - length * moved
        following = (residual.square() / degree).sum((2, 3), keepdim=True)
        turned = residual / degree + _quotient(following, power) * direction
        direction, power = torch.where(active > 0, turned, direction), torch.where(active > 0, following, power)
    return found


def _neighbours(images: Tensor) -> Tensor:  # (rows, channels, height, width)
    """The weighted sum over a pixel's eight neighbours, nothing standing outside of the image."""
    wide = functional.pad(images, (1, 1, 1, 1))
    rows = wide[..., :-2, :] + wide[..., 2:, :]  # above and below
    row = wide[..., 1:-1, :]
    straight = rows[..., 1:-1] + row[..., :-2] + row[..., 2:]
    diagonal = rows[..., :-2] + rows[..., 2:]
    return STRAIGHT * straight + DIAGONAL * diagonal


def _quotient(above: Tensor, below: Tensor) -> Tensor:
    return torch.where(below > 0, above / torch.where(below > 0, below, 1), 0)


def _require_images(images: Tensor) -> None:
    if images.dim() != 4:
        raise NotApplicable(f"neighbouring pixels are those of images (rows, channels, height, width) (got {tuple(images.shape)})")
