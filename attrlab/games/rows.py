"""The inputs of a chunk are made from its kept sets at the moment they are needed, in the layout in which the network is fastest.

`channels_last` is a matter of where entries lie, not of what they are: rows are stored with the channel innermost and shown to
imputer and network through a permuted view, so nothing is converted per chunk.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attrlab.errors import NotApplicable
from attrlab.games.game import Game
from attrlab.games.imputers import Imputer, keep_baseline
from attrlab.games.policy import Policy


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of a game as they lie in memory."""

    inputs: Tensor  # (batch, *stored)
    baseline: Tensor  # (batch, *stored)
    owner: Tensor  # (batch or 1, entries) int64; `players` where there is none
    repeats: int  # where every row's entries belong to players 0, 0, ..., 1, 1, ... in order: how often each; otherwise 0
    players: int
    channels_last: bool
    imputer: Imputer


def lay_out(game: Game) -> Rows:
    """Store the rows of `game` in the layout its policy asks for."""
    last = is_channels_last(game.inputs, game.policy)
    inputs, baseline, mask = (_stored(tensor, last) for tensor in (game.inputs, game.baseline, game.feature_mask))
    owner = torch.where(mask < 0, game.players, mask).flatten(1)
    if len(owner) and bool((owner == owner[:1]).all()):
        owner = owner[:1].contiguous()
    return Rows(
        inputs=inputs,
        baseline=baseline,
        owner=owner,
        repeats=_repeats(owner, game.players),
        players=game.players,
        channels_last=last,
        imputer=game.imputer,
    )


def make(
    rows: Rows,
    keep: Tensor,  # (chunk, players) bool, or floating-point shares in [0, 1]
    sample: Tensor,  # (chunk,) int64
) -> Tensor:  # (chunk, *features)
    """The inputs of one chunk.

    Raises:
        NotApplicable: if players are kept in part, and the imputer does not interpolate.
    """
    if keep.is_floating_point() and rows.imputer is not keep_baseline:
        raise NotApplicable(
            f"players are kept in part here, which the imputer {rows.imputer.name!r} has no meaning for: write imputer=keep_baseline"
        )
    kept = _entries(rows, keep, sample).view(len(sample), *rows.inputs.shape[1:])
    inputs, baseline = (_of_samples(tensor, sample) for tensor in (rows.inputs, rows.baseline))
    inputs, baseline, kept = (_shown(tensor, rows.channels_last) for tensor in (inputs, baseline, kept))
    return rows.imputer.impute(inputs, baseline, kept, sample)


def is_channels_last(
    inputs: Tensor,  # (batch, *features)
    policy: Policy,
) -> bool:
    """Whether rows are stored with the channel innermost: as asked, or where several channels of float32 make it pay."""
    if inputs.dim() != 4 or policy.memory_format == "contiguous":
        return False
    return policy.memory_format == "channels_last" or (inputs.shape[1] > 1 and inputs.dtype != torch.float64)


def _entries(rows: Rows, keep: Tensor, sample: Tensor) -> Tensor:
    """From players to the entries they own: (chunk, players) -> (chunk, entries), in the type of `keep`."""
    if rows.repeats:
        return keep.unsqueeze(2).expand(-1, -1, rows.repeats).reshape(len(keep), -1)
    padded = torch.cat([keep, torch.ones_like(sample, dtype=keep.dtype).unsqueeze(1)], 1)
    if len(rows.owner) == 1:
        return padded.index_select(1, rows.owner[0])
    return padded.gather(1, rows.owner.index_select(0, sample))


def _repeats(owner: Tensor, players: int) -> int:
    """How often each player's number stands in a shared owner of the form 0, 0, ..., 1, 1, ...; 0 where it has another form."""
    if len(owner) != 1 or players == 0 or owner.shape[1] % players:
        return 0
    times = owner.shape[1] // players
    return times if bool((owner[0] == torch.arange(players, device=owner.device).repeat_interleave(times)).all()) else 0


def _of_samples(tensor: Tensor, sample: Tensor) -> Tensor:
    """The rows of some samples; those of a game of a single row need no copy."""
    return tensor.expand(len(sample), *tensor.shape[1:]) if len(tensor) == 1 else tensor.index_select(0, sample)


def _stored(tensor: Tensor, channels_last: bool) -> Tensor:
    return tensor.permute(0, 2, 3, 1).contiguous() if channels_last else tensor.contiguous()


def _shown(tensor: Tensor, channels_last: bool) -> Tensor:
    return tensor.permute(0, 3, 1, 2) if channels_last else tensor
