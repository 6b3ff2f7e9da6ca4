"""Coalitions that are drawn, or that slide over an image, are laid out without a table as large as coalitions x features.

Where rows have different numbers of players, rows of equally many are asked together: what a row is asked then depends on its own
players alone. Members are the players that a coalition speaks of; everyone else is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from attrlab.games.evaluate import evaluate
from attrlab.games.game import Game
from attrlab.games.plan import Jobs
from attrlab.games.value import Value, worth

BLOCK = 2**21
"""Noise numbers that are held at a time; rows are drawn together up to here."""


def equally_many(
    who: Tensor,  # (batch, players) bool
    *,
    numbers: Callable[[int], int],
) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows with equally many players in `who`, and those players: (tables,) and (tables, width), both int64; rows with none are left out.

    Args:
        who: the players that coalitions speak of.
        numbers: how many noise numbers a row of this width needs; it bounds how many rows come together.
    """
    counts = who.sum(1)
    for width in sorted(set(counts.tolist()) - {0}):
        for rows in (counts == width).nonzero().squeeze(1).split(max(1, BLOCK // max(1, numbers(width)))):
            yield rows, who[rows].nonzero()[:, 1].view(len(rows), width)


def answers(
    game: Game,
    jobs: Jobs,
    *,
    value: Value = "logit",
) -> Tensor:  # (jobs,) float64
    """The worth of every job."""
    return worth(evaluate(game, jobs).logits, game.target[jobs.sample], value=value).double()


def all_masks(
    width: int,
    device: torch.device,
) -> Tensor:  # (2^width, width) bool
    """Every coalition of `width` members, in the order of its code: bit i is the i-th member."""
    codes = torch.arange(1 << width, device=device).unsqueeze(1)
    return (codes >> torch.arange(width, device=device) & 1).bool()


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Kept sets written over the members of each table; tables may share one list of masks."""

    rows: Tensor  # (tables,) int64, rows of the game
    members: Tensor  # (tables, width) int64
    mask: Tensor  # (tables or 1, samples, width) bool, True is kept
    players: int
    distinct: bool = field(default=False, init=False)

    def __len__(self) -> int:
        return len(self.rows) * self.mask.shape[1]

    @property
    def sample(self) -> Tensor:
        """Each row as often as it has samples."""
        return self.rows.repeat_interleave(self.mask.shape[1])

    def keys(self, zobrist: Tensor) -> Tensor:
        """The sum of everyone's numbers, less those of the members that are not kept."""
        own = zobrist[self.rows]
        absent = torch.where(self.mask, 0, own.gather(1, self.members).unsqueeze(1)).sum(2)
        return (own.sum(1, keepdim=True) - absent).flatten()

    def keep(self, selection: Tensor) -> Tensor:
        """Members where the mask says so, and everyone who is no member."""
        samples = self.mask.shape[1]
        table = selection.div(max(1, samples), rounding_mode="floor")
        place = selection if len(self.mask) > 1 or len(self.rows) == 1 else selection - table * samples
        return _placed(self.mask.flatten(0, 1)[place], self.members, table, self.players)


@dataclass(frozen=True, kw_only=True)
class Prefixes:
    """Members arrive in orders; kept are the first 1, 2, ..., width - 1 of each order.

    `distinct` may be stated where the members are so many that few prefixes of different orders can be the same.
    """

    rows: Tensor  # (tables,) int64, rows of the game
    members: Tensor  # (tables, width) int64, width >= 2
    rank: Tensor  # (tables, orders, width) int64: the place of each member in each order, counted from 0
    players: int
    distinct: bool = False

    def __len__(self) -> int:
        return self.rank.shape[0] * self.rank.shape[1] * (self.rank.shape[2] - 1)

    @property
    def sample(self) -> Tensor:
        """Each row as often as it has orders and places."""
        return self.rows.repeat_interleave(self.rank.shape[1] * (self.rank.shape[2] - 1))

    def keys(self, zobrist: Tensor) -> Tensor:
        """Cumulative sums along the orders."""
        own = zobrist[self.rows]
        numbers = own.gather(1, self.members)
        others = own.sum(1) - numbers.sum(1)
        arrived = torch.zeros_like(self.rank).scatter_(2, self.rank, numbers.unsqueeze(1).expand_as(self.rank)).cumsum(2)
        return (arrived[..., :-1] + others.view(-1, 1, 1)).flatten()

    def keep(self, selection: Tensor) -> Tensor:
        """Compare the places of an order with how many have arrived."""
        _, orders, width = self.rank.shape
        order = selection.div(width - 1, rounding_mode="floor")
        kept = self.rank.flatten(0, 1)[order] <= (selection - order * (width - 1)).unsqueeze(1)
        return _placed(kept, self.members, order.div(orders, rounding_mode="floor"), self.players)


@dataclass(frozen=True, kw_only=True)
class Alone:
    """Nobody but one player is kept; -1 keeps nobody."""

    sample: Tensor  # (jobs,) int64
    player: Tensor  # (jobs,) int64
    players: int
    distinct: bool = field(default=False, init=False)

    def __len__(self) -> int:
        return len(self.player)

    def keys(self, zobrist: Tensor) -> Tensor:
        """One number."""
        padded = torch.cat([zobrist, zobrist.new_zeros(len(zobrist), 1)], 1)
        return padded[self.sample, torch.where(self.player < 0, zobrist.shape[1], self.player)]

    def keep(self, selection: Tensor) -> Tensor:
        """Compare every player with the one that is kept."""
        return torch.arange(self.players, device=self.player.device) == self.player[selection].unsqueeze(1)


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Rectangles are cut out of images whose players are the pixels, row by row of the image; every row of the game the same ones."""

    batch: int
    top: Tensor  # (windows,) int64
    left: Tensor  # (windows,) int64
    height: int
    width: int
    image: tuple[int, int]
    distinct: bool = field(default=False, init=False)

    def __len__(self) -> int:
        return self.batch * len(self.top)

    @property
    def sample(self) -> Tensor:
        """Row by row, every window."""
        return torch.arange(self.batch, device=self.top.device).repeat_interleave(len(self.top))

    def keys(self, zobrist: Tensor) -> Tensor:
        """The sum of everyone's numbers, less the window's, which is read off a summed-area table."""
        area = torch.nn.functional.pad(zobrist.view(-1, *self.image), (1, 0, 1, 0)).cumsum(1).cumsum(2)
        bottom, right = self.top + self.height, self.left + self.width
        inside = area[:, bottom, right] - area[:, self.top, right] - area[:, bottom, self.left] + area[:, self.top, self.left]
        return (zobrist.sum(1, keepdim=True) - inside).flatten()

    def keep(self, selection: Tensor) -> Tensor:
        """Pixels above, below or beside the window."""
        window = selection % len(self.top)
        return ~self.inside(window).flatten(1)

    def inside(
        self,
        window: Tensor,  # (rows,) int64
    ) -> Tensor:  # (rows, *image) bool
        """The pixels of some windows."""
        top, left = self.top[window].view(-1, 1, 1), self.left[window].view(-1, 1, 1)
        down = torch.arange(self.image[0], device=top.device).view(1, -1, 1)
        across = torch.arange(self.image[1], device=top.device).view(1, 1, -1)
        return (down >= top) & (down < top + self.height) & (across >= left) & (across < left + self.width)


def _placed(kept: Tensor, members: Tensor, table: Tensor, players: int) -> Tensor:
    """From members to players: (rows, width) -> (rows, players); who is no member is kept."""
    width = members.shape[1]
    if width == players:  # members are everyone, and stand in the order of their numbers
        return kept
    everyone = torch.ones(len(kept), players, dtype=torch.bool, device=kept.device)
    return everyone.scatter_(1, members[table], kept)
