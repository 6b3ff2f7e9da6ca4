"""What the engine costs beside the bare forward passes it cannot avoid: `python tests/benchmarks/engine.py`.

Every variant of a row runs in one process and one thread, in a random order each round, and is compared with its bound within the
round: a machine's slow phases then hit all alike. Printed are the median of paired ratios and the ratio of minima; where the two
differ by more than 10 % the row is not usable. The bound is the time of as many bare forwards, on inputs that are
ready, at the best of several batch sizes and memory layouts.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import torch
from networks import graphs, images, sparse_images, table
from side_by_side import Row, Work, compare
from torch import Tensor, nn

from attrlab.games import Game, Levels, concatenate, curve, evaluate, rank, shapley, shapley_of_table
from attrlab.games.curves import Mode
from attrlab.games.policy import keep_freed_memory
from attrlab.metrics import METRICS
from attrlab.metrics.answers import Answers
from attrlab.metrics.orders import mean_curve

MODES: tuple[Mode, ...] = ("deletion", "insertion")


def forwards(model: nn.Module, inputs: Tensor, total: int, batch: int, *, channels_last: bool = False) -> None:
    """As many bare forwards as `total`, `batch` at a time, on inputs that are ready."""
    ready = inputs[:1].expand(batch, *inputs.shape[1:]).contiguous()
    if channels_last:
        ready = ready.contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        for _ in range(total // batch):
            model(ready)
        if total % batch:
            model(ready[: total % batch])


def bounds(model: nn.Module, inputs: Tensor, total: int, batches: tuple[int, ...]) -> tuple[Work, ...]:
    """Bare forwards at several batch sizes, for images in both layouts."""
    layouts = (False, True) if inputs.dim() == 4 else (False,)
    return tuple(partial(forwards, model, inputs, total, batch, channels_last=last) for batch in batches for last in layouts)


def written_once(model: nn.Module, inputs: Tensor, total: int, batch: int, *, channels_last: bool) -> None:
    """As many forwards, each batch written by one copy into fresh memory: the least that making inputs can cost."""
    row = inputs[0].permute(1, 2, 0).contiguous().permute(2, 0, 1) if channels_last else inputs[0].contiguous()
    shape = (inputs.shape[2], inputs.shape[3], inputs.shape[1]) if channels_last else inputs.shape[1:]
    with torch.no_grad():
        for start in range(0, total, batch):
            fresh = inputs.new_empty(min(batch, total - start), *shape)
            model((fresh.permute(0, 3, 1, 2) if channels_last else fresh).copy_(row))


def floor(made: tuple[nn.Module, Game], total: int, batch: int, batches: tuple[int, ...], name: str) -> Row:
    """What no engine can go below, beside the same bound: the price of inputs that do not lie in the cache already."""
    model, game = made
    work = partial(written_once, model, game.inputs, total, batch, channels_last=game.inputs.dim() == 4)
    return Row(name=f"inputs written once, {name}", work=work, bounds=bounds(model, game.inputs, total, batches), target="-")


def curve_images(rows: int, kind: str, target: str, device: str, batches: tuple[int, ...]) -> Row:
    """Deletion and insertion of every image at 64 steps."""
    model, game, scores = images(rows, device, kind=kind)

    def both() -> int:
        known = Answers(game)
        for mode in MODES:
            mean_curve(known, scores, mode=mode, steps=64, value="probability")
        return known.forwards

    name = f"deletion + insertion, {rows} images, {kind} network"
    return Row(name=name, work=both, bounds=bounds(model, game.inputs, both(), batches), target=target)


def curve_sparse(rows: int, device: str, batches: tuple[int, ...]) -> Row:
    """Four attributions, per pixel: the bound counts every level of every pixel, which a plain loop would evaluate."""
    model, game, scores = sparse_images(rows, device)

    def levels(own: Tensor) -> Levels:
        ranking = rank(own, game.present)
        return Levels(rank=ranking.of_players(ranking.first), threshold=torch.arange(257, device=own.device).expand(rows, 257))

    jobs = concatenate(*(levels(own) for own in scores))
    return Row(
        name="sparse images, every pixel, 4 methods",
        work=lambda: evaluate(game, jobs),
        bounds=bounds(model, game.inputs, len(jobs), batches),
        target="0.30",
    )


def exact_table(players: int, device: str, batches: tuple[int, ...]) -> Row:
    """Every coalition of one row and its Shapley values."""
    model, game = table(players, 64, device)
    return Row(
        name=f"exact Shapley, {players} players",
        work=lambda: shapley(game),
        bounds=bounds(model, game.inputs, 2**players, batches),
        target="1.1",
    )


def algebra(players: int, device: str, batches: tuple[int, ...]) -> Row:
    """The algebra of a full table beside its forwards."""
    model, game = table(players, 64, device)
    values = torch.randn(2**players, dtype=torch.float64, device=device)
    return Row(
        name=f"table algebra, {players} players",
        work=lambda: shapley_of_table(values),
        bounds=bounds(model, game.inputs, 2**players, batches),
        target="0.10",
    )


def curve_graphs(edges: int, device: str, batches: tuple[int, ...]) -> Row:
    """Deletion of every edge of 32 graphs, one at a time."""
    model, game = graphs(32, 25, edges, device)
    scores = torch.randn(32, edges, generator=torch.Generator().manual_seed(1)).to(device)
    return Row(
        name=f"32 graphs of 25 nodes, {edges + 1} edge deletions",
        work=lambda: curve(game, scores),
        bounds=bounds(model, game.inputs, curve(game, scores).forwards, batches),
        target="1.5",
    )


def alignment(device: str, batches: tuple[int, ...]) -> Row:
    """AUROC, average precision and rank correlation of 128 maps of 1,024 players, beside one sort."""
    del batches
    generator = torch.Generator().manual_seed(0)
    scores, truth = (torch.randn(128, 1024, generator=generator).to(device) for _ in range(2))
    offer = {"truth": truth, "support": truth > 1, "present": torch.ones_like(truth, dtype=torch.bool)}
    names = ("support_auroc", "support_auprc", "rank_correlation")
    return Row(
        name="alignment, 128 maps of 1,024 (bound: one sort)",
        work=lambda: [METRICS[name].measure(scores, **offer) for name in names],
        bounds=(lambda: scores.sort(dim=1, stable=True),),
        target="-",
    )


def makers(device: str) -> dict[str, Callable[[], Row]]:
    """How each row is made, by name; the batch sizes of bounds are those among which the best was found."""
    on_cuda = device.startswith("cuda")
    small = (4096, 16384) if on_cuda else (32, 48, 64, 128)
    large = (65536, 262144) if on_cuda else (2048, 4096, 8192, 16384)
    return {
        "curves small": partial(curve_images, 512 if on_cuda else 64, "small", "1.15", device, small),
        "curves residual": partial(curve_images, 64 if on_cuda else 8, "residual", "1.05", device, small),
        "curves hand-set": partial(curve_images, 512 if on_cuda else 64, "hand-set", "1.15", device, small),
        "sparse images": partial(curve_sparse, 4, device, small),
        "graphs 61": partial(curve_graphs, 60, device, (*small, 256, 512, 1024)),
        "graphs 31": partial(curve_graphs, 30, device, (*small, 256, 512, 1024)),
        "exact shapley 18": partial(exact_table, 18, device, large),
        "exact shapley 20": partial(exact_table, 20, device, large),
        "table algebra": partial(algebra, 20, device, large),
        "alignment": partial(alignment, device, small),
        "floor small": lambda: floor(images(64, device)[:2], 64 * 128, small[1], small, "small network"),
        "floor hand-set": lambda: floor(images(64, device, kind="hand-set")[:2], 64 * 128, small[2], small, "hand-set network"),
        "floor graphs": lambda: floor(graphs(32, 25, 60, device), 32 * 61, 512, (256, 512, 1024), "61 edge deletions"),
        "floor table": lambda: floor(table(18, 64, device), 2**18, large[1], large, "18 players"),
    }


def main() -> None:
    """Measure every row and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="measure the rows whose name contains this")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    print(f"{'what':48} {'x bound':>8} {'minima':>8} {'target':>7} {'seconds':>9}")
    for name, make in makers(options.device).items():
        if options.only in name:
            row = make()
            paired, minima, seconds = compare(row, rounds=options.rounds)
            print(f"{row.name:48} {paired:8.2f} {minima:8.2f} {row.target:>7} {seconds:9.4f}", flush=True)


if __name__ == "__main__":
    main()
