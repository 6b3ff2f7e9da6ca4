"""What a stack of retrained networks costs beside the loop a user would write with a DataLoader: `python tests/benchmarks/retraining.py`.

Both sides train the same networks on the same masked rows for the same steps, in one process and one thread, in a random order each
round; the loop is timed on some of the models and scaled to all, since its models are independent. Printed are how many times faster the
stack is (median of paired ratios, and ratio of minima; where they differ by more than 10 % the row is not usable), with the target, and
the same beside a loop on ready tensors without a DataLoader, channels last for images.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from attrlab.games.imputers import keep_baseline
from attrlab.retraining.networks import Network, cnn, fresh, gin, mlp
from attrlab.retraining.removal import Removal, of_entries, positions, remove, removed_counts
from attrlab.retraining.stacked import Training, train

Work = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One comparison: networks on rows of one shape, `models` of them, of which a loop trains `sampled`."""

    name: str
    network: Network
    inputs: Tensor
    mask: Tensor
    models: int
    sampled: int
    chunk: int
    training: Training
    target: str
    graph: bool = False

    def removal(self, jobs: Sequence[int]) -> Removal:
        """Jobs of ten methods and five fractions; the method is the number of a random score."""
        players = int(self.mask.max()) + 1
        present = torch.ones(len(self.inputs), players, dtype=torch.bool)
        methods = sorted({job % 10 for job in jobs})
        scores = [torch.rand(present.shape, generator=torch.Generator().manual_seed(method)) for method in methods]
        tables = torch.stack([of_entries(positions(one, present, seed=0, descending=True), self.mask) for one in scores])
        counts = torch.stack([removed_counts(present, (0.1, 0.3, 0.5, 0.7, 0.9)[job // 10 % 5]) for job in jobs])
        table = torch.tensor([methods.index(job % 10) for job in jobs])
        return remove(self.inputs, torch.zeros_like(self.inputs), keep_baseline, tables=tables, table=table, counts=counts)

    def labels(self) -> Tensor:
        """Two classes."""
        return torch.arange(len(self.inputs)) % 2


def stacked(bench: Bench, chunks: Sequence[tuple[Sequence[int], Removal]]) -> None:
    """All models, a chunk at a time, as a study trains them; what is removed when is known, as the loop's masked copies are made."""
    for jobs, removal in chunks:
        train(bench.network, removal.rows, bench.labels(), seeds=[job // 50 for job in jobs], training=bench.training)


def with_loader(bench: Bench, copies: Sequence[Tensor]) -> None:
    """One model after another on its own masked copy, as tutorials do it."""
    for job, rows in enumerate(copies):
        loader = DataLoader(TensorDataset(rows, bench.labels()), batch_size=bench.training.batch, shuffle=True, drop_last=True)
        _fit(fresh(bench.network, job), bench.training, lambda loader=loader: iter(loader))


def on_tensors(bench: Bench, copies: Sequence[Tensor]) -> None:
    """The same without a DataLoader: rows are taken from the tensor; images lie with the channel innermost."""
    labels = bench.labels()
    for job, rows in enumerate(copies):
        module = fresh(bench.network, job)
        if rows.dim() == 4:
            module, rows = module.to(memory_format=torch.channels_last), rows.contiguous(memory_format=torch.channels_last)

        def batches(rows: Tensor = rows) -> list[tuple[Tensor, Tensor]]:
            order = torch.randperm(len(rows))
            size = bench.training.batch
            return [(rows[order[at : at + size]], labels[order[at : at + size]]) for at in range(0, len(rows) - size + 1, size)]

        _fit(module, bench.training, batches)


def with_geometric(bench: Bench, graphs: Sequence[Sequence[object]]) -> None:
    """One torch-geometric model after another on its own list of graphs, whose removed edges are really removed."""
    from torch_geometric.loader import DataLoader as GraphLoader

    layers, hidden = len(bench.network.build().inner), bench.network.build().head.in_features  # type: ignore[union-attr, arg-type]
    for job, held in enumerate(graphs):
        torch.manual_seed(job)
        model = _geometric(held[0].x.shape[1], hidden, layers)  # type: ignore[attr-defined]
        optimiser = torch.optim.Adam(model.parameters(), lr=bench.training.rate)
        for _ in range(bench.training.epochs):
            for batch in GraphLoader(held, batch_size=bench.training.batch, shuffle=True, drop_last=True):
                optimiser.zero_grad()
                functional.cross_entropy(model(batch), batch.y).backward()
                optimiser.step()


def _fit(module: nn.Module, training: Training, batches: Callable[[], object]) -> None:
    optimiser = torch.optim.Adam(module.parameters(), lr=training.rate)
    for _ in range(training.epochs):
        for rows, labels in batches():  # type: ignore[attr-defined]
            optimiser.zero_grad()
            functional.cross_entropy(module(rows), labels).backward()
            optimiser.step()


def _geometric(columns: int, hidden: int, layers: int) -> nn.Module:
    from torch_geometric.nn import GINConv, global_add_pool

    class Twin(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            widths = [columns, *(hidden,) * layers]
            self.layers = nn.ModuleList(
                GINConv(nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, hidden))) for width in widths[:-1]
            )
            self.head = nn.Linear(hidden, 2)

        def forward(self, batch):
            state = batch.x
            for layer in self.layers:
                state = layer(state, batch.edge_index).relu()
            return self.head(global_add_pool(state, batch.batch))

    return Twin()


def _graphs(bench: Bench, copies: Sequence[Tensor]) -> list[list[object]]:
    from torch_geometric.data import Data

    nodes, labels = bench.inputs.shape[1], bench.labels()

    def graph(row: Tensor, label: Tensor) -> object:
        return Data(x=row[:, nodes:].clone(), edge_index=row[:, :nodes].nonzero().T.contiguous(), y=label)

    return [[graph(row, label) for row, label in zip(rows, labels, strict=True)] for rows in copies]


def mlps(hidden: int, batch: int, *, rows: int, target: str, chunk: int) -> Bench:
    """150 networks on 20 columns: ten methods, five fractions, three seeds."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.arange(20).expand(rows, 20)
    return Bench(
        name=f"150 MLPs 20-{hidden}-{hidden}-2, batch {batch}",
        network=mlp(20, 2, hidden=hidden),
        inputs=torch.randn(rows, 20, generator=generator),
        mask=mask,
        models=150,
        sampled=10,
        chunk=chunk,
        training=Training(epochs=2, batch=batch),
        target=target,
    )


def cnns(size: int, *, target: str, chunk: int) -> Bench:
    """30 networks 3-8-16 on images."""
    generator = torch.Generator().manual_seed(0)
    rows = 256
    return Bench(
        name=f"30 CNNs 3-8-16, {size} x {size}, batch 32",
        network=cnn(3, size, size, 2),
        inputs=torch.randn(rows, 3, size, size, generator=generator),
        mask=torch.arange(size * size).view(1, 1, size, size).expand(rows, 3, size, size),
        models=30,
        sampled=3,
        chunk=chunk,
        training=Training(epochs=4, batch=32),
        target=target,
    )


def gins() -> Bench:
    """216 two-layer networks on graphs of 12 nodes and 18 edges, batch 50."""
    generator = torch.Generator().manual_seed(0)
    rows, nodes = 400, 12
    pairs = torch.triu_indices(nodes, nodes, 1)
    chosen = torch.rand(rows, pairs.shape[1], generator=generator).argsort(1)[:, :18]
    inputs, mask = torch.zeros(rows, nodes, nodes + 4), torch.full((rows, nodes, nodes + 4), -1)
    row, edge = torch.arange(rows).unsqueeze(1), torch.arange(18)
    for one, other in ((0, 1), (1, 0)):
        inputs[row, pairs[one][chosen], pairs[other][chosen]] = 1
        mask[row, pairs[one][chosen], pairs[other][chosen]] = edge
    colours = functional.one_hot(torch.randint(3, (rows, nodes), generator=generator), 3)
    inputs[..., nodes:] = torch.cat([colours, torch.ones(rows, nodes, 1)], 2)
    return Bench(
        name="216 GINs of 2 layers, 12 nodes, batch 50",
        network=gin(nodes, 4, 2, layers=2),
        inputs=inputs,
        mask=mask,
        models=216,
        sampled=4,
        chunk=20,
        training=Training(epochs=5, batch=50),
        target="12",
        graph=True,
    )


BENCHES: dict[str, Callable[[], Bench]] = {
    "mlp16": lambda: mlps(16, 32, rows=512, target="10", chunk=150),
    "mlp64": lambda: mlps(64, 128, rows=1024, target="3", chunk=39),
    "cnn8": lambda: cnns(8, target="5", chunk=28),
    "cnn16": lambda: cnns(16, target="2.6", chunk=7),
    "cnn32": lambda: cnns(32, target="1*", chunk=3),
    "gin": gins,
}


def measure(bench: Bench, rounds: int) -> tuple[list[float], list[float], list[float]]:
    """Seconds per round of the stack, of the DataLoader loop and of the loop on tensors, the loops scaled to all models."""
    everyone = torch.arange(len(bench.inputs))
    jobs = [bench.models * place // bench.sampled for place in range(bench.sampled)]
    copies = list(bench.removal(jobs).rows(everyone).contiguous())
    if bench.graph:  # the column of presences is no player, and stays
        for rows in copies:
            rows[..., bench.inputs.shape[1] :] = bench.inputs[..., bench.inputs.shape[1] :]
    starts = range(0, bench.models, bench.chunk)
    chunks = [(jobs, bench.removal(jobs)) for jobs in (range(at, min(at + bench.chunk, bench.models)) for at in starts)]
    held = _graphs(bench, copies) if bench.graph else None
    works: list[Work] = [
        lambda: stacked(bench, chunks),
        (lambda: with_geometric(bench, held)) if held is not None else (lambda: with_loader(bench, copies)),
        lambda: on_tensors(bench, copies),
    ]
    times: list[list[float]] = [[], [], []]
    for work in works[1:]:
        work()
    for _ in range(rounds):
        for place in random.Random().sample(range(3), 3):
            start = time.perf_counter()
            works[place]()
            times[place].append((time.perf_counter() - start) * (1 if place == 0 else bench.models / bench.sampled))
    return times[0], times[1], times[2]


def main() -> None:
    """Print one row per comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="measure the rows whose name contains this")
    parser.add_argument("--chunk", type=int, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'what':46} {'x loader':>9} {'minima':>7} {'target':>7} {'x tensors':>10} {'seconds':>8}   (* beside tensors)")
    for name, make in BENCHES.items():
        if options.only in name:
            bench = make()
            bench = Bench(**{**vars(bench), "chunk": options.chunk}) if options.chunk else bench
            stack, loader, tensors = measure(bench, options.rounds)
            paired = [median(one / own for one, own in zip(loop, stack, strict=True)) for loop in (loader, tensors)]
            minima = min(loader) / min(stack)
            print(f"{bench.name:46} {paired[0]:9.1f} {minima:7.1f} {bench.target:>7} {paired[1]:10.2f} {min(stack):8.2f}", flush=True)


if __name__ == "__main__":
    main()
