"""Approximation error is told from a violation for many networks at once, by the rule that judges one: the gap shrinks with the budget.

See `attrlab.judge` for the rule and its budgets. What is not explained here is examined on its network alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

import torch
from torch import Tensor

from attrlab.axioms import Axiom
from attrlab.case import Case
from attrlab.judge import FAR, NEAR, SUSPECTS
from attrlab.method import Method, player_scores


def explained(
    method: Method,
    axiom: Axiom,
    case: Case,  # many networks side by side, the target saying which one a row is about
    violation: Tensor,  # (batch,)
    *,
    tolerance: float,
    seed: int,
) -> set[int]:
    """The networks whose violation shrinks as the budget grows: it is approximation error, and no more is to be asked of them.

    Raises:
        NotApplicable, MethodError: as `player_scores`.
    """
    if method.budget is None:
        return set()
    default = int(inspect.signature(method.attribute).parameters[method.budget].default)
    open_ = set(case.target[violation > tolerance].tolist())
    rows = _worst_rows(case.target, violation.masked_fill(violation <= tolerance, 0))
    near = _gaps(case.target[rows], violation[rows])
    for offset in NEAR if open_ else ():
        gap = _measure(method.with_parameters(**{method.budget: max(1, default + offset)}), axiom, case, rows, open_, seed)
        near = {network: max(value, gap.get(network, 0.0)) for network, value in near.items()}
    found: set[int] = set()
    for factor in FAR:
        gap = _measure(method.with_parameters(**{method.budget: default * factor}), axiom, case, rows, open_ - found, seed)
        found |= {network for network, value in gap.items() if value <= max(tolerance, near[network] / 2)}
    return found


def _measure(method: Method, axiom: Axiom, case: Case, rows: Tensor, networks: set[int], seed: int) -> dict[int, float]:
    """The largest violation of each of these networks on its suspected rows; on all of its rows, where an axiom compares them."""
    if not networks:
        return {}
    index = torch.arange(len(case), device=rows.device) if axiom.of_rows_together else rows
    index = index[torch.isin(case.target[index], torch.tensor(sorted(networks), device=rows.device))]
    asked = case.rows(index)
    explain: Callable[[Case], Tensor] = lambda other: player_scores(method, other, seed=seed)  # noqa: E731
    return _gaps(asked.target, axiom.measure(explain, asked).violation)


def _gaps(target: Tensor, violation: Tensor) -> dict[int, float]:
    return {network: float(violation[target == network].max()) for network in set(target.tolist())}


def _worst_rows(target: Tensor, violation: Tensor) -> Tensor:
    """Of each network the rows of its largest violations, at most `SUSPECTS`, that are not 0."""
    found = []
    for network in sorted(set(target[violation > 0].tolist())):
        rows = (target == network).nonzero().squeeze(1)
        worst = violation[rows].topk(min(SUSPECTS, len(rows))).indices
        found.append(rows[worst][violation[rows[worst]] > 0])
    return torch.cat(found) if found else target.new_zeros(0)
