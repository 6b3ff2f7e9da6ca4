"""Controls: what a score means is known only beside noise, a constant, the exact truth and the truth upside down."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attrlab.method import spread
from attrlab.randomness import row_uniform


def random(model: nn.Module, inputs: Tensor, *, seeds: Tensor) -> Tensor:
    """Independent uniform scores in [-1, 1), one stream per row: the floor of every ranking."""
    del model
    return row_uniform(seeds, tuple(inputs.shape[1:]), dtype=inputs.dtype) * 2 - 1


def constant(model: nn.Module, inputs: Tensor) -> Tensor:
    """The score 1 for every entry: no ranking at all, so that a metric which rewards the order of indices is caught."""
    del model
    return torch.ones_like(inputs)


def truth(model: nn.Module, inputs: Tensor, *, feature_mask: Tensor, truth: Tensor) -> Tensor:
    """The exact Shapley values of the environment, spread evenly over the entries of each player: the ceiling."""
    del model
    return spread(truth.to(inputs.dtype), feature_mask)


def inverted_truth(model: nn.Module, inputs: Tensor, *, feature_mask: Tensor, truth: Tensor) -> Tensor:
    """The exact truth with null players on top: |φ| reversed within each row, max|φ| - |φ|.

    The sign of the truth alone would leave the ranking by absolute value unchanged, so the order of sizes is reversed instead.
    """
    del model
    size = truth.abs().to(inputs.dtype)
    return spread(size.amax(1, keepdim=True) - size, feature_mask)
