"""Training M networks at once is training one: losses are summed over models, so that no gradient knows of its neighbours.

One optimiser steps the whole stack; it must be elementwise, as Adam and gradient descent are. Every model has its own initialisation and
its own order of rows, both from its own seed, so that a result does not depend on which models it was trained with. The budget of
steps is fixed: nothing stops early, and nothing is chosen on the test rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from attrlab.errors import InvalidInput
from attrlab.retraining.networks import Network, Stack, fresh, stack

View = Callable[[Tensor], Tensor]
"""Rows by number, (batch,) or (models, batch) int64 -> (models, batch, *features)."""

ORDER_STREAM = 1 << 20
"""Where the seeds of row orders begin, apart from those of initial parameters."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """How every network is trained, the retrained ones and the one that is explained.

    Attributes:
        epochs: passes over the training rows; rows beyond the last whole batch of a pass are left out of it.
        batch: rows per step.
        rate: the step size.
        optimiser: "adam" (Kingma and Ba, 2015), or "sgd" with momentum 0.9.

    Raises:
        InvalidInput: if a number is not positive or the optimiser unknown.
    """

    epochs: int = 20
    batch: int = 32
    rate: float = 1e-2
    optimiser: Literal["adam", "sgd"] = "adam"

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1 or not self.rate > 0:
            raise InvalidInput(
                f"epochs and batch are at least 1 and the rate is positive (got epochs={self.epochs}, batch={self.batch}, rate={self.rate})"
            )
        if self.optimiser not in ("adam", "sgd"):
            raise InvalidInput(f"the optimiser is 'adam' or 'sgd' (got {self.optimiser!r})")

    def steps(self, rows: int) -> int:
        """How many steps the budget buys on so many rows."""
        return self.epochs * max(1, rows // self.batch)


def orders(seeds: Sequence[int], rows: int, training: Training) -> Iterator[Tensor]:
    """The rows of each step: (batch,) where all models share a seed, else (models, batch)."""
    distinct = list(dict.fromkeys(seeds))
    place = torch.tensor([distinct.index(seed) for seed in seeds])
    generators = [torch.Generator().manual_seed(ORDER_STREAM + seed) for seed in distinct]
    batch = min(training.batch, rows)
    for _ in range(training.epochs):
        drawn = torch.stack([torch.randperm(rows, generator=generator) for generator in generators])
        for start in range(0, rows - batch + 1, batch):
            index = drawn[:, start : start + batch]
            yield index[0] if len(distinct) == 1 else index[place]


def train(
    network: Network,
    view: View,
    labels: Tensor,  # (rows,) int64, or (models, rows) where each network learns its own
    *,
    seeds: Sequence[int],
    training: Training,
    dtype: torch.dtype = torch.float32,
) -> dict[str, Tensor]:
    """Train one network per seed, all of them at once, each on its own view of the rows.

    Returns:
        The trained parameters, each (models, ...).
    """
    parameters = stack(fresh(network, seed) for seed in seeds)
    parameters = {name: value.to(device=labels.device, dtype=dtype).requires_grad_() for name, value in parameters.items()}
    optimiser = _optimiser(list(parameters.values()), training)
    for index in orders(seeds, labels.shape[-1], training):
        index = index.to(labels.device)
        with torch.no_grad():
            rows, wanted = view(index), _labels_of(labels, index, len(seeds))
        optimiser.zero_grad()
        loss_of(network, parameters, rows, wanted).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return {name: value.detach() for name, value in parameters.items()}


def loss_of(
    network: Network,
    parameters: Stack,
    rows: Tensor,  # (models, batch, *features)
    labels: Tensor,  # (models, batch) int64
) -> Tensor:
    """The sum over models of the mean cross-entropy of their batch."""
    logits = network.kernel(parameters, rows)
    return functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum") / labels.shape[1]


def accuracies(
    network: Network,
    parameters: Stack,
    view: View,
    labels: Tensor,  # (rows,) int64, or (models, rows)
    *,
    batch: int = 128,
) -> Tensor:  # (models,) float64, NaN for a model whose parameters are not finite
    """The share of rows that each model gets right."""
    models, rows = len(next(iter(parameters.values()))), labels.shape[-1]
    right = torch.zeros(models, dtype=torch.int64, device=labels.device)
    with torch.no_grad():
        for start in range(0, rows, batch):
            index = torch.arange(start, min(start + batch, rows), device=labels.device)
            right = right + (network.kernel(parameters, view(index)).argmax(2) == _labels_of(labels, index, models)).sum(1)
    sound = torch.stack([value.flatten(1).isfinite().all(1) for value in parameters.values()]).all(0)
    return torch.where(sound, right.double() / rows, torch.nan)


def _labels_of(
    labels: Tensor,  # (rows,) or (models, rows)
    index: Tensor,  # (batch,) or (models, batch) int64
    models: int,
) -> Tensor:  # (models, batch)
    index = index.expand(models, -1)
    return labels[index] if labels.dim() == 1 else labels.gather(1, index)


def _optimiser(parameters: list[Tensor], training: Training) -> torch.optim.Optimizer:
    if training.optimiser == "sgd":
        return torch.optim.SGD(parameters, lr=training.rate, momentum=0.9)
    return torch.optim.Adam(parameters, lr=training.rate, fused=True)
