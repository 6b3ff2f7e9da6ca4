"""A row of which a mask leaves a part and replaces the rest, and how much of its output is left: what every optimised mask asks.

The objective of a mask needs an output of known size, or its weights against the size of the mask mean nothing. Relative to what the
replacement of everything does,

    s(x̃) = (f(x̃) - f(b)) / (f(x) - f(b)),

is 1 for the row and 0 for its replacement b, and does not change with the unit of the output; a softmax or a sigmoid can be asked for
instead. Where f(x) ≈ f(b) there is nothing to explain, and that is said rather than returned as a mask. Work is cut into chunks by the
bytes that the network moves per row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Literal

import torch
from torch import Tensor

from attrlab.errors import InvalidInput
from attrlab.games.evaluate import even_chunk, fitting
from attrlab.games.footprint import Footprint
from attrlab.games.game import Model
from attrlab.games.imputers_images import blurred
from attrlab.games.policy import Policy
from attrlab.methods.mask_cells import Cells, cells_of
from attrlab.methods.operations import outputs_at, require_rows_alone
from attrlab.methods.row_noise import entry_normal
from attrlab.methods.sampled_gradients import KEPT_LAYERS
from attrlab.methods.smoothing import row_range, sample_seeds

Bounded = Literal["relative", "softmax", "sigmoid"]

NOTHING = 1e-6
"""Below this share of the outputs themselves, the difference between a row and its replacement is nothing to explain."""


@dataclass(frozen=True, kw_only=True)
class MaskedRows:
    """Rows, what replaces them, and the score that is asked of every mixture of the two.

    Attributes:
        model: maps rows to (rows, outputs).
        inputs: the explained rows.
        absent: what replaces them, equal to the rows where entries belong to no player.
        target: the explained output.
        cells: of the masks.
        floor: f(b) of each row.
        span: f(x) - f(b), or 1 where that is nothing to explain.
        explained: whether there is something to explain.
        bounded: which score.
        limit: how many rows the network is given at a time.
        sigma: the unit of noise, the range of the row's values; 0 at entries of no player.
    """

    model: Model
    inputs: Tensor  # (batch, *features)
    absent: Tensor  # (batch, *features)
    target: Tensor  # (batch,) int64
    cells: Cells
    floor: Tensor  # (batch,)
    span: Tensor  # (batch,)
    explained: Tensor  # (batch,) bool
    bounded: Bounded
    limit: int
    sigma: Tensor  # (batch, *features)

    def __len__(self) -> int:
        return len(self.inputs)

    def start(self, value: float = 1.0) -> Tensor:
        """Masks of one value, (batch, *cells)."""
        return self.inputs.new_full((len(self), *self.cells.shape), value)

    def noise(
        self,
        seeds: Tensor,  # (rows,) int64
        index: Tensor,  # (rows,) int64
        *,
        samples: int,
        amount: float,
    ) -> Tensor | None:  # (rows, samples, *features)
        """Normal noise of some rows, of standard deviation `amount` times the row's range; None if there is none."""
        if amount == 0:
            return None
        drawn = entry_normal(seeds, self.cells.owner[index] >= 0, samples=samples, dtype=self.inputs.dtype)
        return drawn * (amount * self.sigma[index]).unsqueeze(1)

    def answers(
        self,
        shown: Tensor,  # (rows, samples, *features)
        index: Tensor,  # (rows,) int64
    ) -> Tensor:  # (rows, samples)
        """The score of what is shown instead of some rows."""
        samples = shown.shape[1]
        values = _bounded(self.model, shown.flatten(0, 1), self.target[index].repeat_interleave(samples), self.bounded)
        values = values.view(len(index), samples)
        if self.bounded != "relative":
            return values
        return (values - self.floor[index].unsqueeze(1)) / self.span[index].unsqueeze(1)


Show = Callable[[Tensor, Tensor, slice, slice], Tensor]
"""show(masks, index, rows, samples): what is shown for some masks of the rows in `index`, of which `rows` is where they stand among all."""


