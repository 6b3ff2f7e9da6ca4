"""Meaningful perturbation: the smallest smooth mask that, replacing part of a row, makes the explained output go away."""

from __future__ import annotations

import torch
from torch import Tensor

from attrlab.games.game import Model
from attrlab.methods.descent import Progress, adam
from attrlab.methods.masked_rows import Bounded, MaskedRows, masked_rows, require_number, step_seeds, weighted_answers
from attrlab.methods.sampled_gradients import require_count


def mask(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    steps: int = 300,
    lr: float = 0.1,
    size: int = 28,
    l1: float = 0.01,
    tv: float = 0.2,
    power: float = 3.0,
    noise: float = 0.05,
    blur: float | None = None,
    bounded: Bounded = "relative",
    progress: Progress | None = None,
) -> Tensor:  # (batch, *features), in the dtype of inputs
    """Mask: 1 - m, with m minimising s(b + m (x - b) + noise) + l1 mean |1 - m| + tv mean |m_p - m_q|^power over neighbours p, q.

    Args:
        model: maps (rows, *features) to (rows, outputs).
        inputs: the explained rows.
        target: which output of each row.
        baseline: what stands where something is removed.
        feature_mask: the player of each entry; players of rows that are no images have one cell each, and entries of -1 always stay.
        seeds: the noise stream of each row; every step draws from a stream of its own.
        steps: of Adam, from a mask of ones.
        lr: its step size.
        size: of an image's mask, at most this many cells along a side.
        l1: weight of the share of the row that is removed.
        tv: weight of the mask's variation; neighbours are those of the grid, or of a graph's players.
        power: of a difference in the variation.
        noise: standard deviation, as a share of the row's range; 0.2 for images of unit deviation, which span about 4.
        blur: of the image that replaces the removed part, in pixels; None for the baseline.
        bounded: the score s that is to be small: relative to what the replacement of everything does, a softmax or a sigmoid.
        progress: called as progress(steps done, steps in all).

    Returns:
        How much of each cell is removed, in [0, 1], divided among the entries of a pixel or of a player. 0 where f(x) ≈ f(b): there is
        nothing to explain. Where the score does not fall for a small removal, as on a plateau, it stays near 0.

    Raises:
        InvalidInput: if a hyperparameter is out of range.
        NotApplicable: if rows depend on their batch, or rows that are no images are to be blurred.

    Reference:
        Fong and Vedaldi (2017), "Interpretable explanations of black boxes by meaningful perturbation", equation 4 and section 4.3.

    Differs from the paper in: the score is relative and the replacement the baseline, unless asked otherwise; the mask is not jittered,
        because jitter moves what a network reads by position; variation is a mean over pairs, not a sum.

    Example:
        >>> x = torch.ones(1, 3)
        >>> scores = mask(lambda x: x[:, :1], x, target=torch.tensor([0]), baseline=torch.zeros(1, 3),
        ...     feature_mask=torch.tensor([[0, 1, 2]]), seeds=torch.tensor([0]), steps=50)
        >>> scores.round(decimals=1) + 0
        tensor([[1., 0., 0.]])
    """
    require_count("steps", steps, what="the number of steps of Adam")
    require_number("lr", lr, what="the step size of Adam", beyond=True)
    for name, value in (("l1", l1), ("tv", tv), ("noise", noise)):
        require_number(name, value, what="a weight" if name != "noise" else "a share of the row's range")
    require_number("power", power, what="the power of a difference", least=1)
    rows = masked_rows(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask, size=size, blur=blur, bounded=bounded)
    streams = step_seeds(seeds, steps)

    def slope(masks: Tensor, step: int) -> Tensor:
        return removal_slope(rows, masks, streams[step], noise=noise) + _penalty_slope(rows, masks, l1=l1, tv=tv, power=power)

    found = adam(slope, rows.start(), steps=steps, lr=lr, bounds=(0.0, 1.0), progress=progress)
    return removed_scores(rows, found)


def removal_slope(
    rows: MaskedRows,
    masks: Tensor,  # (batch, *cells)
    seeds: Tensor,  # (batch,) int64
    *,
    noise: float,
) -> Tensor:  # (batch, *cells)
    """The slope of the score of what a mask leaves, with noise on it."""
    everyone = torch.arange(len(rows), device=masks.device)
    grain = rows.noise(seeds, everyone, samples=1, amount=noise)

    def show(leaf: Tensor, index: Tensor, part: slice, _: slice) -> Tensor:
        kept = rows.cells.rows(index).weights(leaf)
        shown = torch.lerp(rows.absent[index], rows.inputs[index], kept.expand_as(rows.inputs[index])).unsqueeze(1)
        return shown if grain is None else shown + grain[part]

    return weighted_answers(rows, masks, everyone, show, masks.new_ones(1), slopes=True)[1]


def removed_scores(
    rows: MaskedRows,
    masks: Tensor,  # (batch, *cells)
) -> Tensor:  # (batch, *features)
    """What a mask removes, at the entries; 0 in rows where there is nothing to explain."""
    return rows.cells.scores(1 - masks) * rows.explained.view(-1, *(1,) * (rows.inputs.dim() - 1))


def _penalty_slope(rows: MaskedRows, masks: Tensor, *, l1: float, tv: float, power: float) -> Tensor:
    """The slope of the size and the variation of the masks."""
    with torch.enable_grad():
        leaf = masks.detach().requires_grad_()
        penalty = l1 * rows.cells.removed(leaf) + tv * rows.cells.variation(leaf, power=power)
        (slope,) = torch.autograd.grad(penalty.sum(), leaf)
    return slope
