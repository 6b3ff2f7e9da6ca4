"""The game engine beside the libraries a reader would otherwise use: `python tests/benchmarks/beside_peers.py`.

Both sides get the same network, inputs and scores, in one process and one thread, and the largest difference of their answers is printed
beside the ratio of their times, each divided by the forwards that were needed. A library that is not installed is left out and named.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from networks import Dense, graphs, images, table
from side_by_side import Row, compare
from torch import Tensor, nn

from attrlab.games import Game, Policy, area, curve, make_game, shapley
from attrlab.games.policy import keep_freed_memory
from attrlab.metrics.answers import Answers
from attrlab.metrics.orders import mean_curve
from attrlab.metrics.soundness_completeness import REMOVED, completeness_curve, soundness_curve


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One comparison: what either side computes, how many forwards each needs, and how far their answers are apart."""

    name: str
    ours: Callable[[], object]
    theirs: Callable[[], object]
    forwards: tuple[int, int]
    difference: Callable[[], float]
    target: float


def torch_cam(rows: int = 64) -> Peer:
    """Deletion and insertion in 64 steps, torch-cam's own class, its default batch of 32."""
    metric_class = importlib.import_module("torchcam.metrics").DeletionInsertionMetric
    model, game, scores = images(rows, "cpu")

    class Extractor:
        """What torch-cam asks for a map, which is given here."""

        def __init__(self) -> None:
            self.model = model

        def __call__(self, *_: Any, **__: Any) -> list[Tensor]:
            return [scores.view(rows, 32, 32)]

        def fuse_cams(self, cams: list[Tensor]) -> Tensor:
            return cams[0]

        def _hooks_off(self) -> contextlib.AbstractContextManager[None]:
            return contextlib.nullcontext()

    def theirs() -> tuple[float, float]:
        metric = metric_class(Extractor(), lambda logits: torch.softmax(logits, -1), steps=64)
        metric.update(game.inputs, 0)
        found = metric.summary()
        return found["deletion_auc"], found["insertion_auc"]

    def difference() -> float:
        return max(abs(a - b) for a, b in zip(ours_of_curves(game, scores), theirs(), strict=True))

    needed = rows * 128
    return Peer(
        name="torch-cam deletion + insertion",
        ours=lambda: ours_of_curves(game, scores),
        theirs=theirs,
        forwards=(needed, needed),
        difference=difference,
        target=2.5,
    )


def ours_of_curves(game: Game, scores: Tensor) -> tuple[float, float]:
    """The mean areas of both curves, of probabilities at 64 steps."""
    known = Answers(game)
    deletion, insertion = (area(mean_curve(known, scores, mode=mode, steps=64, value="probability")) for mode in ("deletion", "insertion"))  # type: ignore[arg-type]
    return float(deletion.mean()), float(insertion.mean())


def untied(rows: int, players: int) -> Tensor:
    """Scores of which none are equal, nor within rounding of each other: what ties mean differs between libraries."""
    generator = torch.Generator().manual_seed(1)
    return torch.stack([torch.randperm(players, generator=generator) for _ in range(rows)]).float()


def quantus(rows: int = 64) -> Peer:
    """Pixel flipping in 48 steps of 64 of the 3072 entries, which are Quantus's features; values are compared on one channel."""
    pixel_flipping = importlib.import_module("quantus").PixelFlipping
    model, game, scores = images(rows, "cpu")
    target = np.zeros(rows, dtype=int)
    grey = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 900, 5)).eval().requires_grad_(False)
    shades = game.inputs[:, :1].contiguous()

    def flipped(net: nn.Module, inputs: Tensor, maps: Tensor, features: int) -> np.ndarray:
        metric = pixel_flipping(features_in_step=features, normalise=False, perturb_baseline=0.0, disable_warnings=True)
        maps = maps.view(rows, 1, 32, 32)
        return np.array(metric(model=net, x_batch=inputs.numpy(), y_batch=target, a_batch=maps.numpy(), softmax=True, device="cpu"))

    def difference() -> float:
        mask = torch.arange(1024).view(1, 1, 32, 32).expand(rows, 1, 32, 32)
        own = make_game(grey, shades, target=game.target, baseline=0 * shades, feature_mask=mask)
        maps = untied(rows, 1024)
        found = mean_curve(own, maps, steps=64, value="probability").value[:, 1:]
        return float(np.abs(found.numpy() - flipped(grey, shades, maps, 16)).max())

    return Peer(
        name="Quantus PixelFlipping, per forward",
        ours=lambda: ours_of_curves(game, scores),
        theirs=lambda: flipped(model, game.inputs, scores, 64),
        forwards=(rows * 128, rows * 48),
        difference=difference,
        target=3.5,
    )


