"""Path methods whose path is not a straight line: through blurred images, or wherever the gradient is small.

Both add up gradient times step along a path of finitely many points, so on smooth functions they are complete for the ends of their path up
to the size of a step. What belongs to no player never moves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.games.game import Model
from attrlab.methods.gradients import gradient
from attrlab.methods.sampled_gradients import gradients_at, require_count

PAPER_SIGMA, PAPER_SIZE = 50.0, 224
"""The authors' largest blur, in pixels, on images of this many; other images are blurred to the same share of their size."""


def blur_ig(
    model: Model,
    inputs: Tensor,  # (batch, channels, height, width)
    *,
    target: Tensor,  # (batch,) int64
    feature_mask: Tensor,  # (batch, channels, height, width) int64, -1 for none
    steps: int = 100,
    max_sigma: float | None = None,
) -> Tensor:  # (batch, channels, height, width)
    """Blur integrated gradients: A_i = Σ_k ∂_i f(z(s_k)) (z_i(s_k - h/2) - z_i(s_k + h/2)), z(s) the image blurred to width s.

    Args:
        model: maps (rows, channels, height, width) to (rows, outputs).
        inputs: the images that are explained.
        target: which output of each row.
        feature_mask: the player of each entry; entries of none are not blurred.
        steps: equal steps h in s from 0 to max_sigma, with one gradient in the middle of each; 100 in the authors' code.
        max_sigma: the standard deviation of the last blur in pixels; None for 50 per 224 pixels of the larger side, the authors' 50
            on images of their size.

    Returns:
        Scores in units of the output, whose sum over a row tends to f(x) - f(z(max_sigma)), the difference to the fully blurred image.

    Raises:
        NotApplicable: if rows are not (channels, height, width).
        InvalidInput: if steps is not a whole number of at least 1, or max_sigma is not positive.

    Example:
        >>> image = torch.ones(1, 1, 3, 3)
        >>> mask = torch.arange(9).view(1, 1, 3, 3)
        >>> blur_ig(lambda x: 2 * x[:, :, 1, 1], image, target=torch.tensor([0]), feature_mask=mask).count_nonzero().item()
        1

    Reference:
        Xu, Venugopalan, Sundararajan (2020), "Attribution in scale and space", equation 6; beyond the border images are 0, as there.

    Differs from the paper in: the blur's change over a step is the exact difference, and the gradient that of its middle, where the
        authors' code takes a finite difference of 0.01 and the gradient at the left end; kernels are normalised sums over pixels, wide
        enough that nothing is cut off.
    """
    require_count("steps", steps, what="the number of blurs on the path")
    if inputs.dim() != 4:
        raise NotApplicable(f"blur_ig needs images, rows of (channels, height, width) (got rows of shape {tuple(inputs.shape[1:])})")
    width = max_sigma if max_sigma is not None else PAPER_SIGMA * max(inputs.shape[2:]) / PAPER_SIZE
    if not (width > 0 and math.isfinite(width)):
        raise InvalidInput(f"max_sigma is the last blur's standard deviation in pixels, a positive number (got {max_sigma!r})")
    grid = torch.arange(2 * steps + 1, dtype=torch.float64, device=inputs.device) * (width / (2 * steps))
    rows_blur, columns_blur = (_blurs(grid, size).to(inputs.dtype) for size in inputs.shape[2:])
    still = feature_mask < 0

    def blurred(rows: slice, at: slice) -> Tensor:
        image = torch.einsum("sij,rcjk,slk->rscil", rows_blur[at], inputs[rows], columns_blur[at])
        return torch.where(still[rows, None], inputs[rows, None], image)

    def points(rows: slice, part: slice) -> Tensor:
        return blurred(rows, slice(2 * part.start + 1, 2 * part.stop, 2))

    total = torch.zeros_like(inputs)
    for rows, part, slopes in gradients_at(model, inputs, points, samples=steps, target=target):
        ends = blurred(rows, slice(2 * part.start, 2 * part.stop + 1, 2))
        total[rows] += (slopes * (ends[:, :-1] - ends[:, 1:])).sum(1)
    return total


