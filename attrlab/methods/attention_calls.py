"""Where a network looks: its softmax calls over tokens, found while it runs.

Calls are watched rather than modules, so no names need to be known. A softmax over the last of three or more dimensions is (batch, [heads,]
queries, keys); one over another dimension is that of a pool, whose other dimensions are heads. A column that the network cuts off is a
sink, and is cut off here. Keys are the first tokens and queries the last, as in a decoder; the one query of a pool stands at no token.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from attrlab.errors import NotApplicable
from attrlab.methods.decompositions import DECOMPOSED


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """The weights of one attention call; `pooled` if its one query stands at no token.

    A row of weights sums to 1 less what went to a sink.
    """

    weights: Tensor  # (batch, heads, queries, keys)
    pooled: bool


def attention_patterns(
    model: Callable[[Tensor], Tensor],
    inputs: Tensor,  # (batch, tokens, *features)
) -> list[Pattern]:
    """The attention of a forward pass, call by call.

    Raises:
        NotApplicable: if there is none over these tokens; the message says what softmax calls were seen.
    """
    with torch.no_grad(), _Softmaxes() as seen:
        output = model(inputs)
    found = [pattern for call in seen.calls if call.result is not output and (pattern := _pattern(call, inputs))]
    if not found:
        shapes = ", ".join(str(tuple(call.result.shape)) for call in seen.calls) or "no softmax"
        raise NotApplicable(
            "the network shows no attention over the tokens of a row; this applies to networks with a softmax or "
            "scaled_dot_product_attention of shape (batch, [heads,] queries, keys), keys being all tokens or all but those that ask "
            f"(got {shapes} for rows {tuple(inputs.shape)})"
        )
    return found


@dataclass
class _Call:
    """A softmax, the dimension it sums over, and its result, or what the network cut off it."""

    result: Tensor
    over: int
    whole: Tensor


class _Softmaxes(TorchFunctionMode):
    """Keep every softmax over a tensor, and follow the slice that the network takes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[_Call] = []

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        """Run the call, and keep it if it is attention."""
        del types
        name, kwargs = getattr(func, "__name__", str(func)), kwargs or {}
        if name == "multi_head_attention_forward":  # it hides its softmax, but can be asked for the weights
            self._keep(func(*args, **{**kwargs, "need_weights": True, "average_attn_weights": False})[1], -1)
            return func(*args, **kwargs)
        result = func(*args, **kwargs)
        if name == "softmax" or name == "_softmax":
            self._keep(result, kwargs.get("dim", args[1] if len(args) > 1 else -1))
        elif name == "scaled_dot_product_attention":
            with self:
                DECOMPOSED[name](*args, **kwargs)
        elif name in ("__getitem__", "narrow"):
            self._cut(args[0], result)
        return result

    def _keep(self, result: Tensor, over: int) -> None:
        self.calls.append(_Call(result=result, over=over % result.dim(), whole=result))

    def _cut(self, source: Any, result: Any) -> None:
        """A slice that shortens the softmax's own dimension and nothing else leaves out a sink."""
        for call in self.calls:
            if source is call.whole and result.dim() == source.dim():
                others = [d for d in range(source.dim()) if d != call.over]
                call.result = result if all(result.shape[d] == source.shape[d] for d in others) else call.result


def _pattern(call: _Call, inputs: Tensor) -> Pattern | None:
    """The call as attention over the tokens of a row, or None if it is something else."""
    weights, tokens = call.result, inputs.shape[1] if inputs.dim() > 1 else 0
    pools = call.over != weights.dim() - 1 or weights.dim() == 2
    queries = 1 if pools else weights.shape[-2]
    if call.over == 0 or weights.shape[0] != len(inputs) or weights.shape[call.over] not in (tokens, tokens - queries) or queries > tokens:
        return None
    moved = weights.movedim(call.over, -1)
    heads = moved.reshape(len(inputs), -1, queries, moved.shape[-1]) if pools or moved.dim() > 3 else moved.unsqueeze(1)
    return Pattern(weights=heads, pooled=queries == 1 and tokens > 1)
