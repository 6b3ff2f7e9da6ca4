"""What can be retrained on: every world whose output has classes, tables and digits that ship with scikit-learn, and files of one's own.

A world's classes are what its network says: the largest of several outputs, the two values of one output, or whether one output of many
values lies above its median. Rows that stand between classes are left out. Where there is no hand-set network, the network that is
explained is trained here, like every other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.study import CONVENTION, load

TRIES = 6
"""How many times as many rows are drawn as are asked for, at most, where some stand between classes."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Rows, what is explained of them, and who their players are."""

    inputs: Tensor  # (rows, *features) float64
    labels: Tensor  # (rows,) int64, the class to be learnt
    target: Tensor  # (rows,) int64, the output that is explained
    baseline: Tensor  # (rows, *features)
    feature_mask: Tensor  # (rows, *features) int64, -1 for none
    truth: Tensor | None = None  # (rows, players), exact Shapley values

    def __len__(self) -> int:
        return len(self.inputs)

    def present(self, players: int) -> Tensor:  # (rows, players) bool
        """Which players own an entry of each row."""
        owner = self.feature_mask.flatten(1)
        found = torch.zeros(len(owner), players + 1, dtype=torch.bool)
        return found.scatter_(1, torch.where(owner < 0, players, owner), True)[:, :players]


@dataclass(frozen=True, kw_only=True)
class Data:
    """Two splits, and the network whose attributions are judged; None where it is to be trained.

    Attributes:
        classes: how many.
        rule: how the classes come about, in words.
        nodes_leave: whether players are nodes, marked as there by the last column of a row.
        twin: as of an environment.
    """

    name: str
    modality: str
    formula: str
    players: int
    classes: int
    rule: str
    train: Split
    test: Split
    model: nn.Module | None = None
    nodes_leave: bool = False
    twin: Callable[[], tuple[nn.Module, Callable[[Tensor], Any]]] | None = None

    def __post_init__(self) -> None:
        for name, split in (("training", self.train), ("test", self.test)):
            missing = [str(k) for k in range(self.classes) if not bool((split.labels == k).any())]
            if missing:
                raise InvalidInput(
                    f"{self.name} has no {name} row of class {', '.join(missing)}, so no network can be judged on it: give more rows, or "
                    f"leave the class out (got {len(split)} {name} rows)"
                )

    @property
    def chance(self) -> float:
        """The accuracy of always answering the commonest class of the test rows."""
        return float(torch.bincount(self.test.labels, minlength=self.classes).max()) / len(self.test)

    def digest(self) -> str:
        """What identifies the rows: results made from others are never taken for results of these."""
        found = hashlib.sha256(f"{self.name} {self.rule}".encode())
        for split in (self.train, self.test):
            for tensor in (split.inputs, split.labels, split.target, split.baseline, split.feature_mask):
                found.update(tensor.contiguous().numpy().tobytes())
        return found.hexdigest()[:16]


def world(
    id: str,
    *,
    train: int = 400,
    test: int = 400,
    seed: int = 0,
    **knobs: Any,
) -> Data:
    """Rows of a world of the catalogue, whose hand-set network is explained and whose classes are to be learnt anew.

    Raises:
        UnknownName, InvalidInput: as `attrlab.study.load`.
        NotApplicable: if the world's network gives all rows one answer, or too few rows a clear one.
    """
    environment = load(id, **knobs)
    wanted = train + test
    batch = environment.sample(wanted * (TRIES if environment.outputs > 1 else 2), torch.Generator().manual_seed(seed))
    with torch.no_grad():
        labels, classes, rule = labels_of(id, environment.model(batch.inputs))
    clear = labels >= 0
    if environment.outputs > 1:
        clear &= labels == batch.target
    chosen = clear.nonzero()[:, 0][:wanted]
    if len(chosen) < wanted:
        raise NotApplicable(
            f"{id} has too few rows whose explained output is its network's clear answer (got {len(chosen)} of {len(batch)}, "
            f"{wanted} were asked for)"
        )
    rows = batch.rows(chosen)
    truth = rows.truth.attributions.get(CONVENTION)
    split = Split(
        inputs=rows.inputs, labels=labels[chosen], target=rows.target, baseline=rows.baseline, feature_mask=rows.feature_mask, truth=truth
    )
    return Data(
        name=id,
        modality=environment.modality,
        formula=environment.formula,
        players=rows.players,
        classes=classes,
        rule=rule,
        train=part(split, slice(0, train)),
        test=part(split, slice(train, None)),
        model=environment.model,
        nodes_leave=environment.modality == "graph" and environment.knobs.get("players") == "nodes",
        twin=environment.twin,
    )


