"""How two players act together, beyond what each does alone: pairwise interaction indices of the baseline game.

All are means of v(S + ij) - v(S + i) - v(S + j) + v(S) over coalitions S of the others; they differ in the weight of a size. Each returns
a symmetric matrix, the index of every pair off the diagonal and, on it, the main effect that makes the second-order expansion of
the game: v(T) is close to v(empty) + sum of main effects in T + sum of pairs in T. Sharing every pair equally between its two
players gives the Shapley value back, for the Shapley interaction as for the Shapley-Taylor index, so no new attribution comes of that;
the main effect of the Shapley-Taylor index is `feature_alone`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attrlab.games.drawn import Drawn, answers, equally_many
from attrlab.games.exact import LIMIT, coalition_values, shapley_of_table
from attrlab.games.game import Game, Model, make_game
from attrlab.games.indices import (
    WeightOfSize,
    banzhaf_interaction_weight,
    banzhaf_of_table,
    interactions_of_table,
    shapley_interaction_weight,
    shapley_taylor_weight,
)
from attrlab.method import spread
from attrlab.methods.sampling import among, require_at_least, require_seeds
from attrlab.randomness import row_uniform


def shapley_interactions(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    limit: int = LIMIT,
) -> Tensor:  # (batch, players, players), in the dtype of inputs
    """The Shapley interaction index of every pair, exactly, and on the diagonal what is left of the Shapley value.

    I_ij = sum over S without i and j of |S|! (n - |S| - 2)! / (n - 1)! times the pair's derivative at S; on the diagonal
    phi_i - 1/2 sum over j of I_ij. The diagonal and the pairs i < j sum to f(x) - f(baseline) (the n-Shapley values of order 2).

    Args:
        model: maps (rows, *features) to (rows, outputs).
        inputs: the rows that are explained.
        target: which output of each row.
        baseline: the value of what is absent.
        feature_mask: the player of each entry.
        limit: the largest number of players, of those that differ from their baseline, that is enumerated.

    Returns:
        A symmetric matrix per row; 0 for players that change nothing.

    Raises:
        InvalidInput: if shapes, types or ranges do not fit.
        NotApplicable: if a row has more than `limit` players that differ from their baseline.

    Example:
        >>> import torch
        >>> shapley_interactions(lambda x: (x[:, 0] * x[:, 1] + x[:, 2]).unsqueeze(1), torch.tensor([[2.0, 3.0, 4.0]]),
        ...     target=torch.tensor([0]), baseline=torch.zeros(1, 3), feature_mask=torch.tensor([[0, 1, 2]]))
        tensor([[[0., 6., 0.],
                 [6., 0., 0.],
                 [0., 0., 4.]]])

    Reference:
        Grabisch and Roubens, "An axiomatic approach to the concept of interaction among players in cooperative games", 1999, equation 3.
        The diagonal: Bordt and von Luxburg, "From Shapley values to generalized additive models and back", 2023, definition 3.

    Differs from the paper in: nothing.
    """
    game = make_game(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask)
    return _exact(game, limit, shapley_interaction_weight, shapley_of_table).to(inputs.dtype)


def shapley_taylor(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    limit: int = LIMIT,
) -> Tensor:  # (batch, players, players), in the dtype of inputs
    """The Shapley-Taylor index of order 2 of every pair, exactly, and on the diagonal v({i}) - v(empty).

    I_ij = 2/n sum over S without i and j of 1 / C(n - 1, |S|) times the pair's derivative at S. The diagonal and the pairs i < j sum to
    f(x) - f(baseline).

    Args, Returns, Raises: as `shapley_interactions`.

    Example:
        >>> import torch
        >>> shapley_taylor(lambda x: (x[:, 0] * x[:, 1] + x[:, 2]).unsqueeze(1), torch.tensor([[2.0, 3.0, 4.0]]),
        ...     target=torch.tensor([0]), baseline=torch.zeros(1, 3), feature_mask=torch.tensor([[0, 1, 2]])).diagonal(dim1=1, dim2=2)
        tensor([[0., 0., 4.]])

    Reference:
        Sundararajan, Dhamdhere and Agarwal, "The Shapley Taylor interaction index", 2020, equation 3 and theorem 1.

    Differs from the paper in: nothing.
    """
    game = make_game(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask)
    return _exact(game, limit, shapley_taylor_weight, shapley_of_table).to(inputs.dtype)


def banzhaf_interactions(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    limit: int = LIMIT,
) -> Tensor:  # (batch, players, players), in the dtype of inputs
    """The Banzhaf interaction index of every pair, exactly, and on the diagonal what is left of the Banzhaf value.

    I_ij is the plain mean of the pair's derivatives, and the diagonal beta_i - 1/2 sum over j of I_ij: the coefficients of the quadratic
    function of presence that is nearest to the game in mean square over all coalitions.

    Args, Returns, Raises: as `shapley_interactions`.

    Example:
        >>> import torch
        >>> banzhaf_interactions(lambda x: x.prod(1, keepdim=True), torch.tensor([[2.0, 3.0]]), target=torch.tensor([0]),
        ...     baseline=torch.zeros(1, 2), feature_mask=torch.tensor([[0, 1]]))
        tensor([[[0., 6.],
                 [6., 0.]]])

    Reference:
        Grabisch and Roubens, 1999, equation 5; Hammer and Holzman, "Approximations of pseudo-Boolean functions", 1992 (the diagonal).

    Differs from the paper in: nothing.
    """
    game = make_game(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask)
    return _exact(game, limit, banzhaf_interaction_weight, banzhaf_of_table).to(inputs.dtype)


def shapley_interaction_sampling(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    samples: int = 32,
) -> Tensor:  # (batch, players, players), in the dtype of inputs
    """The Shapley interaction index of every pair, estimated from `samples` of its derivatives; 0 on the diagonal.

    I_ij is the mean of the pair's derivative at S, where the size of S is uniform on 0, ..., n - 2 and S uniform among the coalitions of
    that size without i and j. Coalitions come with their complements among the others. A pair that never interacts gets exactly 0.

    Args:
        model: maps (rows, *features) to (rows, outputs).
        inputs: the rows that are explained.
        target: which output of each row.
        baseline: the value of what is absent.
        feature_mask: the player of each entry.
        seeds: one seed per row.
        samples: how many coalitions are drawn for each pair, rounded up to complements; each takes four forwards, less what is shared.

    Raises:
        InvalidInput: if shapes, types or ranges do not fit, or `samples` is not positive.

    Example:
        >>> import torch
        >>> shapley_interaction_sampling(lambda x: x.prod(1, keepdim=True), torch.tensor([[2.0, 3.0]]), target=torch.tensor([0]),
        ...     baseline=torch.zeros(1, 2), feature_mask=torch.tensor([[0, 1]]), seeds=torch.tensor([0]), samples=2)
        tensor([[[0., 6.],
                 [6., 0.]]])

    Reference:
        Grabisch and Roubens, 1999, equation 3, read as an expectation.

    Differs from the paper in: it samples.
    """
    require_at_least("samples", samples, 1)
    game = make_game(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask)
    require_seeds(seeds, game)
    found = torch.zeros(*game.present.shape, game.players, dtype=torch.float64, device=game.inputs.device)
    for rows, members in equally_many(game.live, numbers=lambda n: 2 * samples * n**3):
        if members.shape[1] > 1:
            found[rows.view(-1, 1, 1), members.unsqueeze(2), members.unsqueeze(1)] = _sampled(game, rows, members, seeds[rows], samples)
    return found.to(inputs.dtype)


def shapley_main_effects(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    limit: int = LIMIT,
) -> Tensor:  # (batch, *features), in the dtype of inputs
    """What each player does by itself on average: its Shapley value less half of all its interactions, spread evenly over its entries.

    It is the diagonal of `shapley_interactions`. With the interactions it is complete, and sharing them equally gives the Shapley value;
    on its own it is not.

    Args, Raises: as `shapley_interactions`.

    Example:
        >>> import torch
        >>> shapley_main_effects(lambda x: (x[:, 0] * x[:, 1] + x[:, 2]).unsqueeze(1), torch.tensor([[2.0, 3.0, 4.0]]),
        ...     target=torch.tensor([0]), baseline=torch.zeros(1, 3), feature_mask=torch.tensor([[0, 1, 2]]))
        tensor([[0., 0., 4.]])

    Reference:
        Lundberg, Erion and Lee, "Consistent individualized feature attribution for tree ensembles", 2018, equation 6 (main effects).

    Differs from the paper in: the game is the baseline's, not that of conditional expectations.
    """
    matrix = shapley_interactions(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask, limit=limit)
    return spread(matrix.diagonal(dim1=1, dim2=2), feature_mask)


def _exact(game: Game, limit: int, weight: WeightOfSize, value: Callable[[Tensor], Tensor]) -> Tensor:  # (batch, players, players) float64
    """Pairs off the diagonal; on it the value less half of the pairs."""
    found = torch.zeros(*game.present.shape, game.players, dtype=torch.float64, device=game.inputs.device)
    for table in coalition_values(game, limit=limit):
        pairs = interactions_of_table(table.values, weight)
        pairs = pairs + torch.diag_embed(value(table.values) - pairs.sum(2) / 2)
        found[table.rows.view(-1, 1, 1), table.members.unsqueeze(2), table.members.unsqueeze(1)] = pairs
    return found


def _sampled(game: Game, rows: Tensor, members: Tensor, seeds: Tensor, samples: int) -> Tensor:  # (tables, width, width)
    """Mean derivatives of all pairs of rows of equally many players."""
    tables, width = members.shape
    low, high = torch.triu_indices(width, width, 1, device=members.device)
    noise = row_uniform(seeds, (len(low), (samples + 1) // 2, width + 1))
    pair = torch.zeros(len(low), width, dtype=torch.bool, device=members.device).scatter_(1, torch.stack([low, high], 1), True)
    pair = pair.unsqueeze(1)
    size = (noise[..., :1] * (width - 1)).long()
    drawn = among(noise[..., 1:].masked_fill(pair, 2.0), size)
    others = torch.cat([drawn, ~(drawn | pair)], 2)
    one = torch.nn.functional.one_hot(low, width).bool().view(-1, 1, width)
    mask = torch.stack([others, others | one, others | (pair & ~one), others | pair], 3)
    values = answers(game, Drawn(rows=rows, members=members, mask=mask.flatten(1, 3), players=game.players))
    corners = values.view(tables, len(low), -1, 4)
    derivative = corners[..., 3] - corners[..., 1] - (corners[..., 2] - corners[..., 0])
    found = torch.zeros(tables, width, width, dtype=torch.float64, device=members.device)
    found[:, low, high] = found[:, high, low] = derivative.mean(2)
    return found
