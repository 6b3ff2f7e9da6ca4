"""The inputs of a chunk are made from its kept sets at the moment they are needed, in the layout in which the network is fastest.

`channels_last` is a matter of where entries lie, not of what they are: rows are stored with the channel innermost and shown to
imputer and network through a permuted view, so nothing is converted per chunk.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attrlab.games.entries import Entries, Write
from attrlab.games.game import Game
from attrlab.games.imputers import Imputer, keep_baseline
from attrlab.games.policy import Policy


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


class Bench:
    """Where the inputs of one chunk after the other are made, in memory that all of them share.

    Args:
        rows: as `lay_out` stored them.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._memory: dict[str, Tensor] = {}

    def make(
        self,
        write: Write,
        selection: Tensor,  # (chunk,) int64, ascending
        sample: Tensor,  # (chunk,) int64
    ) -> Tensor:  # (chunk, *features), until the next chunk is made
        """The inputs of one chunk."""
        rows, imputer = self._rows, self._rows.imputer
        shares = self._buffer("shares", len(sample))
        write(selection, sample, shares)
        inputs, baseline = self._of_samples("inputs", rows.inputs, sample), self._of_samples("baseline", rows.baseline, sample)
        if imputer is keep_baseline:
            return self._shown(torch.lerp(baseline, inputs, shares, out=shares))
        return imputer.impute(self._shown(inputs), self._shown(baseline), self._shown(shares != 0), sample)

    def clear(self) -> None:
        """Give the memory back."""
        self._memory.clear()

    def _buffer(self, name: str, size: int) -> Tensor:  # (size, entries)
        if name not in self._memory or len(self._memory[name]) < size:
            self._memory.pop(name, None)
            self._memory[name] = self._rows.inputs.new_empty(size, self._rows.entries.owner.shape[1])
        return self._memory[name][:size]

    def _of_samples(self, name: str, tensor: Tensor, sample: Tensor) -> Tensor:  # (chunk, entries)
        """The rows of some samples; a single row needs no copy."""
        rows = tensor.flatten(1)
        if len(rows) == 1:
            return rows.expand(len(sample), -1)
        return torch.index_select(rows, 0, sample, out=self._buffer(name, len(sample)))

    def _shown(self, flat: Tensor) -> Tensor:
        stored = flat.view(len(flat), *self._rows.inputs.shape[1:])
        return stored.permute(0, 3, 1, 2) if self._rows.channels_last else stored


def is_channels_last(
    inputs: Tensor,  # (batch, *features)
    policy: Policy,
) -> bool:
    """Whether rows are stored with the channel innermost: as asked, or where several channels of float32 make it pay."""
    if inputs.dim() != 4 or policy.memory_format == "contiguous":
        return False
    return policy.memory_format == "channels_last" or (inputs.shape[1] > 1 and inputs.dtype != torch.float64)


def _repeats(owner: Tensor, players: int) -> int:
    """How often each player's number stands in a shared owner of the form 0, 0, ..., 1, 1, ...; 0 where it has another form."""
    if len(owner) != 1 or players == 0 or owner.shape[1] % players:
        return 0
    times = owner.shape[1] // players
    return times if bool((owner[0] == torch.arange(players, device=owner.device).repeat_interleave(times)).all()) else 0


def _once(rows: Tensor) -> Tensor:
    """The first row alone, where all rows equal it."""
    return rows[:1].contiguous() if len(rows) and bool((rows == rows[:1]).all()) else rows


def _stored(tensor: Tensor, channels_last: bool) -> Tensor:
    return tensor.permute(0, 2, 3, 1).contiguous() if channels_last else tensor.contiguous()
