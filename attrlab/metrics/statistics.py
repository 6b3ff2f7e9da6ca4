"""A mean over rows is stated with the interval in which it would move had other rows been drawn.

Rows on which a metric is not defined are left out and counted, never replaced.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from attrlab.errors import InvalidInput

LEVEL = 0.95
"""Coverage of the interval."""


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
