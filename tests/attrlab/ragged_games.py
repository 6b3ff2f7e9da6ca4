"""Small ragged games for tests: rows with few distinct values, each cut into players in its own way."""

from __future__ import annotations

import torch
from torch import nn

from attrlab.games import Game, make_game
from tests import reference

CLOSE = 1e-12  # float64 rounding of a two-layer network of width 8, whose values are of order 1: 1e-16 x about 100 terms


def network(features: int, *, outputs: int = 3, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(features, 8), nn.Tanh(), nn.Linear(8, outputs)).double().requires_grad_(False)
    for parameter in net.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / 2)
    return net


def ragged(seed: int, *, rows: int = 3, players: int = 5, model: nn.Module | None = None, **options) -> Game:
    """Rows with few distinct values (so that some equal their baseline) and a different cut into players in each."""
    generator, shape = torch.Generator().manual_seed(seed), (2, 4)
    inputs = torch.randint(-1, 3, (rows, *shape), generator=generator).double()
    mask = torch.randint(-1, players, (rows, *shape), generator=generator)
    baseline = torch.where(mask < 0, inputs, torch.randint(0, 2, (rows, *shape), generator=generator).double())
    target = torch.randint(0, 3, (rows,), generator=generator)
    model = model or network(inputs[0].numel(), seed=seed)
    return make_game(model, inputs, target=target, baseline=baseline, feature_mask=mask, players=players, **options)


def table_game(*, seed: int = 0, rows: int = 3, columns: int = 5, ones: bool = False) -> Game:
    """Tables of which every column is a player that differs from the baseline 0."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    inputs = torch.ones_like(inputs) if ones else inputs + inputs.sign()
    target = torch.randint(0, 3, (rows,), generator=generator)
    mask = torch.arange(columns).expand(rows, columns)
    return make_game(network(columns, seed=seed), inputs, target=target, baseline=torch.zeros_like(inputs), feature_mask=mask)


def asked(game: Game, rows=slice(None)) -> dict[str, torch.Tensor]:
    """What a method is offered about some rows of a game."""
    return {"target": game.target[rows], "baseline": game.baseline[rows], "feature_mask": game.feature_mask[rows]}


def worth_of(game: Game, row: int):
    """The worth of a set of players of one row, computed entry by entry."""

    def worth(kept):
        logits = reference.logits_of(game.model, game.inputs[row], game.baseline[row], game.feature_mask[row], kept)
        return float(logits[game.target[row]])

    return worth
