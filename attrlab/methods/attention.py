"""What is read off attention as if it were an attribution: the weights of one layer, or their product over layers.

Nothing here asks what is carried home. A weight is unsigned, the same for every output, and says nothing of values, so a token that is
looked at for nothing ranks first; and who asks gets no weight at all, whatever hangs on the question.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from attrlab.errors import InvalidInput
from attrlab.method import spread
from attrlab.methods.attention_calls import Pattern, attention_patterns

Fusion = Literal["mean", "max", "min"]
Reader = int | Literal["last", "mean"] | None


def raw_attention(
    model: Callable[[Tensor], Tensor],
    inputs: Tensor,  # (batch, tokens, *features)
    *,
    feature_mask: Tensor,  # (batch, tokens, *features) int64, -1 for none
    layer: int = -1,
    fusion: Fusion = "mean",
    reader: Reader = None,
) -> Tensor:  # (batch, tokens, *features)
    """Raw attention: A_t = the weight that the reader's query gives to token t in one attention layer, fused over heads.

    Unsigned and the same for every output. Each token's weight is spread evenly over its entries.

    Args:
        model: maps (batch, tokens, *features) to (batch, outputs); any callable.
        inputs: the rows that are explained.
        feature_mask: the player of each entry; entries of none get 0.
        layer: which attention call, in the order of calls; -1 is the last.
        fusion: how heads are fused: "mean", "max" or "min".
        reader: whose query is read: "last" token, "mean" over tokens, or a token's number; None means the last. A pool has one query, which
            is read in any case.

    Raises:
        NotApplicable: if the network shows no attention over the tokens.
        InvalidInput: if the layer, the fusion or the reader is none.

    Reference:
        Bahdanau, Cho, Bengio (2015), section 5.2.1 (reading alignments); as an attribution criticised by Jain, Wallace (2019).
    """
    patterns = attention_patterns(model, inputs)
    if not -len(patterns) <= layer < len(patterns):
        raise InvalidInput(f"layer numbers the {len(patterns)} attention calls from 0, or from -1 backwards (got {layer})")
    tokens, pattern = inputs.shape[1], patterns[layer]
    step = _step(pattern, tokens, fusion)
    row = step[:, tokens] if pattern.pooled else torch.einsum("t,bts->bs", _reading(reader, tokens, step), step[:, :tokens])
    return over_tokens(row[:, :tokens], inputs, feature_mask)


def attention_rollout(
    model: Callable[[Tensor], Tensor],
    inputs: Tensor,  # (batch, tokens, *features)
    *,
    feature_mask: Tensor,  # (batch, tokens, *features) int64, -1 for none
    residual: float = 0.5,
    fusion: Fusion = "mean",
    reader: Reader = None,
) -> Tensor:  # (batch, tokens, *features)
    """Attention rollout: A = r · Π_l ((1 - residual) A_l + residual I), the last layer on the left, r the position the output is read at.

    Unsigned and the same for every output. A query that stands at no token is a node of its own; what it keeps of itself belongs to the
    `reader`, or to nobody.

    Args:
        model: maps (batch, tokens, *features) to (batch, outputs); any callable.
        inputs: the rows that are explained.
        feature_mask: the player of each entry; entries of none get 0.
        residual: the share of a stream that skips a layer, 1/2 in the paper.
        fusion: how heads are fused: "mean" (the paper), "max" or "min".
        reader: "last" token, "mean" over tokens, or a token's number; None means the last, or the query of a pool, if there is one.

    Raises:
        NotApplicable: if the network shows no attention over the tokens.
        InvalidInput: if residual is not in [0, 1), or the fusion or the reader is none.

    Reference:
        Abnar, Zuidema (2020), "Quantifying attention flow in transformers", section 3, equation 1.
    Differs from the paper in:
        a pool's query and rectangular attention, on which the paper is silent; heads may be fused by maximum or minimum, as in a port
        for images, but no weights are discarded.
    """
    if not 0 <= residual < 1:
        raise InvalidInput(f"residual is the share that skips a layer, 0 <= residual < 1 (got {residual})")
    patterns, tokens = attention_patterns(model, inputs), inputs.shape[1]
    reading = _reading(reader, tokens, patterns[0].weights)
    pooled = any(pattern.pooled for pattern in patterns)
    flow = torch.cat([reading * (not pooled), reading.new_tensor([float(pooled)])]).expand(len(inputs), 1, -1)
    eye = torch.eye(tokens + 1, dtype=flow.dtype, device=flow.device)
    for pattern in reversed(patterns):
        flow = flow @ ((1 - residual) * _step(pattern, tokens, fusion) + residual * eye)
    kept = flow[:, 0, tokens:] * reading if reader is not None else 0
    return over_tokens(flow[:, 0, :tokens] + kept, inputs, feature_mask)


def over_tokens(
    scores: Tensor,  # (batch, tokens)
    inputs: Tensor,  # (batch, tokens, *features)
    feature_mask: Tensor,  # (batch, tokens, *features) int64, -1 for none
) -> Tensor:  # (batch, tokens, *features), in the dtype of inputs
    """Spread each token's score evenly over those of its entries that belong to a player."""
    token = torch.arange(inputs.shape[1], device=inputs.device).view(1, -1, *[1] * (inputs.dim() - 2))
    return spread(scores, torch.where(feature_mask < 0, -1, token)).to(inputs.dtype)


def _step(pattern: Pattern, tokens: int, fusion: str) -> Tensor:  # (batch, tokens + 1, tokens + 1)
    """One layer's flow between tokens and, as the last node, the query of a pool; who does not ask keeps what it has."""
    if fusion not in ("mean", "max", "min"):
        raise InvalidInput(f"fusion is 'mean', 'max' or 'min' over heads (got {fusion!r})")
    heads = pattern.weights
    weights = heads.mean(1) if fusion == "mean" else heads.amax(1) if fusion == "max" else heads.amin(1)
    queries, keys = weights.shape[1:]
    flow = torch.eye(tokens + 1, dtype=weights.dtype, device=weights.device).repeat(len(weights), 1, 1)
    first = tokens if pattern.pooled else tokens - queries
    flow[:, first : first + queries] = 0
    flow[:, first : first + queries, :keys] = weights
    return flow


def _reading(reader: Reader, tokens: int, like: Tensor) -> Tensor:  # (tokens,)
    """How much of the output is read at each token."""
    if reader == "mean":
        return like.new_full((tokens,), 1 / tokens)
    place = tokens - 1 if reader in (None, "last") else reader
    if not isinstance(place, int) or isinstance(place, bool) or not -tokens <= place < tokens:
        raise InvalidInput(f"reader is 'last', 'mean' or the number of one of the {tokens} tokens (got {reader!r})")
    return like.new_zeros(tokens).index_fill(0, torch.tensor(place % tokens, device=like.device), 1)
