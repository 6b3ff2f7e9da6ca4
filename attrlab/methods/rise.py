"""RISE: a place is worth the mean answer over random masks that leave it visible.

On images, masks are low-resolution grids of coins, enlarged by interpolation and shifted at random, so pixels are kept in part. Enlarging
is linear in the grid: masks are made a chunk at a time, and the mean over thousands of them is a mean of grids for each shift, enlarged
once. Elsewhere there is no neighbourhood, and every player has a coin of its own; of few players all masks are asked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.games.drawn import Drawn, all_masks, answers, equally_many
from attrlab.games.entries import Asked, Entries, Write
from attrlab.games.game import Game, Model, make_game
from attrlab.method import spread
from attrlab.methods.sampling import require_at_least, require_seeds
from attrlab.randomness import row_uniform

TOGETHER = 2**22
"""Coins that are drawn at a time."""


def rise(
    model: Model,
    inputs: Tensor,  # (batch, channels, height, width)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, channels, height, width)
    feature_mask: Tensor,  # (batch, channels, height, width) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    samples: int = 4000,
    cells: int = 7,
    probability: float = 0.5,
) -> Tensor:  # (batch, channels, height, width), in the dtype of inputs
    """The mean of f(masked image) times the mask, over random soft masks, divided by the probability of being kept.

    A_p = 1 / (N probability) sum over masks of f(x' + m (x - x')) m_p. A mask is a grid of cells x cells coins, enlarged bilinearly to
    cells + 1 times the size of a cell, and cut out at a random place.

    Args:
        model: maps (rows, channels, height, width) to (rows, outputs).
        inputs: the images that are explained.
        target: which output of each row.
        baseline: the value of what is masked.
        feature_mask: entries of -1 are never masked and score 0; how the others are grouped does not matter.
        seeds: one seed per row.
        samples: how many masks N.
        cells: the side of the grid.
        probability: of a coin's keeping its cell.

    Returns:
        The score of each pixel, spread evenly over its channels. What is averaged is the answer itself, so a place that does nothing gets
        the mean of f over masks, not 0.

    Raises:
        NotApplicable: if inputs are not images.
        InvalidInput: if shapes, types or ranges do not fit.

    Example:
        >>> import torch
        >>> image = torch.ones(1, 1, 14, 14)
        >>> scores = rise(lambda x: x[:, 0, :1, 0], image, target=torch.tensor([0]), baseline=torch.zeros_like(image),
        ...     feature_mask=torch.arange(196).view(1, 1, 14, 14), seeds=torch.tensor([0]))
        >>> int(scores.argmax())
        0

    Reference:
        Petsiuk, Das and Saenko, "RISE", 2018, equation 6 and section 3.3; 4000 masks of 7 x 7 cells, probability 1/2.

    Differs from the paper in: f is the logit, not the probability; masked is the baseline, not 0; rows have masks of their own.
    """
    _require(samples, probability)
    require_at_least("cells", cells, 1)
    if inputs.dim() != 4:
        raise NotApplicable(f"a grid lies over images, (batch, channels, height, width): use rise_players (got {tuple(inputs.shape)})")
    size = inputs.shape[2] * inputs.shape[3]
    pixels = torch.arange(size, device=inputs.device).view(1, 1, *inputs.shape[2:]).expand_as(inputs)
    pixels = torch.where(feature_mask < 0, -1, pixels)
    game = make_game(model, inputs, target=target, baseline=baseline, feature_mask=pixels, players=size)
    require_seeds(seeds, game)
    return _over_grids(game, seeds, samples, cells, probability).to(inputs.dtype)


def rise_players(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    samples: int = 4000,
    probability: float = 0.5,
) -> Tensor:  # (batch, *features), in the dtype of inputs
    """RISE where there is no neighbourhood: every player has a coin of its own, and its score is the mean answer when it is kept.

    A_i = 1 / (N probability) sum over masks of v(m) m_i, an estimate of E[v(S) | i in S]. A row with at most `samples` coalitions is
    asked all of them, each weighted by its probability, and the mean is exact.

    Args:
        model: maps (rows, *features) to (rows, outputs).
        inputs: the rows that are explained.
        target: which output of each row.
        baseline: the value of what is masked.
        feature_mask: the player of each entry.
        seeds: one seed per row.
        samples: how many masks N.
        probability: of a coin's keeping its player.

    Returns:
        The score of each player, spread evenly over its entries; a player that does nothing gets the mean of v, not 0.

    Raises:
        InvalidInput: if shapes, types or ranges do not fit.

    Example:
        >>> import torch
        >>> inputs = torch.tensor([[1.0, 1.0, 1.0]])
        >>> rise_players(lambda x: (x[:, 1] * x[:, 2]).unsqueeze(1), inputs, target=torch.tensor([0]), baseline=torch.zeros(1, 3),
        ...     feature_mask=torch.tensor([[0, 1, 2]]), seeds=torch.tensor([0]))
        tensor([[0.2500, 0.5000, 0.5000]])

    Reference:
        Petsiuk, Das and Saenko, "RISE", 2018, equations 4 to 6, for masks of independent coins (section 3.1).

    Differs from the paper in: as `rise`; masks are not enlarged.
    """
    _require(samples, probability)
    game = make_game(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask)
    require_seeds(seeds, game)
    return _over_players(game, seeds, samples, probability).to(inputs.dtype)


@dataclass(frozen=True, kw_only=True)
class Grids:
    """Soft masks: grids of coins enlarged by two matrices, of which each mask takes the pair of its shift."""

    rows: Tensor  # (tables,) int64, rows of the game
    coins: Tensor  # (tables * samples, cells, cells) bool
    down: Tensor  # (tables * samples,) int64: shift of the cut, in pixels
    across: Tensor  # (tables * samples,) int64
    tall: Tensor  # (shifts, height, cells), in the game's dtype
    wide: Tensor  # (shifts, cells, width)
    distinct: bool = field(default=True, init=False)

    def __len__(self) -> int:
        return len(self.coins)

    @property
    def sample(self) -> Tensor:
        """Each row as often as it has masks."""
        return self.rows.repeat_interleave(len(self.coins) // len(self.rows))

    def keys(self, zobrist: Tensor) -> Tensor:
        """Never asked for, as no two masks are taken to be the same."""
        return torch.arange(len(self), device=zobrist.device)

    def keep(self, selection: Tensor) -> Tensor:
        """Enlarge some grids."""
        coins = self.coins[selection].to(self.tall.dtype)
        return torch.bmm(torch.bmm(self.tall[self.down[selection]], coins), self.wide[self.across[selection]]).flatten(1)

    def writer(self, entries: Entries, chosen: Tensor) -> Write | None:
        """The last matrix repeats columns for the channels of a pixel, where these stand together: masks are enlarged over entries."""
        height, width = self.tall.shape[1], self.wide.shape[2]
        if not entries.repeats or entries.players != height * width:
            return None
        wide = self.wide.repeat_interleave(entries.repeats, 2)
        coins, down, across = (one[chosen] for one in (self.coins, self.down, self.across))

        def write(begin: int, end: int, sample: Asked, out: Tensor) -> None:
            del sample
            broad = torch.bmm(coins[begin:end].to(wide.dtype), wide.index_select(0, across[begin:end]))
            torch.bmm(self.tall.index_select(0, down[begin:end]), broad, out=out.view(len(out), height, -1))

        return write

    def mean_of(
        self,
        values: Tensor,  # (tables * samples,) float64
    ) -> Tensor:  # (tables, height * width) float64
        """The sum of values times masks, row by row: grids are summed by shift, and enlarged once."""
        shifts_down, shifts_across = len(self.tall), len(self.wide)
        place = (torch.arange(len(self), device=values.device) * len(self.rows)).div(len(self), rounding_mode="floor")
        place = (place * shifts_down + self.down) * shifts_across + self.across
        weighted = self.coins.flatten(1) * values.unsqueeze(1)
        sums = values.new_zeros(len(self.rows) * shifts_down * shifts_across, weighted.shape[1]).index_add_(0, place, weighted)
        grids = sums.view(len(self.rows), shifts_down, shifts_across, *self.coins.shape[1:])
        return torch.einsum("dhi,tdaij,ajw->thw", self.tall.double(), grids, self.wide.double()).flatten(1)


def _over_grids(game: Game, seeds: Tensor, samples: int, cells: int, probability: float) -> Tensor:
    """Images: a bounded number of rows at a time."""
    height, width = game.inputs.shape[2:]
    tall, wide = (_enlarged(side, cells, game.inputs) for side in (height, width))
    numbers = samples * (cells**2 + 2)
    scores = torch.zeros(game.present.shape, dtype=torch.float64, device=game.inputs.device)
    for rows in torch.split(torch.arange(len(game), device=game.inputs.device), max(1, TOGETHER // numbers)):
        noise = row_uniform(seeds[rows], (samples, cells**2 + 2)).flatten(0, 1)
        coins = (noise[:, 2:] < probability).view(-1, cells, cells)
        down, across = ((noise[:, axis] * len(matrix)).long() for axis, matrix in enumerate((tall, wide)))
        jobs = Grids(rows=rows, coins=coins, down=down, across=across, tall=tall, wide=wide.transpose(1, 2).contiguous())
        scores[rows] = jobs.mean_of(answers(game, jobs)) / (samples * probability)
    return spread(scores, game.feature_mask)


def _over_players(game: Game, seeds: Tensor, samples: int, probability: float) -> Tensor:
    """Rows of other kinds: coins of the players that own an entry."""
    scores = torch.zeros(game.present.shape, dtype=torch.float64, device=game.inputs.device)
    for rows, members in equally_many(game.present, numbers=lambda n: min(samples, 2**n) * n):
        width = members.shape[1]
        if 2**width <= samples:
            mask = all_masks(width, members.device).unsqueeze(0)
            kept = mask.sum(2).double()
            weight = probability**kept * (1 - probability) ** (width - kept)
        else:
            mask = row_uniform(seeds[rows], (samples, width)) < probability
            weight = torch.full((1, samples), 1 / samples, dtype=torch.float64, device=members.device)
        values = answers(game, Drawn(rows=rows, members=members, mask=mask, players=game.players)).view(len(rows), -1)
        scores[rows.unsqueeze(1), members] = torch.where(mask, (values * weight).unsqueeze(2), 0).sum(1) / probability
    return spread(scores, game.feature_mask)


def _enlarged(side: int, cells: int, like: Tensor) -> Tensor:  # (shifts, side, cells), in the dtype of `like`
    """For every shift, the matrix that interpolates `cells` values linearly to cells + 1 times a cell's size and cuts `side` of it out."""
    size = math.ceil(side / cells)
    grown = torch.nn.functional.interpolate(
        torch.eye(cells, dtype=torch.float64).unsqueeze(0), size=(cells + 1) * size, mode="linear", align_corners=False
    )[0].T
    return torch.stack([grown[shift : shift + side] for shift in range(size)]).to(like)


def _require(samples: int, probability: float) -> None:
    require_at_least("samples", samples, 1)
    if not 0 < probability < 1:
        raise InvalidInput(f"probability is that of a coin, between 0 and 1 and neither of them (got {probability})")
