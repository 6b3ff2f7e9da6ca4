"""Two pieces of work are compared within one process, one thread and one round, in a random order each round.

A machine's slow phases then hit all alike. On a CPU what counts is the time the thread itself was running, so that other processes count
only by the cache they take. Reported are the median of the paired ratios and the ratio of minima; where the two differ by more than
10 % the row is not usable. Work of few milliseconds is repeated within its turn.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch

Work = Callable[[], object]

LEAST = 0.02
"""Seconds below which work is repeated within its turn, and every bound as often: a turn of few milliseconds is mostly the return of what
the turn before it drove out of the caches."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One comparison: what is measured, against which bounds, of which the fastest counts."""

    name: str
    work: Work
    bounds: tuple[Work, ...]
    target: str


def compare(row: Row, *, rounds: int) -> tuple[float, float, float]:
    """Median of paired ratios to the best bound, ratio of minima, and seconds of the work."""
    variants = [row.work, *row.bounds]
    times = _round(variants, 1)
    times = _round(variants, 1)
    often = max(1, math.ceil(LEAST / max(times[0], 1e-6)))
    rounds_of = [_round(variants, often) for _ in range(rounds)]
    best = min(range(1, len(variants)), key=lambda i: min(t[i] for t in rounds_of))
    least = min(t[0] for t in rounds_of)
    return median(t[0] / t[best] for t in rounds_of), least / min(t[best] for t in rounds_of), least


def _round(variants: list[Work], often: int) -> list[float]:
    order = random.Random().sample(range(len(variants)), len(variants))
    clock = time.perf_counter if torch.cuda.is_available() else time.thread_time
    times = [0.0] * len(variants)
    for index in order:
        start = clock()
        for _ in range(often):
            variants[index]()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times[index] = (clock() - start) / often
    return times
