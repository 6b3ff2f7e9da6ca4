"""An absent pixel can be guessed from its neighbours: by blurring the image, or by solving for the smoothest filling of the hole.

A constant fill tells every network where the hole is; ROAD therefore fills each missing pixel with the weighted mean of its eight
neighbours, jointly over the hole, and adds a little noise: 1/6 each of the four nearest and 1/12 of the four diagonal ones, those outside
of the image left out and the rest renormalised. All holes of a chunk are solved together by conjugate gradients on the grid itself; the
values and the progress of one hole do not depend on the others.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.games.imputers import Imputer, everywhere
from attrlab.games.policy import keep_freed_memory

CHECK = 2
"""Iterations between two looks at which holes are left to solve."""


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
    keep_freed_memory()
    grid, empty = _Grid(images), _innermost(~kept)
    known, hole = _innermost(images).masked_fill(empty, 0), empty.to(images.dtype)
    amount = (1 - hole).sum((0, 1))
    start = torch.where(amount > 0, known.sum((0, 1)) / amount.clamp(min=1), baseline.flatten(2).mean(2).flatten())
    found, spare, moved = known.addcmul_(hole, start), torch.empty_like(hole), torch.empty_like(hole)
    bound = tolerance * torch.where(amount > 0, _largest(torch.sub(found, start, out=moved), spare), torch.inf)
    residual = grid.squared(found).div(12).addcmul_(grid.whole, found, value=-1).mul_(hole)
    direction = grid.middle.copy_(residual)
    power = _dot(residual, residual, spare)
    for iteration in range(4 * images.shape[2] * images.shape[3] + CHECK):
        if iteration % CHECK == 0:
            active = _largest(residual, spare) > bound
            if not bool(active.any()):
                break
        torch.mul(grid.whole, direction, out=moved).addcmul_(hole, grid.squared(direction), value=-1 / 12)
        length = torch.where(active, _quotient(power, _dot(direction, moved, spare)), 0)
        found.addcmul_(length, direction)
        residual.addcmul_(length, moved, value=-1)
        before, power = power, _dot(residual, residual, spare)
        torch.addcmul(residual, _quotient(power, before), direction, out=direction)
    return found.flatten(0, 1).t().contiguous().view(images.shape)


class _Grid:
    """Weighted sums over the neighbours of every pixel, for maps (height, width, maps), of which a shift is a contiguous slice.

    The weights around a pixel are those of the square of (1, 2, 1), over 12, but for its middle: four sums of two neighbours each.

    Attributes:
        middle: (height, width, maps); what stands here is summed without being copied first.
        whole: (height, width, 1): the sum of a pixel's weights inside of the image, its own included.
    """

    def __init__(self, images: Tensor) -> None:
        maps, (height, width) = images.shape[:2].numel(), images.shape[2:]
        self._wide = images.new_zeros(height + 2, width + 2, maps)
        self._down = images.new_empty(height + 1, width + 2, maps), images.new_empty(height, width + 2, maps)
        self._across = images.new_empty(height, width + 1, maps), images.new_empty(height, width, maps)
        self.middle = self._wide[1:-1, 1:-1]
        down, across = (
            functional.conv1d(images.new_ones(1, 1, size), images.new_tensor([[[1.0, 2, 1]]]), padding=1) for size in (height, width)
        )
        self.whole = (down.view(-1, 1, 1) * across.view(1, -1, 1)) / 12

    def squared(
        self,
        maps: Tensor,  # (height, width, maps)
    ) -> Tensor:  # (height, width, maps), overwritten by the next call
        """Each pixel and its neighbours, weighted by the square of (1, 2, 1)."""
        if maps is not self.middle:
            self.middle.copy_(maps)
        (above, down), (left, across) = self._down, self._across
        torch.add(self._wide[:-1], self._wide[1:], out=above)
        torch.add(above[:-1], above[1:], out=down)
        torch.add(down[:, :-1], down[:, 1:], out=left)
        return torch.add(left[:, :-1], left[:, 1:], out=across)


def _innermost(images: Tensor) -> Tensor:  # (rows, channels, height, width) -> (height, width, rows x channels)
    matrix = images.flatten(0, 1).flatten(1).t().contiguous()  # which is turned around five times as fast as what it is made of
    return matrix.view(*images.shape[2:], images.shape[:2].numel())


def _dot(first: Tensor, second: Tensor, spare: Tensor) -> Tensor:  # (height, width, maps) -> (maps,); `spare` is overwritten
    return torch.mul(first, second, out=spare).sum((0, 1))


def _largest(maps: Tensor, spare: Tensor) -> Tensor:  # (height, width, maps) -> (maps,); `spare` is overwritten
    return torch.abs(maps, out=spare).amax((0, 1))


def _quotient(above: Tensor, below: Tensor) -> Tensor:
    return torch.where(below > 0, above / torch.where(below > 0, below, 1), 0)


def _require_images(images: Tensor) -> None:
    if images.dim() != 4:
        raise NotApplicable(f"neighbouring pixels are those of images (rows, channels, height, width) (got {tuple(images.shape)})")
