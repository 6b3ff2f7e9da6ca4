"""An induction circuit in two layers: find where the current token stood before, and say what followed it.

A previous-token head writes each token's predecessor beside it; an induction head compares the current token with these predecessors
and copies the tokens it finds (Olsson et al. 2022). Three tokens in different places are needed together: the current one, its
earlier occurrence, and the successor, of which only the last shows the answer. With one occurrence each has the Shapley value 1/3, with two
the current token 7/15 and each of the four others 2/15; whoever looks at the last head's pattern finds the successors only.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from synthetic.environment import Environment
from synthetic.gadgets import Sum, linear
from synthetic.registry import register
from synthetic.sequences.attention import Head, require_attention, scale_of, select, snap, traits_of
from synthetic.sequences.circuit import TOKENS, Component, counts
from synthetic.sequences.world import LONGEST, require, sequence_environment
from synthetic.streams import Streams

LETTERS = 5
"""Tokens 1 ... 5; logit a - 1 belongs to letter a."""


@register("copy-induction-v1")
def copy_induction(*, id: str, length: int = 7, occurrences: int = 2, attention: str = "hard") -> Environment:
    """f_a(x) = 1[some x_{j-1} is the current token x_T, and x_j = a].

    Args:
        id: the registered id.
        length: tokens of a row, the current one included.
        occurrences: how often the current token stood before, each time followed by the same letter.
        attention: "hard" for a pattern of ReLU gates, "softmax", or "gates" for heads without any product.

    Raises:
        ValueError: if the row has no room for the occurrences, or is longer than is enumerated.
    """
    require(
        occurrences >= 1 and 2 * occurrences + 1 <= length <= LONGEST,
        message=f"copy-induction needs 2 occurrences + 1 <= length, two tokens each and the current one, and length <= {LONGEST}, so that "
        f"coalitions can be enumerated (got length={length}, occurrences={occurrences})",
    )
    require_attention(attention)
    return sequence_environment(
        id=id,
        formula="f_a(x) = 1[∃ 1 < j <= T: x_{j-1} = x_T and x_j = a]",
        model=_Induction(length, attention),
        table=np.eye(1 + LETTERS),
        length=length,
        outputs=LETTERS,
        draw=lambda n, streams: _draw(n, length, occurrences, streams),
        function=_function,
        circuit=_circuit(length),
        domain="rows of letters and pads; where the current token did not occur before, or is a pad, every logit is 0",
        traits=traits_of(attention) | {"interacting", "flat_gradient"} | ({"redundant"} if occurrences > 1 else set()),
        isolates="a circuit through two layers: three tokens matter equally, and the pattern of the last head shows one of them",
        reference="Elhage et al. 2021; Olsson et al. 2022 (induction heads)",
        knobs={"length": length, "occurrences": occurrences, "attention": attention},
        equals={"values doubled": _Induction(length, attention, gain=2.0)},
    )


class _Induction(nn.Module):
    """Streams have the columns pad | letters | position | the letter before; the previous-token head writes the last."""

    def __init__(self, length: int, attention: str, *, gain: float = 1.0) -> None:
        super().__init__()
        read = 1 + LETTERS + length
        width = read + LETTERS
        letters, places, before = range(1, 1 + LETTERS), range(1 + LETTERS, read), range(read, width)
        self.embed = select(range(read), of=read, width=width)
        self.previous = Head(
            query=_shift(places, of=width),
            key=select(places, of=width),
            value=select(letters, of=width, into=before, width=width),
            attention="gates" if attention == "gates" else "hard",
        )
        self.residual = Sum()
        self.induction = Head(
            query=select(letters, of=width),
            key=select(before, of=width),
            value=select(letters, of=width, gain=gain),
            attention=attention,
            gain=gain,
        )
        self.mlp = snap(LETTERS, scale=scale_of(attention, keys=length, gain=gain))

    def forward(
        self,
        inputs: Tensor,  # (batch, length, columns)
    ) -> Tensor:  # (batch, letters)
        """Return one logit per letter."""
        stream = self.embed(inputs)
        stream = self.residual(stream, self.previous(stream, stream))
        logits: Tensor = self.mlp(self.induction(stream[:, -1:], stream)).squeeze(1)
        return logits


def _shift(places: range, *, of: int) -> nn.Linear:
    """Position i asks for position i - 1; the first asks for none."""
    weight = torch.zeros(len(places), of, dtype=torch.float64)
    for i in range(1, len(places)):
        weight[i - 1, places[i]] = 1
    return linear(weight, None)


def _function(tokens: np.ndarray) -> np.ndarray:  # (batch, length) -> (batch, letters)
    current = tokens[:, -1]
    found = np.zeros((len(tokens), LETTERS))
    for before, after in zip(tokens.T[:-1], tokens.T[1:], strict=True):
        hit = (before == current) & (current > 0) & (after > 0)
        found[hit, after[hit] - 1] = 1
    return found


def _circuit(length: int) -> tuple[Component, ...]:
    """Streams are (token, predecessor); the previous-token head's pattern reads positions only, so it is the same in every row."""

    def constant(tokens: np.ndarray) -> np.ndarray:
        return np.broadcast_to(np.eye(length, k=-1, dtype=int), (len(tokens), length, length))

    def streams(tokens: np.ndarray, before: np.ndarray) -> np.ndarray:
        return np.stack([tokens, before], axis=2)

    def write(pattern: np.ndarray, letters: np.ndarray) -> np.ndarray:
        return np.asarray(np.einsum("bij,bj->bi", pattern, letters))

    return (
        Component(name="embed", reads=(TOKENS,), rule=lambda t: t),
        Component(name="previous.pattern", reads=("embed",), rule=constant),
        Component(name="previous.value", reads=("embed",), rule=lambda t: t),
        Component(name="previous.output", reads=("previous.pattern", "previous.value"), rule=write),
        Component(name="previous", reads=("previous.output",), rule=lambda before: before),
        Component(name="residual", reads=("embed", "previous"), rule=streams),
        Component(name="induction.query", reads=("residual",), rule=lambda s: s[:, -1:, 0]),
        Component(name="induction.key", reads=("residual",), rule=lambda s: s[:, :, 1]),
        Component(name="induction.value", reads=("residual",), rule=lambda s: s[:, :, 0]),
        Component(name="induction.pattern", reads=("induction.query", "induction.key"), rule=lambda q, k: ((q == k) & (q > 0)).astype(int)),
        Component(name="induction.output", reads=("induction.pattern", "induction.value"), rule=lambda a, v: counts(a, v, LETTERS)),
        Component(name="induction", reads=("induction.output",), rule=lambda z: z),
        Component(name="mlp", reads=("induction",), rule=lambda z: (z >= 1).astype(int)),
    )


def _draw(n: int, length: int, occurrences: int, streams: Streams) -> tuple[Tensor, Tensor]:
    """Blocks (current, answer) and single letters that are never the current one, in random order; then the current token."""
    current = torch.randint(LETTERS, (n, 1), generator=next(streams))
    answer = (current + torch.randint(1, LETTERS, (n, 1), generator=next(streams))) % LETTERS
    singles = length - 1 - 2 * occurrences
    others = (current + torch.randint(1, LETTERS, (n, singles), generator=next(streams))) % LETTERS
    order = torch.rand(n, occurrences + singles, generator=next(streams)).argsort(1)
    first = torch.cat([current.expand(-1, occurrences), others], dim=1).gather(1, order)
    second = torch.cat([answer.expand(-1, occurrences), torch.full_like(others, -1)], dim=1).gather(1, order)
    pairs = torch.stack([first, second], dim=2).flatten(1)
    memory = pairs[pairs >= 0].view(n, length - 1)
    return torch.cat([memory, current], dim=1) + 1, answer.squeeze(1)
