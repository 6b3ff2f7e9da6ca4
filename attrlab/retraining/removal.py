"""Which players are removed is a position in an order; what a network then sees is made from positions when it is needed.

One table of positions, one small integer per entry, serves every fraction, and no copy of the data is ever made per model.
Ties in an attribution are broken by a random key drawn per row and player from a seed, never by index, which would leak where things
stand. An imputer that fills each entry on its own needs one filled copy of the data; one that looks at neighbours is asked
once per model and chunk.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attrlab.errors import InvalidInput
from attrlab.games.imputers import Imputer
from attrlab.games.ranking import rank
from attrlab.randomness import row_uniform

STAYS = torch.iinfo(torch.int16).max
"""The position of what is never removed."""

TIE_STREAM = 1 << 44
"""Where the streams of tie keys begin, apart from those of methods."""

PROBES = 64
"""Rows on which it is tried whether an imputer fills each entry on its own."""


def positions(
    scores: Tensor,  # (rows, players)
    present: Tensor,  # (rows, players) bool
    *,
    seed: int,
    descending: bool,
) -> Tensor:  # (rows, players) int16, `STAYS` where no player is present
    """The order in which the players of each row leave, from 0: largest scores first if `descending`, ties in a random order of the row.

    The order that is not descending is the descending one reversed, ties included, so that keeping the top and removing the rest agree.

    Raises:
        InvalidInput: if a row has more players than a position can count, or as `rank`.
    """
    if scores.shape[1] >= STAYS:
        raise InvalidInput(f"a row has fewer than {STAYS} players here; give pixels in patches one player (got {scores.shape[1]})")
    ranking = rank(scores, present)
    key = row_uniform(torch.arange(len(scores), device=scores.device) + TIE_STREAM + (seed << 24), (scores.shape[1],))
    key = torch.where(present, ranking.of_players(ranking.first) + key, torch.inf)
    order = key.argsort(dim=1)
    place = torch.empty_like(order).scatter_(1, order, torch.arange(order.shape[1], device=order.device).expand_as(order))
    place = place if descending else present.sum(1, keepdim=True) - 1 - place
    return torch.where(present, place, STAYS).to(torch.int16)


def removed_counts(
    present: Tensor,  # (rows, players) bool
    fraction: float,
    *,
    keep: bool = False,
) -> Tensor:  # (rows,) int16
    """How many players leave each row when `fraction` of them is removed, or (`keep`) kept, rounded to the nearest.

    Raises:
        InvalidInput: if the fraction is not in [0, 1].
    """
    if not 0 <= fraction <= 1:
        raise InvalidInput(f"a fraction of players is in [0, 1]: write 0.3 for 30 % (got {fraction})")
    count = present.sum(1)
    rounded = torch.floor(fraction * count.double() + 0.5).long()
    return (count - rounded if keep else rounded).to(torch.int16)


def of_entries(
    place: Tensor,  # (rows, players) int16
    feature_mask: Tensor,  # (rows, *features) int64
) -> Tensor:  # (rows, *features) int16, or with one channel where all channels of an image share their players
    """From players to the entries they own; entries of no player stay."""
    shared = feature_mask.dim() == 4 and bool((feature_mask == feature_mask[:, :1]).all())
    mask = feature_mask[:, :1] if shared else feature_mask
    owner = torch.where(mask < 0, place.shape[1], mask).flatten(1)
    padded = torch.cat([place, torch.full_like(place[:, :1], STAYS)], 1)
    return padded.gather(1, owner).view(mask.shape)


@dataclass(frozen=True, kw_only=True)
class Removal:
    """What the jobs of a chunk see of the rows of one split.

    Attributes:
        tables: orders of removal, (orders, rows, *features) int16.
        table: which order each job follows.
        counts: how many players of each row leave, per job.
        filled: what stands where an entry is absent, (rows, *features); or, of an imputer that looks at neighbours, the whole
            imputed rows of every job, (jobs, rows, *features).
    """

    inputs: Tensor  # (rows, *features)
    tables: Tensor  # (orders, rows, *features) int16
    table: Tensor  # (jobs,) int64
    counts: Tensor  # (jobs, rows) int16
    filled: Tensor

    def kept(
        self,
        index: Tensor,  # (batch,) or (jobs, batch) int64
    ) -> Tensor:  # (jobs, batch, *features) bool, perhaps with one channel for all
        """Which entries each job keeps of these rows."""
        rows = self.tables.shape[1]
        flat = (self.table.unsqueeze(1) * rows + index).flatten()
        place = self.tables.flatten(0, 1).index_select(0, flat).view(len(self.table), index.shape[-1], *self.tables.shape[2:])
        counts = self.counts[:, index] if index.dim() == 1 else self.counts.gather(1, index)
        return place >= counts.view(*counts.shape, *(1,) * (place.dim() - 2))

    def rows(
        self,
        index: Tensor,  # (batch,) or (jobs, batch) int64
    ) -> Tensor:  # (jobs, batch, *features)
        """What each job sees of these rows."""
        if self.filled.dim() > self.inputs.dim():
            jobs = torch.arange(len(self.table), device=index.device).unsqueeze(1)
            return self.filled[jobs, index]
        return torch.where(self.kept(index), _rows(self.inputs, index), _rows(self.filled, index))


def remove(
    inputs: Tensor,  # (rows, *features)
    baseline: Tensor,  # (rows, *features)
    imputer: Imputer,
    *,
    tables: Tensor,  # (orders, rows, *features) int16
    table: Tensor,  # (jobs,) int64
    counts: Tensor,  # (jobs, rows) int16
) -> Removal:
    """Prepare what jobs see of rows, so that each step costs one choice per entry."""
    everyone = torch.arange(len(inputs), device=inputs.device)
    absent = imputer.impute(inputs, baseline, torch.zeros_like(inputs, dtype=torch.bool), everyone)
    removal = Removal(inputs=inputs, tables=tables, table=table, counts=counts, filled=absent)
    if fills_each_entry_alone(imputer, inputs, baseline):
        return removal
    whole = (removal.kept(everyone)[job].expand_as(inputs) for job in range(len(table)))
    made = torch.stack([imputer.impute(inputs, baseline, kept, everyone) for kept in whole])
    return Removal(inputs=inputs, tables=tables, table=table, counts=counts, filled=made)


def fills_each_entry_alone(imputer: Imputer, inputs: Tensor, baseline: Tensor) -> bool:
    """Whether what stands in an absent entry is the same whatever else is absent; tried on some rows with drawn kept sets."""
    inputs, baseline = inputs[:PROBES], baseline[:PROBES]
    sample = torch.arange(len(inputs), device=inputs.device)
    drawn = row_uniform(sample, tuple(inputs.shape[1:])) < 0.5
    absent = imputer.impute(inputs, baseline, torch.zeros_like(drawn), sample)
    return bool(torch.equal(imputer.impute(inputs, baseline, drawn, sample), torch.where(drawn, inputs, absent)))


def _rows(tensor: Tensor, index: Tensor) -> Tensor:
    """(batch,) -> (1, batch, *features); (jobs, batch) -> (jobs, batch, *features)."""
    return tensor.index_select(0, index.flatten()).view(*((1,) if index.dim() == 1 else ()), *index.shape, *tensor.shape[1:])
