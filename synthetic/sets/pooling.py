"""A bag is answered by its instances through a detector, a pool that forgets their order, and a label.

The attention pool is that of multiple-instance learning (Ilse et al. 2018): an instance's weight is a softmax of the detector's logit,
and what is pooled is the detector's bit, so that one positive instance takes the weight of the whole bag and a second adds nothing.
A sink with half a logit takes it where no instance is positive. The sum pool is the linear twin: it counts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synthetic.gadgets import Product, linear
from synthetic.sequences.attention import SINK, snap

POOLINGS = ("attention", "sum")

BETA = 10.0
"""The inverse temperature: one positive instance takes all but e^-5 of a bag's weight, and the transition is wide enough for quadrature."""


class Weights(nn.Module):
    """a_ik = softmax_i(β d_ik) over the instances and a sink of logit 1/2, whose weight is left out."""

    beta: Tensor  # ()

    def __init__(self, beta: float = BETA) -> None:
        super().__init__()
        self.register_buffer("beta", torch.tensor(beta, dtype=torch.float64))
        self.softmax = nn.Softmax(dim=1)

    def forward(
        self,
        logits: Tensor,  # (batch, instances, kinds)
    ) -> Tensor:  # (batch, instances, kinds)
        """Return the weight of each instance, for each kind."""
        sink = torch.zeros_like(logits[:, :1]) + SINK
        weights: Tensor = self.softmax(self.beta * torch.cat([logits, sink], dim=1))
        return weights[:, :-1]


class Pooled(nn.Module):
    """z_k = Σ_i a_ik v_ik: the values of the instances under their weights."""

    def __init__(self) -> None:
        super().__init__()
        self.weighted = Product()

    def forward(
        self,
        pattern: Tensor,  # (batch, instances, kinds)
        values: Tensor,  # (batch, instances, kinds)
    ) -> Tensor:  # (batch, kinds)
        """Return one value per kind."""
        total: Tensor = self.weighted(pattern, values).sum(1)
        return total


class AttentionPool(nn.Module):
    """Nearly 1 where some instance is of kind k, and 0 where none is, times the gain: the bit's mean under attention."""

    def __init__(self, kinds: int, *, gain: float) -> None:
        super().__init__()
        self.pattern = Weights()
        self.value = linear(gain * torch.eye(kinds, dtype=torch.float64), None)
        self.output = Pooled()

    def forward(
        self,
        logits: Tensor,  # (batch, instances, kinds)
    ) -> Tensor:  # (batch, kinds)
        """Return one mean per kind."""
        means: Tensor = self.output(self.pattern(logits), self.value(logits))
        return means


class SumPool(nn.Module):
    """How many instances are of kind k, times the gain."""

    def __init__(self, kinds: int, *, gain: float) -> None:
        super().__init__()
        self.value = linear(gain * torch.eye(kinds, dtype=torch.float64), None)

    def forward(
        self,
        logits: Tensor,  # (batch, instances, kinds)
    ) -> Tensor:  # (batch, kinds)
        """Return one count per kind."""
        counts: Tensor = self.value(logits).sum(1)
        return counts


class BagNetwork(nn.Module):
    """Flatten each instance, detect, pool, label: under attention Σ_k z_k - (kinds - 1) snapped to a bit, else the sum of counts.

    `gain` multiplies what is pooled and divides what is read off the pool: another network of the same function.
    """

    def __init__(self, detector: nn.Module, *, kinds: int, pooling: str, gain: float = 1.0) -> None:
        super().__init__()
        attention = pooling == "attention"
        self.flatten = nn.Flatten(2)
        self.detector = detector
        self.pool = AttentionPool(kinds, gain=gain) if attention else SumPool(kinds, gain=gain)
        total = linear([[1.0 / gain] * kinds], [1.0 - kinds if attention else 0.0])
        self.label = nn.Sequential(total, snap(1)) if attention else total

    def forward(
        self,
        inputs: Tensor,  # (batch, instances, *features)
    ) -> Tensor:  # (batch, 1)
        """Return the bag's label or count."""
        logits: Tensor = self.label(self.pool(self.detector(self.flatten(inputs))))
        return logits
