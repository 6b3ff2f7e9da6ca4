"""Attention with weights that can be read: who asks, what is asked for, and what is carried home are three matrices of zeros and ones.

A head reads queries, keys and values off its streams by linear maps that select columns. A pattern says which position is
attended to, the mixture sums the values under the pattern, and a snap turns every sum near 0 or above 1 into the exact bit. The hard
pattern is a ReLU gate; the soft one is a softmax whose error the snap absorbs, so that both are exact on the lattice of both
float types. Every part is a module of its own with one tensor as output, so that it can be hooked and patched.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from synthetic.gadgets import Product, Sum, count, linear, step

SINK = 0.5
"""The score of the softmax's sink, between those of a match, 1, and of a mismatch, 0: without a match it takes the weight."""

BETA = 16.0
"""The inverse temperature of soft patterns: a mismatch has e^-8 of the sink's weight, and the sink e^-8 of a match's."""

PATTERNS = ("hard", "softmax")


class HardPattern(nn.Module):
    """a_ij = Σ_v 1[q_iv + k_jv >= 2]: 1 where the one-hot query i equals the one-hot key j, 0 where one of them is empty."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.sum = Sum()
        self.both = step(2, size=size)
        self.any = count(size)

    def forward(
        self,
        queries: Tensor,  # (batch, queries, size)
        keys: Tensor,  # (batch, keys, size)
    ) -> Tensor:  # (batch, queries, keys)
        """Return the attention of each query to each key."""
        both: Tensor = self.any(self.both(self.sum(queries.unsqueeze(2), keys.unsqueeze(1))))
        return both.squeeze(-1)


class SoftPattern(nn.Module):
    """a_i = softmax_j(β q_i·k_j) over the keys and a sink of score 1/2, whose weight is left out."""

    beta: Tensor  # ()

    def __init__(self, beta: float = BETA) -> None:
        super().__init__()
        self.register_buffer("beta", torch.tensor(beta, dtype=torch.float64))
        self.score = Product()
        self.softmax = nn.Softmax(dim=-1)

    def forward(
        self,
        queries: Tensor,  # (batch, queries, size)
        keys: Tensor,  # (batch, keys, size)
    ) -> Tensor:  # (batch, queries, keys)
        """Return the attention of each query to each key; the rest of a row's 1 went to the sink."""
        scores = self.score(queries.unsqueeze(2), keys.unsqueeze(1)).sum(-1)
        sink = torch.zeros_like(scores[..., :1]) + SINK
        weights: Tensor = self.softmax(self.beta * torch.cat([scores, sink], dim=-1))
        return weights[..., :-1]


class Mixture(nn.Module):
    """z_i = Σ_j a_ij v_j: what attention carries home."""

    def __init__(self) -> None:
        super().__init__()
        self.weighted = Product()

    def forward(
        self,
        pattern: Tensor,  # (batch, queries, keys)
        values: Tensor,  # (batch, keys, width)
    ) -> Tensor:  # (batch, queries, width)
        """Return the values summed under the pattern."""
        mixed: Tensor = self.weighted(pattern.unsqueeze(-1), values.unsqueeze(1)).sum(2)
        return mixed


class Head(nn.Module):
    """One attention head: `query`, `key` and `value` select columns, `pattern` compares, `output` mixes."""

    def __init__(self, *, query: nn.Module, key: nn.Module, value: nn.Module, pattern: nn.Module) -> None:
        super().__init__()
        self.query, self.key, self.value, self.pattern = query, key, value, pattern
        self.output = Mixture()

    def forward(
        self,
        asking: Tensor,  # (batch, queries, columns)
        memory: Tensor,  # (batch, keys, columns)
    ) -> Tensor:  # (batch, queries, width)
        """Return what each asking position receives from the memory."""
        pattern = self.pattern(self.query(asking), self.key(memory))
        mixed: Tensor = self.output(pattern, self.value(memory))
        return mixed


def pattern_of(kind: str, *, size: int) -> nn.Module:
    """The pattern of a kind, for queries and keys of `size` columns.

    Raises:
        ValueError: if there is no such kind.
    """
    if kind not in PATTERNS:
        raise ValueError(f"attention must be {' or '.join(map(repr, PATTERNS))} (got {kind!r})")
    return HardPattern(size) if kind == "hard" else SoftPattern()


def select(
    read: Sequence[int],
    *,
    of: int,
    into: Sequence[int] | None = None,
    width: int | None = None,
    gain: float = 1.0,
) -> nn.Linear:
    """The linear map from `of` columns that copies column read[i], times `gain`, to column into[i] of `width`."""
    places = range(len(read)) if into is None else into
    weight = torch.zeros(len(read) if width is None else width, of, dtype=torch.float64)
    for column, place in zip(read, places, strict=True):
        weight[place, column] = gain
    return linear(weight, None)


def snap(size: int, *, scale: float = 1.0) -> nn.Module:
    """relu(1 - 4 relu(5/8 - scale z)), elementwise: exactly 0 for scale z <= 1/8, exactly 1 for scale z >= 7/8: (..., size) -> (..., size).

    Rounding before it is gone after it, since the inner unit is at 0 where the outer one is at 1. The margin 1/4 holds wherever scale z is
    outside of (1/8, 7/8).
    """
    eye = torch.eye(size, dtype=torch.float64)
    return nn.Sequential(linear(-scale * eye, [5 / 8] * size), nn.ReLU(), linear(-4 * eye, [1.0] * size), nn.ReLU())