def guided_ig(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    steps: int = 200,
    fraction: float = 0.25,
    max_dist: float = 0.02,
) -> Tensor:  # (batch, *features)
    """Guided integrated gradients: from baseline to input by moving, at every step, the entries of smallest |gradient| first.

    After step k of `steps` the L1 distance to the input is 1 - k / steps of the whole, and every entry is between the points at
    k / steps ± max_dist of its straight line. Within a step the fraction of smallest |∂_i f| among the entries that can still move goes
    to its bound, again and again until the distance is reached. A_i sums ∂_i f at the beginning of a step times how far i moves in it.

    Args:
        model: maps (rows, *features) to (rows, outputs).
        inputs: the rows that are explained.
        target: which output of each row.
        baseline: where the paths begin.
        steps: gradients per row; 200 in the authors' code.
        fraction: the share of entries that moves together; 0.25 in the authors' code. With 1 the path is straight.
        max_dist: how far from the straight line an entry may be, as a share of its path; 0.02 in the authors' code. With 0 it is straight.

    Returns:
        Scores in units of the output, whose sum over a row is f(x) - f(x') up to an error that falls as 1 / steps where f is smooth. On a
        piecewise-linear network it need not fall: the path likes to slide along a kink, and then crosses it at every step.

    Raises:
        InvalidInput: if steps is not a whole number of at least 1, fraction is not in (0, 1], or max_dist not in [0, 1].

    Example:
        >>> rows = torch.tensor([[2.0, 3.0]])
        >>> guided_ig(lambda x: x.sum(1, keepdim=True), rows, target=torch.tensor([0]), baseline=torch.zeros(1, 2)).round(decimals=4)
        tensor([[2., 3.]])

    Reference:
        Kapishnikov, Venugopalan, Avci, Wedin, Terry, Bolukbasi (2021), "Guided integrated gradients: an adaptive path method for removing
        noise", algorithm 1.

    Differs from the paper in: entries where input and baseline agree are left out of the fraction, so that a padded row is explained as
        the row alone; entries of equal |gradient| move together.
    """
    require_count("steps", steps, what="the number of gradients on the path")
    if not 0 < fraction <= 1 or not 0 <= max_dist <= 1:
        raise InvalidInput(f"fraction lies in (0, 1] and max_dist in [0, 1] (got fraction={fraction!r}, max_dist={max_dist!r})")
    path = _Path(start=baseline.flatten(1), whole=(inputs - baseline).flatten(1), fraction=fraction)
    at, total = torch.zeros_like(path.whole), torch.zeros_like(path.whole)
    for step in range(1, steps + 1):
        slope = gradient(model, (path.start + at * path.whole).view_as(inputs), target=target).flatten(1)
        low, high = max(step / steps - max_dist, 0.0), min(step / steps + max_dist, 1.0)
        moved = _advanced(path, at, slope.abs(), low=low, high=high, goal=1 - step / steps)
        total += slope * (moved - at)
        at = moved
    return (total * path.whole).view_as(inputs)


@dataclass(frozen=True, kw_only=True)
class _Path:
    """Where paths begin and lead, flat; a point is start + at · whole with `at` in [0, 1] per entry."""

    start: Tensor  # (batch, entries)
    whole: Tensor  # (batch, entries)
    fraction: float


def _advanced(path: _Path, at: Tensor, size: Tensor, *, low: float, high: float, goal: float) -> Tensor:
    """One step of every row: catch up to `low`, then move the entries of smallest `size` to `high` until a share `goal` is left."""
    weight = path.whole.abs()
    at = torch.where(weight > 0, at.clamp(min=low), high)
    left_over = goal * weight.sum(1)
    for _ in range(size.shape[1]):
        free = at < high
        excess = ((1 - at) * weight).sum(1) - left_over
        # What is left after rounding is smaller than any step, and is moved in the next.
        open_ = (excess > 1e3 * torch.finfo(at.dtype).eps * weight.sum(1)) & free.any(1)
        if not bool(open_.any()):
            break
        chosen = _smallest(size, free, weight > 0, path.fraction) & open_[:, None]
        room = ((high - at) * weight * chosen).sum(1)
        share = (excess / torch.where(room > 0, room, 1.0)).clamp(0, 1)[:, None]
        goal_point = torch.where(share >= 1, torch.full_like(at, high), at + share * (high - at))
        at = torch.where(chosen, goal_point, at)
    return at


def _smallest(size: Tensor, free: Tensor, movable: Tensor, fraction: float) -> Tensor:
    """The free entries of each row whose size is at most the `fraction` quantile (the lower one), those that cannot move counting last."""
    ranked = size.masked_fill(~free, math.inf)
    place = ((movable.sum(1) - 1).clamp(min=0) * fraction).floor().long()
    threshold = ranked.sort(1).values.gather(1, place[:, None])
    return free & (ranked <= threshold)


def _blurs(
    sigmas: Tensor,  # (blurs,)
    size: int,
) -> Tensor:  # (blurs, size, size)
    """Matrices that blur a line of pixels by Gaussians sampled at whole pixels, normalised over the infinite line; 0 beyond the ends."""
    radius = max(size, math.ceil(8 * float(sigmas.max())) + 1)
    offsets = torch.arange(-radius, radius + 1, dtype=sigmas.dtype, device=sigmas.device)
    kernels = torch.softmax(-offsets.square() / (2 * sigmas[:, None].square()).clamp(min=1e-12), 1)
    pixel = torch.arange(size, device=sigmas.device)
    return kernels[:, radius + pixel[:, None] - pixel[None, :]]
