"""Coalition methods beside Captum's, and beside the bare forwards that they cannot avoid: `python tests/benchmarks/coalitions.py`.

Both sides answer the same question on the same rows with as many coalitions, in float32, 64 rows, one thread, in random order
within a round. Captum is taken at its default of one coalition per forward, and at 64, which suits it best. What is bound by forwards
is compared with as many bare ones, on inputs that are ready, at the best of several batch sizes and layouts.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from functools import partial

import torch
from captum.attr import KernelShap, Lime, ShapleyValueSampling
from engine import bounds
from networks import images
from side_by_side import Row, compare
from torch import Tensor, nn

from attrlab.methods.coalitions import occlusion
from attrlab.methods.linear_surrogates import kernel_shap, lime
from attrlab.methods.rise import rise
from attrlab.methods.sampling import shapley_sampling

ROWS, COLUMNS = 64, 20


def table(hidden: int) -> tuple[nn.Module, dict[str, Tensor]]:
    """A small fully connected network on 64 rows of 20 columns, and what a method is offered."""
    generator = torch.Generator().manual_seed(0)
    layers = [nn.Linear(COLUMNS, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)]
    model = nn.Sequential(*layers).eval().requires_grad_(False)
    inputs = torch.randn(ROWS, COLUMNS, generator=generator)
    return model, {
        "inputs": inputs,
        "target": torch.zeros(ROWS, dtype=torch.int64),
        "baseline": torch.zeros_like(inputs),
        "feature_mask": torch.arange(COLUMNS).expand_as(inputs),
        "seeds": torch.arange(ROWS),
    }


def against_captum(name: str, ours: Callable[..., Tensor], captum: type, count: int, per_forward: int, **own: int) -> Row:
    """One method at `count` samples on both sides; Captum with `per_forward` coalitions of a row, or of all rows, per forward."""
    model, offers = table(64)
    theirs = captum(model)

    def asked() -> Tensor:
        found: Tensor = theirs.attribute(offers["inputs"], target=0, n_samples=count, perturbations_per_eval=per_forward)
        return found

    return Row(name=name, work=partial(ours, model, **offers, **own), bounds=(asked,), target="1/20")


def rise_images(rows: int, samples: int) -> Row:
    """RISE on a small convolutional network."""
    model, game, _ = images(rows, "cpu")
    offers = {"target": game.target, "baseline": game.baseline, "feature_mask": game.feature_mask, "seeds": torch.arange(rows)}
    return Row(
        name=f"rise, {rows} images, {samples} masks",
        work=partial(rise, model, game.inputs, samples=samples, **offers),
        bounds=bounds(model, game.inputs, rows * samples, (16, 32, 64, 128)),
        target="1.15",
    )


def occlusion_images(rows: int) -> Row:
    """Occlusion of every pixel."""
    model, game, _ = images(rows, "cpu")
    offers = {"target": game.target, "baseline": game.baseline, "feature_mask": game.feature_mask}
    return Row(
        name=f"occlusion, {rows} images, 1024 pixels",
        work=partial(occlusion, model, game.inputs, **offers),
        bounds=bounds(model, game.inputs, rows * (game.players + 1), (16, 32, 64, 128)),
        target="1.15",
    )


def rows_of(samples: int) -> list[Callable[[], Row]]:
    """What is measured; KernelSHAP's samples are beside the 2n it always asks, the two ends and their complements are no extra."""
    ask = [
        partial(against_captum, f"{ours.__name__}, Captum at {batch} a forward", ours, theirs, count, batch, samples=own)
        for ours, theirs, count, own in (
            (kernel_shap, KernelShap, samples, samples - 2 * COLUMNS - 2),
            (lime, Lime, samples, samples),
            (shapley_sampling, ShapleyValueSampling, 25, 25),
        )
        for batch in (1, 64)
    ]
    return [
        *ask,
        partial(rise_images, 2, 1000),
        partial(occlusion_images, 4),
    ]


def main() -> None:
    """Print one line for each row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--only", default="", help="measure the rows whose name contains this")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    for make in rows_of(options.samples):
        row = make()
        if options.only not in row.name:
            continue
        ratio, minima, seconds = compare(row, rounds=options.rounds)
        print(
            f"{row.name:44s} {ratio:7.3f} of the bound (minima {minima:.3f}, 1/{1 / ratio:.0f}), {seconds:.3f} s, target {row.target}",
            flush=True,
        )


if __name__ == "__main__":
    main()
