"""The ball around a row in which a network, or a pathway of it, is one linear function: a claim about pathways made a number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from attrlab.games.game import Model
from attrlab.methods.neurons import Neurons, gated
from attrlab.methods.operations import AFFINE, KINKS, PRODUCTS, Watch, require_rows_alone, unknown_call


@dataclass(frozen=True, kw_only=True)
class Linear:
    """The network along a pathway around each row: f(x + d) = value + slope · d for all |d| < radius."""

    value: Tensor  # (batch,)
    slope: Tensor  # (batch, *features)
    radius: Tensor  # (batch,), infinite where no kept neuron has a kink


def linear_ball(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,)
    gates: Sequence[Tensor],  # of each layer, (batch, *units)
) -> Linear:
    """The largest ball around each row in which the network along a pathway is linear, with what it is there.

    A region of linearity is cut out by the zeros of pre-activations, which are linear in it; so the ball's radius is the least
    |z| / |∂z/∂x| over kept neurons, exactly. One backward pass for each neuron.

    Raises:
        NotApplicable: if a call is not known to be piecewise linear.

    Reference:
        Khakzar et al. (2021), as `pathway_gradient`, proposition 3: with dead neurons removed, a pathway is locally linear.
    """
    require_rows_alone(model)
    edges: list[Tensor] = []
    kept: list[Tensor | None] = []

    def see(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], _: Any) -> None:
        if name in KINKS:
            for z in KINKS[name](*args, **{key: value for key, value in kwargs.items() if key != "inplace"}):
                edges.append(z)
                kept.append(gates[len(seen.held)] if name in ("relu", "relu_") and len(seen.held) < len(gates) else None)
        elif name not in AFFINE and (name not in PRODUCTS or sum(isinstance(v, Tensor) and v.requires_grad for v in args) > 1):
            raise unknown_call(name)

    with torch.enable_grad():
        point = inputs.detach().clone().requires_grad_()
        with Watch(see), Neurons(gated(gates)) as seen:
            outputs = model(point)
        value = outputs.gather(1, target.view(-1, 1)).squeeze(1)
        radius = torch.full_like(value, math.inf).detach()
        for z, gate in zip(edges, kept, strict=True):
            if z.requires_grad:
                radius = torch.minimum(radius, _nearest(z.flatten(1), None if gate is None else gate.flatten(1), point))
        (slope,) = torch.autograd.grad(value.sum(), point, allow_unused=True) if value.requires_grad else (None,)
    return Linear(value=value.detach(), slope=torch.zeros_like(point) if slope is None else slope, radius=radius)


def _nearest(z: Tensor, gate: Tensor | None, point: Tensor) -> Tensor:  # (batch,)
    """The distance of each row to the nearest zero of the kept pre-activations, (batch, units)."""
    found = z.new_full((len(z),), math.inf)
    for unit in range(z.shape[1]):
        (slope,) = torch.autograd.grad(z[:, unit].sum(), point, retain_graph=True, allow_unused=True)
        if slope is not None:
            size = slope.flatten(1).norm(dim=1)
            matters = size > 0 if gate is None else (size > 0) & (gate[:, unit] != 0)
            found = torch.where(matters, torch.minimum(found, z[:, unit].detach().abs() / size), found)
    return found
