"""A function of how many bits are set treats its bits alike, and its truth is an equal share at any size.

f(x) = g(n), n = Σ x: parity, majority, a threshold, a remainder, each built as a staircase in n with its margin. All bits are
exchangeable on all of R^d, so by symmetry and completeness each of N set bits is owed g(N) / N by the Shapley value and by the
straight path alike, whatever g is, as g(0) = 0. Removal owes g(N) - g(N - 1), which of parity is +1 or -1, and of a count far from
the threshold is 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from synthetic.environment import Environment
from synthetic.formulas import Layers
from synthetic.gadgets import MARGIN, SLOPE
from synthetic.registry import register
from synthetic.streams import Streams
from synthetic.tables.columns import Effects, choose, grid, require, table_environment

ENUMERABLE = 12
"""Columns up to which the lattice is enumerated."""

MOST = 64


@register("parity-v1")
def parity(*, id: str, columns: int = 5, null_columns: int = 1) -> Environment:
    """f(x) = Σ x mod 2, by n → Σ_j (-1)^(j+1) 1[n >= j]: every bit turns every output round, and half of them are owed nothing.

    Raises:
        ValueError: if a column count is out of range.
    """
    counted = _counted(id, columns, null_columns)
    return _counting(
        id=id,
        name="(x1 + ... + x{n}) mod 2",
        steps={j: 1.0 if j % 2 else -1.0 for j in range(1, counted + 1)},
        slope=0.0,
        counted=counted,
        columns=columns,
        value=lambda n: n % 2,
        traits={"saw_toothed", "non_monotone", "flat_gradient"} if counted > 1 else {"monotone", "flat_gradient"},
        isolates="dependence of the highest order: no set of bits smaller than all of them says anything",
        reference="AttributionLab (Zhang et al. 2023), modulo head; Minsky & Papert 1969",
        knobs={"columns": columns, "null_columns": null_columns},
    )


@register("majority-v1")
def majority(*, id: str, columns: int = 8, null_columns: int = 3) -> Environment:
    """f(x) = 1 where more than half of the bits are set.

    Raises:
        ValueError: if a column count is out of range.
    """
    counted = _counted(id, columns, null_columns)
    least = counted // 2 + 1
    return _threshold(
        id=id,
        least=least,
        counted=counted,
        columns=columns,
        isolates="a vote: where it is not close no single bit decides, and yet all that voted with it are owed their share",
        reference="Shapley & Shubik 1954, the symmetric voting game",
        knobs={"columns": columns, "null_columns": null_columns},
    )


@register("threshold-v1")
def threshold(*, id: str, columns: int = 6, null_columns: int = 1, t: int = 2) -> Environment:
    """f(x) = 1 where at least `t` bits are set: OR at t = 1, AND at t = columns - null_columns.

    Raises:
        ValueError: if a column count or t is out of range.
    """
    counted = _counted(id, columns, null_columns)
    require(1 <= t <= counted, message=f"the threshold t is from 1 to the number of counted columns, {counted} (got t={t})")
    return _threshold(
        id=id,
        least=t,
        counted=counted,
        columns=columns,
        isolates="the way from OR to AND: how many causes must be there before there is any effect",
        reference="Shapley 1953; quota games of Shapley & Shubik 1954",
        knobs={"columns": columns, "null_columns": null_columns, "t": t},
    )


@register("modulo-v1")
def modulo(*, id: str, columns: int = 7, null_columns: int = 1, m: int = 3) -> Environment:
    """f(x) = Σ x mod m = n - m Σ_j 1[n >= j m], whose gradient is 1 at every row, whatever the row is owed.

    Raises:
        ValueError: if a column count is out of range, or m is not from 2 to the number of counted columns.
    """
    counted = _counted(id, columns, null_columns)
    require(
        2 <= m <= counted,
        message=f"the modulus m is at least 2 and at most the number of counted columns, {counted}, or nothing wraps round (got m={m})",
    )
    return _counting(
        id=id,
        name=f"(x1 + ... + x{{n}}) mod {m}",
        steps={j: -float(m) for j in range(m, counted + 1, m)},
        slope=1.0,
        counted=counted,
        columns=columns,
        value=lambda n: n % m,
        traits={"saw_toothed", "non_monotone"},
        isolates="a slope that is right everywhere but at the drops: the gradient is 1 while a bit is owed anything from 0 to 1",
        reference="AttributionLab (Zhang et al. 2023), modulo head",
        knobs={"columns": columns, "null_columns": null_columns, "m": m},
    )


def _counted(id: str, columns: int, null_columns: int) -> int:
    """The number of columns that are counted, or a refusal."""
    require(
        null_columns >= 0 and columns - null_columns >= 1 and columns <= MOST,
        message=f"{id} counts at least one column and has at most {MOST} in all (got columns={columns}, null_columns={null_columns})",
    )
    return columns - null_columns


def _threshold(*, id: str, least: int, counted: int, columns: int, isolates: str, reference: str, knobs: dict[str, int]) -> Environment:
    """1[n >= least]."""
    return _counting(
        id=id,
        name=f"1[x1 + ... + x{{n}} >= {least}]",
        steps={least: 1.0},
        slope=0.0,
        counted=counted,
        columns=columns,
        value=lambda n: n >= least,
        traits={"monotone", "flat_gradient", "tied"},  # counted columns are worth the same, and undo the sum together
        isolates=isolates,
        reference=reference,
        knobs=knobs,
    )


def _counting(
    *,
    id: str,
    name: str,
    steps: dict[int, float],
    slope: float,
    counted: int,
    columns: int,
    value: Callable[[np.ndarray], np.ndarray],
    traits: set[str],
    isolates: str,
    reference: str,
    knobs: dict[str, int],
) -> Environment:
    """The environment of slope n + Σ_j steps_j 1[n >= j], which on counts is `value`."""
    values = np.asarray(value(np.arange(counted + 1)), dtype=np.float64)
    used = np.arange(columns) < counted
    return table_environment(
        id=id,
        formula=f"f(x) = {name.format(n=counted)}",
        layers=_layers(steps, slope, used),
        specification=lambda x: values[x[:, used].sum(1).astype(int)][:, None],
        domain="x_i in {0, 1}",
        traits=traits | ({"interacting"} if (np.diff(values, n=2) != 0).any() else {"additive"}),
        draw=lambda n, streams: _draw(n, values, used, streams),
        lattice=(lambda: grid([(0, 1)] * columns)) if columns <= ENUMERABLE else None,
        independent=(~used).tolist(),
        twins=[0 if i < counted else counted for i in range(columns)],
        isolates=isolates,
        reference=reference,
        knobs=knobs,
        integrated_gradients=lambda x: _shares(x, values, used),
        closed_form=lambda x: _effects(x, values, used),
    )


def _layers(steps: dict[int, float], slope: float, used: np.ndarray) -> Layers:
    biases: list[float] = [0.5] if slope else []
    outer: list[float] = [slope] if slope else []
    for j, height in steps.items():
        biases += [-(j - 1 + MARGIN), -(j - MARGIN)]
        outer += [SLOPE * height, -SLOPE * height]
    return [([used.astype(float).tolist()] * len(biases), biases), ([outer], [-0.5 * slope])]


def _draw(n: int, values: np.ndarray, used: np.ndarray, streams: Streams) -> Tensor:
    """Fair bits in the null columns; a count drawn so that every value of f is equally frequent, at random places."""
    counts = choose(n, torch.arange(len(values))[:, None], torch.from_numpy(values), streams)
    rows = torch.randint(0, 2, (n, len(used)), generator=next(streams)).double()
    places = torch.rand(n, int(used.sum()), generator=next(streams)).argsort(1).argsort(1)
    rows[:, torch.from_numpy(used)] = (places < counts).double()
    return rows


def _shares(x: np.ndarray, values: np.ndarray, used: np.ndarray) -> np.ndarray:
    """g(N) / N to each of N set bits."""
    counts = x[:, used].sum(1).astype(int)
    return np.asarray(x * used * (values[counts] / np.maximum(counts, 1))[:, None])


def _effects(x: np.ndarray, values: np.ndarray, used: np.ndarray) -> Effects:
    """A set bit changes some coalition's value unless g is constant from 0 to N."""
    counts = x[:, used].sum(1).astype(int)
    varies = np.maximum.accumulate(values != values[0])[counts]
    last = values[counts] - values[np.maximum(counts - 1, 0)]
    present = (x != 0) & used
    return Effects(support=present & varies[:, None], shapley=_shares(x, values, used), removal=present * last[:, None])
