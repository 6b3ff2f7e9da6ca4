"""Kept sets written as bits, one for each player that a code speaks of: a subset is a number, and all subsets are all numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from attrlab.games.entries import Asked, Entries, Fill, Write

ALWAYS = 1 << 62
"""The bit that is on in every code: players that a code does not speak of are kept."""

REPEATED, NARROW = 13, 64
"""Members whose subsets are written once and copied, and the entries of a row up to which that is faster than to test their bits."""


@dataclass(frozen=True, kw_only=True)
class AllSubsets:
    """Every subset of some players of some rows, in binary order: bit i of the code is the i-th member; everyone else is kept.

    `distinct` may be stated by whoever knows that every member's absence changes its row.
    """

    rows: Tensor  # (tables,) int64, rows of the game
    members: Tensor  # (tables, width) int64, players
    players: int
    distinct: bool = False

    def __len__(self) -> int:
        return len(self.rows) << self.members.shape[1]

    @property
    def sample(self) -> Tensor:
        """Each row 2^width times; a single one takes no memory."""
        return self.rows.unsqueeze(1).expand(-1, 1 << self.members.shape[1]).flatten()

    def keys(self, zobrist: Tensor) -> Tensor:
        """The table of sums doubles with each member."""
        own = zobrist[self.rows]
        numbers = own.gather(1, self.members)
        table = (own.sum(1) - numbers.sum(1)).unsqueeze(1)
        for member in range(self.members.shape[1]):
            table = torch.cat([table, table + numbers[:, member : member + 1]], 1)
        return table.flatten()

    def keep(self, selection: Tensor) -> Tensor:
        """Read the bits of the codes."""
        width = self.members.shape[1]
        bits = _bits(self.members, self.players)
        return _decode(selection & ((1 << width) - 1), bits if len(bits) == 1 else bits[selection >> width])

    def writer(self, entries: Entries, chosen: Tensor) -> Write | None:
        """Every entry takes the bit of its player, once; a chunk's bits are tested in the memory where its shares will stand."""
        width, whole = self.members.shape[1], entries.integers()
        if whole is None or width > torch.iinfo(whole).bits - 3:
            return None
        always = 1 << (torch.iinfo(whole).bits - 2)
        owner = entries.owner if len(entries.owner) == 1 else entries.owner[self.rows]
        bits = torch.nn.functional.pad(_bits(self.members, self.players, always=always), (0, 1), value=always)
        bits = bits.gather(1, owner.expand(len(bits), -1)).to(whole)
        bits = bits[:1] if bool((bits == bits[:1]).all()) else bits

        def write(begin: int, end: int, sample: Asked, out: Tensor) -> None:
            del sample
            here = chosen[begin:end]
            own = bits if len(bits) == 1 else bits.index_select(0, here >> width)
            code = (here & ((1 << width) - 1) | always).to(whole).unsqueeze(1)
            found = torch.bitwise_and(code, own, out=out.view(whole))
            torch.ne(found, 0, out=out)

        return write

    def filler(self, entries: Entries, chosen: Tensor, inputs: Tensor, baseline: Tensor) -> Fill | None:
        """A table of the first members' subsets is written once; each block of codes is a copy of it with the later members put in."""
        width, low = self.members.shape[1], min(self.members.shape[1], REPEATED)
        offset, together = int(chosen[0]), int(chosen[-1] - chosen[0]) == len(chosen) - 1
        if len(self.rows) != 1 or not together or entries.owner.shape[1] > NARROW:
            return None
        row = int(self.rows[0])
        whole, owner = inputs[row], entries.of_row(row).tolist()
        columns = [[(i, float(whole[i])) for i, own in enumerate(owner) if own == member] for member in self.members[0].tolist()]
        everyone = [i for own in columns for i, _ in own]
        table = whole.index_copy(0, whole.new_tensor(everyone).long(), baseline[row % len(baseline)][everyone]).repeat(1 << low, 1)
        for member in range(low):
            for i, value in columns[member]:
                table.view(-1, 2, 1 << member, len(owner))[:, 1, :, i] = value

        def fill(begin: int, end: int, out: Tensor) -> Tensor:
            begin, end = begin + offset, end + offset
            for code in (begin, *range((begin >> low) + 1 << low, end, 1 << low)):
                start, stop = code & ((1 << low) - 1), min(end, (code >> low) + 1 << low)
                block = out[code - begin : stop - begin].copy_(table[start : start + stop - code])
                for i, value in (one for member in range(low, width) if code >> member & 1 for one in columns[member]):
                    block.select(1, i).fill_(value)
            return out

        return fill


@dataclass(frozen=True, kw_only=True)
class Subsets:
    """Kept sets written as bits: bit i of a job's code keeps the i-th member of its row; everyone else is kept; -1 is no member."""

    sample: Tensor  # (jobs,) int64
    code: Tensor  # (jobs,) int64
    members: Tensor  # (batch, width) int64, width <= 62
    players: int
    distinct: bool = field(default=False, init=False)

    def __len__(self) -> int:
        return len(self.code)

    def keys(self, zobrist: Tensor) -> Tensor:
        """The row's full sum, less the numbers of the members whose bit is 0."""
        key = zobrist.sum(1)[self.sample]
        padded = torch.cat([zobrist, zobrist.new_zeros(len(zobrist), 1)], 1)
        numbers = padded.gather(1, torch.where(self.members < 0, zobrist.shape[1], self.members))
        for member in range(self.members.shape[1]):
            key = key - numbers[self.sample, member] * (1 - (self.code >> member & 1))
        return key

    def keep(self, selection: Tensor) -> Tensor:
        """Read the bits of the codes."""
        return _decode(self.code[selection], _bits(self.members, self.players)[self.sample[selection]])


def _bits(
    members: Tensor,  # (rows, width) int64, -1 is no member
    players: int,
    *,
    always: int = ALWAYS,
) -> Tensor:  # (rows, players) int64
    """The bit of each player in a row's codes; who is no member has the bit `always`."""
    column = torch.where(members < 0, players, members)
    bits = torch.full((len(members), players + 1), always, device=members.device)
    own = 1 << torch.arange(members.shape[1], device=members.device)
    return bits.scatter_(1, column, own.expand_as(column))[:, :players]


def _decode(
    code: Tensor,  # (rows,) int64
    bits: Tensor,  # (rows or 1, players) int64
) -> Tensor:  # (rows, players) bool
    """Kept sets of bit codes."""
    return ((code | ALWAYS).unsqueeze(1) & bits) != 0
