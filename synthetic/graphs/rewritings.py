"""The same functions once more, by networks that compute them along other lines: the cases of implementation invariance.

Two networks are functionally equivalent if they agree for all inputs (Sundararajan, Taly, Yan 2017, section 2.3); here for all
inputs of an open neighbourhood of the box [0, 1]. The nested forms move part of a sum under a ReLU of its own, as in that
paper's figure 7, which changes every rule that assigns credit unit by unit.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from synthetic.gadgets import MARGIN, Product, Sum, linear
from synthetic.graphs.block import halves
from synthetic.graphs.layers import Aggregate
from synthetic.graphs.networks import gate_constant


class NestedMessage(nn.Module):
    """f(A, X) = Σ_ij A_ij relu(relu(2 a_i - 1/2) - 1/2 - 2 (1 - b_j)) = Σ_ij A_ij relu(2 a_i + 2 b_j - 3) for b_j < 5/4.

    With a_i = p·x_i and b_j = q·x_j. Where 2 a_i < 1/2 the inner unit is off and the outer argument is 2 b_j - 5/2 < 0, and
    so is 2 a_i + 2 b_j - 3; elsewhere the arguments are equal.
    """

    def __init__(self, *, receiver: Sequence[float], sender: Sequence[float]) -> None:
        super().__init__()
        self.receiver = linear([[2 * weight for weight in receiver]], [-0.5])
        self.inner = nn.ReLU()
        self.sender = linear([[2 * weight for weight in sender]], [-2.5])
        self.pair = Sum()
        self.outer = nn.ReLU()
        self.weigh = Product()

    def forward(self, rows: Tensor) -> Tensor:  # (batch, n, n + colours) -> (batch, 1)
        """Return f of each row."""
        adjacency, features = halves(rows)
        message = self.outer(self.pair(self.inner(self.receiver(features)), self.sender(features).transpose(-1, -2)))
        total: Tensor = self.weigh(adjacency, message).sum(-1, keepdim=True).sum(-2)
        return total


class NestedGate(nn.Module):
    """f(A, X) = Σ_i [ relu(n_i + relu(g_i + s) - s) - e b_i ], g_i = e b_i - M (1 - b_i): the gate, for n_i < s.

    Where g_i < -s the inner unit is off and the outer argument is n_i - s < 0, and so is n_i + g_i. s = D (1 + e/2) lies
    halfway between D and M, so that both units keep the margin D e/2 >= e for D >= 2.
    """

    def __init__(self, *, opens: Sequence[float], counted: Sequence[float], degree: int) -> None:
        super().__init__()
        shut, shift = gate_constant(degree), degree * (1 + MARGIN / 2)
        self.sender = linear([counted], None)
        self.aggregate = Aggregate()
        self.gate = linear([[(MARGIN + shut) * bit for bit in opens]], [shift - shut])
        self.inner = nn.ReLU()
        self.shift = linear([[1.0]], [-shift])
        self.pair = Sum()
        self.outer = nn.ReLU()
        self.correction = linear([[-MARGIN * bit for bit in opens]], None)
        self.residual = Sum()

    def forward(self, rows: Tensor) -> Tensor:  # (batch, n, n + colours) -> (batch, 1)
        """Return f of each row."""
        adjacency, features = halves(rows)
        heard = self.aggregate(adjacency, self.sender(features))
        opened = self.outer(self.pair(heard, self.shift(self.inner(self.gate(features)))))
        total: Tensor = self.residual(opened, self.correction(features)).sum(-2)
        return total


class RectifiedCount(nn.Module):
    """f(A, X) = Σ_i [ relu(w⁺·x_i + 1/2) - relu(w⁻·x_i + 1/2) ] = Σ_i w·x_i for x_i >= 0, with w = w⁺ - w⁻; A is not read."""

    def __init__(self, weights: Sequence[float]) -> None:
        super().__init__()
        self.parts = linear([[max(sign * w, 0.0) for w in weights] for sign in (1, -1)], [0.5, 0.5])
        self.relu = nn.ReLU()
        self.difference = linear([[1.0, -1.0]], None)

    def forward(self, rows: Tensor) -> Tensor:  # (batch, n, n + colours) -> (batch, 1)
        """Return f of each row."""
        total: Tensor = self.difference(self.relu(self.parts(halves(rows)[1]))).sum(-2)
        return total
