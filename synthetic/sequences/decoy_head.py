"""Attention is not attribution: a head looks almost only at a token from which it carries home nothing.

The decoy has exp-weight `strength` against 1 for every other token, so it takes most of the softmax; its value is zero. What is carried
home from the letters is small but not zero, and the layer after the head asks only whether it is there. So the decoy is a null player,
and replacing the whole pattern by that of a row of pads changes no answer, while every method that reads patterns ranks the decoy first
(Jain, Wallace 2019; Kobayashi et al. 2020).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from synthetic.environment import Environment
from synthetic.gadgets import linear
from synthetic.registry import register
from synthetic.sequences.attention import Mixture, select, snap
from synthetic.sequences.circuit import TOKENS, Component, counts
from synthetic.sequences.rows import shuffled
from synthetic.sequences.world import LONGEST, require, sequence_environment
from synthetic.streams import Streams

LETTERS = 4
"""Tokens 1 ... 4; token 5 is the decoy."""

DECOY = 1 + LETTERS
STRONGEST = 256.0


@register("decoy-head-v1")
def decoy_head(*, id: str, length: int = 7, occurrences: int = 2, strength: float = 32.0) -> Environment:
    """f_a(x) = 1[letter a occurs in x], whatever the decoy does.

    Args:
        id: the registered id.
        length: tokens of a row, one of which is the decoy.
        occurrences: how often the letter that is asked for stands in the row.
        strength: the decoy's weight in the softmax, against 1 for any other token.

    Raises:
        ValueError: if there is no room for another letter, or the decoy is weaker than a token or too strong to see past.
    """
    require(
        1 <= occurrences <= length - 2 and length <= LONGEST,
        message=f"decoy-head needs 1 <= occurrences <= length - 2, beside the decoy and another letter, and length <= {LONGEST}, so that "
        f"coalitions can be enumerated (got length={length}, occurrences={occurrences})",
    )
    require(
        1 <= strength <= STRONGEST,
        message=f"a decoy has 1 <= strength <= {STRONGEST:g}: below it attracts nothing, above the letters' share is lost to rounding "
        f"in float32 (got strength={strength})",
    )
    return sequence_environment(
        id=id,
        formula="f_a(x) = 1[∃ j: x_j = a]; the head attends to the decoy",
        model=_Decoy(length, strength),
        table=np.eye(2 + LETTERS),
        length=length,
        outputs=LETTERS,
        draw=lambda n, streams: _draw(n, length, occurrences, streams),
        function=_occurs,
        circuit=_circuit(),
        domain="rows of letters, decoys and pads with at most one decoy",
        traits={"attention", "interacting", "saturating", "flat_gradient"} | ({"redundant"} if occurrences > 1 else set()),
        isolates="attention against attribution: the most attended token is a null player",
        reference="Jain, Wallace 2019; Wiegreffe, Pinter 2019; Kobayashi et al. 2020",
        knobs={"length": length, "occurrences": occurrences, "strength": strength},
        equals={"values doubled": _Decoy(length, strength, gain=2.0)},
        orbit=lambda tokens: tokens.copy(),
    )


class _Attend(nn.Module):
    """a = softmax over positions of log(strength) at a decoy, 0 elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.softmax = nn.Softmax(dim=-1)

    def forward(
        self,
        scores: Tensor,  # (batch, length, 1)
    ) -> Tensor:  # (batch, 1, length)
        """Return the attention of the one query that every row has."""
        weights: Tensor = self.softmax(scores.transpose(1, 2))
        return weights


class _Decoy(nn.Module):
    """Key, pattern, value, their mixture, and a unit per letter that asks whether anything of it is there."""

    def __init__(self, length: int, strength: float, *, gain: float = 1.0) -> None:
        super().__init__()
        columns = 2 + LETTERS + length
        score = torch.zeros(1, columns, dtype=torch.float64)
        score[0, DECOY] = math.log(strength)
        self.key = linear(score, None)
        self.pattern = _Attend()
        self.value = select(range(1, 1 + LETTERS), of=columns, gain=gain)
        self.output = Mixture()
        self.mlp = snap(LETTERS, scale=(length + strength) / gain)  # the least weight of a token is 1 / (length - 1 + strength)

    def forward(
        self,
        inputs: Tensor,  # (batch, length, columns)
    ) -> Tensor:  # (batch, letters)
        """Return one logit per letter."""
        logits: Tensor = self.mlp(self.output(self.pattern(self.key(inputs)), self.value(inputs))).squeeze(1)
        return logits


def _occurs(tokens: np.ndarray) -> np.ndarray:  # (batch, length) -> (batch, letters)
    if ((tokens == DECOY).sum(1) > 1).any():
        raise ValueError("a row of this world holds at most one decoy (got several)")
    return np.stack([(tokens == letter).any(1) for letter in range(1, 1 + LETTERS)], axis=1).astype(np.float64)


def _circuit() -> tuple[Component, ...]:
    """The pattern is at least 1 / (length - 1 + strength) everywhere, on any row: to the bits behind it, attention is everywhere."""
    return (
        Component(name="key", reads=(TOKENS,), rule=lambda t: t == DECOY),
        Component(name="pattern", reads=("key",), rule=lambda k: np.ones(k.shape, dtype=int)),
        Component(name="value", reads=(TOKENS,), rule=lambda t: np.where(t <= LETTERS, t, 0)),
        Component(name="output", reads=("pattern", "value"), rule=lambda a, v: counts(a, v, LETTERS)),
        Component(name="mlp", reads=("output",), rule=lambda z: (z >= 1).astype(int)),
    )


def _draw(n: int, length: int, occurrences: int, streams: Streams) -> tuple[Tensor, Tensor]:
    """The letter that is asked for, a decoy, and other letters, in random order."""
    letter = torch.randint(LETTERS, (n, 1), generator=next(streams))
    others = (letter + torch.randint(1, LETTERS, (n, length - 1 - occurrences), generator=next(streams))) % LETTERS
    decoy = torch.full((n, 1), DECOY)
    row = torch.cat([1 + letter.expand(-1, occurrences), 1 + others, decoy], dim=1)
    return shuffled(row, streams), letter.squeeze(1)
