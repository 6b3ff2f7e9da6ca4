"""Small ragged games for tests: rows with few distinct values, each cut into players in its own way."""

from __future__ import annotations

import torch
from torch import nn

from attrlab.games import Game, make_game

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
