"""What a network of one hidden layer computes is decided by algebra: every kink lies on a plane, and each plane has one jump.

Since relu(-z) = relu(z) - z, every unit is a multiple of relu(z_p) of its plane p, with a sign of the plane's own, and a linear rest. The
relu of distinct planes and the affine functions are linearly independent, so the jumps and the rest are a normal form: two networks
compute the same if and only if theirs are equal. Where a gradient may fall is asked of all sides of its planes that meet somewhere.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

LEVELS = (-1, 0, 1)
"""What weights and biases may be."""

UNITS = 3
"""Hidden units up to which the sides of planes are enumerated."""


@dataclass(frozen=True, kw_only=True)
class NormalForm:
    """Σ_p jump_p relu(z_p) + rest·(x, 1), one row for each network."""

    jumps: Tensor  # (networks, planes)
    rest: Tensor  # (networks, inputs + 1)


@cache
def planes(inputs: int) -> Tensor:  # (planes, inputs + 1)
    """Every z = w·x + b with w and b in {-1, 0, 1} and w not 0, of z and -z the one whose first weight is positive."""
    found = [(*w, b) for w in itertools.product(LEVELS, repeat=inputs) if w > (0,) * inputs for b in LEVELS]
    return torch.tensor(found, dtype=torch.float64)


def normal_form(
    units: Tensor,  # (networks, units, inputs + 1): weights and bias of each unit, the weights not all 0
    outward: Tensor,  # (networks, units): with which weight the output reads it
    rest: Tensor,  # (networks, inputs + 1): what is affine
) -> NormalForm:
    """The normal form of Σ_j outward_j relu(units_j·(x, 1)) + rest·(x, 1)."""
    place, sign = plane_of(units)
    jumps = torch.zeros(len(units), len(planes(units.shape[2] - 1)), dtype=torch.float64).scatter_add_(1, place, outward)
    mirrored = torch.where(sign < 0, outward, 0)
    return NormalForm(jumps=jumps, rest=rest + torch.einsum("kj,kji->ki", mirrored, units))  # relu(-z) = relu(z) - z


def plane_of(units: Tensor) -> tuple[Tensor, Tensor]:
    """The plane of each unit, (..., units) int64, and on which of its sides the unit is active: 1 or -1."""
    inputs = units.shape[-1] - 1
    powers = 3.0 ** torch.arange(inputs, -1, -1, dtype=torch.float64)
    sign = torch.where(
        (units[..., :-1] * powers[1:]).sum(-1) > 0, 1.0, -1.0
    )  # the sign of a balanced ternary number is that of its first digit
    known = planes(inputs) @ powers
    order = known.argsort()
    return order[torch.searchsorted(known[order], (units * sign.unsqueeze(-1)) @ powers)], sign


def nowhere_falls(
    units: Tensor,  # (networks, units, inputs + 1)
    outward: Tensor,  # (networks, units)
    rest: Tensor,  # (networks, inputs + 1)
) -> Tensor:  # (networks, inputs) bool
    """In which inputs Σ_j outward_j relu(units_j·(x, 1)) + rest·(x, 1) never falls: in no cell between its planes.

    Raises:
        ValueError: if there are more units than sides of planes are enumerated for.
    """
    networks, count, width = units.shape
    if count > UNITS:
        raise ValueError(f"the sides of up to {UNITS} planes are enumerated (got {count} units)")
    falls = torch.zeros(networks, width - 1, dtype=torch.bool)
    place, sign = plane_of(units) if count else (torch.zeros(networks, 1, dtype=torch.int64), torch.ones(networks, 1))
    triple = torch.cat([place, place[:, -1:].expand(-1, UNITS - place.shape[1])], 1)
    meets = sides_that_meet(width - 1)[triple[:, 0], triple[:, 1], triple[:, 2]]
    for pattern, side in enumerate(itertools.product((-1.0, 1.0), repeat=UNITS)):
        active = torch.tensor(side[:count], dtype=torch.float64) == sign[:, :count]
        slope = rest[:, :-1] + torch.einsum("kj,kji->ki", torch.where(active, outward, 0), units[..., :-1])
        falls |= meets[:, pattern].unsqueeze(1) & (slope < 0)
    return ~falls


@cache
def sides_that_meet(inputs: int) -> Tensor:  # (planes, planes, planes, 8) bool
    """Whether there is a point on these sides of three planes, a side being - or + of each, the last changing fastest.

    By Motzkin's theorem there is none if and only if some λ with λ_k s_k ≥ 0, not all 0, has Σ λ_k w_k = 0 and Σ λ_k b_k ≤ 0; of minimal
    support it is given by minors of two rows in {-1, 0, 1}, which are at most 2.
    """
    known = planes(inputs)
    count = len(known)
    multipliers = torch.tensor([m for m in itertools.product(range(-2, 3), repeat=UNITS) if any(m)], dtype=torch.float64)
    signs = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=UNITS)), dtype=torch.float64)
    agree = (multipliers.unsqueeze(1) * signs >= 0).all(2)  # (multipliers, 8)
    found = torch.empty(count, count, count, 2**UNITS, dtype=torch.bool)
    for one in range(count):
        three = torch.stack([known[one].expand(count, count, -1), known.unsqueeze(1).expand(-1, count, -1), known.expand(count, -1, -1)], 2)
        sums = torch.einsum("mk,pqki->pqmi", multipliers, three)
        empty = (sums[..., :-1] == 0).all(3) & (sums[..., -1] <= 0)  # (planes, planes, multipliers)
        found[one] = (empty.double() @ agree.double()) == 0
    return found
