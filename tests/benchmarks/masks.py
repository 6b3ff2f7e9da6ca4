"""Methods that optimise for each input: 32 rows at once beside a loop over the rows, on the same network, with fewer steps than usual.

Run as `python tests/benchmarks/masks.py [ROUNDS] [DEVICE]`; float32, one thread. Steps, strengths and copies are the parts that repeat, so
their number does not change the ratio.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from side_by_side import Row, compare
from torch import Tensor, nn

from attrlab.methods.bottlenecks import iba, inverse_iba
from attrlab.methods.extremal import extremal_perturbation
from attrlab.methods.igos import igos, igos_plus_plus
from attrlab.methods.input_bottleneck import input_iba
from attrlab.methods.optimised_masks import mask
from attrlab.methods.pathways import pathway_gradient, prune_gradient

ROWS, SIDE = 32, 16

Method = Callable[..., Tensor]

TARGETS: tuple[tuple[Method, dict[str, Any], str], ...] = (
    (mask, {"steps": 10}, ">= 4"),
    (iba, {"copies": 5}, ">= 4"),
    (inverse_iba, {"copies": 5}, "-"),
    (igos_plus_plus, {"steps": 2, "n_steps": 10}, ">= 1.4"),
    (igos, {"steps": 2, "n_steps": 10}, "-"),
    (extremal_perturbation, {"steps": 5}, "-"),
    (input_iba, {"steps": 2, "copies": 2, "rounds": 1, "samples": 8}, "-"),
    (pathway_gradient, {}, "-"),
    (prune_gradient, {"portion": 0.1}, "-"),
)
"""Method, keywords, and how many times faster a batch is to be."""


def network() -> nn.Module:
    """Two convolutions and a head."""
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)).eval().requires_grad_(False)


def explained(method: Method, model: nn.Module, inputs: Tensor, offers: dict[str, Tensor], how: dict[str, Any], *, size: int) -> None:
    """Explain all rows, `size` at a time."""
    names = method.__code__.co_varnames[: method.__code__.co_argcount + method.__code__.co_kwonlyargcount]
    for first in range(0, len(inputs), size):
        part = {name: value if name == "reference" else value[first : first + size] for name, value in offers.items() if name in names}
        method(model, inputs[first : first + size], **part, **how)


def main(rounds: int, device: str) -> None:
    """Print one line per method: how many times faster a batch is, and seconds per row in it."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    model = network().to(device)
    inputs = torch.randn(ROWS, 3, SIDE, SIDE, generator=generator).to(device)
    pixels = torch.arange(SIDE * SIDE, device=device).view(1, 1, SIDE, SIDE).expand_as(inputs)
    offers = {
        "target": torch.arange(ROWS, device=device) % 10,
        "baseline": torch.zeros_like(inputs),
        "feature_mask": pixels,
        "seeds": torch.arange(ROWS, device=device),
        "reference": torch.randn(64, 3, SIDE, SIDE, generator=generator).to(device),
    }
    print(f"{'method':24} {'loop / batch':>12} {'of minima':>10} {'ms per row':>11}  target")
    for method, how, target in TARGETS:
        once = partial(explained, method, model, inputs, offers, how)
        row = Row(name=method.__name__, work=partial(once, size=1), bounds=(partial(once, size=ROWS),), target=target)
        ratio, minima, seconds = compare(row, rounds=rounds)
        print(f"{row.name:24} {ratio:12.2f} {minima:10.2f} {seconds / minima / ROWS * 1e3:11.2f}  {row.target}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5, sys.argv[2] if len(sys.argv) > 2 else "cpu")
