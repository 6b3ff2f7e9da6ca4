"""The inputs of a chunk are made from its kept sets at the moment they are needed, in the layout in which the network is fastest.

`channels_last` is a matter of where entries lie, not of what they are: rows are stored with the channel innermost and shown to
imputer and network through a permuted view, so nothing is converted per chunk.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from attrlab.games.entries import Entries, Filled, Keeping, Write, writer
from attrlab.games.game import Game
from attrlab.games.imputers import Imputer, keep_baseline
from attrlab.games.policy import Policy

Make = Callable[[int, int], Tensor]
"""make(begin, end): the inputs of some of the chosen jobs, (rows, *features), in memory of their own."""

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
    inputs, baseline, mask = (_stored(one, last) for one in (game.inputs, _once(game.baseline), _once(game.feature_mask)))
    owner = torch.where(mask < 0, game.players, mask).flatten(1)
    entries = Entries(owner=owner, repeats=_repeats(owner, game.players), players=game.players, dtype=inputs.dtype)
    return Rows(inputs=inputs, baseline=baseline, entries=entries, channels_last=last, imputer=game.imputer)


def maker(
    rows: Rows,
    jobs: Keeping,
    chosen: Tensor,  # (jobs,) int64, ascending
    sample: Tensor,  # (jobs,) int64
) -> Make:
    """How the inputs of the chosen jobs are made: by the plan itself, run by run of jobs about one row, or gathered."""
    if rows.imputer is not keep_baseline:
        return partial(_imputed, rows, writer(jobs, rows.entries, chosen), sample)
    entries, here = rows.entries.owner.shape[1], not sample.is_cuda
    fill = (
        jobs.filler(rows.entries, chosen, rows.inputs.flatten(1), rows.baseline.flatten(1)) if here and isinstance(jobs, Filled) else None
    )
    if fill is None:
        write, runs = writer(jobs, rows.entries, chosen), _runs(sample, entries) if here else None
        fill = partial(_gathered, rows, write, sample) if runs is None else partial(_by_run, rows, write, sample, runs)

    def make(begin: int, end: int) -> Tensor:
        return _shown(rows, fill(begin, end, rows.inputs.new_empty(end - begin, entries)))

    return make


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


def is_channels_last(
    inputs: Tensor,  # (batch, *features)
    policy: Policy,
) -> bool:
    """Whether rows are stored with the channel innermost: as asked, or where several channels of float32 make it pay."""
    if inputs.dim() != 4 or policy.memory_format == "contiguous":
        return False
    return policy.memory_format == "channels_last" or (inputs.shape[1] > 1 and inputs.dtype != torch.float64)


def _runs(sample: Tensor, entries: int) -> Runs | None:
    """The runs of a plan, unless they are too short to be worth it."""
    if sample.stride(0) == 0:  # one row, expanded
        return Runs(start=[0], row=[int(sample[0])])
    row, length = torch.unique_consecutive(sample, return_counts=True)
    if len(sample) * entries < RUN * len(row):
        return None
    return Runs(start=(length.cumsum(0) - length).tolist(), row=row.tolist())


def _by_run(rows: Rows, write: Write, sample: Tensor, runs: Runs, begin: int, end: int, out: Tensor) -> Tensor:
    """Write shares and interpolate each run in place against its one row, which is read where it lies; short runs are gathered."""
    here = runs.within(begin, end)
    if out.numel() < RUN * len(here):
        return _gathered(rows, write, sample, begin, end, out)
    inputs, baseline = rows.inputs.flatten(1), rows.baseline.flatten(1)
    for first, last, row in here:
        own = out[first - begin : last - begin]
        write(first, last, row, own)
        torch.lerp(baseline[row if len(baseline) > 1 else 0], inputs[row], own, out=own)
    return out


def _gathered(rows: Rows, write: Write, sample: Tensor, begin: int, end: int, out: Tensor) -> Tensor:
    """Write shares and interpolate in place, after a copy of its row for each job."""
    write(begin, end, sample[begin:end], out)
    inputs, baseline = (_of_samples(tensor.flatten(1), sample[begin:end]) for tensor in (rows.inputs, rows.baseline))
    return torch.lerp(baseline, inputs, out, out=out)


def _imputed(rows: Rows, write: Write, sample: Tensor, begin: int, end: int) -> Tensor:
    """Write shares, and ask the imputer what stands where they are 0."""
    sample = sample[begin:end]
    shares = rows.inputs.new_empty(end - begin, rows.entries.owner.shape[1])
    write(begin, end, sample, shares)
    inputs, baseline = (_of_samples(tensor.flatten(1), sample) for tensor in (rows.inputs, rows.baseline))
    return rows.imputer.impute(_shown(rows, inputs), _shown(rows, baseline), _shown(rows, shares != 0), sample)


def _repeats(owner: Tensor, players: int) -> int:
    """How often each player's number stands in a shared owner of the form 0, 0, ..., 1, 1, ...; 0 where it has another form."""
    if len(owner) != 1 or players == 0 or owner.shape[1] % players:
        return 0
    times = owner.shape[1] // players
    return times if bool((owner[0] == torch.arange(players, device=owner.device).repeat_interleave(times)).all()) else 0


def _once(rows: Tensor) -> Tensor:
    """The first row alone, where all rows equal it."""
    alike = len(rows) > 0 and (rows.stride(0) == 0 or bool((rows == rows[:1]).all()))
    return rows[:1] if alike else rows


def _of_samples(flat: Tensor, sample: Tensor) -> Tensor:  # (chunk, entries)
    """The rows of some samples; a single row needs no copy."""
    return flat.expand(len(sample), -1) if len(flat) == 1 else flat.index_select(0, sample)


def _shown(rows: Rows, flat: Tensor) -> Tensor:  # (chunk, *features)
    stored = flat.view(len(flat), *rows.inputs.shape[1:])
    return stored.permute(0, 3, 1, 2) if rows.channels_last else stored


def _stored(tensor: Tensor, channels_last: bool) -> Tensor:
    return tensor.permute(0, 2, 3, 1).contiguous() if channels_last else tensor.contiguous()
