"""A bottleneck of information at a layer: each unit is mixed with noise of its own distribution, and what still passes is counted in bits.

With λ the share of a unit that passes, z = λ R + (1 - λ) ε, ε ~ N(μ, σ²) with the unit's mean and deviation over reference rows. By the
standardised value r = (R - μ)/σ, at most

    KL = ½ ((λ r)² + (1 - λ)² - 1) - log(1 - λ)   nats

of R pass through it: that is the divergence of z from the noise alone. The logarithm is taken of the share of noise itself, which a
float can hold where 1 - λ cannot. Positions that are padding have no units: they get no noise, pass no information and are not counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from attrlab.errors import InvalidInput
from attrlab.games.evaluate import even_chunk, fitting
from attrlab.games.footprint import Footprint
from attrlab.games.imputers_images import blurred
from attrlab.games.policy import Policy
from attrlab.methods.descent import Progress, adam
from attrlab.methods.masked_rows import require_number, step_seeds
from attrlab.methods.row_noise import unit_normal
from attrlab.methods.sampled_gradients import KEPT_LAYERS, require_count
from attrlab.methods.seams import Seam

Loss = Callable[[Tensor, Tensor], Tensor]
"""loss(outputs, rows) -> (answers,): what is minimised, from (answers, outputs) and the row of each answer."""


@dataclass(frozen=True, kw_only=True)
class Narrowing:
    """How a bottleneck is narrowed: the weight of information, steps of Adam and their size, noisy copies, and the logit of λ at first."""

    beta: float = 10.0
    steps: int = 10
    lr: float = 1.0
    copies: int = 10
    start: float = 5.0

    def __post_init__(self) -> None:
        require_count("steps", self.steps, what="the number of steps of Adam")
        require_count("copies", self.copies, what="noisy copies of a row in each step")
        require_number("beta", self.beta, what="the weight of information")
        require_number("lr", self.lr, what="the step size of Adam", beyond=True)


@dataclass(frozen=True, kw_only=True)
class Bottleneck:
    """Noise at one seam for some rows.

    Attributes:
        seam: where.
        inputs: the explained rows.
        values: R, what the layer holds for them.
        mean: μ of each unit over the reference rows.
        deviation: σ of each unit, at least a given one.
        open: units that are left alone, because they are hardly ever active, or stand at padding.
        units: how many units a row has, those at padding not counted.
        smoothing: standard deviation, in cells, by which an image's λ is smoothed; 0 for none.
        limit: how many rows the network is given at a time.
    """

    seam: Seam
    inputs: Tensor  # (batch, *features)
    values: Tensor  # (batch, channels, *positions)
    mean: Tensor  # (channels, *positions)
    deviation: Tensor  # (channels, *positions)
    open: Tensor  # (batch, channels, *positions) bool
    units: Tensor  # (batch,), in the dtype of values
    smoothing: float
    limit: int

    def shares(
        self,
        logits: Tensor,  # (batch, channels, *positions)
    ) -> tuple[Tensor, Tensor]:  # λ and log(1 - λ), like logits
        """What passes of each unit, and the logarithm of what does not."""
        if self.smoothing == 0 or logits.dim() != 4:
            return logits.sigmoid(), functional.logsigmoid(-logits)
        kernel = 2 * max(1, round(2 * self.smoothing)) + 1
        noise = blurred((-logits).sigmoid(), sigma=self.smoothing, kernel=kernel)
        return 1 - noise, noise.clamp(min=torch.finfo(noise.dtype).tiny).log()

    def information(
        self,
        logits: Tensor,  # (batch, channels, *positions)
    ) -> Tensor:  # like logits
        """The nats that pass through each unit, at most."""
        share, log_noise = self.shares(logits)
        passed = share * (self.values - self.mean) / self.deviation
        nats = (passed.square() + (2 * log_noise).exp() - 1) / 2 - log_noise
        return nats.masked_fill(self.open, 0)

    def mean_information(
        self,
        logits: Tensor,  # (batch, channels, *positions)
    ) -> Tensor:  # (batch,)
        """The nats that pass through a unit of a row on average, at most."""
        return self.information(logits).flatten(1).sum(1) / self.units

    def noisy(
        self,
        share: Tensor,  # (rows, channels, *positions)
        grain: Tensor,  # (rows, copies, channels, *positions), standard normal
        part: slice,
    ) -> Tensor:  # (rows, copies, channels, *positions)
        """z, for copies of some rows."""
        values = self.values[part].unsqueeze(1)
        share = share.unsqueeze(1)
        return torch.where(self.open[part].unsqueeze(1), values, share * values + (1 - share) * (self.mean + self.deviation * grain))


def bottleneck_at(
    seam: Seam,
    inputs: Tensor,  # (batch, *features)
    reference: Tensor,  # (rows, *features)
    *,
    feature_mask: Tensor | None = None,  # (batch, *features) int64, -1 for none
    smoothing: float = 1.0,
    least_deviation: float = 0.01,
    rare: float = 0.0,
) -> Bottleneck:
    """Put a bottleneck at a seam, with the statistics of reference rows; padding is told by `feature_mask`, or by zeros alone.

    Raises:
        InvalidInput: if reference rows are fewer than two or of another shape, or a number is out of range.
    """
    if reference.shape[1:] != inputs.shape[1:] or len(reference) < 2:
        raise InvalidInput(
            f"reference data are at least two rows shaped like the inputs, {tuple(inputs.shape[1:])} (got {tuple(reference.shape)})"
        )
    require_number("smoothing", smoothing, what="a standard deviation in cells")
    require_number("least_deviation", least_deviation, what="the least deviation of a unit")
    require_number("rare", rare, what="a share of the reference rows", most=1)
    inputs = inputs.detach()
    with torch.no_grad(), Footprint(max(1, len(inputs))) as footprint:
        values = seam.read(inputs)
    target_bytes = Policy.of(inputs).bytes() // (KEPT_LAYERS if inputs.is_cuda else 1)
    limit = fitting(target_bytes, footprint, on_cuda=inputs.is_cuda)
    known = torch.cat([seam.read(rows) for rows in torch.split(reference.to(inputs), even_chunk(len(reference), limit))])
    padding = padding_of(inputs, feature_mask, values)
    return Bottleneck(
        seam=seam,
        inputs=inputs,
        values=values,
        mean=known.mean(0),
        deviation=known.std(0).clamp(min=max(least_deviation, torch.finfo(values.dtype).tiny)),
        open=((known != 0).to(values.dtype).mean(0) < rare) | padding,
        units=(~padding).expand_as(values).flatten(1).sum(1).clamp(min=1).to(values.dtype),
        smoothing=smoothing,
        limit=limit,
    )


def padding_of(
    inputs: Tensor,  # (batch, *features)
    feature_mask: Tensor | None,  # (batch, *features) int64, -1 for none
    values: Tensor,  # (batch, channels, *positions)
) -> Tensor:  # (batch, 1, *positions) bool
    """Positions of a layer where a row (positions, columns) is 0 throughout and belongs to no player."""
    if inputs.dim() != 3 or values.shape[2:] != inputs.shape[1:2]:
        return values.new_zeros(len(values), *(1,) * (values.dim() - 1), dtype=torch.bool)
    empty = inputs == 0 if feature_mask is None else (inputs == 0) & (feature_mask < 0)
    return empty.all(2).unsqueeze(1)


def narrowed(
    bottleneck: Bottleneck,
    loss: Loss,
    seeds: Tensor,  # (batch,) int64
    *,
    how: Narrowing,
    inverted: bool = False,
    progress: Progress | None = None,
) -> Tensor:  # (batch, channels, *positions), the logits of λ
    """Minimise the mean loss over noisy copies plus beta times the mean information over units, each row for itself.

    With `inverted`, λ is the share of a unit that noise replaces.
    """
    streams = step_seeds(seeds, how.steps)

    def slope(logits: Tensor, step: int) -> Tensor:
        with torch.enable_grad():
            leaf = logits.detach().requires_grad_()
            total = torch.zeros_like(logits)
            (penalty,) = torch.autograd.grad(how.beta * bottleneck.mean_information(leaf).sum(), leaf)
        for part in _parts(len(logits), max(1, bottleneck.limit // how.copies)):
            grain = unit_normal(streams[step][part], tuple(logits.shape[1:]), samples=how.copies, dtype=logits.dtype)
            total[part] = _answer_slope(bottleneck, loss, logits, grain, part, inverted=inverted)
        return total + penalty

    return adam(slope, torch.full_like(bottleneck.values, how.start), steps=how.steps, lr=how.lr, progress=progress)


def _answer_slope(bottleneck: Bottleneck, loss: Loss, logits: Tensor, grain: Tensor, part: slice, *, inverted: bool) -> Tensor:
    """The slope of the mean loss over noisy copies of some rows."""
    copies = grain.shape[1]
    with torch.enable_grad():
        leaf = logits[part].detach().requires_grad_()
        share, _ = bottleneck.shares(leaf)
        mixed = bottleneck.noisy(1 - share if inverted else share, grain, part)
        rows = torch.arange(len(logits), device=logits.device)[part].repeat_interleave(copies)
        outputs = bottleneck.seam.replaced(bottleneck.inputs[rows], mixed.flatten(0, 1))
        value = loss(outputs, rows).sum() / copies
        (slope,) = torch.autograd.grad(value, leaf, allow_unused=True) if value.requires_grad else (None,)
    return torch.zeros_like(leaf) if slope is None else slope


def _parts(rows: int, size: int) -> list[slice]:
    return [slice(r, min(r + size, rows)) for r in range(0, rows, size)]
