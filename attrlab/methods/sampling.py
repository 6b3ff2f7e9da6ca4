"""Values of a game estimated from drawn coalitions, where there are too many to ask: every row draws from a stream of its own.

Draws come in antithetic pairs, an order with its reverse and a coalition with its complement: each of the two has the distribution of a
single draw, so the mean stays unbiased, and what depends on the size of coalitions alone cancels. Only players that can change their row
are drawn, as all others are null.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from attrlab.errors import InvalidInput
from attrlab.games.drawn import Drawn, Prefixes, all_masks, answers, equally_many
from attrlab.games.game import Game, Model, make_game
from attrlab.method import spread
from attrlab.randomness import row_uniform


def shapley_sampling(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    samples: int = 25,
) -> Tensor:  # (batch, *features), in the dtype of inputs
    """The mean marginal contribution of each player over `samples` orders of arrival: an unbiased estimate of the Shapley value.

    phi_i = 1/m sum over orders of (v(those before i, and i) - v(those before i)), spread evenly over the entries of i.

    Args:
        model: maps (rows, *features) to (rows, outputs).
        inputs: the rows that are explained.
        target: which output of each row.
        baseline: the value of what is absent.
        feature_mask: the player of each entry.
        seeds: one seed per row.
        samples: how many orders m are drawn; every second one is the reverse of the one before.

    Returns:
        Scores whose sum over everything is f(x) - f(baseline), as the contributions along each order add up to it. A null player gets
        exactly 0; equal players get the same in expectation.

    Raises:
        InvalidInput: if shapes, types or ranges do not fit.

    Example:
        >>> import torch
        >>> inputs = torch.tensor([[2.0, 3.0]])
        >>> shapley_sampling(lambda x: x.prod(1, keepdim=True), inputs, target=torch.tensor([0]), baseline=torch.zeros(1, 2),
        ...     feature_mask=torch.tensor([[0, 1]]), seeds=torch.tensor([0]), samples=2)
        tensor([[3., 3.]])

    Reference:
        Castro, Gomez and Tejada, "Polynomial calculation of the Shapley value based on sampling", 2009, section 3; 25 orders: Captum.
        Antithetic orders: Mitchell, Cooper, Frank and Holmes, "Sampling permutations for Shapley value estimation", 2022, section 3.2.

    Differs from the paper in: the pairs.
    """
    require_at_least("samples", samples, 1)
    game = make_game(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask)
    require_seeds(seeds, game)
    scores = torch.zeros(game.present.shape, dtype=torch.float64, device=game.inputs.device)
    for rows, members in equally_many(game.live, numbers=lambda n: samples * n):
        scores[rows.unsqueeze(1), members] = _over_orders(game, rows, members, orders(seeds[rows], samples, members.shape[1]))
    return spread(scores, game.feature_mask).to(inputs.dtype)


def banzhaf_sampling(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    samples: int = 2048,
) -> Tensor:  # (batch, *features), in the dtype of inputs
    """The Banzhaf value estimated by maximum sample reuse: phi_i = mean of v(S) where i is in S, less the mean where it is not.

    Coalitions are fair coins; every one serves every player. A row with at most `samples` coalitions is asked all of them, and gets its
    Banzhaf values exactly; n counts the players of a row whose input differs from their baseline.

    Args:
        model: maps (rows, *features) to (rows, outputs).
        inputs: the rows that are explained.
        target: which output of each row.
        baseline: the value of what is absent.
        feature_mask: the player of each entry.
        seeds: one seed per row.
        samples: how many coalitions are drawn per row, rounded up to pairs of complements.

    Returns:
        Unbiased estimates of the Banzhaf values; a null player's is 0 in expectation, and not in every draw.

    Raises:
        InvalidInput: if shapes, types or ranges do not fit, or `samples` is not positive.

    Example:
        >>> import torch
        >>> inputs = torch.tensor([[2.0]])
        >>> banzhaf_sampling(lambda x: 3 * x, inputs, target=torch.tensor([0]), baseline=torch.zeros(1, 1),
        ...     feature_mask=torch.tensor([[0]]), seeds=torch.tensor([0]), samples=2)
        tensor([[6.]])

    Reference:
        Wang and Jia, "Data Banzhaf: a robust data valuation framework for machine learning", 2023, equation 4 (MSR).

    Differs from the paper in: the pairs, by which each player is in exactly half of the coalitions.
    """
    require_at_least("samples", samples, 1)
    game = make_game(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask)
    require_seeds(seeds, game)
    scores = torch.zeros(game.present.shape, dtype=torch.float64, device=game.inputs.device)
    for rows, members in equally_many(game.live, numbers=lambda n: min(samples, 2**n) * n):
        mask = _all_or_pairs(seeds[rows], samples, members.shape[1])
        values = answers(game, Drawn(rows=rows, members=members, mask=mask, players=game.players)).view(len(rows), -1, 1)
        scores[rows.unsqueeze(1), members] = torch.where(mask, values, -values).sum(1) / (mask.shape[1] // 2)
    return spread(scores, game.feature_mask).to(inputs.dtype)


def _all_or_pairs(seeds: Tensor, samples: int, width: int) -> Tensor:  # (rows or 1, masks, width) bool
    """All coalitions, where there are no more than `samples`; else fair coins and their complements."""
    if 2**width <= samples:
        return all_masks(width, seeds.device).unsqueeze(0)
    half = row_uniform(seeds, ((samples + 1) // 2, width)) < 0.5
    return torch.cat([half, ~half], 1)


def orders(
    seeds: Tensor,  # (rows,) int64
    count: int,
    width: int,
) -> Tensor:  # (rows, count, width) int64
    """The place of each member in each of `count` orders: uniform ones, each followed by its reverse."""
    noise = row_uniform(seeds, ((count + 1) // 2, width))
    rank = noise.argsort(2).argsort(2)
    return torch.stack([rank, width - 1 - rank], 2).flatten(1, 2)[:, :count]


def of_sizes(
    seeds: Tensor,  # (rows,) int64
    count: int,
    width: int,
    *,
    sizes: Sequence[int],
    probability: Sequence[float],
) -> Tensor:  # (rows, count, width) bool
    """Coalitions whose size is drawn from `sizes` with `probability` (up to a factor), uniform among those of their size."""
    noise = row_uniform(seeds, (count, width + 1))
    cumulative = torch.tensor(probability, dtype=torch.float64, device=seeds.device).cumsum(0)
    drawn = torch.searchsorted(cumulative / cumulative[-1], noise[..., :1].contiguous(), right=True).clamp(max=len(sizes) - 1)
    size = torch.tensor(list(sizes), device=seeds.device)[drawn]
    return among(noise[..., 1:], size)


def among(
    noise: Tensor,  # (..., width), distinct
    size: Tensor,  # (..., 1) int64, in [0, width]
) -> Tensor:  # (..., width) bool
    """The `size` members of the least noise."""
    ordered = torch.nn.functional.pad(noise.sort(-1).values, (1, 0), value=-1.0)
    return noise <= ordered.gather(-1, size)


def require_at_least(name: str, value: float, least: float, *, beyond: bool = False) -> None:
    """Refuse a hyperparameter out of its range.

    Raises:
        InvalidInput: if `value` is less than `least`, or not beyond it.
    """
    if not value >= least or (beyond and value == least):
        raise InvalidInput(f"{name} must be {'more than' if beyond else 'at least'} {least:g} (got {value})")


def require_seeds(seeds: Tensor, game: Game) -> None:
    """Refuse seeds that are not one integer for each row of the game.

    Raises:
        InvalidInput: if they are not.
    """
    if seeds.is_floating_point() or seeds.shape != (len(game),):
        raise InvalidInput(
            f"seeds are one integer per row: write seeds=torch.arange({len(game)}) (got {seeds.dtype} of shape {tuple(seeds.shape)})"
        )


def _over_orders(game: Game, rows: Tensor, members: Tensor, rank: Tensor) -> Tensor:  # (tables, width)
    """Mean marginal contributions along orders."""
    tables, count, width = rank.shape
    ends = Drawn(
        rows=rows, members=members, mask=torch.tensor([[[False], [True]]], device=rank.device).expand(1, 2, width), players=game.players
    )
    least, most = answers(game, ends).view(tables, 2, 1, 1).expand(-1, -1, count, -1).unbind(1)
    inner = least[..., :0]
    if width > 1:
        few_alike = count * (width - 1) * 64 < 2**width
        jobs = Prefixes(rows=rows, members=members, rank=rank, players=game.players, distinct=few_alike)
        inner = answers(game, jobs).view(tables, count, width - 1)
    gains = torch.cat([least, inner, most], 2).diff(dim=2)
    return gains.gather(2, rank).mean(1)
