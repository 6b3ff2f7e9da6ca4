"""Between data and network stands a view: the same rows with players removed, or nothing of the rows but which players are left.

A graph's row gains a last column that marks which nodes are there, so that padding is never a node, and an isolated node stays or leaves by
one number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from attrlab.games.imputers import Imputer
from attrlab.retraining.data import Data, Split
from attrlab.retraining.jobs import Protocol, Scored, Unit
from attrlab.retraining.removal import Removal, of_entries, remove
from attrlab.retraining.stacked import View


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One split as networks are shown it, on their device and in their number type."""

    inputs: Tensor  # (rows, *features)
    baseline: Tensor  # (rows, *features)
    feature_mask: Tensor  # (rows, *features) int64
    labels: Tensor  # (rows,) int64


@dataclass(frozen=True, kw_only=True)
class Stand:
    """The data as networks are shown them, and what stands in the place of what is absent."""

    train: Shown
    test: Shown
    imputer: Imputer
    graph: bool
    nodes_leave: bool

    @property
    def splits(self) -> tuple[Shown, Shown]:
        """Training rows, then test rows."""
        return self.train, self.test


def shown(data: Data, split: Split, *, device: str, dtype: torch.dtype) -> Shown:
    """Put a split on a device; a graph gains its column of presences, which belongs to no player."""
    inputs, baseline, mask = split.inputs, split.baseline, split.feature_mask
    if data.modality == "graph" and not data.nodes_leave:
        nodes = inputs.shape[1]
        there = ((inputs != 0).any(2) | (inputs[..., :nodes] != 0).any(1)).unsqueeze(2).to(inputs.dtype)
        inputs, baseline = torch.cat([inputs, there], 2), torch.cat([baseline, there], 2)
        mask = torch.cat([mask, torch.full_like(mask[..., :1], -1)], 2)
    return Shown(
        inputs=inputs.to(device, dtype), baseline=baseline.to(device, dtype), feature_mask=mask.to(device), labels=split.labels.to(device)
    )


def whole(stand: Stand, split: int, models: int = 1) -> View:
    """The rows as they are."""
    inputs = stand.splits[split].inputs

    def view(index: Tensor) -> Tensor:
        rows = inputs[index]
        return _finished(stand, Protocol(), rows if index.dim() == 2 else rows.unsqueeze(0).expand(models, *rows.shape))

    return view


def view_of(stand: Stand, units: Sequence[Unit], scored: Mapping[str, Scored], split: int) -> View:
    """What the networks of a chunk are shown of one split; units agree in their question and in the fate of isolated nodes."""
    removal = _removal(stand, units, scored, split)
    if units[0].question == "mask":
        return partial(_mask, stand, removal, stand.splits[split].feature_mask >= 0)
    protocol = units[0].job.protocol

    def view(index: Tensor) -> Tensor:
        return _finished(stand, protocol, removal.rows(index))

    return view


def _removal(stand: Stand, units: Sequence[Unit], scored: Mapping[str, Scored], split: int) -> Removal:
    rows = stand.splits[split]
    tables: dict[tuple[str, int, bool], Tensor] = {}
    table, counts = [], []
    for unit in units:
        job = unit.job
        order = (job.method, job.seed, job.protocol.descending)
        if order not in tables:
            tables[order] = of_entries(scored[job.method].places(job, split).to(rows.inputs.device), rows.feature_mask)
        table.append(list(tables).index(order))
        counts.append(scored[job.method].counts(job, split))
    place = torch.tensor(table, device=rows.inputs.device)
    gone = torch.stack(counts).to(rows.inputs.device)
    return remove(rows.inputs, rows.baseline, stand.imputer, tables=torch.stack(list(tables.values())), table=place, counts=gone)


def _mask(stand: Stand, removal: Removal, owned: Tensor, index: Tensor) -> Tensor:
    """1 where an entry's player is left, 0 elsewhere; of a graph also which nodes there are."""
    left = removal.kept(index) & (owned[index] if index.dim() == 2 else owned[index].unsqueeze(0))
    left = left.to(removal.inputs.dtype)
    if not stand.graph or stand.nodes_leave:
        return left
    there = removal.inputs[..., -1:][index]
    return torch.cat([left[..., :-1], there.expand(*left.shape[:-1], 1)], -1)


def _finished(stand: Stand, protocol: Protocol, rows: Tensor) -> Tensor:  # (jobs, batch, *features)
    """What a node that is not there takes with it, and what becomes of one left without an edge."""
    if not stand.graph:
        return rows
    nodes = rows.shape[-2]
    if stand.nodes_leave:
        rows = _without(rows, rows[..., -1:])
    if protocol.isolated == "dropped":
        joined = (rows[..., :nodes] != 0).any(-1) | (rows[..., :nodes] != 0).any(-2)
        rows = _without(rows, joined.unsqueeze(-1).to(rows.dtype))
    return rows


def _without(rows: Tensor, there: Tensor) -> Tensor:
    """Rows [A | X | p] without the nodes that are not `there`, (..., n, 1): their edges, features and marks are 0."""
    nodes = rows.shape[-2]
    return torch.cat([rows[..., :nodes] * there * there.transpose(-1, -2), rows[..., nodes:] * there], -1)
