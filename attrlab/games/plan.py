"""A plan is a list of jobs, (row, kept set), of which nothing as large as jobs x features ever exists.

Each kind of job knows three things: which row each job asks about, a 64-bit key of its kept set, and how to make the kept set of
a few jobs when their turn comes. Keys are Zobrist sums: every player of every row has a random 64-bit number, and a kept set's key is
the sum over its members, modulo 2^64. Two different kept sets share a key with probability 2^-64; sums make prefix sets a cumulative
sum, full tables a doubling, and a removal one subtraction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal, Protocol, cast

import torch
from torch import Tensor

from attrlab.errors import InvalidInput
from attrlab.games.entries import Asked, Entries, Fill, Filled, Write, in_succession, stretch, writer


class Jobs(Protocol):
    """What the engine asks of a plan."""

    @property
    def sample(self) -> Tensor:
        """The row of the game that each job asks about: (jobs,) int64."""

    @property
    def distinct(self) -> bool:
        """Whether no two jobs of this plan can share an effective kept set, so that looking for repetitions is wasted."""

    def __len__(self) -> int: ...

    def keys(
        self,
        zobrist: Tensor,  # (batch, players) int64, 0 for players whose absence changes nothing
    ) -> Tensor:  # (jobs,) int64
        """The key of each job's kept set."""

    def keep(
        self,
        selection: Tensor,  # (rows,) int64, in [0, jobs)
    ) -> Tensor:  # (rows, players) bool, or floating-point shares of what is kept, in [0, 1]
        """The kept sets of some jobs."""


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Nested kept sets along a ranking: deletion keeps rank >= threshold, insertion keeps rank < threshold.

    Jobs are row by row, threshold by threshold. Tied players share a rank, so that no threshold can cut through a tie. `distinct` may be
    stated by whoever knows that between any two thresholds of a row there is a player whose absence changes the row.
    """

    rank: Tensor  # (batch, players) int64, 0 for the first
    threshold: Tensor  # (batch, levels) int64
    mode: Literal["deletion", "insertion"] = "deletion"
    distinct: bool = False

    def __len__(self) -> int:
        return self.threshold.numel()

    @property
    def sample(self) -> Tensor:
        """Row by row, every threshold of the row."""
        rows, levels = self.threshold.shape
        return torch.arange(rows, device=self.threshold.device).repeat_interleave(levels)

    def keys(self, zobrist: Tensor) -> Tensor:
        """Sums over everyone below each threshold: numbers are summed by rank, and the sums cumulated; only far-flung ranks are sorted."""
        least, most = (int(end) for end in self.rank.aminmax()) if self.rank.numel() else (0, 0)
        if least < 0 or most > 4 * self.rank.shape[1]:
            ranks, order = self.rank.sort(dim=1, stable=True)
            place, by_rank = torch.searchsorted(ranks, self.threshold.contiguous()), zobrist.gather(1, order)
        else:
            place = self.threshold.clamp(0, most + 1)
            by_rank = zobrist.new_zeros(len(zobrist), most + 1).scatter_add_(1, self.rank, zobrist)
        prefix = torch.nn.functional.pad(by_rank.cumsum(1), (1, 0))
        below = prefix.gather(1, place)
        return (below if self.mode == "insertion" else prefix[:, -1:] - below).flatten()

    def keep(self, selection: Tensor) -> Tensor:
        """Compare the row's ranks with the job's threshold."""
        row = selection.div(max(self.threshold.shape[1], 1), rounding_mode="floor")
        threshold = self.threshold.flatten()[selection].unsqueeze(1)
        rank = self.rank.index_select(0, row)
        return rank < threshold if self.mode == "insertion" else rank >= threshold

    def writer(self, entries: Entries, chosen: Tensor) -> Write | None:
        """Every entry takes the rank of its player, once; a chunk is then one comparison."""
        if not entries.exact(self.rank, self.threshold):
            return None
        inserting = self.mode == "insertion"
        rank = entries.carried(self.rank, none=-torch.inf if inserting else torch.inf)
        threshold = self.threshold.flatten()[chosen].to(entries.dtype).unsqueeze(1)
        compare = torch.lt if inserting else torch.ge

        def write(begin: int, end: int, sample: Asked, out: Tensor) -> None:
            if isinstance(sample, range):
                compare(stretch(rank, sample), in_succession(threshold[begin:end], sample), out=in_succession(out, sample))
            else:
                compare(torch.index_select(rank, 0, sample, out=out), threshold[begin:end], out=out)

        return write


@dataclass(frozen=True, kw_only=True)
class Masks:
    """Kept sets written out, for the few jobs that have no shorter form."""

    sample: Tensor  # (jobs,) int64
    mask: Tensor  # (jobs, players) bool, True is kept
    distinct: bool = field(default=False, init=False)

    def __len__(self) -> int:
        return len(self.mask)

    def keys(self, zobrist: Tensor) -> Tensor:
        """Sum the members' numbers, a bounded block of jobs at a time."""
        block = max(1, 2**17 // max(1, self.mask.shape[1]))
        starts = range(0, len(self), block)
        parts = [(zobrist[self.sample[i : i + block]] * self.mask[i : i + block]).sum(1) for i in starts]
        return torch.cat(parts) if parts else self.sample

    def keep(self, selection: Tensor) -> Tensor:
        """They are there already."""
        return self.mask[selection]


@dataclass(frozen=True, kw_only=True)
class Without:
    """Everyone but one player is kept; -1 removes nobody."""

    sample: Tensor  # (jobs,) int64
    player: Tensor  # (jobs,) int64
    players: int
    distinct: bool = field(default=False, init=False)

    def __len__(self) -> int:
        return len(self.player)

    def keys(self, zobrist: Tensor) -> Tensor:
        """The row's full sum, less one number."""
        padded = torch.cat([zobrist, zobrist.new_zeros(len(zobrist), 1)], 1)
        return zobrist.sum(1)[self.sample] - padded[self.sample, torch.where(self.player < 0, zobrist.shape[1], self.player)]

    def keep(self, selection: Tensor) -> Tensor:
        """Compare every player with the one that is removed."""
        return torch.arange(self.players, device=self.player.device) != self.player[selection].unsqueeze(1)

    def writer(self, entries: Entries, chosen: Tensor) -> Write | None:
        """Compare every entry's owner with the player that is removed."""
        if not entries.exact(entries.owner):
            return None
        owner, player = entries.owner.to(entries.dtype), self.player[chosen].to(entries.dtype).unsqueeze(1)

        def write(begin: int, end: int, sample: Asked, out: Tensor) -> None:
            if isinstance(sample, range):
                torch.ne(stretch(owner, sample), in_succession(player[begin:end], sample), out=in_succession(out, sample))
            else:
                torch.ne(owner if len(owner) == 1 else owner[sample], player[begin:end], out=out)

        return write


@dataclass(frozen=True, kw_only=True)
class Joined:
    """Plans one after the other, so that what they share is evaluated once."""

    parts: tuple[Jobs, ...]
    distinct: bool = field(default=False, init=False)

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    @property
    def sample(self) -> Tensor:
        """The rows of all parts."""
        return torch.cat([part.sample for part in self.parts])

    def keys(self, zobrist: Tensor) -> Tensor:
        """The keys of all parts; a kept set has the same key in each."""
        return torch.cat([part.keys(zobrist) for part in self.parts])

    def keep(self, selection: Tensor) -> Tensor:
        """Ask each part for the jobs that are its own."""
        pieces, places = [], []
        for part, stop in zip(self.parts, self._stops(), strict=True):
            start = stop - len(part)
            own = ((selection >= start) & (selection < stop)).nonzero().squeeze(1)
            if len(own):
                pieces.append(part.keep(selection[own] - start))
                places.append(own)
        return torch.cat(pieces)[torch.cat(places).argsort()]

    def writer(self, entries: Entries, chosen: Tensor) -> Write:
        """Each part writes the jobs that are its own, which stand together."""
        stops = torch.tensor(self._stops(), device=chosen.device)
        cuts = [0, *torch.searchsorted(chosen, stops).tolist()]
        parts = [
            (start, stop, writer(part, entries, chosen[start:stop] - end + len(part)))
            for part, end, start, stop in zip(self.parts, self._stops(), cuts, cuts[1:], strict=False)
            if start < stop
        ]
        if len(parts) == 1:
            return parts[0][2]

        def write(begin: int, end: int, sample: Asked, out: Tensor) -> None:
            for start, stop, own in parts:
                first, last = max(begin, start), min(end, stop)
                if first < last:
                    here = slice(first - begin, last - begin)
                    own(first - start, last - start, _asked_by(sample, here, end - begin), out[here])

        return write

    def split(
        self,
        table: Tensor,  # (jobs, ...)
    ) -> tuple[Tensor, ...]:
        """Cut a table of this plan's answers into those of its parts."""
        return tuple(table[stop - len(part) : stop] for part, stop in zip(self.parts, self._stops(), strict=True))

    def _stops(self) -> list[int]:
        return list(accumulate(len(part) for part in self.parts))


@dataclass(frozen=True, kw_only=True)
class Selected:
    """Some jobs of a plan, as a plan of its own; whoever selects them knows that no two share a kept set."""

    plan: Jobs
    index: Tensor  # (jobs,) int64, ascending
    distinct: bool = field(default=True, init=False)

    def __len__(self) -> int:
        return len(self.index)

    @property
    def sample(self) -> Tensor:
        """The rows of the selected jobs."""
        return self.plan.sample[self.index]

    def keys(self, zobrist: Tensor) -> Tensor:
        """The keys of the selected jobs."""
        return self.plan.keys(zobrist)[self.index]

    def keep(self, selection: Tensor) -> Tensor:
        """Ask the plan for them."""
        return self.plan.keep(self.index[selection])

    def writer(self, entries: Entries, chosen: Tensor) -> Write:
        """The plan writes them."""
        return writer(self.plan, entries, self.index[chosen])

    def filler(self, entries: Entries, chosen: Tensor, inputs: Tensor, baseline: Tensor) -> Fill | None:
        """The plan writes them, where it can."""
        if not hasattr(self.plan, "filler"):
            return None
        return cast("Filled", self.plan).filler(entries, self.index[chosen], inputs, baseline)


def _asked_by(sample: Asked, here: slice, jobs: int) -> Asked:
    """The rows that some of these jobs ask about; a cut within a row is a cut only where there is one row."""
    if not isinstance(sample, range):
        return sample[here]
    times = jobs // len(sample)
    if len(sample) == 1:
        return sample
    if here.start % times or here.stop % times:
        return torch.arange(sample.start, sample.stop).repeat_interleave(times)[here]
    return sample[here.start // times : here.stop // times]


def concatenate(*jobs: Jobs) -> Joined:
    """Join plans about one game into one, in order.

    Raises:
        InvalidInput: if there is none.
    """
    if not jobs:
        raise InvalidInput("there is nothing to join: write concatenate(first, second, ...) (got no jobs)")
    return Joined(parts=tuple(jobs))
