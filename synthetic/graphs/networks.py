"""Two message-passing networks on dense rows: one decides on the edges, the other in the nodes.

Both act on rows [A | X] and read A only as the weight of a sum over neighbours, so weight 0 is deletion. On graphs both can
compute one function; between graphs they do not, and that difference is the instrument. Each activation, product, sum and
aggregation is a module of its own, because the libraries under test hook modules.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from synthetic.gadgets import MARGIN, Product, Sum, linear
from synthetic.graphs.block import halves
from synthetic.graphs.layers import Aggregate


class MessageNetwork(nn.Module):
    """f(A, X) = Σ_i [ r·x_i + Σ_j A_ij relu(p·x_i + q·x_j + c) ], rows (batch, n, n + colours) -> (batch, 1).

    Args:
        receiver: p, one weight per colour.
        sender: q, one weight per colour.
        offset: c.
        root: r, one weight per colour.
    """

    def __init__(self, *, receiver: Sequence[float], sender: Sequence[float], offset: float, root: Sequence[float]) -> None:
        super().__init__()
        self.receiver = linear([receiver], None)
        self.sender = linear([sender], [offset])
        self.pair = Sum()
        self.relu = nn.ReLU()
        self.weigh = Product()
        self.root = linear([root], None)
        self.residual = Sum()

    def forward(self, rows: Tensor) -> Tensor:
        """Return f of each row."""
        adjacency, features = halves(rows)
        message = self.relu(self.pair(self.receiver(features), self.sender(features).transpose(-1, -2)))
        heard = self.weigh(adjacency, message).sum(-1, keepdim=True)
        total: Tensor = self.residual(self.root(features), heard).sum(-2)
        return total


class GateNetwork(nn.Module):
    """f(A, X) = Σ_i [ relu(n_i + e b_i - M (1 - b_i)) - e b_i ], n_i = Σ_j A_ij q·x_j, b_i = p·x_i: Σ_i b_i n_i on graphs.

    For a bit b_i and 0 <= n_i <= D, M = D (1 + e) keeps the pre-activation at least D e below zero where b_i = 0, and e above
    where b_i = 1; e is dyadic, so all values are exact.

    Args:
        opens: p, 1 at the colours whose gate is open.
        counted: q, 1 at the colours that are counted.
        degree: D, the largest degree.
    """

    def __init__(self, *, opens: Sequence[float], counted: Sequence[float], degree: int) -> None:
        super().__init__()
        self.shut = gate_constant(degree)
        self.sender = linear([counted], None)
        self.aggregate = Aggregate()
        self.gate = linear([[(MARGIN + self.shut) * bit for bit in opens]], [-self.shut])
        self.pair = Sum()
        self.relu = nn.ReLU()
        self.correction = linear([[-MARGIN * bit for bit in opens]], None)
        self.residual = Sum()

    def forward(self, rows: Tensor) -> Tensor:
        """Return f of each row."""
        adjacency, features = halves(rows)
        heard = self.aggregate(adjacency, self.sender(features))
        opened = self.relu(self.pair(heard, self.gate(features)))
        total: Tensor = self.residual(opened, self.correction(features)).sum(-2)
        return total


def gate_constant(degree: int) -> float:
    """M = D (1 + e), with which the path integral of a lone a-b edge is exactly (D / (D + 1), 1 / (D + 1))."""
    return degree * (1 + MARGIN)
