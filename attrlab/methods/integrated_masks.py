"""Masks moved along integrated gradients, which see past the plateau where a mask of ones starts.

The mean of the score over all strengths s of a mask, s in (0, 1], is the objective; its slope in the mask is the integrated gradient. Four
objectives are the rows of one table: deletion alone (I-GOS), insertion alone, their sum for one mask (the naive sum), and two
masks, one that deletes and one that inserts, whose product has to do both (iGOS++). Everything adaptive is per row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from attrlab.errors import InvalidInput
from attrlab.games.game import Model
from attrlab.methods.descent import Progress
from attrlab.methods.line_search import Armijo, backtrack
from attrlab.methods.masked_rows import Bounded, MaskedRows, masked_rows, require_number, step_seeds, weighted_answers
from attrlab.methods.sampled_gradients import require_count

FIRST, SECOND, PRODUCT = 0, 1, 2

OBJECTIVES: Mapping[str, tuple[tuple[str, int], ...]] = {
    "deletion": (("deletion", FIRST),),
    "insertion": (("insertion", FIRST),),
    "naive": (("deletion", FIRST), ("insertion", FIRST)),
    "product": (("deletion", FIRST), ("insertion", SECOND), ("deletion", PRODUCT), ("insertion", PRODUCT)),
}
"""What each objective asks, and of which mask: the first, the second, or their product."""


@dataclass(frozen=True, kw_only=True)
class Descent:
    """How an objective is lowered.

    Attributes:
        objective: a key of `OBJECTIVES`.
        steps: T, how often the masks are moved.
        n_steps: S, strengths of a mask over which the score is averaged.
        l1: weight of the share of the row that is removed.
        tv: weight of the variation of the mask.
        power: of a difference in the variation.
        bilateral: whether half of the variation is that which lets masks jump where the image does.
        width: of such an edge, as a share of the row's range.
        noise: on what is shown, as a share of the row's range.
        armijo: of the line search.
        fixed: a step that is taken instead of searching for one, or None.
    """

    objective: str = "product"
    steps: int = 15
    n_steps: int = 20
    l1: float = 1.0
    tv: float = 20.0
    power: float = 2.0
    bilateral: bool = True
    width: float = 0.01
    noise: float = 0.05
    armijo: Armijo = field(default_factory=lambda: Armijo(start=1000.0))
    fixed: float | None = None

    def __post_init__(self) -> None:
        require_count("steps", self.steps, what="how often the masks are moved")
        require_count("n_steps", self.n_steps, what="the number of strengths of a mask")
        for name in ("l1", "tv", "noise"):
            require_number(name, getattr(self, name), what="a weight" if name != "noise" else "a share of the row's range")
        require_number("power", self.power, what="the power of a difference", least=1)
        require_number("step", self.armijo.start, what="the first step that is tried", beyond=True)
        if self.objective not in OBJECTIVES:
            raise InvalidInput(f"objective is one of {', '.join(OBJECTIVES)} (got {self.objective!r})")


@dataclass(frozen=True, kw_only=True)
class Masks:
    """The masks that were found; 1 leaves a cell and 0 replaces it.

    Attributes:
        deletion: the mask that makes the output go, (batch, *cells): a grid (height, width), or players.
        insertion: the mask whose complement brings it back; the same where there is one mask.
        product: deletion x insertion, which attributes: 1 - product.
        explained: rows in which there was something to explain, f(x) not ≈ f(b); the masks of the others are ones.
        objective: of the masks, without noise; 0 in rows that are not explained.
        scores: 1 - product at the entries of the inputs.
    """

    deletion: Tensor  # (batch, *cells)
    insertion: Tensor  # (batch, *cells)
    product: Tensor  # (batch, *cells)
    explained: Tensor  # (batch,) bool
    objective: Tensor  # (batch,)
    scores: Tensor  # (batch, *features)


def integrated_masks(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    descent: Descent | None = None,
    size: int = 28,
    blur: float | None = None,
    bounded: Bounded = "relative",
    progress: Progress | None = None,
) -> Masks:
    """Find the masks of each row: both masks of iGOS++ and their product, or the one of another objective.

    Args:
        model: maps (rows, *features) to (rows, outputs).
        inputs: the explained rows.
        target: which output of each row.
        baseline: what stands where something is removed.
        feature_mask: the player of each entry.
        seeds: the noise stream of each row; a step draws once, and its line search keeps what was drawn.
        descent: the objective and how it is lowered; iGOS++ with the paper's hyperparameters by default.
        size: of an image's masks, at most this many cells along a side.
        blur: of the image that replaces the removed part, in pixels; None for the baseline.
        bounded: the score, as in `igos_plus_plus`.
        progress: called as progress(steps done, steps in all).

    Raises:
        InvalidInput, NotApplicable: as `igos_plus_plus`.

    Example:
        >>> x = torch.ones(1, 3)
        >>> found = integrated_masks(lambda x: x[:, :1], x, target=torch.tensor([0]), baseline=torch.zeros(1, 3),
        ...     feature_mask=torch.tensor([[0, 1, 2]]), seeds=torch.tensor([0]))
        >>> bool((found.product == found.deletion * found.insertion).all()), found.explained
        (True, tensor([True]))
    """
    descent = descent or Descent()
    rows = masked_rows(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask, size=size, blur=blur, bounded=bounded)
    return _found(rows, _descend(rows, step_seeds(seeds, descent.steps), descent, progress), descent)


def objective_at(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    masks: Tensor,  # (batch, *cells)
    descent: Descent,
    size: int = 28,
    blur: float | None = None,
    bounded: Bounded = "relative",
) -> Tensor:  # (batch,)
    """What an objective is worth where each of its masks is the one given, with the noise of a first step; as `integrated_masks`."""
    rows = masked_rows(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask, size=size, blur=blur, bounded=bounded)
    everyone = torch.arange(len(rows), device=masks.device)
    grain = rows.noise(step_seeds(seeds, 1)[0], everyone, samples=descent.n_steps, amount=descent.noise)
    both = torch.stack([masks] * (2 if descent.objective == "product" else 1), 1)
    return _objective(rows, both, everyone, grain, descent, slopes=False)[0]


def _descend(rows: MaskedRows, streams: Tensor, descent: Descent, progress: Progress | None) -> Tensor:  # (batch, masks, *cells)
    """Move all masks T times; a row stops for good where no step is accepted and nothing new will be drawn."""
    masks = rows.start().unsqueeze(1).repeat(1, 2 if descent.objective == "product" else 1, *(1,) * len(rows.cells.shape))
    active = rows.explained.nonzero().squeeze(1)
    for number in range(descent.steps):
        if len(active):
            grain = rows.noise(streams[number][active], active, samples=descent.n_steps, amount=descent.noise)
            masks[active], moved = _moved(rows, masks[active], active, grain, descent)
            active = active if descent.noise else active[moved]
        if progress is not None:
            progress(number + 1, descent.steps)
    return masks


def _moved(rows: MaskedRows, masks: Tensor, index: Tensor, grain: Tensor | None, descent: Descent) -> tuple[Tensor, Tensor]:
    """One step of some rows, and which of them moved."""
    value, slope = _objective(rows, masks, index, grain, descent, slopes=True)
    if descent.fixed is not None:
        return (masks - descent.fixed * slope).clamp(0, 1), (slope.flatten(1) != 0).any(1)

    def evaluate(points: Tensor, chosen: Tensor) -> Tensor:
        return _objective(rows, points, index[chosen], None if grain is None else grain[chosen], descent, slopes=False)[0]

    point, _, moved = backtrack(evaluate, masks, value, slope, armijo=descent.armijo)
    return point, moved


def _objective(
    rows: MaskedRows, masks: Tensor, index: Tensor, grain: Tensor | None, descent: Descent, *, slopes: bool
) -> tuple[Tensor, Tensor]:  # (chosen,) and like masks
    """The objective of some rows and its slope: scores over all terms and strengths, and the penalty of the product."""
    terms = OBJECTIVES[descent.objective]
    sign = [1.0 if kind == "deletion" else -1.0 for kind, _ in terms]
    weights = masks.new_tensor(sign).repeat_interleave(descent.n_steps) / descent.n_steps

    def show(leaf: Tensor, chosen: Tensor, part: slice, samples: slice) -> Tensor:
        return _shown(rows, leaf, chosen, None if grain is None else grain[part], samples, descent)

    value, slope = weighted_answers(rows, masks, index, show, weights, slopes=slopes)
    with torch.set_grad_enabled(slopes):
        leaf = masks.detach().requires_grad_(slopes)
        penalty = _penalty(rows, leaf.prod(1) if leaf.shape[1] > 1 else leaf[:, 0], index, descent)
        if slopes:
            slope = slope + torch.autograd.grad(penalty.sum(), leaf)[0]
    return value + penalty.detach(), slope


def _shown(rows: MaskedRows, leaf: Tensor, chosen: Tensor, grain: Tensor | None, samples: slice, descent: Descent) -> Tensor:
    """Samples of some rows: term after term, each at S strengths."""
    cells, inputs, absent = rows.cells.rows(chosen), rows.inputs[chosen].unsqueeze(1), rows.absent[chosen].unsqueeze(1)
    first, last = samples.start // descent.n_steps, (samples.stop - 1) // descent.n_steps
    strength = torch.arange(1, descent.n_steps + 1, dtype=leaf.dtype, device=leaf.device) / descent.n_steps
    strength = strength.view(1, -1, *(1,) * (inputs.dim() - 2))
    parts = []
    for kind, which in OBJECTIVES[descent.objective][first : last + 1]:
        weight = strength * cells.weights(leaf.prod(1) if which == PRODUCT else leaf[:, which]).unsqueeze(1)
        start, end = (absent, inputs) if kind == "deletion" else (inputs, absent)
        shown = start + weight * (end - start)
        parts.append(shown if grain is None else shown + grain)
    cut = samples.start - first * descent.n_steps
    return torch.cat(parts, 1)[:, cut : cut + samples.stop - samples.start]


def _penalty(rows: MaskedRows, mask: Tensor, index: Tensor, descent: Descent) -> Tensor:  # (chosen,)
    """Size and variation of the mask that attributes."""
    cells = rows.cells.rows(index)
    variation = cells.variation(mask, power=descent.power)
    if descent.bilateral:
        variation = (variation + cells.bilateral(mask, power=descent.power, width=descent.width)) / 2
    return descent.l1 * cells.removed(mask) + descent.tv * variation


def _found(rows: MaskedRows, masks: Tensor, descent: Descent) -> Masks:
    """The masks with what they reach; the objective is asked without noise."""
    everyone = torch.arange(len(rows), device=masks.device)
    value, _ = _objective(rows, masks, everyone, None, descent, slopes=False)
    product = masks.prod(1)
    shape = (-1, *(1,) * (rows.inputs.dim() - 1))
    return Masks(
        deletion=masks[:, FIRST],
        insertion=masks[:, -1],
        product=product,
        explained=rows.explained,
        objective=torch.where(rows.explained, value, 0),
        scores=rows.cells.scores(1 - product) * rows.explained.view(shape),
    )
