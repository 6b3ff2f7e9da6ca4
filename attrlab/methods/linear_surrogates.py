"""Surrogates explain a network by the linear function of presence that fits its answers best; what "best" weighs is the method.

KernelSHAP weighs so that the fit is the Shapley value, and asks only for the players that can change their row: the others are null.
LIME weighs by closeness to the whole input. It fits all present players, as its authors do, and so may credit those that change
nothing. Coalitions are enumerated where a row has no more of them than would be drawn, and drawn from the row's own stream where it has.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from attrlab.games.drawn import Drawn, all_masks, answers, equally_many
from attrlab.games.game import Game, Model, make_game
from attrlab.method import spread
from attrlab.methods.least_squares import centred, constrained, lasso, ridge
from attrlab.methods.sampling import of_sizes, require_at_least, require_seeds
from attrlab.randomness import row_uniform


def kernel_shap(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    samples: int = 2048,
) -> Tensor:  # (batch, *features), in the dtype of inputs
    """Shapley values as a weighted least-squares fit: minimise sum over S of pi(|S|) (v(S) - v(empty) - sum of phi_i in S)^2.

    pi(s) = (n - 1) / (C(n, s) s (n - s)) for 0 < s < n, and the two ends are met exactly: the scores sum to f(x) - f(baseline). n counts
    the players of a row whose input differs from their baseline. A row with at most 2n + `samples` coalitions between the ends is
    solved over all of them, and gives its Shapley values exactly. In others, the 2n coalitions of size 1 and n - 1 are asked, and
    `samples` of the rest are drawn with probability proportional to pi, each together with its complement.

    Args:
        model: maps (rows, *features) to (rows, outputs).
        inputs: the rows that are explained.
        target: which output of each row.
        baseline: the value of what is absent.
        feature_mask: the player of each entry.
        seeds: one seed per row.
        samples: how many coalitions are drawn per row, rounded up to pairs; 2n more are always asked.

    Returns:
        Scores whose sum over a player's entries is its value, spread evenly over them.

    Raises:
        InvalidInput: if shapes, types or ranges do not fit, or `samples` is not positive.

    Example:
        >>> import torch
        >>> inputs = torch.tensor([[2.0, 3.0]])
        >>> kernel_shap(lambda x: x.prod(1, keepdim=True), inputs, target=torch.tensor([0]), baseline=torch.zeros(1, 2),
        ...     feature_mask=torch.tensor([[0, 1]]), seeds=torch.tensor([0]))
        tensor([[3., 3.]])

    Reference:
        Lundberg and Lee, "A unified approach to interpreting model predictions", 2017, theorem 2; 2n + 2048 is the default of their code.
        Constraint and pairs: Covert and Lee, "Improving KernelSHAP", 2021, equation 7 and section 4.2.

    Differs from the paper in: the ends are constraints, not large weights; nothing is penalised; one background, the baseline.
    """
    require_at_least("samples", samples, 1)
    game = make_game(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask)
    require_seeds(seeds, game)
    scores = torch.zeros(game.present.shape, dtype=torch.float64, device=game.inputs.device)
    for rows, members in equally_many(game.live, numbers=lambda n: min(samples + 2 * n, 2**n) * n):
        scores[rows.unsqueeze(1), members] = _kernel_shap(game, rows, members, seeds[rows], samples)
    return spread(scores, game.feature_mask).to(inputs.dtype)


def lime(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    samples: int = 5000,
    kernel_width: float = 0.25,
    alpha: float = 1.0,
) -> Tensor:  # (batch, *features), in the dtype of inputs
    """The coefficients of a ridge regression of the network's answers on the presence of players, near the whole input.

    Minimises sum over masks of exp(-d^2 / (2 width^2)) (v(S) - phi_0 - sum of phi_i in S)^2 + alpha sum of phi_i^2, where
    d = 1 - sqrt(|S| / n) is the cosine distance of the mask from that of the whole input, n counts the players of the row, and the
    intercept is free. A row with at most `samples` coalitions is fitted to all 2^n of them, each counted samples / 2^n times; in
    others, masks are fair coins.

    Args:
        model: maps (rows, *features) to (rows, outputs).
        inputs: the rows that are explained.
        target: which output of each row.
        baseline: the value of what is absent.
        feature_mask: the player of each entry.
        seeds: one seed per row.
        samples: how many masks are drawn, the first of which keeps everything.
        kernel_width: in units of cosine distance.
        alpha: weight of the penalty; 0 for weighted least squares.

    Returns:
        The coefficient of each player, spread evenly over its entries.

    Raises:
        InvalidInput: if shapes, types or ranges do not fit.

    Example:
        >>> import torch
        >>> inputs = torch.tensor([[2.0, 3.0]])
        >>> lime(lambda x: x.sum(1, keepdim=True), inputs, target=torch.tensor([0]), baseline=torch.zeros(1, 2),
        ...     feature_mask=torch.tensor([[0, 1]]), seeds=torch.tensor([0]), alpha=0.0)
        tensor([[2., 3.]])

    Reference:
        Ribeiro, Singh and Guestrin, "'Why should I trust you?'", 2016, equation 2. Ridge, alpha, width and samples: their code.

    Differs from the paper in: the kernel, exp(-d^2 / width^2) there; its square root is what the authors' code takes, and what is
        taken here. No players are selected beforehand (K-LASSO): see `lime_lasso`.
    """
    require_at_least("alpha", alpha, 0)
    game = make_game(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask)
    scores = _surrogate(game, seeds, samples, kernel_width, lambda moments, right, total: ridge(moments, right, alpha / total))
    return scores.to(inputs.dtype)


def lime_lasso(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    samples: int = 5000,
    kernel_width: float = 0.25,
    alpha: float = 0.01,
) -> Tensor:  # (batch, *features), in the dtype of inputs
    """The coefficients of a lasso regression of the network's answers on the presence of players, near the whole input.

    As `lime`, with the sum of the weights divided out and a penalty on absolute values: minimises
    1/2 (weighted mean of (v(S) - phi_0 - sum of phi_i in S)^2) + alpha sum of |phi_i|. The penalty is in units of the output times a
    variance, so a network of small outputs gets zeros.

    Args:
        model: maps (rows, *features) to (rows, outputs).
        inputs: the rows that are explained.
        target: which output of each row.
        baseline: the value of what is absent.
        feature_mask: the player of each entry.
        seeds: one seed per row.
        samples: how many masks are drawn, the first of which keeps everything.
        kernel_width: in units of cosine distance.
        alpha: weight of the penalty.

    Returns:
        The coefficient of each player, spread evenly over its entries.

    Raises:
        InvalidInput: if shapes, types or ranges do not fit.

    Example:
        >>> import torch
        >>> inputs = torch.tensor([[2.0, 0.01]])
        >>> lime_lasso(lambda x: x.sum(1, keepdim=True), inputs, target=torch.tensor([0]), baseline=torch.zeros(1, 2),
        ...     feature_mask=torch.tensor([[0, 1]]), seeds=torch.tensor([0])) > 0
        tensor([[ True, False]])

    Reference:
        Ribeiro, Singh and Guestrin, "'Why should I trust you?'", 2016, algorithm 1 (K-LASSO); alpha = 0.01 is Captum's default.

    Differs from the paper in: the penalty's weight is given, not the number K of players that it must leave; the selected
        coefficients are not fitted again; the kernel as in `lime`.
    """
    require_at_least("alpha", alpha, 0)
    game = make_game(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask)
    scores = _surrogate(game, seeds, samples, kernel_width, lambda moments, right, _: lasso(moments, right, alpha))
    return scores.to(inputs.dtype)


def _kernel_shap(game: Game, rows: Tensor, members: Tensor, seeds: Tensor, samples: int) -> Tensor:  # (tables, width)
    """Rows of equally many players: what is asked, answered and fitted."""
    width = members.shape[1]
    mask, weight = _proper(width, seeds) if 2**width - 2 <= 2 * width + samples else _border_and_drawn(width, seeds, samples)
    ends = torch.tensor([False, True], device=members.device).view(1, 2, 1).expand(len(mask), 2, width)
    jobs = Drawn(rows=rows, members=members, mask=torch.cat([ends, mask], 1), players=game.players)
    values = answers(game, jobs).view(len(rows), -1)
    gains = values[:, 1:] - values[:, :1]
    return gains[:, :1] if width == 1 else constrained(mask.double(), weight, gains[:, 1:], gains[:, 0])


def _proper(width: int, seeds: Tensor) -> tuple[Tensor, Tensor]:
    """All coalitions but nobody and everyone: masks (1, 2^width - 2, width) and weights (2^width - 2,)."""
    mask = all_masks(width, seeds.device)[1:-1]
    by_size = [0.0] + [(width - 1) / (math.comb(width, s) * s * (width - s)) for s in range(1, width)]
    return mask.unsqueeze(0), torch.tensor(by_size, dtype=torch.float64, device=seeds.device)[mask.sum(1)]


def _border_and_drawn(width: int, seeds: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """All coalitions of size 1 and n - 1, and `samples` of the sizes between, in complementary pairs: masks and weights.

    A size has the total weight (n - 1) / (s (n - s)); the drawn coalitions share equally what lies between the border sizes.
    """
    totals = [(width - 1) / (s * (width - s)) for s in range(2, width - 1)]
    drawn = of_sizes(seeds, (samples + 1) // 2, width, sizes=range(2, width - 1), probability=totals)
    single = torch.eye(width, dtype=torch.bool, device=seeds.device).expand(len(seeds), width, width)
    mask = torch.cat([single, ~single, drawn, ~drawn], 1)
    weight = torch.full((mask.shape[1],), 1 / width, dtype=torch.float64, device=seeds.device)
    weight[2 * width :] = sum(totals) / (2 * drawn.shape[1])
    return mask, weight


def _surrogate(
    game: Game, seeds: Tensor, samples: int, kernel_width: float, fit: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> Tensor:  # (batch, *features)
    """A linear fit around the whole input; `fit` takes second moments, right-hand side and the sum of the weights."""
    require_at_least("samples", samples, 2)
    require_at_least("kernel_width", kernel_width, 0, beyond=True)
    require_seeds(seeds, game)
    scores = torch.zeros(game.present.shape, dtype=torch.float64, device=game.inputs.device)
    for rows, members in equally_many(game.present, numbers=lambda n: min(samples, 2**n) * n):
        mask = _masks(members.shape[1], seeds[rows], samples)
        values = answers(game, Drawn(rows=rows, members=members, mask=mask, players=game.players)).view(len(rows), -1)
        distance = 1 - mask.double().mean(2).sqrt()
        weight = torch.exp(-(distance**2) / (2 * kernel_width**2))
        moments, right = centred(mask.double(), weight, values)
        scores[rows.unsqueeze(1), members] = fit(moments, right, samples * weight.mean(1))
    return spread(scores, game.feature_mask)


def _masks(width: int, seeds: Tensor, samples: int) -> Tensor:  # (tables or 1, masks, width)
    """All masks, where there are no more than `samples`; else the whole input and fair coins."""
    if 2**width <= samples:
        return all_masks(width, seeds.device).unsqueeze(0)
    mask = row_uniform(seeds, (samples, width)) < 0.5
    mask[:, 0] = True
    return mask
