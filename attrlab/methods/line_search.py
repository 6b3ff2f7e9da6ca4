"""Armijo's backtracking for many problems at once: each row has its own step, and only rows that still fail are asked again.

A batch-wide step would let one row's valley decide how far another moves. Both sides of the test are the same function, so that direction
and objective agree; what is random in it is to be held fixed while a search lasts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Evaluate = Callable[[Tensor, Tensor], Tensor]
"""evaluate(points, rows) -> (rows,): the objective at some points of some rows."""


@dataclass(frozen=True, kw_only=True)
class Armijo:
    """How far is tried first, by what a step shrinks, which decrease is asked for, and below which step a row gives up."""

    start: float
    factor: float = 0.2
    decrease: float = 1e-4
    floor: float = 1e-5


def backtrack(
    evaluate: Evaluate,
    point: Tensor,  # (rows, *parameters), in [0, 1]
    value: Tensor,  # (rows,)
    slope: Tensor,  # (rows, *parameters)
    *,
    armijo: Armijo,
) -> tuple[Tensor, Tensor, Tensor]:  # point, value, and (rows,) bool, which rows moved
    """Move each row against its slope, inside of [0, 1], by the largest step that lowers its objective enough.

    Accepted is J(m') <= J(m) - c <slope, m - m'>, where m' is the projected point; a row that accepts none stays.

    Reference:
        Armijo (1966); for projected steps, Bertsekas (1976), "On the Goldstein-Levitin-Polyak gradient projection method", equation 12.
    """
    point, value = point.clone(), value.clone()
    moved = torch.zeros(len(point), dtype=torch.bool, device=point.device)
    active = (slope.flatten(1) != 0).any(1).nonzero().squeeze(1)
    step = armijo.start
    while len(active) and step >= armijo.floor:
        tried = (point[active] - step * slope[active]).clamp(0, 1)
        found = evaluate(tried, active)
        gain = ((point[active] - tried) * slope[active]).flatten(1).sum(1)
        good = (found <= value[active] - armijo.decrease * gain) & (gain > 0)
        done = active[good]
        point[done], value[done], moved[done] = tried[good], found[good], True
        active, step = active[~good], step * armijo.factor
    return point, value, moved
