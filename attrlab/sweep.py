"""A sweep asks every method for the scores of every world of its modality, once: does it run, does it say why it does not apply?

What is asked is only that scores come back shaped like the inputs and finite, or that the method refuses with a reason; how good they are
is the business of the evaluations.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from attrlab.errors import MethodError, NotApplicable
from attrlab.method import Method, player_scores
from attrlab.study import Stage, applies, prepare

Fate = Literal["ok", "not applicable", "failed"]
FATES: tuple[Fate, ...] = ("ok", "not applicable", "failed")


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What became of one method on one environment; the reason is empty where it ran."""

    method: str
    environment: str
    fate: Fate
    reason: str
    seconds: float


def sweep(
    methods: Iterable[Method],
    environments: Iterable[str],
    *,
    rows: int = 4,
    seed: int = 0,
    progress: Callable[[Iterable[str]], Iterable[str]] = iter,
) -> list[Swept]:
    """Ask each method about each environment it applies to by modality, on the same rows, in float64 on the CPU.

    Args:
        methods: what is asked.
        environments: ids.
        rows: how many rows of each environment.
        seed: of rows and of noise.
        progress: wraps the environments, to show how far it is.

    Raises:
        UnknownName: if there is no such environment.
    """
    asked, found = tuple(methods), []
    for id in progress(environments):
        stage = prepare(id, rows=rows, seed=seed)
        found += [_fate(method, stage) for method in asked if applies(method, stage.environment)]
    return found


def _fate(method: Method, stage: Stage) -> Swept:
    start = time.perf_counter()
    fate: Fate = "ok"
    reason = ""
    try:
        player_scores(method, stage.case, seed=stage.seed)
    except NotApplicable as refusal:
        fate, reason = "not applicable", str(refusal)
    except MethodError as failure:
        fate, reason = "failed", str(failure)
    seconds = time.perf_counter() - start
    return Swept(method=method.name, environment=stage.environment.id, fate=fate, reason=reason, seconds=seconds)


def summary(found: Iterable[Swept]) -> list[tuple[str, dict[Fate, int], list[tuple[str, int]]]]:
    """For each method, in the order met: how many of each fate, and the reasons with how often each was given."""
    by_method: dict[str, list[Swept]] = {}
    for swept in found:
        by_method.setdefault(swept.method, []).append(swept)
    lines = []
    for method, cells in by_method.items():
        fates = Counter(cell.fate for cell in cells)
        reasons = Counter(_without_names(cell) for cell in cells if cell.reason)
        lines.append((method, {fate: fates[fate] for fate in FATES}, reasons.most_common()))
    return lines


def write(path: Path, found: Iterable[Swept]) -> None:
    """Write the cells as a list of JSON objects."""
    path.write_text(json.dumps([asdict(swept) for swept in found], indent=1) + "\n", encoding="utf-8")


def _without_names(swept: Swept) -> str:
    """The reason apart from who gave it about what, so that equal reasons are counted together; measured numbers are left out."""
    text = swept.reason.removeprefix(f"{swept.method} does not apply to {swept.environment}: ").removesuffix(f" (on {swept.environment})")
    text = re.sub(r"\s*\(got [^()]*(\([^()]*\)[^()]*)*\)\s*$", "", text)
    return re.sub(r"(?<![\w.])-?\d+\.\d+(e-?\d+)?", "...", text)
