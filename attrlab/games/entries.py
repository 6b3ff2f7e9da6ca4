"""Kept sets are sets of players, inputs are made of entries: what lies between is worked out once for a game, not once for a coalition.

A chunk's shares are written where its inputs will stand, in the type in which they are multiplied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor

Asked = Tensor | range
"""The rows of the game that jobs ask about: (jobs,) int64, or rows that follow each other, each asked about equally often in succession."""

Write = Callable[[int, int, Asked, Tensor], None]
"""write(begin, end, sample, out): what share of each entry the chosen jobs from `begin` to `end` keep, 0 to 1, into `out` (jobs, entries),
`sample` being their rows of the game."""

Fill = Callable[[int, int, Tensor], Tensor]
"""fill(begin, end, out): the inputs of the chosen jobs from `begin` to `end`, written into `out` (rows, entries) and returned."""


@dataclass(frozen=True, kw_only=True)
class Entries:
    """Which player owns each entry, as rows lie in memory.

    Attributes:
        owner: the player of each entry, or `players` where there is none; a single row where all rows agree.
        repeats: where every row's entries belong to players 0, 0, ..., 1, 1, ... in order, how often each; otherwise 0.
        players: how many there may be.
        dtype: of the inputs, and so of shares.
    """

    owner: Tensor  # (batch or 1, entries) int64
    repeats: int
    players: int
    dtype: torch.dtype

    def carried(
        self,
        values: Tensor,  # (batch, players)
        *,
        none: float,
    ) -> Tensor:  # (batch, entries), in `dtype`
        """Carry a value from players to their entries; entries of no player get `none`."""
        padded = torch.nn.functional.pad(values.to(self.dtype), (0, 1), value=none)
        return padded.gather(1, self.owner.expand(len(values), -1))

    def of_row(
        self,
        row: int,
    ) -> Tensor:  # (entries,) int64
        """The owners in one row, or the ones that all rows share."""
        return self.owner[row] if len(self.owner) > 1 else self.owner[0]

    def integers(self) -> torch.dtype | None:
        """The integers that take as much memory as `dtype`, where there are some for bits."""
        return {torch.float32: torch.int32, torch.float64: torch.int64}.get(self.dtype)

    def exact(
        self,
        *numbers: Tensor,  # int64
    ) -> bool:
        """Whether all of these are numbers of `dtype`."""
        return all(not one.numel() or int(one.abs().max()) <= 1 / torch.finfo(self.dtype).eps for one in numbers)


class Keeping(Protocol):
    """A plan, as far as its shares are concerned."""

    def keep(self, selection: Tensor) -> Tensor:
        """The kept sets of some jobs: (rows, players)."""


class Written(Protocol):
    """A plan that can write shares of entries without making kept sets of players first."""

    def writer(
        self,
        entries: Entries,
        chosen: Tensor,  # (rows,) int64, in [0, jobs), ascending
    ) -> Write | None:
        """How the shares of the chosen jobs are written, or None where `entries` do not allow for it."""


class Filled(Protocol):
    """A plan that can write inputs without writing shares first, where what is absent takes the baseline."""

    def filler(
        self,
        entries: Entries,
        chosen: Tensor,  # (rows,) int64, in [0, jobs), ascending
        inputs: Tensor,  # (batch, entries)
        baseline: Tensor,  # (batch or 1, entries)
    ) -> Fill | None:
        """How inputs are written, or None where the plan or its entries do not allow for it."""


def writer(
    jobs: Keeping,
    entries: Entries,
    chosen: Tensor,  # (rows,) int64, in [0, jobs), ascending
) -> Write:
    """How the shares of the chosen jobs of a plan are written: its own way, or from its kept sets."""
    own = cast("Written", jobs).writer(entries, chosen) if hasattr(jobs, "writer") else None  # a tenth of the time isinstance takes
    return own or _from_players(jobs, entries, chosen)


def _from_players(jobs: Keeping, entries: Entries, chosen: Tensor) -> Write:
    """From players to the entries they own, a chunk at a time."""

    def write(begin: int, end: int, sample: Asked, out: Tensor) -> None:
        shares = jobs.keep(chosen[begin:end])
        if entries.repeats == 1:
            out.copy_(_numbers(shares))
            return
        shares = _numbers(shares).to(entries.dtype)
        if entries.repeats == 0:
            shares = torch.nn.functional.pad(shares, (0, 1), value=1.0)
        if len(entries.owner) == 1 or (isinstance(sample, range) and len(sample) == 1):
            torch.index_select(shares, 1, entries.of_row(sample[0] if isinstance(sample, range) else 0), out=out)
        elif isinstance(sample, range):
            out = in_succession(out, sample)
            torch.gather(in_succession(shares, sample), 2, stretch(entries.owner, sample).expand_as(out), out=out)
        else:
            torch.gather(shares, 1, entries.owner.index_select(0, sample), out=out)

    return write


def in_succession(
    jobs: Tensor,  # (jobs, entries)
    sample: range,
) -> Tensor:  # (rows, times, entries)
    """What belongs to jobs, by the rows that they ask about in succession."""
    return jobs.view(len(sample), -1, jobs.shape[1])


def stretch(
    rows: Tensor,  # (batch or 1, entries)
    sample: range,
) -> Tensor:  # (rows or 1, 1, entries)
    """What belongs to rows of the game, for the ones that jobs ask about; a single row stands for all."""
    return (rows if len(rows) == 1 else rows[sample.start : sample.stop]).unsqueeze(1)


def _numbers(keep: Tensor) -> Tensor:
    """Bits as bytes, which torch turns into floating point six times faster."""
    return keep.view(torch.uint8) if keep.dtype == torch.bool else keep
