"""Extremal perturbation: the smooth mask of a given area that preserves the output best, so that size is a constraint and not a trade."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from attrlab.errors import InvalidInput
from attrlab.games.game import Model
from attrlab.methods.descent import Progress, momentum_descent
from attrlab.methods.masked_rows import Bounded, MaskedRows, masked_rows, require_number, weighted_answers
from attrlab.methods.sampled_gradients import require_count

TIED = 1e-9
"""Cells that differ by less have one rank, so that neither rounding nor their order decides which of them may stay."""

SHARPNESS = 20.0
"""Inverse temperature of the smooth maximum (the paper's 1 / T)."""

GROWTH, MOMENTUM = 1.0035, 0.9
"""By what the area's weight grows each step; momentum and dampening of the descent."""


def extremal_perturbation(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    areas: Sequence[float] = (0.025, 0.05, 0.1, 0.2),
    steps: int = 800,
    lr: float = 0.01,
    weight: float = 300.0,
    gain: float = 20.0,
    smoothness: float = 21 / 224,
    size: int = 224,
    blur: float | None = None,
    bounded: Bounded = "relative",
    progress: Progress | None = None,
) -> Tensor:  # (batch, *features), in the dtype of inputs
    """The mean over areas a of the mask m_a maximising gain · s(b + m (x - b)) - weight ‖sort(m) - r_a‖² / cells.

    r_a is a step vector whose last a · cells entries (rounded up) are 1, so a mask of exactly that area costs nothing. The mask is the
    smooth maximum, over cells q, of p(q) k(q - ·) with k a Gaussian, hence smooth itself; players of rows that are no images have
    no neighbourhood, and m = p. All areas of all rows are optimised at once.

    Args:
        model: maps (rows, *features) to (rows, outputs).
        inputs: the explained rows.
        target: which output of each row.
        baseline: what stands where something is removed.
        feature_mask: the player of each entry.
        areas: shares of the cells that may stay.
        steps: of gradient descent with momentum and dampening 0.9.
        lr: its step size.
        weight: of the area at the first step; it grows by 1.0035 each step.
        gain: of the score; the paper's score is a logit, which falls by about 20, and the relative one falls by 1.
        smoothness: standard deviation of k, as a share of the image's longer side.
        size: of an image's mask, at most this many cells along a side.
        blur: of the image that replaces the removed part, in pixels; None for the baseline.
        bounded: the score s, as in `mask`.
        progress: called as progress(steps done, steps in all).

    Returns:
        Masks in [0, 1], their mean over areas, divided among the entries of a pixel or of a player; 0 where f(x) ≈ f(b).

    Raises:
        InvalidInput: if an area or another hyperparameter is out of range.
        NotApplicable: as `mask`.

    Reference:
        Fong, Patrick and Vedaldi (2019), "Understanding deep networks via extremal perturbations and smooth masks", equations 2 to 5.

    Differs from the paper in: the row is mixed with its baseline, not blurred by a pyramid of levels; every other step is not mirrored;
        the area is counted on the row, not beyond its border; where a row has few cells an area is at least one.

    Example:
        >>> x = torch.ones(1, 4)
        >>> scores = extremal_perturbation(lambda x: x[:, :1], x, target=torch.tensor([0]), baseline=torch.zeros(1, 4),
        ...     feature_mask=torch.tensor([[0, 1, 2, 3]]), areas=[0.25], steps=300)
        >>> scores.round(decimals=1) + 0
        tensor([[1., 0., 0., 0.]])
    """
    _require(areas, steps, lr=lr, weight=weight, gain=gain, smoothness=smoothness)
    rows = masked_rows(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask, size=size, blur=blur, bounded=bounded)
    kernel = _kernel(rows, smoothness)

    def slope(parameters: Tensor, step: int) -> Tensor:
        return _slope(rows, parameters, kernel, areas, gain=gain, weight=weight * GROWTH**step)

    start = rows.inputs.new_ones(len(rows), len(areas), *rows.cells.shape)
    found = momentum_descent(slope, start, steps=steps, lr=lr, momentum=MOMENTUM, dampening=MOMENTUM, bounds=(0.0, 1.0), progress=progress)
    masks = smooth_masks(found, kernel).mean(1)
    return rows.cells.scores(masks) * rows.explained.view(-1, *(1,) * (inputs.dim() - 1))


def smooth_masks(
    parameters: Tensor,  # (..., height, width) or (..., players)
    kernel: tuple[Tensor, Tensor] | None,  # (height, height) and (width, width)
) -> Tensor:  # like parameters
    """The smooth maximum of p(q) k(q - u) over q, one axis after the other; p itself without a kernel."""
    if kernel is None:
        return parameters
    for axis, weights in zip((-2, -1), kernel, strict=True):
        moved = parameters.movedim(axis, -1).unsqueeze(-2) * weights  # (..., place, cell)
        soft = (SHARPNESS * moved).softmax(-1)
        parameters = (moved * soft).sum(-1).movedim(-1, axis)
    return parameters


def _slope(
    rows: MaskedRows, parameters: Tensor, kernel: tuple[Tensor, Tensor] | None, areas: Sequence[float], *, gain: float, weight: float
) -> Tensor:
    """The slope of weight · area penalty - gain · score."""
    everyone = torch.arange(len(rows), device=parameters.device)

    def show(leaf: Tensor, index: Tensor, _: slice, chosen: slice) -> Tensor:
        masks, cells = smooth_masks(leaf[:, chosen], kernel), rows.cells.rows(index)
        kept = torch.stack([cells.weights(one) for one in masks.unbind(1)], 1)
        inputs, absent = rows.inputs[index].unsqueeze(1), rows.absent[index].unsqueeze(1)
        return absent + kept * (inputs - absent)

    _, slope = weighted_answers(rows, parameters, everyone, show, parameters.new_full((parameters.shape[1],), -gain), slopes=True)
    with torch.enable_grad():
        leaf = parameters.detach().requires_grad_()
        masks = smooth_masks(leaf, kernel).flatten(2)
        present = rows.cells.present.flatten(1).unsqueeze(1)
        apart = (masks - step_values(masks.detach(), present, areas)).square() * present
        (area,) = torch.autograd.grad((weight * apart.sum(2) / present.sum(2).clamp(min=1)).sum(), leaf)
    return slope + area


def step_values(
    masks: Tensor,  # (batch, areas, cells)
    present: Tensor,  # (batch, 1, cells), 0 or 1
    areas: Sequence[float],
) -> Tensor:  # like masks
    """The entry of the step vector r_a at the rank of each cell; cells of equal rank share what stands at their ranks."""
    share = torch.tensor(list(areas), dtype=torch.float64, device=masks.device)
    stay = (present.double().sum(2) * share - TIED).ceil().clamp(min=1).unsqueeze(2)
    ranked = masks - 2 * (1 - present)  # padding has the lowest ranks
    ordered = ranked.sort(2).values
    below = torch.searchsorted(ordered, ranked - TIED)
    above = torch.searchsorted(ordered, ranked + TIED, right=True)
    ones = above - torch.maximum(below, masks.shape[2] - stay)
    return (ones.clamp(min=0) / (above - below)).to(masks.dtype)


def _kernel(rows: MaskedRows, smoothness: float) -> tuple[Tensor, Tensor] | None:
    """The kernel k along each side of a grid, as matrices from cells to places."""
    if rows.cells.links is not None or smoothness == 0:
        return None

    def along(side: int) -> Tensor:
        place = torch.arange(side, dtype=rows.inputs.dtype, device=rows.inputs.device)
        return torch.exp(-((place.unsqueeze(1) - place).square()) / (2 * (smoothness * max(rows.cells.shape)) ** 2))

    return along(rows.cells.shape[0]), along(rows.cells.shape[1])


def _require(areas: Sequence[float], steps: int, **numbers: float) -> None:
    require_count("steps", steps, what="the number of steps")
    if not len(areas) or not all(0 < area < 1 for area in areas):
        raise InvalidInput(f"areas are shares of the cells, in (0, 1): write areas=(0.1, 0.2) (got {tuple(areas)!r})")
    for name, value in numbers.items():
        require_number(name, value, what="a number", beyond=name == "lr")
