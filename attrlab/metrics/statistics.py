"""A mean over rows is stated with the interval in which it would move had other rows been drawn.

Rows on which a metric is not defined are left out and counted, never replaced.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from attrlab.errors import InvalidInput

LEVEL = 0.95
"""Coverage of the interval."""

BLOCK = 2**20
"""Differences that are held at a time."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A mean over rows.

    Attributes:
        mean: over the rows on which the value is defined; NaN where there is none.
        interval: 95 % percentile bootstrap of that mean; NaN where there is no row.
        rows: on how many rows the value is defined.
    """

    mean: float
    interval: tuple[float, float]
    rows: int


def mean_and_interval(
    values: Tensor,  # (rows,), NaN where not defined
    *,
    generator: torch.Generator,  # on the CPU
    draws: int = 1000,
) -> Summary:
    """The mean of the defined values and its 95 % percentile-bootstrap interval.

    Raises:
        InvalidInput: if `values` is not one-dimensional, or `draws` is not positive.

    Reference:
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.
    """
    if values.dim() != 1 or draws < 1:
        raise InvalidInput(f"values must be (rows,) and draws positive (got shape {tuple(values.shape)}, draws={draws})")
    defined = values.detach().cpu().double()
    defined = defined[~defined.isnan()]
    if len(defined) == 0:
        return Summary(mean=math.nan, interval=(math.nan, math.nan), rows=0)
    chosen = torch.randint(len(defined), (draws, len(defined)), generator=generator)
    tails = torch.tensor([(1 - LEVEL) / 2, (1 + LEVEL) / 2], dtype=torch.float64)
    low, high = defined[chosen].mean(1).quantile(tails).tolist()
    return Summary(mean=float(defined.mean()), interval=(low, high), rows=len(defined))


def means_and_intervals(
    values: Tensor,  # (series, rows), NaN where not defined
    *,
    seed: int,
    draws: int = 1000,
) -> list[Summary]:
    """`mean_and_interval` of every series, each with a generator started from `seed`: equal rows are drawn for all, so they are drawn once.

    Raises:
        InvalidInput: if `values` is not two-dimensional, or `draws` is not positive.
    """
    if values.dim() != 2 or draws < 1:
        raise InvalidInput(f"values must be (series, rows) and draws positive (got shape {tuple(values.shape)}, draws={draws})")
    known = values.detach().cpu().double()
    found: dict[int, Summary] = {}
    for mask, group in _alike(~known.isnan()):
        rows = known[group][:, mask]
        if rows.shape[1] == 0:
            found.update(dict.fromkeys(group, Summary(mean=math.nan, interval=(math.nan, math.nan), rows=0)))
            continue
        chosen = torch.randint(rows.shape[1], (draws, rows.shape[1]), generator=torch.Generator().manual_seed(seed))
        tails = torch.tensor([(1 - LEVEL) / 2, (1 + LEVEL) / 2], dtype=torch.float64)
        ends = rows[:, chosen].mean(2).quantile(tails, dim=1)
        for place, series in enumerate(group):
            low, high = ends[:, place].tolist()
            found[series] = Summary(mean=float(rows[place].mean()), interval=(low, high), rows=rows.shape[1])
    return [found[series] for series in range(len(known))]


def _alike(
    defined: Tensor,  # (series, rows) bool
) -> Iterator[tuple[Tensor, list[int]]]:
    """The series that are defined on the same rows: those rows, and which series."""
    groups: dict[bytes, list[int]] = {}
    for series, mask in enumerate(defined.numpy()):
        groups.setdefault(mask.tobytes(), []).append(series)
    for group in groups.values():
        yield defined[group[0]], group


def paired_difference(
    first: Tensor,  # (rows,), NaN where not defined
    second: Tensor,  # (rows,)
    *,
    generator: torch.Generator,  # on the CPU
    draws: int = 1000,
) -> Summary:
    """The mean of first - second over the rows on which both are defined, with the interval of that mean.

    Two methods asked about the same rows are compared row by row, since what makes a row hard makes it hard for both; intervals of the two
    means may overlap where that of the difference excludes 0.

    Raises:
        InvalidInput: if the shapes differ, or as `mean_and_interval`.

    Reference:
        Efron and Tibshirani, 1993, section 8.3.
    """
    if first.shape != second.shape:
        raise InvalidInput(f"paired values are of the same rows (got {tuple(first.shape)} and {tuple(second.shape)})")
    return mean_and_interval(first.detach().cpu().double() - second.detach().cpu().double(), generator=generator, draws=draws)


def ranks(
    values: Tensor,  # (methods, rows), NaN where not defined
    *,
    direction: Literal["higher", "lower"],
    generator: torch.Generator,  # on the CPU
    draws: int = 1000,
) -> Tensor:  # (methods,) float64
    """1 + how many methods are better by more than chance: those whose paired difference has an interval that excludes 0.

    Methods that cannot be told apart share a rank. Being undecided is not transitive: the best of three may beat the last and neither beat
    the second, whose rank is then 1 as well. Draws in which a pair shares no defined row are left out.

    Returns:
        NaN for a method that is defined on no row.

    Raises:
        InvalidInput: if values are not (methods, rows), the direction is unknown, or draws is not positive.
    """
    if values.dim() != 2 or draws < 1 or direction not in ("higher", "lower"):
        raise InvalidInput(
            f"values must be (methods, rows), direction 'higher' or 'lower' and draws positive "
            f"(got shape {tuple(values.shape)}, {direction!r}, {draws})"
        )
    known = values.detach().cpu().double() * (1 if direction == "higher" else -1)
    if known.shape[1] == 0:
        return torch.full((len(known),), torch.nan, dtype=torch.float64)
    chosen = torch.randint(known.shape[1], (draws, known.shape[1]), generator=generator)
    better = _ahead(known, chosen) < (1 - LEVEL) / 2
    return (1 + better.sum(1).double()).masked_fill(known.isnan().all(1), torch.nan)


def _ahead(
    known: Tensor,  # (methods, rows), larger is better
    chosen: Tensor,  # (draws, rows) int64
) -> Tensor:  # (methods, methods) float64
    """How large a share of the draws, over the rows on which both are defined, the second method is not ahead of the first in.

    A draw enters as how often it holds each row, so that all differences of a draw are one matrix product; 1 where no row is shared.
    """
    times = torch.zeros(chosen.shape, dtype=torch.float64).scatter_add_(1, chosen, torch.ones(chosen.shape, dtype=torch.float64))
    inside = (~known.isnan()).double()
    if bool(inside.all()):
        means = times @ known.T
        return torch.stack([(means <= means[:, place : place + 1]).double().mean(0) for place in range(len(known))])
    held, counted = torch.zeros(2, len(known), len(known), dtype=torch.float64)
    for part in times.split(max(1, BLOCK // max(1, len(known) ** 2))):  # type: ignore[no-untyped-call]
        weighted = part.unsqueeze(1) * inside  # (draws, methods, rows)
        sums = weighted @ known.nan_to_num().T  # over the rows of the first, of the values of the second
        shared = weighted @ inside.T > 0
        held += ((sums <= sums.transpose(1, 2)) & shared).sum(0)
        counted += shared.sum(0)
    return torch.where(counted > 0, held / counted.clamp(min=1), 1.0)
