"""Cost grows linearly with images, steps and methods, and memory does not grow: `python tests/benchmarks/growth.py [FIGURE.svg]`.

Each of the three is varied over three decades, the other two fixed, on a small convolutional network and 3 x 32 x 32 images, for methods
3 x 8 x 8. Printed are seconds of the thread, forwards, what a forward costs, and how much the process grew; then the slope of the
logarithms over the upper two decades, which is 1 where cost is linear and below it where a fixed cost is still being shared out.
"""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from networks import game
from torch import Tensor, nn

from attrlab.games import Game
from attrlab.games.policy import keep_freed_memory
from attrlab.metrics.answers import Answers
from attrlab.metrics.orders import mean_curve

SIDE = 8
ROUNDS = 2


@dataclass(frozen=True, kw_only=True)
class Point:
    """One measurement."""

    size: int
    seconds: float
    forwards: int
    grown: float  # MiB that the process's largest resident size rose by


def stage(images: int, side: int) -> tuple[Game, Tensor]:
    """Images, a small convolutional network, and one attribution."""
    generator = torch.Generator().manual_seed(images)
    layers = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Flatten()]
    model = nn.Sequential(*layers, nn.Linear(8 * side**2, 2)).eval().requires_grad_(False)
    inputs = torch.randn(images, 3, side, side, generator=generator)
    mask = torch.arange(side**2).view(1, 1, side, side).expand(images, 3, side, side)
    return game(model, inputs, mask), torch.randn(images, side**2, generator=generator)


def by_images(size: int) -> Callable[[], int]:
    """Deletion in 16 steps of so many images of 32 x 32 pixels."""
    own, scores = stage(size, 32)
    return lambda: _deleted(own, [scores], 16)


def by_steps(size: int) -> Callable[[], int]:
    """Deletion of eight images of 32 x 32 pixels in so many steps."""
    own, scores = stage(8, 32)
    return lambda: _deleted(own, [scores], size)


def by_methods(size: int) -> Callable[[], int]:
    """Deletion in 16 steps of four images of 8 x 8 pixels by so many attributions."""
    own, _ = stage(4, SIDE)
    generator = torch.Generator().manual_seed(0)
    several = [torch.randn(4, SIDE**2, generator=generator) for _ in range(size)]
    return lambda: _deleted(own, several, 16)


def _deleted(own: Game, several: list[Tensor], steps: int) -> int:
    known = Answers(own)
    for scores in several:
        mean_curve(known, scores, steps=steps)
    return known.forwards


def measured(make: Callable[[int], Callable[[], int]], size: int) -> Point:
    """The least of some rounds."""
    work, best = make(size), math.inf
    before, forwards = _largest(), work()
    grown = _largest() - before
    for _ in range(ROUNDS):
        start = time.thread_time()
        work()
        best = min(best, time.thread_time() - start)
    return Point(size=size, seconds=best, forwards=forwards, grown=grown)


def slope(points: list[Point], value: Callable[[Point], float]) -> float:
    """Of the logarithms, by least squares over the upper two decades."""
    upper = [point for point in points if point.size * 100 >= points[-1].size]
    x, y = ([math.log(one) for one in column] for column in ([p.size for p in upper], [value(p) for p in upper]))
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum((a - mean_x) ** 2 for a in x)


def _largest() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def draw(found: dict[str, list[Point]], path: str) -> None:
    """Seconds against size, with the line of slope 1 through the last point."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3), layout="constrained")
    for axes, (name, points) in zip(figure.subplots(1, len(found), sharey=True), found.items(), strict=True):
        sizes, last = [p.size for p in points], points[-1]
        axes.loglog(sizes, [p.seconds for p in points], "o-", label=f"slope {slope(points, lambda p: p.seconds):.2f}")
        axes.loglog(sizes, [last.seconds * size / last.size for size in sizes], ":", color="grey", label="linear")
        axes.set(xlabel=name)
        axes.legend()
    figure.supylabel("seconds of one thread")
    figure.savefig(path)


def main() -> None:
    """Print the three series, and draw them where a path is given."""
    torch.set_num_threads(1)
    keep_freed_memory()
    found: dict[str, list[Point]] = {}
    decades = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
    for name, make in (("images", by_images), ("steps", by_steps), ("methods", by_methods)):
        found[name] = [measured(make, size) for size in decades]
        print(f"{name:>8} {'seconds':>10} {'forwards':>9} {'us each':>8} {'MiB grown':>10}")
        for p in found[name]:
            print(f"{p.size:8d} {p.seconds:10.5f} {p.forwards:9d} {1e6 * p.seconds / p.forwards:8.2f} {p.grown:10.1f}")
        by_forwards = slope(found[name], lambda p: p.seconds) / slope(found[name], lambda p: p.forwards)
        print(
            f"slope of the seconds {slope(found[name], lambda p: p.seconds):.3f}, beside that of the forwards {by_forwards:.3f}\n",
            flush=True,
        )
    if len(sys.argv) > 1:
        draw(found, sys.argv[1])


if __name__ == "__main__":
    main()
