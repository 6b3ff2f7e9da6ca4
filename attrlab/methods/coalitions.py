"""Methods that ask a game for coalitions: what a player is worth is read off the network's answers, never off its inside.

All are written on the game and on nothing else, so they hold for any model that maps rows to outputs, and what changes no input is
a null player exactly. Here are the exact ones: one player at a time, from above and from below, and all coalitions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attrlab.games.drawn import Alone, answers
from attrlab.games.exact import LIMIT, coalition_values, removal
from attrlab.games.exact import shapley as shapley_of_game
from attrlab.games.game import Model, make_game
from attrlab.games.indices import banzhaf_of_table
from attrlab.method import spread


def occlusion(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
) -> Tensor:  # (batch, *features), in the dtype of inputs
    """The effect of removing one player: phi_i = v(N) - v(N without i), spread evenly over the entries of i.

    v(S) is the target's logit when the players of S keep their value and the others take the baseline's.

    Args:
        model: maps (rows, *features) to (rows, outputs).
        inputs: the rows that are explained.
        target: which output of each row.
        baseline: the value of what is removed.
        feature_mask: the player of each entry.

    Returns:
        Scores whose sum over a player's entries is its effect; 0 for entries of no player.

    Raises:
        InvalidInput: if shapes, types or ranges do not fit.

    Example:
        >>> import torch
        >>> inputs = torch.tensor([[2.0, 3.0]])
        >>> occlusion(lambda x: x.prod(1, keepdim=True), inputs, target=torch.tensor([0]),
        ...     baseline=torch.zeros(1, 2), feature_mask=torch.tensor([[0, 1]]))
        tensor([[6., 6.]])

    Reference:
        Zeiler and Fergus, "Visualizing and understanding convolutional networks", 2014, section 4.2; v(N) - v(N without i) as
        "prediction difference": Robnik-Sikonja and Kononenko, 2008.

    Differs from the paper in: what is removed is a player, not a sliding window (windows that overlap are not players); the effect is
        one on the logit, not on the probability; and it is divided among the player's entries, where others repeat it
        (Captum's FeatureAblation, otherwise the same, gives every entry of a group the group's whole effect).
    """
    game = make_game(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask)
    return spread(removal(game), game.feature_mask).to(inputs.dtype)


def feature_alone(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
) -> Tensor:  # (batch, *features), in the dtype of inputs
    """The effect of one player on its own: phi_i = v({i}) - v(empty), spread evenly over the entries of i.

    It is occlusion from the other end: of an AND it sees nothing, as occlusion sees nothing of an OR. It is also the main effect of the
    Shapley-Taylor index and the Harsanyi dividend of a single player.

    Args:
        model: maps (rows, *features) to (rows, outputs).
        inputs: the rows that are explained.
        target: which output of each row.
        baseline: the value of what is absent.
        feature_mask: the player of each entry.

    Returns:
        Scores whose sum over a player's entries is its effect; 0 for entries of no player.

    Raises:
        InvalidInput: if shapes, types or ranges do not fit.

    Example:
        >>> import torch
        >>> inputs = torch.tensor([[2.0, 3.0, 4.0]])
        >>> feature_alone(lambda x: (x[:, 0] * x[:, 1] + x[:, 2]).unsqueeze(1), inputs, target=torch.tensor([0]),
        ...     baseline=torch.zeros(1, 3), feature_mask=torch.tensor([[0, 1, 2]]))
        tensor([[0., 0., 4.]])

    Reference:
        Covert, Lundberg and Lee, "Explaining by removing", 2021, section 6.1 (inclusion of individual features).

    Differs from the paper in: nothing but the division among a player's entries.
    """
    game = make_game(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask)
    rows, player = game.live.nonzero(as_tuple=True)
    everyone = torch.arange(len(game), device=rows.device)
    jobs = Alone(sample=torch.cat([everyone, rows]), player=torch.cat([torch.full_like(everyone, -1), player]), players=game.players)
    values = answers(game, jobs)
    scores = values.new_zeros(game.present.shape)
    scores[rows, player] = values[len(game) :] - values[: len(game)][rows]
    return spread(scores, game.feature_mask).to(inputs.dtype)


def shapley(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    limit: int = LIMIT,
) -> Tensor:  # (batch, *features), in the dtype of inputs
    """The Shapley value of each player in the baseline game, exactly, by asking all 2^n coalitions.

    phi_i = sum over S without i of |S|! (n - |S| - 1)! / n! * (v(S + i) - v(S)), spread evenly over the entries of i; n counts the players
    of a row whose input differs from their baseline, as all others are null.

    Args:
        model: maps (rows, *features) to (rows, outputs).
        inputs: the rows that are explained.
        target: which output of each row.
        baseline: the value of what is absent.
        feature_mask: the player of each entry.
        limit: the largest n that is enumerated; time and memory double with each player.

    Returns:
        Scores whose sum over a player's entries is its value, and whose sum over everything is f(x) - f(baseline).

    Raises:
        InvalidInput: if shapes, types or ranges do not fit.
        NotApplicable: if a row has more than `limit` players that differ from their baseline.

    Example:
        >>> import torch
        >>> inputs = torch.tensor([[2.0, 3.0]])
        >>> shapley(lambda x: x.prod(1, keepdim=True), inputs, target=torch.tensor([0]),
        ...     baseline=torch.zeros(1, 2), feature_mask=torch.tensor([[0, 1]]))
        tensor([[3., 3.]])

    Reference:
        Shapley, "A value for n-person games", 1953; as an attribution with a baseline: Sundararajan and Najmi, "The many Shapley values
        for model explanation", 2020, section 2.2 (BShap).

    Differs from the paper in: nothing but the division among a player's entries.
    """
    game = make_game(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask)
    return spread(shapley_of_game(game, limit=limit), game.feature_mask).to(inputs.dtype)


def banzhaf(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    limit: int = LIMIT,
) -> Tensor:  # (batch, *features), in the dtype of inputs
    """The Banzhaf value of each player in the baseline game, exactly: its mean marginal contribution over all coalitions of the others.

    phi_i = 2^-(n-1) sum over S without i of (v(S + i) - v(S)), spread evenly over the entries of i; n counts the players of a row whose
    input differs from their baseline, as all others are null and do not change the value of anyone.

    Args:
        model: maps (rows, *features) to (rows, outputs).
        inputs: the rows that are explained.
        target: which output of each row.
        baseline: the value of what is absent.
        feature_mask: the player of each entry.
        limit: the largest n that is enumerated; time and memory double with each player.

    Returns:
        Scores whose sum over a player's entries is its value; they do not add up to f(x) - f(baseline) unless n <= 2 or f is additive.

    Raises:
        InvalidInput: if shapes, types or ranges do not fit.
        NotApplicable: if a row has more than `limit` players that differ from their baseline.

    Example:
        >>> import torch
        >>> inputs = torch.tensor([[2.0, 3.0, 1.0]])
        >>> banzhaf(lambda x: x.prod(1, keepdim=True), inputs, target=torch.tensor([0]),
        ...     baseline=torch.zeros(1, 3), feature_mask=torch.tensor([[0, 1, 2]]))
        tensor([[1.5000, 1.5000, 1.5000]])

    Reference:
        Banzhaf, "Weighted voting doesn't work", 1965; as an attribution: Wang and Jia, "Data Banzhaf", 2023, definition 3.

    Differs from the paper in: nothing but the division among a player's entries; it is not normalised to be complete.
    """
    game = make_game(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask)
    scores = torch.zeros(game.present.shape, dtype=torch.float64, device=game.inputs.device)
    for table in coalition_values(game, limit=limit):
        scores[table.rows.unsqueeze(1), table.members] = banzhaf_of_table(table.values)
    return spread(scores, game.feature_mask).to(inputs.dtype)
