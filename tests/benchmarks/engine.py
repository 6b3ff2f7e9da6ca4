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
from side_by_side import Row, Work, compare
from torch import Tensor, nn

from attrlab.games import Game, Levels, Policy, concatenate, curve, evaluate, make_game, rank, shapley, shapley_of_table
from attrlab.metrics import METRICS


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


def images(rows: int, device: str) -> tuple[nn.Module, Game, Tensor]:
    """A small convolutional network on 3 x 32 x 32, whose players are pixels."""
    generator = torch.Generator().manual_seed(0)
    layers = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 64, 10)).eval().requires_grad_(False).to(device)
    inputs = torch.randn(rows, 3, 32, 32, generator=generator).to(device)
    mask = torch.arange(1024).view(1, 1, 32, 32).expand(rows, 3, 32, 32)
    return model, _game(model, inputs, mask), torch.randn(rows, 1024, generator=generator).to(device)


def sparse_images(rows: int, device: str) -> tuple[nn.Module, Game, list[Tensor]]:
    """The same network where 24 of 256 pixels differ from the baseline, and four attributions that are 0 elsewhere."""
    generator = torch.Generator().manual_seed(0)
    layers = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 256, 10)]
    model = nn.Sequential(*layers).eval().requires_grad_(False).to(device)
    on = torch.rand(rows, 1, 16, 16, generator=generator) < 24 / 256
    inputs = (torch.randn(rows, 3, 16, 16, generator=generator) * on).to(device)
    mask = torch.arange(256).view(1, 1, 16, 16).expand(rows, 3, 16, 16)
    scores = [(torch.randn(rows, 256, generator=generator) * on.flatten(1)).to(device) for _ in range(4)]
    return model, _game(model, inputs, mask), scores


def table(players: int, hidden: int, device: str) -> tuple[nn.Module, Game]:
    """A small fully connected network on one row."""
    layers = [nn.Linear(players, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)]
    model = nn.Sequential(*layers).eval().requires_grad_(False).to(device)
    inputs = torch.randn(1, players, generator=torch.Generator().manual_seed(0)).to(device)
    return model, _game(model, inputs, torch.arange(players).unsqueeze(0))


def graphs(rows: int, nodes: int, device: str) -> tuple[nn.Module, Game]:
    """Two dense graph convolutions on rows [A | X], whose players are edges in both directions."""
    generator = torch.Generator().manual_seed(0)

    class Dense(nn.Module):
        """Sum over neighbours, twice, and over nodes."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.head = nn.Linear(4, 16), nn.Linear(16, 16), nn.Linear(16, 2)
            self.relu, self.again = nn.ReLU(), nn.ReLU()

        def forward(self, rows: Tensor) -> Tensor:
            adjacency, features = rows[..., :nodes], rows[..., nodes:]
            hidden = self.relu(self.first(torch.bmm(adjacency, features) + features))
            outputs: Tensor = self.head(self.again(self.second(torch.bmm(adjacency, hidden) + hidden)).sum(1))
            return outputs

    pairs = torch.triu_indices(nodes, nodes, 1)
    inputs, mask = torch.zeros(rows, nodes, nodes + 4), torch.full((rows, nodes, nodes + 4), -1)
    inputs[..., nodes:] = torch.randn(rows, nodes, 4, generator=generator)
    for row in range(rows):
        i, j = pairs[:, torch.randperm(pairs.shape[1], generator=generator)[:30]]
        for a, b in ((i, j), (j, i)):
            inputs[row, a, b], mask[row, a, b] = 1.0, torch.arange(30)
    model = Dense().eval().requires_grad_(False).to(device)
    inputs, mask = inputs.to(device), mask.to(device)
    return model, _game(model, inputs, mask, baseline=torch.where(mask < 0, inputs, 0.0))


def _game(model: nn.Module, inputs: Tensor, mask: Tensor, *, baseline: Tensor | None = None) -> Game:
    target = torch.zeros(len(inputs), dtype=torch.int64)
    baseline = torch.zeros_like(inputs) if baseline is None else baseline
    return make_game(model, inputs, target=target, baseline=baseline, feature_mask=mask, policy=Policy.of(inputs))


def curve_images(rows: int, device: str, batches: tuple[int, ...]) -> Row:
    """Deletion and insertion of every image at 64 steps."""
    model, game, scores = images(rows, device)
    both = [partial(curve, game, scores, mode=mode, steps=64) for mode in ("deletion", "insertion")]
    total = sum(work().forwards for work in both)
    return Row(
        name=f"curves, {rows} images, 64 steps",
        work=lambda: [work() for work in both],
        bounds=bounds(model, game.inputs, total, batches),
        target="1.15",
    )


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


def curve_graphs(device: str, batches: tuple[int, ...]) -> Row:
    """Deletion of every edge of 32 graphs."""
    model, game = graphs(32, 25, device)
    scores = torch.randn(32, 30, generator=torch.Generator().manual_seed(1)).to(device)
    total = curve(game, scores).forwards
    return Row(
        name="32 graphs, 25 nodes, 30 edges",
        work=lambda: curve(game, scores),
        bounds=bounds(model, game.inputs, total, batches),
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


def main() -> None:
    """Measure every row and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="measure the rows whose name contains this")
    options = parser.parse_args()
    torch.set_num_threads(1)
    on_cuda = options.device.startswith("cuda")
    small = (4096, 16384) if on_cuda else (32, 64, 128)
    large = (65536, 262144) if on_cuda else (1024, 4096, 16384)
    makers: dict[str, Callable[[], Row]] = {
        "curves images": partial(curve_images, 512 if on_cuda else 16, options.device, small),
        "sparse images": partial(curve_sparse, 4, options.device, small),
        "graphs": partial(curve_graphs, options.device, small),
        "exact shapley": partial(exact_table, 18, options.device, large),
        "table algebra": partial(algebra, 20, options.device, large),
        "alignment": partial(alignment, options.device, small),
    }
    print(f"{'what':48} {'x bound':>8} {'minima':>8} {'target':>7} {'seconds':>9}")
    for name, make in makers.items():
        if options.only in name:
            row = make()
            paired, minima, seconds = compare(row, rounds=options.rounds)
            print(f"{row.name:48} {paired:8.2f} {minima:8.2f} {row.target:>7} {seconds:9.4f}")


if __name__ == "__main__":
    main()
