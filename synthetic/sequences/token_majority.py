"""An election among tokens: attention spread evenly counts the votes, one step decides, and most voters could have stayed at home.

The head gives every position the weight 1/8, whatever stands there, so its pattern says nothing. The step makes votes redundant: with a
lead to spare no single removal changes the result, although every vote has a share in it. Votes for the other side count against, so the
output jumps up and down as tokens leave.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from torch import Tensor, nn

from synthetic.environment import Environment
from synthetic.gadgets import linear, step
from synthetic.registry import register
from synthetic.sequences.attention import select
from synthetic.sequences.circuit import TOKENS, Component
from synthetic.sequences.rows import encode, shuffled
from synthetic.sequences.world import LONGEST, require, sequence_environment
from synthetic.streams import Streams

FIRST, SECOND, NEUTRAL = 1, 2, 3
VOCABULARY = 4
SLOTS = 8
"""Attention is spread over eight slots, of which a row fills some: 1/8 is dyadic, so counts are exact."""


@register("token-majority-v1")
def token_majority(*, id: str, length: int = 7, lead: int = 1) -> Environment:
    """f_c(x) = 1[#c - #other >= lead], c one of two candidates; a third token abstains.

    Args:
        id: the registered id.
        length: tokens of a row.
        lead: by how many votes a candidate must lead.

    Raises:
        ValueError: if nobody could lead by so much, or the row is longer than is enumerated.
    """
    require(
        1 <= lead <= length - 1 and length <= LONGEST,
        message=f"token-majority needs 1 <= lead <= length - 1, so that a winner can have votes to spare, and length <= {LONGEST}, so that "
        f"coalitions can be enumerated (got length={length}, lead={lead})",
    )
    table = np.eye(VOCABULARY)
    return sequence_environment(
        id=id,
        formula=f"f_c(x) = 1[#c - #other >= {lead}], c = A, B",
        model=_Majority(length, lead),
        table=table,
        length=length,
        outputs=2,
        draw=lambda n, streams: _draw(n, length, lead, streams),
        function=lambda tokens: _wins(tokens, lead),
        circuit=_circuit(lead),
        domain="rows of the tokens A, B, neutral and pad; all of them are enumerated",
        traits={"attention", "piecewise_linear", "interacting", "saturating", "redundant", "non_monotone", "saw_toothed", "flat_gradient"},
        isolates="uniform attention and a threshold: the pattern is the same in every row, and no single vote need matter",
        reference="Weiss, Goldberg, Yahav 2021 (RASP: selector width); Shapley, Shubik 1954 (voting games)",
        knobs={"length": length, "lead": lead},
        equals={"votes split": _Majority(length, lead, split=True)},
        lattice=lambda: encode(torch.tensor(list(product(range(VOCABULARY), repeat=length))), table),
        orbit=lambda tokens: tokens.copy(),
        integrated_gradients=lambda tokens, target: _path(tokens, target, lead),
    )


class _Uniform(nn.Module):
    """Attention 1/8 on every position: a linear map over positions, whatever they hold."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.spread = linear(torch.full((1, length), 1 / SLOTS, dtype=torch.float64), None)

    def forward(
        self,
        values: Tensor,  # (batch, length, width)
    ) -> Tensor:  # (batch, width)
        """Return an eighth of the sum over positions."""
        mean: Tensor = self.spread(values.transpose(1, 2)).squeeze(-1)
        return mean


class _Majority(nn.Module):
    """Votes as values, their even mixture, and a step at the lead; split: A's votes and B's are counted apart and subtracted later."""

    def __init__(self, length: int, lead: int, *, split: bool = False) -> None:
        super().__init__()
        columns = VOCABULARY + length
        signs = torch.zeros(2, columns, dtype=torch.float64)
        signs[0, FIRST] = signs[1, SECOND] = 1
        signs[1, FIRST] = signs[0, SECOND] = -1
        lead_of = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64)
        self.value = select([FIRST, SECOND], of=columns) if split else linear(signs, None)
        self.output = _Uniform(length)
        self.count = linear(SLOTS * (lead_of if split else torch.eye(2, dtype=torch.float64)), None)
        self.mlp = step(lead, size=2)

    def forward(
        self,
        inputs: Tensor,  # (batch, length, columns)
    ) -> Tensor:  # (batch, 2)
        """Return one logit per candidate."""
        logits: Tensor = self.mlp(self.count(self.output(self.value(inputs))))
        return logits


def _leads(tokens: np.ndarray) -> np.ndarray:  # (batch, length) -> (batch, 2)
    lead = (tokens == FIRST).sum(1) - (tokens == SECOND).sum(1)
    return np.stack([lead, -lead], axis=1)


def _wins(tokens: np.ndarray, lead: int) -> np.ndarray:  # (batch, length) -> (batch, 2)
    return np.asarray(_leads(tokens) >= lead, dtype=np.float64)


def _votes(tokens: np.ndarray) -> np.ndarray:  # (batch, length) -> (batch, length, 2)
    sign = (tokens == FIRST).astype(int) - (tokens == SECOND)
    return np.stack([sign, -sign], axis=2)


def _circuit(lead: int) -> tuple[Component, ...]:
    return (
        Component(name="value", reads=(TOKENS,), rule=_votes),
        Component(name="output", reads=("value",), rule=lambda v: v.sum(1)),
        Component(name="count", reads=("output",), rule=lambda z: z),
        Component(name="mlp", reads=("count",), rule=lambda z: (z >= lead).astype(int)),
    )


def _path(tokens: np.ndarray, target: np.ndarray, lead: int) -> np.ndarray:  # (batch, length)
    """The path integral: on the straight line all votes grow together, so the result is divided by the lead, vote by vote."""
    rows = np.arange(len(tokens))
    won, by = _wins(tokens, lead)[rows, target], _leads(tokens)[rows, target]
    share = won / np.where(won > 0, by, 1)
    return np.asarray(share[:, None] * _votes(tokens)[rows, :, target])


def _draw(n: int, length: int, lead: int, streams: Streams) -> tuple[Tensor, Tensor]:
    """A fair winner with at least `lead` votes more; how many votes the loser has, and how many are neutral, is drawn too."""
    most = torch.full((n,), float(length - lead))
    neutral = (torch.rand(n, generator=next(streams)) * (most.clamp(max=2) + 1)).long()
    loser = (torch.rand(n, generator=next(streams)) * ((most - neutral).div(2, rounding_mode="floor") + 1)).long()
    winner = torch.randint(FIRST, SECOND + 1, (n, 1), generator=next(streams))
    place = torch.arange(length).expand(n, -1)
    votes = torch.where(place < loser.unsqueeze(1), FIRST + SECOND - winner, winner)
    votes = torch.where(place >= length - neutral.unsqueeze(1), NEUTRAL, votes)
    target = torch.randint(2, (n,), generator=next(streams))
    return shuffled(votes, streams), target