def published_passes(rows: int = 64) -> Peer:
    """Soundness and completeness as released: one pass over the data for each threshold, sorted anew, images in batches of their number."""
    model, game, scores = images(rows, "cpu")
    values = scores.abs()

    def probability(kept: Tensor) -> Tensor:
        with torch.no_grad():
            inputs = torch.where(kept.view(rows, 1, 32, 32), game.inputs, 0.0)
            return torch.softmax(model(inputs), 1)[:, 0].double()

    def theirs() -> tuple[Tensor, Tensor]:
        false, before = torch.zeros(rows, dtype=torch.float64), torch.zeros(rows, dtype=torch.float64)
        previous, ratios, falls = torch.zeros(rows, dtype=torch.float64), [], []
        for removed in REMOVED:
            rank = values.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
            kept = rank < int((1 - removed) * 1024 + 0.5)
            found, mass = probability(kept), (values.double() * kept).sum(1)
            ratios.append((mass - false) / (mass + 1e-6))
            false = false + (mass - before) * ((found > 0.04) & (found - previous <= 0.01))
            previous, before = found, mass
        for r in range(1, 10):
            whole = probability(torch.ones_like(values, dtype=torch.bool))
            masked = values.double() > (1 - 0.1 * r) * values.double().amax(1, keepdim=True)
            falls.append(whole - probability(~masked))
        return torch.stack(ratios, 1), torch.stack(falls, 1)

    def ours() -> tuple[Tensor, Tensor]:
        known = Answers(game)
        return soundness_curve(known, scores).ratio, completeness_curve(known, scores)

    def difference() -> float:
        return max(float((a - b).abs().max()) for a, b in zip(ours(), theirs(), strict=True))

    needed = rows * (len(REMOVED) + 10)
    return Peer(
        name="soundness + completeness, published passes",
        ours=ours,
        theirs=theirs,
        forwards=(needed, needed),
        difference=difference,
        target=4,
    )


def geometric_loop(rows: int = 32, edges: int = 60) -> Peer:
    """Edge deletions of graphs one graph and one step at a time, in torch-geometric's message passing."""
    neighbours = importlib.import_module("torch_geometric.nn").SimpleConv(aggr="add")
    model, game = graphs(rows, 25, edges, "cpu")
    assert isinstance(model, Dense)
    scores = untied(rows, edges)

    def one(edge_index: Tensor, features: Tensor) -> Tensor:
        hidden = model.relu(model.first(neighbours(features, edge_index) + features))
        again = model.again(model.second(neighbours(hidden, edge_index) + hidden))
        logits: Tensor = model.head(again.sum(0, keepdim=True))
        return logits[0, 0]

    def theirs(about: Game = game) -> Tensor:
        found = about.inputs.new_empty(rows, edges + 1)
        with torch.no_grad():
            for row in range(rows):
                mask, features = about.feature_mask[row, :, :25], about.inputs[row, :, 25:]
                to, source = (mask >= 0).nonzero(as_tuple=True)
                order = scores[row].argsort(descending=True, stable=True)
                for step in range(edges + 1):
                    kept = torch.isin(mask[to, source], order[step:])
                    found[row, step] = one(torch.stack([source[kept], to[kept]]), features)
        return found

    def difference() -> float:
        """In float64: in float32 sums of 25 nodes in another order are 5e-6 apart."""
        double = replace(game, inputs=game.inputs.double(), baseline=game.baseline.double(), policy=Policy())
        model.double()
        apart = float((curve(double, scores).value - theirs(double)).abs().max())
        model.float()
        return apart

    needed = rows * (edges + 1)
    return Peer(
        name=f"{rows} graphs x {edges + 1} edge deletions, PyG loop",
        ours=lambda: curve(game, scores).value,
        theirs=theirs,
        forwards=(needed, needed),
        difference=difference,
        target=25,
    )


def shapley_peers(library: str, players: int = 12) -> Peer:
    """Exact Shapley values of one row; both libraries get a batched float32 function of masks."""
    model, game = table(players, 64, "cpu")
    row = game.inputs[0].numpy()

    def of_masks(masks: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return model(torch.from_numpy(np.asarray(masks, dtype=np.float32) * row))[:, 0].numpy()

    def shapiq() -> np.ndarray:
        values = importlib.import_module("shapiq").ExactComputer(of_masks, n_players=players)("SV", order=1)
        return np.array([values[(i,)] for i in range(players)])

    def shap() -> np.ndarray:
        explainer = importlib.import_module("shap").explainers.Exact(lambda x: of_masks(x / row), np.zeros((1, players), dtype=np.float32))
        return np.asarray(explainer(row[None]).values[0])

    theirs = {"shapiq": shapiq, "shap": shap}[library]
    theirs()  # a library that is missing is told here
    return Peer(
        name=f"exact Shapley, {players} players, {library}",
        ours=lambda: shapley(game),
        theirs=theirs,
        forwards=(1, 1),
        difference=lambda: float(np.abs(shapley(game)[0].numpy() - theirs()).max()),
        target={"shapiq": 35.0, "shap": 8.0}[library],
    )


def peers() -> Iterator[tuple[str, Callable[[], Peer]]]:
    """The comparisons, by name."""
    yield "torch-cam", torch_cam
    yield "Quantus", quantus
    yield "published passes", published_passes
    yield "torch-geometric", geometric_loop
    yield "shapiq", lambda: shapley_peers("shapiq")
    yield "shap", lambda: shapley_peers("shap")


def report(*, rounds: int, only: str = "") -> None:
    """Measure each comparison whose name contains `only`, and print it."""
    print(f"{'what':48} {'times':>7} {'minima':>7} {'asked':>6} {'apart by':>9}")
    for name, make in peers():
        if only not in name:
            continue
        try:
            peer = make()
        except ImportError as missing:
            print(f"{name:48} not installed: {missing}")
            continue
        paired, minima, _ = compare(Row(name=peer.name, work=peer.ours, bounds=(peer.theirs,), target=""), rounds=rounds)
        share = peer.forwards[0] / peer.forwards[1]
        print(f"{peer.name:48} {share / paired:7.1f} {share / minima:7.1f} {peer.target:6.1f} {peer.difference():9.1e}", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="the comparisons whose name contains this")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    warnings.filterwarnings("ignore")
    report(rounds=options.rounds, only=options.only)


if __name__ == "__main__":
    main()