def masked_rows(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    size: int,
    blur: float | None = None,
    bounded: Bounded = "relative",
) -> MaskedRows:
    """Lay out what masks of the rows can do; the baseline stands for what is replaced, or the image blurred by `blur` pixels.

    Raises:
        InvalidInput: if size, blur or bounded are out of range.
        NotApplicable: if the network does not treat each row alone, or rows that are no images are to be blurred.
    """
    _require(size, blur, bounded)
    require_rows_alone(model)
    inputs, owned = inputs.detach(), feature_mask >= 0
    absent = baseline.detach() if blur is None else blurred(inputs, sigma=blur, kernel=2 * max(1, round(3 * blur)) + 1)
    absent = torch.where(owned, absent, inputs)
    with torch.no_grad(), Footprint(max(1, len(inputs))) as footprint:
        above = _bounded(model, inputs, target, bounded)
    with torch.no_grad():
        floor = _bounded(model, absent, target, bounded)
    scale = torch.maximum(above.abs(), floor.abs()).clamp(min=torch.finfo(inputs.dtype).tiny)
    explained = (above - floor).abs() > NOTHING * scale
    target_bytes = Policy.of(inputs).bytes() // (KEPT_LAYERS if inputs.is_cuda else 1)
    return MaskedRows(
        model=model,
        inputs=inputs,
        absent=absent,
        target=target,
        cells=cells_of(inputs, absent, feature_mask, size=size),
        floor=floor,
        span=torch.where(explained, above - floor, 1),
        explained=explained,
        bounded=bounded,
        limit=fitting(target_bytes, footprint, on_cuda=inputs.is_cuda),
        sigma=row_range(inputs, absent, feature_mask).view(-1, *(1,) * (inputs.dim() - 1)) * owned,
    )


def weighted_answers(
    rows: MaskedRows,
    masks: Tensor,  # (chosen, *anything): the parameters of each row
    index: Tensor,  # (chosen,) int64: which rows
    show: Show,
    weights: Tensor,  # (samples,)
    *,
    slopes: bool,
) -> tuple[Tensor, Tensor]:  # (chosen,) and like masks
    """Σ_k weight_k · s(what sample k shows) for each row, and its slope in the row's masks; zeros if no slope is asked for."""
    values, slope = rows.inputs.new_zeros(len(index)), torch.zeros_like(masks)
    for part, samples in _chunks(len(index), len(weights), rows.limit):
        with torch.set_grad_enabled(slopes):
            leaf = masks[part].detach().requires_grad_(slopes)
            found = rows.answers(show(leaf, index[part], part, samples), index[part]) @ weights[samples]
        values[part] += found.detach()
        if slopes and found.requires_grad:
            (moved,) = torch.autograd.grad(found, leaf, torch.ones_like(found), allow_unused=True)
            slope[part] += 0 if moved is None else moved
    return values, slope


def step_seeds(
    seeds: Tensor,  # (batch,) int64
    steps: int,
) -> Tensor:  # (steps, batch) int64
    """A seed for each step of each row; those of the first steps do not depend on how many follow."""
    return sample_seeds(seeds, steps).T.contiguous()


def require_number(name: str, value: float, *, what: str, least: float = 0.0, most: float = float("inf"), beyond: bool = False) -> None:
    """Refuse a hyperparameter that is not a finite number in [least, most], or, with `beyond`, in (least, most].

    Raises:
        InvalidInput: saying what the number is.
    """
    if not (isfinite(value) and least <= value <= most) or (beyond and value == least):
        above = f"more than {least:g}" if beyond else f"at least {least:g}"
        raise InvalidInput(f"{name} is {what}, {above}{f' and at most {most:g}' if isfinite(most) else ''} (got {value!r})")


def _bounded(model: Model, shown: Tensor, target: Tensor, bounded: Bounded) -> Tensor:
    if bounded == "relative":
        return outputs_at(model, shown, target)
    if bounded == "sigmoid":
        return outputs_at(model, shown, target).sigmoid()
    return outputs_at(lambda x: model(x).softmax(1), shown, target)


def _chunks(rows: int, samples: int, limit: int) -> list[tuple[slice, slice]]:
    """Whole rows with all their samples where they fit, or else parts of the samples of one row."""
    if limit < samples:
        size = even_chunk(samples, limit)
        return [(slice(r, r + 1), slice(s, min(s + size, samples))) for r in range(rows) for s in range(0, samples, size)]
    size = even_chunk(rows, limit // samples) if rows else 1
    return [(slice(r, min(r + size, rows)), slice(0, samples)) for r in range(0, rows, size)]


def _require(size: int, blur: float | None, bounded: str) -> None:
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise InvalidInput(f"size is the side of an image's mask, a whole number of at least 1 (got {size!r})")
    if blur is not None:
        require_number("blur", blur, what="a standard deviation in pixels", beyond=True)
    if bounded not in ("relative", "softmax", "sigmoid"):
        raise InvalidInput(f"bounded is 'relative', 'softmax' or 'sigmoid' (got {bounded!r})")
