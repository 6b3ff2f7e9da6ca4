"""What a method costs is counted while it runs: rows that went forward through the network, and rows that a gradient came back through.

A hook on a copy of the network sees every call, whatever the method is; the copy that the method is handed inherits it. Calls of a
torch-geometric twin, which is another network, are not seen.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from attrlab.case import Case
from attrlab.metrics.explainer import Asks, explainer
from attrlab.metrics.metric import Metric


@dataclass(frozen=True, kw_only=True)
class Passes:
    """Passes per row, and seconds per row, of one explanation in the method's own setting."""

    forwards: float
    backwards: float
    seconds: float


class _Counter:
    """Counts rows; copies of a network share the counter of the original."""

    def __init__(self) -> None:
        self.forwards = 0
        self.backwards = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> _Counter:
        return self

    def __call__(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        del module, args
        if not isinstance(output, Tensor):
            return
        rows = len(output)
        self.forwards += rows
        if output.requires_grad:
            output.register_hook(partial(self._back, rows))  # type: ignore[no-untyped-call]

    def _back(self, rows: int, gradient: Tensor) -> None:
        del gradient
        self.backwards += rows


def passes(
    explain: Asks,
    case: Case,
) -> Passes:
    """Count the passes of one explanation of the case.

    Raises:
        NotApplicable, MethodError: as the method.
    """
    known = explainer(explain)
    return known.recalled(case, ("passes",), lambda: _counted(known.whole, case))


def _counted(ask: Asks, case: Case) -> Passes:
    counter, model = _Counter(), copy.deepcopy(case.model)
    model.register_forward_hook(counter)
    start = time.perf_counter()
    ask(replace(case, model=model))
    rows = max(1, len(case))
    return Passes(forwards=counter.forwards / rows, backwards=counter.backwards / rows, seconds=(time.perf_counter() - start) / rows)


def _metric(name: str, unit: str, formula: str) -> Metric:
    def measure(explain: Asks, case: Case, scores: Tensor) -> Tensor:
        return torch.full((len(scores),), getattr(passes(explain, case), unit), dtype=torch.float64, device=scores.device)

    return Metric(
        name=name,
        question="method",
        direction="lower",
        range="0 to infinity; an average over the batch, the same in every row",
        formula=formula,
        reference="counted by a hook while the method runs",
        measure=measure,
        ranking="none",
        cost="1 explanation",
    )


METRICS = (
    _metric("forward_passes", "forwards", "rows sent through the network / rows explained"),
    _metric("backward_passes", "backwards", "rows that a gradient came back through / rows explained"),
    _metric("seconds_per_row", "seconds", "wall-clock seconds of one explanation / rows explained"),
)
