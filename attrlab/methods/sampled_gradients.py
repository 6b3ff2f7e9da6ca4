"""Gradients at many points of every row: what path and smoothing methods ask of a network, answered in chunks that fit the cache.

A method says where the points of a row lie and how they are weighted; here they are laid flat, rows times points, and sent through the
network forwards and backwards. A chunk's size follows from the bytes that the largest layer moves per point, which the first, small
chunk shows. A weight of quadrature enters as the seed of the backward pass, so it costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext

import torch
from torch import Tensor

from attrlab.errors import InvalidInput
from attrlab.games.evaluate import FIRST, even_chunk, fitting
from attrlab.games.footprint import Footprint
from attrlab.games.game import Model
from attrlab.games.policy import Policy, applied
from attrlab.games.rows import is_channels_last
from attrlab.methods.operations import outputs_at

Points = Callable[[slice, slice], Tensor]
"""points(rows, samples) -> (rows, samples, *features): where the samples of some rows lie."""

KEPT_LAYERS = 8
"""On CUDA memory is the bound, not the cache, and a backward pass keeps all layers of the forward pass, of which the footprint is one."""


def gradients_at(
    model: Model,
    inputs: Tensor,  # (batch, *features), for shape, type and device
    points: Points,
    *,
    samples: int,
    target: Tensor,  # (batch,) int64
    weights: Tensor | None = None,  # (samples,)
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yield (rows, samples, slopes), where slopes (rows, samples, *features) are weight · ∂f_target at the points; every pair once."""
    policy = Policy.of(inputs)
    last, row, sample, limit = is_channels_last(inputs, policy), 0, 0, 0
    while row < len(inputs):
        rows, part = _next(row, sample, len(inputs), samples, limit or FIRST)
        there = points(rows, part).detach()
        footprint = None if limit else Footprint(there.shape[0] * there.shape[1])
        seed = None if weights is None else weights[part]
        try:
            slopes = _slopes(model, there, target[rows], seed, last, footprint, policy)
        except RuntimeError as error:
            if not (last and "view size is not compatible" in str(error)):
                raise
            last = False  # the network views its input as if channels lay outermost
            continue
        limit = limit or fitting(_bytes(policy, inputs), footprint, on_cuda=inputs.is_cuda)
        yield rows, part, slopes
        row, sample = (row, part.stop) if part.stop < samples else (rows.stop, 0)


def summed_gradients(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    points: Points,
    *,
    weights: Tensor,  # (samples,)
    target: Tensor,  # (batch,) int64
) -> Tensor:  # (batch, *features)
    """Σ_s weight_s · ∂f_target(point_s) for every row."""
    total = torch.zeros_like(inputs)
    for rows, _, slopes in gradients_at(model, inputs, points, samples=len(weights), target=target, weights=weights):
        total[rows] += slopes.sum(1)
    return total


def require_count(name: str, value: object, *, what: str, least: int = 1) -> None:
    """Refuse a number of samples or steps that is not a whole number of at least `least`.

    Raises:
        InvalidInput: saying what the number is.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidInput(f"{name} is {what}, a whole number of at least {least} (got {value!r})")


def _next(row: int, sample: int, batch: int, samples: int, limit: int) -> tuple[slice, slice]:
    """The next chunk: whole rows with all their samples where they fit, or else a part of the samples of one row."""
    if sample or limit < samples:
        return slice(row, row + 1), slice(sample, sample + even_chunk(samples - sample, limit))
    return slice(row, row + even_chunk(batch - row, limit // samples)), slice(0, samples)


def _slopes(
    model: Model, points: Tensor, target: Tensor, seed: Tensor | None, last: bool, footprint: Footprint | None, policy: Policy
) -> Tensor:
    """The weighted slopes at points (rows, samples, *features), in their shape."""
    rows, samples = points.shape[:2]
    flat = points.flatten(0, 1)
    flat = flat.contiguous(memory_format=torch.channels_last) if last else flat.contiguous()
    with applied(policy), torch.enable_grad(), footprint or nullcontext():
        flat = flat.detach().requires_grad_()
        values = outputs_at(model, flat, target.repeat_interleave(samples))
        if footprint is not None:
            footprint.see(flat, values)
    if not values.requires_grad:
        return torch.zeros_like(points)
    weights = torch.ones_like(values) if seed is None else seed.to(values.dtype).repeat(rows)
    with applied(policy):
        (slope,) = torch.autograd.grad(values, flat, weights, allow_unused=True)
    return torch.zeros_like(points) if slope is None else torch.unflatten(slope, 0, (rows, samples))


def _bytes(policy: Policy, inputs: Tensor) -> int:
    return policy.bytes() // KEPT_LAYERS if inputs.is_cuda else policy.bytes()
