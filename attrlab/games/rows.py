"""The inputs of a chunk are made from its kept sets at the moment they are needed, in the layout in which the network is fastest.

`channels_last` is a matter of where entries lie, not of what they are: rows are stored with the channel innermost and shown to
imputer and network through a permuted view, so nothing is converted per chunk.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor

from attrlab.games.entries import Entries, Fill, Filled, Keeping, Write, in_succession, stretch, writer
from attrlab.games.game import Game
from attrlab.games.imputers import Imputer, keep_baseline
from attrlab.games.policy import Policy

LONG = 2**14
"""Entries of a stretch, on the mean, from which on it is faster to read its rows in place than to copy one for each job."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of a game as they lie in memory."""

    inputs: Tensor  # (batch, *stored)
    baseline: Tensor  # (batch or 1, *stored)
    entries: Entries
    channels_last: bool
    imputer: Imputer


def lay_out(game: Game) -> Rows:
    """The rows of `game` in the layout its policy asks for, stored once for a game; a baseline that all rows share is a single row."""
    if "rows" not in game.found:
        game.found["rows"] = _laid_out(game)
    rows: Rows = game.found["rows"]
    return rows


def _laid_out(game: Game) -> Rows:
    last = is_channels_last(game.inputs, game.policy)
    inputs, baseline, mask = (_stored(one, last) for one in (game.inputs, _once(game.baseline), _once(game.feature_mask)))
    owner = torch.where(mask < 0, game.players, mask).flatten(1)
    entries = Entries(owner=owner, repeats=_repeats(owner, game.players), players=game.players, dtype=inputs.dtype)
    return Rows(inputs=inputs, baseline=baseline, entries=entries, channels_last=last, imputer=game.imputer)


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Makes the inputs of chosen jobs: make(begin, end) are those of some of them, (jobs, *features), in memory of their own.

    Attributes:
        stretches: of the jobs, where their inputs are written stretch by stretch.
    """

    make: Callable[[int, int], Tensor]
    stretches: Stretches | None = None

    def __call__(self, begin: int, end: int) -> Tensor:
        """Return the inputs of the jobs from `begin` to `end`."""
        return self.make(begin, end)

    def until(
        self,
        begin: int,
        end: int,
    ) -> int:
        """Where a chunk that may reach from `begin` to `end` had best end: behind the last of a row's jobs.

        Unless it were then cut to less than its half, or held no row's jobs whole.
        """
        if self.stretches is None:
            return end
        behind, times = self.stretches.row_before(end)
        return behind if behind - begin >= max(times, (end - begin + 1) // 2) else end


def maker(
    rows: Rows,
    jobs: Keeping,
    chosen: Tensor,  # (jobs,) int64, ascending
    sample: Tensor,  # (jobs,) int64
) -> Maker:
    """How the inputs of the chosen jobs are made: by the plan itself, stretch by stretch of jobs about rows in succession, or gathered."""
    if rows.imputer is not keep_baseline:
        return Maker(make=partial(_imputed, rows, writer(jobs, rows.entries, chosen), sample))
    entries, here = rows.entries.owner.shape[1], not sample.is_cuda
    fill: Fill | None = None
    if here and hasattr(jobs, "filler"):
        fill = cast("Filled", jobs).filler(rows.entries, chosen, rows.inputs.flatten(1), rows.baseline.flatten(1))
    stretches = None
    if fill is None:
        write, stretches = writer(jobs, rows.entries, chosen), _stretches(sample, entries) if here else None
        fill = partial(_gathered, rows, write, sample) if stretches is None else partial(_by_stretch, rows, write, sample, stretches)

    def make(begin: int, end: int) -> Tensor:
        return _shown(rows, fill(begin, end, rows.inputs.new_empty(end - begin, entries)))

    return Maker(make=make, stretches=stretches)


@dataclass(frozen=True, kw_only=True)
class Stretches:
    """Consecutive jobs that ask about rows which follow each other, about each equally often in succession."""

    start: list[int]  # the first job of each
    times: list[int]  # how often each row is asked about
    row: list[int]  # the first row of the game

    def within(
        self,
        begin: int,
        end: int,
    ) -> list[tuple[int, int, range]]:
        """Which stretches lie between two jobs, (first job, behind the last, rows); what a cut leaves of a row stands apart."""
        first, last = bisect_right(self.start, begin) - 1, bisect_left(self.start, end)
        stops = [*self.start[first + 1 : last], end]
        found: list[tuple[int, int, range]] = []
        for place, stop in enumerate(stops, first):
            start, times, row = self.start[place], self.times[place], self.row[place]
            while begin < stop:
                at, into = divmod(begin - start, times)
                whole = 0 if into else (stop - begin) // times
                until = begin + whole * times if whole else min(stop, begin - into + times)
                found.append((begin, until, range(row + at, row + at + max(whole, 1))))
                begin = until
        return found

    def row_before(
        self,
        end: int,
    ) -> tuple[int, int]:
        """The last job up to `end` with which the jobs about a row begin, and how often that row is asked about."""
        place = bisect_right(self.start, end) - 1
        return end - (end - self.start[place]) % self.times[place], self.times[place]


def is_channels_last(
    inputs: Tensor,  # (batch, *features)
    policy: Policy,
) -> bool:
    """Whether rows are stored with the channel innermost: as asked, or where several channels of float32 make it pay."""
    if inputs.dim() != 4 or policy.memory_format == "contiguous":
        return False
    return policy.memory_format == "channels_last" or (inputs.shape[1] > 1 and inputs.dtype != torch.float64)


def _stretches(sample: Tensor, entries: int) -> Stretches | None:
    """The stretches of a plan, unless they are too short to be worth it."""
    if sample.stride(0) == 0:  # one row, expanded
        return Stretches(start=[0], times=[len(sample)], row=[int(sample[0])])
    row, times = torch.unique_consecutive(sample, return_counts=True)
    first = torch.ones_like(row, dtype=torch.bool)
    first[1:] = (row.diff() != 1) | (times.diff() != 0)
    if len(sample) * entries < LONG * int(first.sum()):
        return None
    start = times.cumsum(0) - times
    return Stretches(start=start[first].tolist(), times=times[first].tolist(), row=row[first].tolist())


def _by_stretch(rows: Rows, write: Write, sample: Tensor, stretches: Stretches, begin: int, end: int, out: Tensor) -> Tensor:
    """Write shares and interpolate each stretch in place against its rows, which are read where they lie; short ones are gathered."""
    here = stretches.within(begin, end)
    if out.numel() < LONG * len(here):
        return _gathered(rows, write, sample, begin, end, out)
    inputs, baseline = rows.inputs.flatten(1), rows.baseline.flatten(1)
    for first, last, asked in here:
        own = out[first - begin : last - begin]
        write(first, last, asked, own)
        own = in_succession(own, asked)
        torch.lerp(stretch(baseline, asked), stretch(inputs, asked), own, out=own)
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
