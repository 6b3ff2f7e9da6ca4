"""How fast worlds are drawn, without their truth: rows per second on one thread, beside drawing as many random numbers.

Run as `python tests/benchmarks/sampling.py [ROWS]`; the least of five rounds, worlds and bound interleaved in one process.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import torch

from synthetic import environment_ids, make_environment

ROUNDS = 5
LARGE = {"colour-count-v1": {"size": 27}, "colour-or-v1": {"size": 27}, "edge-types-v1": {"nodes": (20, 20), "edges": 40}}
"""Worlds that are measured at the size which is asked for, 27 x 27 pixels and 20 nodes; the others at their own."""


def least(run: Callable[[], object]) -> float:
    """Seconds of the fastest of `ROUNDS` runs."""
    found = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)


def main(rows: int) -> None:
    """Print one line per world."""
    torch.set_num_threads(1)
    print(f"{'environment':34} {'rows/s':>12} {'s for 10 000':>13} {'x random numbers':>17}")
    for id in environment_ids():
        world = make_environment(id, **LARGE.get(id, {}))
        shape = world.sample(2, torch.Generator().manual_seed(0)).inputs.shape[1:]
        spent = least(lambda world=world: world.sample(rows, torch.Generator().manual_seed(1)))  # type: ignore[misc]
        bound = least(lambda shape=shape: torch.rand(rows, *shape, dtype=torch.float64))  # type: ignore[misc]
        print(f"{id:34} {rows / spent:12,.0f} {spent * 10_000 / rows:13.2f} {spent / bound:17.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
