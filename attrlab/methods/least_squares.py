"""A linear surrogate is a weighted least-squares fit to a game's answers; rows are solved side by side, in float64.

Answers are many and players few, so everything is done on the players x players matrix of weighted second moments, which rows that
ask the same coalitions share.
"""

from __future__ import annotations

import torch
from torch import Tensor

SWEEPS = 10_000
"""Coordinate descent stops here at the latest."""

STILL = 1e-13
"""It has converged when a whole sweep moves no coefficient by more than this, relative to the largest that could be needed."""


def constrained(
    mask: Tensor,  # (rows or 1, samples, n) float64, 1 is kept
    weight: Tensor,  # (samples,) float64
    values: Tensor,  # (rows, samples) float64, of which v(empty) has been taken off
    total: Tensor,  # (rows,) float64
) -> Tensor:  # (rows, n) float64
    """Minimise the sum of weight (values - mask phi)^2 over all phi whose sum is `total`, by one Lagrange multiplier."""
    weighted = mask * weight.unsqueeze(1)
    moments = weighted.transpose(1, 2) @ mask
    right = (weighted * values.unsqueeze(2)).sum(1)
    solved = solve(moments, torch.stack([right, torch.ones_like(right)], 2))
    free, one = solved.unbind(2)
    return free - one * ((free.sum(1) - total) / one.sum(1)).unsqueeze(1)


def centred(
    mask: Tensor,  # (rows or 1, samples, n) float64
    weight: Tensor,  # (rows or 1, samples) float64
    values: Tensor,  # (rows, samples) float64
) -> tuple[Tensor, Tensor]:  # (rows or 1, n, n) and (rows, n) float64
    """Weighted covariances of the mask with itself and with the values: what is left of a fit once its intercept is solved for."""
    share = weight / weight.sum(1, keepdim=True)
    mask = mask - (mask * share.unsqueeze(2)).sum(1, keepdim=True)
    values = values - (values * share).sum(1, keepdim=True)
    weighted = mask * share.unsqueeze(2)
    return weighted.transpose(1, 2) @ mask, (weighted * values.unsqueeze(2)).sum(1)


def ridge(
    moments: Tensor,  # (rows or 1, n, n) float64
    right: Tensor,  # (rows, n) float64
    alpha: Tensor,  # (rows or 1,) float64
) -> Tensor:  # (rows, n) float64
    """Minimise phi' M phi / 2 - phi' r + alpha |phi|^2 / 2."""
    penalty = torch.eye(moments.shape[-1], dtype=moments.dtype, device=moments.device)
    return solve(moments + alpha.view(-1, 1, 1) * penalty, right.unsqueeze(2)).squeeze(2)


def lasso(
    moments: Tensor,  # (rows or 1, n, n) float64
    right: Tensor,  # (rows, n) float64
    alpha: float,
) -> Tensor:  # (rows, n) float64
    """Minimise phi' M phi / 2 - phi' r + alpha |phi|_1, one coordinate at a time.

    Reference:
        Friedman, Hastie and Tibshirani, "Regularization paths for generalized linear models via coordinate descent", 2010, equation 5.
    """
    own = moments.diagonal(dim1=1, dim2=2)
    fixed = own <= 0  # a player that all masks treat alike
    inverse = torch.where(fixed, 0, 1 / torch.where(fixed, 1, own))
    still = STILL * (right * inverse).abs().amax(1)
    phi = torch.zeros_like(right)
    for _ in range(SWEEPS):
        before = phi.clone()
        for i in range(right.shape[1]):
            pull = right[:, i] - (moments[:, i] * phi).sum(1) + own[:, i] * phi[:, i]
            phi[:, i] = torch.nn.functional.softshrink(pull, alpha) * inverse[:, i]
        if bool(((phi - before).abs().amax(1) <= still).all()):
            break
    return phi


def solve(
    moments: Tensor,  # (rows or 1, n, n) float64, symmetric, not negative
    right: Tensor,  # (rows, n, k) float64
) -> Tensor:  # (rows, n, k) float64
    """Solve moments @ found = right row by row; of a singular system, the least solution."""
    factor, failed = torch.linalg.cholesky_ex(moments)
    pivots = factor.diagonal(dim1=1, dim2=2)
    singular = (failed > 0) | (pivots.amin(1) <= 1e-7 * pivots.amax(1))  # the square root of float64's rounding
    if not bool(singular.any()):
        return torch.cholesky_solve(right, factor.expand(len(right), -1, -1))
    inverse = torch.linalg.pinv(moments[singular], hermitian=True)
    chosen = singular.expand(len(right))
    sound = torch.where(singular.view(-1, 1, 1), torch.eye(moments.shape[-1], dtype=moments.dtype, device=moments.device), factor)
    found = torch.cholesky_solve(right, sound.expand(len(right), -1, -1))
    found[chosen] = inverse.expand(int(chosen.sum()), -1, -1) @ right[chosen] if len(moments) == 1 else inverse @ right[chosen]
    return found
