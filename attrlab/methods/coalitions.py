"""Methods that ask a game for coalitions: what a player is worth is read off the network's answers, never off its inside.

Both are written on the game and on nothing else, so they hold for any model that maps rows to outputs, and what changes no input is
a null player exactly.
"""

from __future__ import annotations

from torch import Tensor

from attrlab.games.exact import LIMIT, removal
from attrlab.games.exact import shapley as shapley_of_game
from attrlab.games.game import Model, make_game
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
        one on the logit, not on the probability; and it is divided among the player's entries, where others repeat it.
    """
    game = make_game(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask)
    return spread(removal(game), game.feature_mask).to(inputs.dtype)


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
