"""Integrated gradients beside Captum's at equal steps, and in closed form beside Captum's fifty: `python tests/benchmarks/paths.py`.

All in one process and one thread, in a random order each round; printed are the median of paired ratios and the ratio of minima, how many
times longer Captum takes than the laboratory. Where the two differ by more than 10 % the row is not usable.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from captum.attr import DeepLift, DeepLiftShap, IntegratedGradients
from side_by_side import Row, compare
from torch import Tensor, nn

from attrlab.methods.deeplift_rescale import deeplift_rescale
from attrlab.methods.expectations import deepshap
from attrlab.methods.paths import exact_integrated_gradients, integrated_gradients

STEPS = 50


def dense(columns: int, hidden: int, layers: int, dtype: torch.dtype) -> nn.Module:
    """A fully connected network with ReLUs and two outputs."""
    torch.manual_seed(0)
    widths = [columns, *[hidden] * layers]
    parts = [part for i in range(layers) for part in (nn.Linear(widths[i], widths[i + 1]), nn.ReLU())]
    return nn.Sequential(*parts, nn.Linear(hidden, 2)).to(dtype).eval().requires_grad_(False)


def convolutional() -> nn.Module:
    """A small convolutional network on 3 x 32 x 32."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 64, 10)).eval().requires_grad_(False)


def rows(*shape: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, targets and baselines."""
    inputs = torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)
    return inputs, torch.zeros(len(inputs), dtype=torch.int64), torch.zeros_like(inputs)


def captum(model: nn.Module, inputs: Tensor, target: Tensor, baseline: Tensor) -> Callable[[], object]:
    """Captum's integrated gradients with its defaults."""
    return lambda: IntegratedGradients(model).attribute(inputs, baselines=baseline, target=target, n_steps=STEPS)


def equal_steps(name: str, model: nn.Module, inputs: Tensor, target: Tensor, baseline: Tensor, aim: str) -> Row:
    """Captum against the laboratory, both with as many gradients."""
    ours = lambda: integrated_gradients(model, inputs, target=target, baseline=baseline, n_steps=STEPS)  # noqa: E731
    return Row(name=name, work=captum(model, inputs, target, baseline), bounds=(ours,), target=aim)


def closed_form(hidden: int, layers: int, batch: int) -> Row:
    """Captum's fifty steps against the closed form, in float64, with what both leave of completeness in the name."""
    model, (inputs, target, baseline) = dense(20, hidden, layers, torch.float64), rows(batch, 20, dtype=torch.float64)
    ours = lambda: exact_integrated_gradients(model, inputs, target=target, baseline=baseline)  # noqa: E731
    theirs = captum(model, inputs, target, baseline)
    wanted = (model(inputs) - model(baseline))[:, 0]
    gaps = [float((scores().sum(1) - wanted).abs().max()) for scores in (ours, theirs)]
    name = f"exact, MLP 20-{hidden}x{layers}, {batch} rows, float64 (gap {gaps[0]:.0e}; Captum's {gaps[1]:.0e})"
    return Row(name=name, work=theirs, bounds=(ours,), target="> 1")


def multipliers(batch: int) -> tuple[Row, Row]:
    """Captum's DeepLIFT and DeepLiftShap against those by interception, on a network that Captum sees rightly."""
    model, (inputs, target, baseline) = dense(20, 64, 2, torch.float32), rows(batch, 20, dtype=torch.float32)
    reference, mask = torch.randn(16, 20, generator=torch.Generator().manual_seed(1)), torch.arange(20).expand(batch, 20)
    return (
        Row(
            name=f"deeplift_rescale, MLP 20-64x2, {batch} rows",
            work=lambda: DeepLift(model).attribute(inputs.requires_grad_(), baselines=baseline, target=target),
            bounds=(lambda: deeplift_rescale(model, inputs.detach(), target=target, baseline=baseline),),
            target="",
        ),
        Row(
            name=f"deepshap, MLP 20-64x2, {batch} rows, 16 reference rows",
            work=lambda: DeepLiftShap(model).attribute(inputs.requires_grad_(), baselines=reference, target=target),
            bounds=(lambda: deepshap(model, inputs.detach(), target=target, feature_mask=mask, reference=reference),),
            target="",
        ),
    )


def table(batch: int) -> list[Row]:
    """Every comparison."""
    image, flat = rows(batch, 3, 32, 32, dtype=torch.float32), rows(batch, 20, dtype=torch.float32)
    return [
        equal_steps(f"IG, CNN 3x32x32, {batch} rows, {STEPS} steps", convolutional(), *image, aim=">= 1.4"),
        equal_steps(f"IG, MLP 20-64x2, {batch} rows, {STEPS} steps", dense(20, 64, 2, torch.float32), *flat, aim=">= 4"),
        closed_form(16, 2, batch),
        closed_form(64, 2, batch),
        closed_form(64, 4, batch),
        *multipliers(batch),
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for row in table(options.batch):
        paired, minima, seconds = compare(row, rounds=options.rounds)
        print(f"{row.name:<90} Captum takes {paired:6.2f} x ({minima:.2f} by minima), {seconds:.4f} s; wanted {row.target or '-'}")


if __name__ == "__main__":
    main()
