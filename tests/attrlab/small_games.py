"""Games whose values are written down: additive, AND, OR, maximum; and what a row of a ragged game is worth."""

from __future__ import annotations

import torch

from attrlab.games import Game, make_game
from tests import reference


def game_of(function, inputs, *, target=None, **options) -> Game:
    """A table game against the baseline 0, one player for each column."""
    inputs = torch.as_tensor(inputs, dtype=torch.float64)
    rows, players = inputs.shape
    return make_game(
        function,
        inputs,
        target=torch.zeros(rows, dtype=torch.int64) if target is None else target,
        baseline=torch.zeros_like(inputs),
        feature_mask=torch.arange(players).expand(rows, players),
        **options,
    )


def additive(weights, *, bias=0.0) -> Game:
    return game_of(lambda x: bias + x.sum(1, keepdim=True), weights)


def conjunction(players, *, of, rows=1) -> Game:
    """1 where all of the first `of` players are there."""
    return game_of(lambda x: x[:, :of].prod(1, keepdim=True), torch.ones(rows, players))


def disjunction(players, *, of) -> Game:
    """1 where any of the first `of` players is there."""
    return game_of(lambda x: x[:, :of].amax(1, keepdim=True), torch.ones(1, players))


def worth_of(game, row):
    """The worth of a coalition of one row, asked entry by entry."""

    def worth(kept):
        logits = reference.logits_of(game.model, game.inputs[row], game.baseline[row], game.feature_mask[row], kept)
        return float(logits[game.target[row]])

    return worth


def one_row(game, row) -> Game:
    """That row alone."""
    part = slice(row, row + 1)
    return make_game(
        game.model,
        game.inputs[part],
        target=game.target[part],
        baseline=game.baseline[part],
        feature_mask=game.feature_mask[part],
        players=game.players,
        imputer=game.imputer,
    )
