"""The inputs of a chunk are made from its kept sets at the moment they are needed, in the layout in which the network is fastest.

`channels_last` is a matter of where entries lie, not of what they are: rows are stored with the channel innermost and shown to
imputer and network through a permuted view, so nothing is converted per chunk.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

import torch
from torch import Tensor

from attrlab.games.entries import Entries, Fill, Filled, Write
from attrlab.games.game import Game
from attrlab.games.imputers import Imputer, keep_baseline
from attrlab.games.policy import Policy

RUN = 2**14
"""Entries of consecutive jobs about one row, on the mean, from which on it is faster to read that row in place than to copy it for each."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of a game as they lie in memory."""

    inputs: Tensor  # (batch, *stored)
    baseline: Tensor  # (batch or 1, *stored)
    entries: Entries
    channels_last: bool
    imputer: Imputer


def lay_out(game: Game) -> Rows:
    """Store the rows of `game` in the layout its policy asks for; a baseline that all rows share is stored once."""
    last = is_channels_last(game.inputs, game.policy)
    inputs, baseline, mask = (_stored(tensor, last) for tensor in (game.inputs, game.baseline, game.feature_mask))
    owner = _once(torch.where(mask < 0, game.players, mask).flatten(1))
    entries = Entries(owner=owner, repeats=_repeats(owner, game.players), players=game.players, dtype=inputs.dtype)
    return Rows(inputs=inputs, baseline=_once(baseline), entries=entries, channels_last=last, imputer=game.imputer)


def make(
    rows: Rows,
    write: Write,
    sample: Tensor,  # (jobs,) int64
    begin: int,
    end: int,
    *,
    runs: Runs | None = None,
    fill: Fill | None = None,
) -> Tensor:  # (chunk, *features)
    """The inputs of the chosen jobs from `begin` to `end`: shares are written once, and interpolated in place."""
    shares = rows.inputs.new_empty(end - begin, rows.entries.owner.shape[1])
    if fill is not None:
        fill(begin, end, shares)
        return _shown(rows, shares)
    if runs is not None:
        _by_run(rows, write, shares, runs.within(begin, end))
        return _shown(rows, shares)
    sample = sample[begin:end]
    write(begin, end, sample, shares)
    inputs, baseline = (_of_samples(tensor.flatten(1), sample) for tensor in (rows.inputs, rows.baseline))
    if rows.imputer is keep_baseline:
        return _shown(rows, torch.lerp(baseline, inputs, shares, out=shares))
    return rows.imputer.impute(_shown(rows, inputs), _shown(rows, baseline), _shown(rows, shares != 0), sample)


def filler(
    rows: Rows,
    jobs: object,
    chosen: Tensor,  # (jobs,) int64
) -> Fill | None:
    """How a plan writes inputs itself, where it can and the imputer is the baseline."""
    if not isinstance(jobs, Filled) or rows.imputer is not keep_baseline or chosen.is_cuda:
        return None
    return jobs.filler(rows.entries, chosen, rows.inputs.flatten(1), rows.baseline.flatten(1))


@dataclass(frozen=True, kw_only=True)
class Runs:
    """Stretches of consecutive jobs that ask about one row."""

    start: list[int]  # the first job of each
    row: list[int]  # the row of the game

    def within(
        self,
        begin: int,
        end: int,
    ) -> list[tuple[int, int, int]]:
        """The runs between two jobs, cut off at both: (first job, behind the last one, row)."""
        first, last = bisect_right(self.start, begin) - 1, bisect_left(self.start, end)
        starts = [begin, *self.start[first + 1 : last], end]
        return list(zip(starts, starts[1:], self.row[first:last], strict=False))


def runs_of(
    rows: Rows,
    sample: Tensor,  # (jobs,) int64
) -> Runs | None:
    """The runs of a plan, where it is worth reading what belongs to a row in place: not where they are short, nor on a GPU."""
    if rows.imputer is not keep_baseline or sample.is_cuda:
        return None
    if sample.stride(0) == 0:  # one row, expanded
        return Runs(start=[0], row=[int(sample[0])])
    row, length = torch.unique_consecutive(sample, return_counts=True)
    if len(sample) * rows.entries.owner.shape[1] < RUN * len(row):
        return None
    return Runs(start=(length.cumsum(0) - length).tolist(), row=row.tolist())


def is_channels_last(
    inputs: Tensor,  # (batch, *features)
    policy: Policy,
) -> bool:
    """Whether rows are stored with the channel innermost: as asked, or where several channels of float32 make it pay."""
    if inputs.dim() != 4 or policy.memory_format == "contiguous":
        return False
    return policy.memory_format == "channels_last" or (inputs.shape[1] > 1 and inputs.dtype != torch.float64)


def _by_run(rows: Rows, write: Write, shares: Tensor, runs: list[tuple[int, int, int]]) -> None:
    """Write and interpolate the shares of each run against its one row."""
    inputs, baseline, first = rows.inputs.flatten(1), rows.baseline.flatten(1), runs[0][0]
    for begin, end, row in runs:
        own = shares[begin - first : end - first]
        write(begin, end, row, own)
        torch.lerp(baseline[row if len(baseline) > 1 else 0], inputs[row], own, out=own)


def _repeats(owner: Tensor, players: int) -> int:
    """How often each player's number stands in a shared owner of the form 0, 0, ..., 1, 1, ...; 0 where it has another form."""
    if len(owner) != 1 or players == 0 or owner.shape[1] % players:
        return 0
    times = owner.shape[1] // players
    return times if bool((owner[0] == torch.arange(players, device=owner.device).repeat_interleave(times)).all()) else 0


def _once(rows: Tensor) -> Tensor:
    """The first row alone, where all rows equal it."""
    return rows[:1].contiguous() if len(rows) and bool((rows == rows[:1]).all()) else rows


def _of_samples(flat: Tensor, sample: Tensor) -> Tensor:  # (chunk, entries)
    """The rows of some samples; a single row needs no copy."""
    return flat.expand(len(sample), -1) if len(flat) == 1 else flat.index_select(0, sample)


def _shown(rows: Rows, flat: Tensor) -> Tensor:  # (chunk, *features)
    stored = flat.view(len(flat), *rows.inputs.shape[1:])
    return stored.permute(0, 3, 1, 2) if rows.channels_last else stored


def _stored(tensor: Tensor, channels_last: bool) -> Tensor:
    return tensor.permute(0, 2, 3, 1).contiguous() if channels_last else tensor.contiguous()
