"""Two pieces of work are compared within one process, one thread and one round, in a random order each round.

A machine's slow phases then hit all alike. On a CPU what counts is the time the thread itself was running, so that other processes count
only by the cache they take. Reported are the median of the paired ratios and the ratio of minima; where the two differ by more than
10 % the row is not usable.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch

Work = Callable[[], object]


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
    for variant in variants:
        variant()
    times = [_round(variants) for _ in range(rounds)]
    best = min(range(1, len(variants)), key=lambda i: min(t[i] for t in times))
    return median(t[0] / t[best] for t in times), min(t[0] for t in times) / min(t[best] for t in times), min(t[0] for t in times)


def _round(variants: list[Work]) -> list[float]:
    order = random.Random().sample(range(len(variants)), len(variants))
    clock = time.perf_counter if torch.cuda.is_available() else time.thread_time
    times = [0.0] * len(variants)
    for index in order:
        start = clock()
        variants[index]()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times[index] = clock() - start
    return times
