"""A key-value store in one attention head: the answer hangs on the query, and on the one pair whose key it names.

Each token but the last is a pair of a key and a value, the last is a query, which is a key without a value. The head compares the
query with the keys and carries home the value. Where the key is missing, the softmax's sink takes the weight and every logit
is 0. Query and pair are needed together, so each has the Shapley value 1/2 while the removal of either costs all of 1; with a second
copy of the pair the query alone is necessary.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from synthetic.environment import Environment
from synthetic.registry import register
from synthetic.sequences.attention import Head, require_attention, scale_of, select, snap, traits_of
from synthetic.sequences.circuit import TOKENS, Component, counts
from synthetic.sequences.rows import shuffled
from synthetic.sequences.world import LONGEST, facts_in_any_order, require, sequence_environment
from synthetic.streams import Streams

KEYS = 4
"""Keys 1 ... 4 and values 1 ... 4; a token's number is 1 + 5 (key - 1) + value, with value 0 for a query."""

VALUES = 4


@register("lookup-gates-v1", attention="gates")
@register("lookup-v1")
def lookup(*, id: str, length: int = 6, copies: int = 1, attention: str = "softmax") -> Environment:
    """f_a(x) = 1[some pair of the row has the query's key and the value a].

    Args:
        id: the registered id.
        length: tokens of a row: pairs, and the query at the end.
        copies: how often the pair that is asked for stands in the row.
        attention: "softmax", "hard" for a pattern of ReLU gates, or "gates" for a head without any product.

    Raises:
        ValueError: if there is no room for the copies, or the row is longer than is enumerated.
    """
    require(
        1 <= copies <= length - 2 and length <= LONGEST,
        message=f"lookup needs 1 <= copies <= length - 2, so that some pair is not asked for, and length <= {LONGEST}, so that coalitions "
        f"can be enumerated (got length={length}, copies={copies})",
    )
    require_attention(attention)
    return sequence_environment(
        id=id,
        formula="f_a(x) = 1[∃ j < T: key(x_j) = key(x_T) and value(x_j) = a]",
        model=_Lookup(length, attention),
        table=_table(),
        length=length,
        outputs=VALUES,
        draw=lambda n, streams: _draw(n, length, copies, streams),
        function=_function,
        circuit=_circuit(),
        domain="rows of pairs, queries and pads, at any position; a missing key gives 0 everywhere",
        traits=traits_of(attention) | {"interacting", "flat_gradient"} | ({"redundant"} if copies > 1 else set()),
        isolates="the query decides what matters: an AND of two tokens, neither of which carries evidence by itself",
        reference="Weston et al. 2015 (memory networks); Vaswani et al. 2017, equation 1",
        knobs={"length": length, "copies": copies, "attention": attention},
        equals={"values doubled": _Lookup(length, attention, gain=2.0)},
        orbit=facts_in_any_order,
    )


class _Lookup(nn.Module):
    """Head, then one unit per value that tells whether anything of it was carried home."""

    def __init__(self, length: int, attention: str, *, gain: float = 1.0) -> None:
        super().__init__()
        columns = 1 + KEYS + VALUES + length
        keys, values = range(1, 1 + KEYS), range(1 + KEYS, 1 + KEYS + VALUES)
        self.head = Head(
            query=select(keys, of=columns),
            key=select(keys, of=columns),
            value=select(values, of=columns, gain=gain),
            attention=attention,
            gain=gain,
        )
        self.mlp = snap(VALUES, scale=scale_of(attention, keys=length - 1, gain=gain))

    def forward(
        self,
        inputs: Tensor,  # (batch, length, columns)
    ) -> Tensor:  # (batch, values)
        """Return one logit per value."""
        logits: Tensor = self.mlp(self.head(inputs[:, -1:], inputs[:, :-1])).squeeze(1)
        return logits


def _table() -> np.ndarray:
    """Pad flag | one-hot key | one-hot value."""
    table = np.zeros((1 + KEYS * (VALUES + 1), 1 + KEYS + VALUES))
    table[0, 0] = 1
    for token in range(1, len(table)):
        key, value = divmod(token - 1, VALUES + 1)
        table[token, 1 + key] = 1
        if value:
            table[token, KEYS + value] = 1
    return table


def _keys(tokens: np.ndarray) -> np.ndarray:
    """The key of each token from 1, 0 for a pad."""
    return np.where(tokens > 0, (tokens - 1) // (VALUES + 1) + 1, 0)


def _values(tokens: np.ndarray) -> np.ndarray:
    """The value of each token from 1, 0 for a pad or a query."""
    return np.where(tokens > 0, (tokens - 1) % (VALUES + 1), 0)


def _function(tokens: np.ndarray) -> np.ndarray:  # (batch, length) -> (batch, values)
    asked = _keys(tokens[:, -1])
    found = np.zeros((len(tokens), VALUES))
    for token in tokens[:, :-1].T:
        hit = (asked > 0) & (_keys(token) == asked) & (_values(token) > 0)
        found[hit, _values(token)[hit] - 1] = 1
    return found


def _circuit() -> tuple[Component, ...]:
    return (
        Component(name="head.query", reads=(TOKENS,), rule=lambda t: _keys(t[:, -1:])),
        Component(name="head.key", reads=(TOKENS,), rule=lambda t: _keys(t[:, :-1])),
        Component(name="head.value", reads=(TOKENS,), rule=lambda t: _values(t[:, :-1])),
        Component(name="head.pattern", reads=("head.query", "head.key"), rule=lambda q, k: ((q == k) & (q > 0)).astype(int)),
        Component(name="head.output", reads=("head.pattern", "head.value"), rule=lambda a, v: counts(a, v, VALUES)),
        Component(name="head", reads=("head.output",), rule=lambda z: z),
        Component(name="mlp", reads=("head",), rule=lambda z: (z >= 1).astype(int)),
    )


def _draw(n: int, length: int, copies: int, streams: Streams) -> tuple[Tensor, Tensor]:
    """Pairs in random order, of which `copies` have the query's key and the answer; the other pairs' keys are any others."""
    key = torch.randint(KEYS, (n, 1), generator=next(streams))
    answer = torch.randint(VALUES, (n, 1), generator=next(streams))
    others = (key + torch.randint(1, KEYS, (n, length - 1 - copies), generator=next(streams))) % KEYS
    fillers = 2 + (VALUES + 1) * others + torch.randint(VALUES, others.shape, generator=next(streams))
    pair = 2 + (VALUES + 1) * key + answer
    memory = shuffled(torch.cat([pair.expand(-1, copies), fillers], dim=1), streams)
    return torch.cat([memory, 1 + (VALUES + 1) * key], dim=1), answer.squeeze(1)
