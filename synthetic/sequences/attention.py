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

ATTENTIONS = ("hard", "softmax", "gates")
"""A ReLU pattern that multiplies values; a softmax that multiplies values; a ReLU pattern that gates values, without any product."""


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


class GatedMixture(nn.Module):
    """z_iw = Σ_j 1[a_ij + v_jw >= 2]: the mixture of bits under a pattern of bits, with gates in place of products.

    The network stays piecewise linear, so that methods which cannot pass a product can be asked about the same function of tokens.
    """

    def __init__(self, width: int, *, gain: float) -> None:
        super().__init__()
        self.sum = Sum([1.0, 1 / gain])
        self.both = step(2, size=width)

    def forward(
        self,
        pattern: Tensor,  # (batch, queries, keys)
        values: Tensor,  # (batch, keys, width), bits times the gain
    ) -> Tensor:  # (batch, queries, width)
        """Return how many attended positions hold each value."""
        mixed: Tensor = self.both(self.sum(pattern.unsqueeze(-1), values.unsqueeze(1))).sum(2)
        return mixed


class Head(nn.Module):
    """One attention head: `query`, `key` and `value` select columns, `pattern` compares, `output` mixes.

    `gain` is the factor that `value` multiplies by; it is left in the output, except behind gates, which pass bits.
    """

    def __init__(self, *, query: nn.Linear, key: nn.Linear, value: nn.Linear, attention: str, gain: float = 1.0) -> None:
        super().__init__()
        self.query, self.key, self.value = query, key, value
        self.pattern: nn.Module = SoftPattern() if attention == "softmax" else HardPattern(query.out_features)
        self.output: nn.Module = GatedMixture(value.out_features, gain=gain) if attention == "gates" else Mixture()

    def forward(
        self,
        asking: Tensor,  # (batch, queries, columns)
        memory: Tensor,  # (batch, keys, columns)
    ) -> Tensor:  # (batch, queries, width)
        """Return what each asking position receives from the memory."""
        pattern = self.pattern(self.query(asking), self.key(memory))
        mixed: Tensor = self.output(pattern, self.value(memory))
        return mixed


def require_attention(attention: str) -> None:
    """Raise ValueError unless the kind of attention is known."""
    if attention not in ATTENTIONS:
        raise ValueError(f"attention must be {', '.join(map(repr, ATTENTIONS[:-1]))} or {ATTENTIONS[-1]!r} (got {attention!r})")


def traits_of(attention: str) -> set[str]:
    """What the kind of attention makes of a network."""
    return {"attention", "piecewise_linear"} if attention == "gates" else {"attention"}


def scale_of(attention: str, *, keys: int, gain: float) -> float:
    """What a head's output is multiplied by so that a value that is found is at least 1.

    A softmax shares its weight among as many matches as there are keys; gates have taken the gain off already.
    """
    if attention == "gates":
        return 1.0
    return (keys if attention == "softmax" else 1) / gain


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
    """relu(1 - 2 relu(11/16 - scale z)), elementwise, exactly 0 up to scale z = 3/16 and 1 from 11/16: (..., size) -> (..., size).

    Rounding before it is gone after it, since the inner unit is at 0 where the outer one is at 1. The margin 1/4 holds wherever scale z is
    outside of (1/16, 15/16). The slope is small on purpose: it multiplies from layer to layer, and quadrature misses what is too steep.
    """
    eye = torch.eye(size, dtype=torch.float64)
    return nn.Sequential(linear(-scale * eye, [11 / 16] * size), nn.ReLU(), linear(-2 * eye, [1.0] * size), nn.ReLU())