def part(split: Split, rows: Tensor | slice) -> Split:
    """Some rows of a split."""
    return Split(
        inputs=split.inputs[rows],
        labels=split.labels[rows],
        target=split.target[rows],
        baseline=split.baseline[rows],
        feature_mask=split.feature_mask[rows],
        truth=None if split.truth is None else split.truth[rows],
    )


def arrays(
    name: str,
    inputs: Tensor,  # (rows, *features)
    labels: Tensor,  # (rows,) int64
    *,
    modality: str,
    baseline: Tensor | None = None,  # (*features); by default 0
    feature_mask: Tensor | None = None,  # (*features) int64; by default a player per entry, or per pixel of an image
    held_out: float = 0.3,
    seed: int = 0,
) -> Data:
    """Rows of one's own; the network that is explained is trained here.

    Raises:
        InvalidInput: if the rows are not finite, or labels are not 0, 1, ... for each row.
    """
    if not bool(torch.isfinite(inputs).all()) or inputs.dim() < 2:
        raise InvalidInput(f"{name}: inputs are finite rows (rows, *features) (got shape {tuple(inputs.shape)})")
    if labels.shape != inputs.shape[:1] or labels.dtype != torch.int64 or int(labels.min()) < 0:
        raise InvalidInput(f"{name}: labels are int64, one class 0, 1, ... per row (got {labels.dtype} of shape {tuple(labels.shape)})")
    if not 0 < held_out < 1:
        raise InvalidInput(f"held_out is the share of test rows, between 0 and 1 (got {held_out})")
    rows = inputs.double()
    ground = torch.zeros_like(rows[0]) if baseline is None else baseline.double()
    mask = _players(rows[0]) if feature_mask is None else feature_mask
    split = Split(
        inputs=rows,
        labels=labels,
        target=labels,
        baseline=ground.expand_as(rows).contiguous(),
        feature_mask=mask.expand(rows.shape).contiguous(),
    )
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    test = round(held_out * len(rows))
    return Data(
        name=name,
        modality=modality,
        formula="a network trained here",
        players=int(mask.max()) + 1,
        classes=int(labels.max()) + 1,
        rule="labels of the data",
        train=part(split, order[test:]),
        test=part(split, order[:test]),
    )


def _players(row: Tensor) -> Tensor:
    if row.dim() == 3:
        return torch.arange(row.shape[1] * row.shape[2]).view(1, *row.shape[1:]).expand(row.shape)
    return torch.arange(row.numel()).view(row.shape)


def labels_of(id: str, outputs: Tensor) -> tuple[Tensor, int, str]:  # (rows,) int64, -1 where none; how many; in words
    """The class of each row by the network's outputs, (rows, outputs)."""
    if outputs.shape[1] > 1:
        best = outputs.topk(2, dim=1).values
        found = torch.where(best[:, 0] > best[:, 1], outputs.argmax(1), -1)
        return found, outputs.shape[1], "the largest output"
    value = outputs[:, 0]
    distinct = torch.unique(value)
    if len(distinct) < 2:
        raise NotApplicable(f"{id} has one class: its network answers {float(distinct[0]):g} on every row, so there is nothing to learn")
    if len(distinct) == 2:
        return (value == distinct[1]).long(), 2, f"the output, {float(distinct[0]):g} or {float(distinct[1]):g}"
    cut = float(value.median())
    cut = cut if bool((value > cut).any()) else float(distinct[-2])
    return (value > cut).long(), 2, f"whether the output is above {cut:g}"
