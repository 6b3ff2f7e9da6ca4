"""Every ratio that the evaluations' speed is held to, in one table: `python tests/benchmarks/speed.py`.

The rows come from `engine.py` (beside the bare forwards), `evaluations.py`, `coalitions.py` and `beside_peers.py` (beside libraries); added
here are what is counted and not timed: tensor operations per forward, sorts per attribution, and the memory of 24 players.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from beside_peers import report
from coalitions import occlusion_images, rise_images
from engine import MODES, makers
from networks import images
from side_by_side import Row, compare
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from attrlab.games.policy import keep_freed_memory
from attrlab.metrics.answers import Answers
from attrlab.metrics.orders import mean_curve
from evaluations import curves

SCORES = 64 * 1024
"""As many numbers as an attribution of the counted evaluation has; nothing else that is sorted has as many."""

ALONE = """
import sys, torch
from attrlab.games import shapley
from networks import table
torch.set_num_threads(1)
most = lambda: next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
before, players = most(), int(sys.argv[1])
shapley(table(players, 16, "cpu")[1], limit=players)
print(before, most())
"""
"""What the process runs whose memory is measured: nothing is imported there but what it needs."""


class Operations(TorchDispatchMode):
    """Counts tensor operations by name, without views and allocations, except where it is told to look away."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()
        self.away = False
        self.sorted_scores = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        del types
        view = any(one.alias_info is not None and not one.alias_info.is_write for one in func._schema.returns)
        if not (self.away or view or "empty" in str(func)):
            self.found[func.overloadpacket.__name__] += 1
            self.sorted_scores += "sort" in str(func) and args[0].numel() >= SCORES
        return func(*args, **(kwargs or {}))


class Unseen(nn.Module):
    """A network whose own operations are not counted."""

    def __init__(self, model: nn.Module, counted: Operations) -> None:
        super().__init__()
        self.model, self.counted = model, counted

    def forward(self, x: Tensor) -> Tensor:
        self.counted.away = True
        outputs: Tensor = self.model(x)
        self.counted.away = False
        return outputs


def counted(rows: int = 64) -> tuple[float, int]:
    """Tensor operations per forward of deletion and insertion in 64 steps, and how often the scores' own order is sorted."""
    counting = Operations()
    model, _, scores = images(rows, "cpu")
    watched = Unseen(model, counting)
    _, game, _ = images(rows, "cpu", model=watched)
    known = Answers(game)
    with counting:
        for mode in MODES:
            mean_curve(known, scores, mode=mode, steps=64, value="probability")
    return sum(counting.found.values()) / known.forwards, counting.sorted_scores


def memory(players: int) -> tuple[float, float]:
    """GiB that a process of its own needs for the exact Shapley values of one row, and what importing torch takes of it."""
    found = subprocess.run(
        [sys.executable, "-c", ALONE, str(players)], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    )
    before, after = (float(part) / 2**20 for part in found.stdout.split())
    return after, before


def timed(small: bool) -> Iterator[tuple[str, Callable[[], Row]]]:
    """The rows that are compared with bare forwards."""
    for name, make in makers("cpu").items():
        if name not in ("alignment", "curves small"):
            yield name, make
    rows = 16 if small else 64
    yield "curves small", lambda: curves(rows)[0]
    yield "soundness + completeness", lambda: curves(rows)[1]
    yield "rise", partial(rise_images, 2, 1000)
    yield "occlusion", partial(occlusion_images, 2 if small else 4)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--small", action="store_true", help="16 images where 64 are asked for")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    warnings.filterwarnings("ignore")
    print(f"load {', '.join(f'{one:.1f}' for one in os.getloadavg())} on {os.cpu_count()} cores")
    print(f"{'what':52} {'x bound':>8} {'minima':>8} {'asked':>8} {'seconds':>9}")
    for _, make in timed(options.small):
        row = make()
        paired, minima, seconds = compare(row, rounds=options.rounds)
        print(f"{row.name:52} {paired:8.2f} {minima:8.2f} {row.target:>8} {seconds:9.4f}", flush=True)
    operations, sorts = counted()
    print(f"{'tensor operations per forward':52} {operations:8.2f} {'':8} {'0.2':>8}")
    print(f"{'sorts of an attribution':52} {sorts:8.0f} {'':8} {'1':>8}")
    most, imported = memory(24)
    print(f"{'GiB for 24 players (imports alone ' + format(imported, '.2f') + ')':52} {most:8.2f} {'':8} {'0.4':>8}\n")
    report(rounds=options.rounds)
    print(f"load {', '.join(f'{one:.1f}' for one in os.getloadavg())}")


if __name__ == "__main__":
    main()
