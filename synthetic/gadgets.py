"""Small ReLU networks that compute logic and arithmetic exactly on the integers, and stay away from their kinks.

Each gadget's docstring is its formula. Two rules make the values exact and the gradients unambiguous. Margin: at every
point of the stated domain each pre-activation is at least e = 1/4 from zero, so that no answer hangs on the convention
ReLU'(0) = 0; a step of width 1 - 2e then needs the slope s = 1/(1 - 2e) = 2. Dyadic weights: quarters, halves and integers
are exact in float32. Each activation is its own `nn.ReLU` module, because hooks on functional, in-place or reused
activations are silently wrong in the libraries under test.

A gadget acts on the last dimension and leaves the others as they are. Elementwise gadgets take `size`, the length of that
dimension; the others map it to length 1. The formulas are those of the hat, step and parity networks in Zhang et al.,
AttributionLab (arXiv 2310.06514), with their kinks moved off the integers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

MARGIN = 0.25
"""e: the least distance of a pre-activation from its kink."""

SLOPE = 1 / (1 - 2 * MARGIN)
"""s: the slope that takes a step from 0 to 1 between two integers while keeping the margin at both."""


def step(t: int, *, size: int = 1) -> nn.Module:
    """1[z >= t] = s relu(z - (t - 1 + e)) - s relu(z - (t - e)), elementwise, for integers z: (..., size) -> (..., size)."""
    return _elementwise(size, biases=_rise(t), heights=[SLOPE, -SLOPE])


def equality(t: int, *, size: int = 1) -> nn.Module:
    """1[z = t] = 1[z >= t] - 1[z >= t + 1], flat within e of every integer, elementwise: (..., size) -> (..., size)."""
    return _elementwise(size, biases=_rise(t) + _rise(t + 1), heights=[SLOPE, -SLOPE, -SLOPE, SLOPE])


def pass_through(*, size: int = 1) -> nn.Module:
    """Pass-through: r = relu(r + 1/2) - 1/2, elementwise, for r >= 0; the offset keeps r = 0 off the kink: (..., size) -> (..., size)."""
    return nn.Sequential(linear(torch.eye(size), [0.5] * size), nn.ReLU(), linear(torch.eye(size), [-0.5] * size))


def count(bits: int) -> nn.Module:
    """Σ b_i, one linear layer: (..., bits) -> (..., 1)."""
    return linear([[1.0] * bits], [0.0])


def conjunction(bits: int) -> nn.Module:
    """AND: b_1 ... b_k = 1[Σ b_i >= k], with its margin: (..., bits) -> (..., 1)."""
    return _staircase(bits, {bits: 1.0})


def disjunction(bits: int) -> nn.Module:
    """OR: 1[Σ b_i >= 1], with its margin: (..., bits) -> (..., 1)."""
    return _staircase(bits, {1: 1.0})


def exclusive_or(bits: int) -> nn.Module:
    """XOR, the parity of k bits: Σ_{j=1..k} (-1)^(j+1) 1[Σ b_i >= j]: (..., bits) -> (..., 1)."""
    return _staircase(bits, {j: 1.0 if j % 2 else -1.0 for j in range(1, bits + 1)})


def modulo(m: int, *, largest: int) -> nn.Module:
    """Modulo: n mod m = [relu(n + 1/2) - 1/2] - m Σ_{j=1..⌊largest/m⌋} 1[n >= jm], for 0 <= n <= largest: (..., 1) -> (..., 1).

    Its gradient is +1 at every integer of the domain.

    Raises:
        ValueError: if m < 2 or largest < 0.
    """
    if m < 2 or largest < 0:
        raise ValueError(f"n mod m is built for m >= 2 and 0 <= n <= largest (got m={m}, largest={largest})")
    biases, heights = [0.5], [1.0]
    for j in range(1, largest // m + 1):
        biases += _rise(j * m)
        heights += [-m * SLOPE, m * SLOPE]
    return nn.Sequential(linear([[1.0]] * len(biases), biases), nn.ReLU(), linear([heights], [-0.5]))


def gate(M: int) -> nn.Module:
    """Gate: b n = relu(n + e b - M (1 - b)) - e b, for a bit b and an integer 0 <= n < M: (..., 2), that is (b, n) -> (..., 1).

    The bit b is passed through as relu(b + 1/2) - 1/2. Between lattice points the function depends on M, and so do path
    integrals: from 0 they give b less than half, the less the larger M is. Keep M minimal: the largest n, plus 1.

    Raises:
        ValueError: if M < 1, where no n is left.
    """
    if M < 1:
        raise ValueError(f"a gate passes integers 0 <= n < M, so M is at least 1 (got M={M})")
    return nn.Sequential(linear([[M + MARGIN, 1.0], [1.0, 0.0]], [-M, 0.5]), nn.ReLU(), linear([[1.0, -MARGIN]], [MARGIN / 2]))


class Sum(nn.Module):
    """Σ_i w_i a_i of tensors of one shape: a residual sum as a named module, so that hooks see it."""

    weights: Tensor  # (terms,)

    def __init__(self, weights: Sequence[float] = (1.0, 1.0)) -> None:
        super().__init__()
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float64))

    def forward(self, *terms: Tensor) -> Tensor:
        """Return the weighted sum.

        Raises:
            ValueError: if there are not as many terms as weights.
        """
        if len(terms) != len(self.weights):
            raise ValueError(f"this sum has {len(self.weights)} weights and takes as many terms (got {len(terms)})")
        total = self.weights[0] * terms[0]
        for weight, term in zip(self.weights[1:], terms[1:], strict=True):
            total = total + weight * term
        return total


class Product(nn.Module):
    """a b, elementwise with broadcasting: a product as a named module, so that hooks see it."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the elementwise product."""
        return a * b


def linear(weight: Tensor | Sequence[Sequence[float]], bias: Sequence[float] | None) -> nn.Linear:
    """A linear layer with these numbers, float64, no gradient: weight (outputs, inputs), bias (outputs,) or None."""
    w = torch.as_tensor(weight, dtype=torch.float64).clone()
    layer = nn.Linear(w.shape[1], w.shape[0], bias=bias is not None, dtype=torch.float64, device="meta")  # draws no numbers
    layer.weight = nn.Parameter(w, requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(torch.as_tensor(bias, dtype=torch.float64).clone(), requires_grad=False)
    return layer


def relu_network(layers: Sequence[tuple[Tensor | Sequence[Sequence[float]], Sequence[float]]]) -> nn.Sequential:
    """The dense network Linear, ReLU, Linear, ..., Linear of these (weight (outputs, inputs), bias (outputs,)); no ReLU after the last."""
    modules: list[nn.Module] = []
    for weight, bias in layers:
        modules += [linear(weight, bias), nn.ReLU()]
    return nn.Sequential(*modules[:-1])


def least_preactivation(
    model: nn.Module,
    inputs: Tensor,  # (batch, *features)
) -> float:
    """Return the smallest |input| of any `nn.ReLU` of `model` on `inputs`: the distance to the nearest kink; inf without a ReLU.

    The hooks it sets are gone when it returns, also when the model raises.
    """
    least = [float("inf")]

    def look(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        del module
        if arguments[0].numel():
            least.append(float(arguments[0].abs().min()))

    handles = [module.register_forward_pre_hook(look) for module in model.modules() if isinstance(module, nn.ReLU)]
    try:
        with torch.no_grad():
            model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return min(least)


def _rise(t: int) -> list[float]:
    """The biases of the two units whose difference rises from 0 at t - 1 to 1 at t."""
    return [-(t - 1 + MARGIN), -(t - MARGIN)]


def _elementwise(size: int, *, biases: Sequence[float], heights: Sequence[float]) -> nn.Module:
    """Σ_u heights_u relu(z + biases_u) of each of `size` entries, as one hidden layer."""
    identity = torch.eye(size, dtype=torch.float64)
    inner = identity.repeat_interleave(len(biases), 0)
    outer = torch.kron(identity, torch.tensor([heights], dtype=torch.float64))
    return nn.Sequential(linear(inner, list(biases) * size), nn.ReLU(), linear(outer, [0.0] * size))


def _staircase(bits: int, heights: dict[int, float]) -> nn.Module:
    """Σ_j heights_j 1[Σ b_i >= j] of `bits` bits, as one hidden layer."""
    if bits < 1:
        raise ValueError(f"logic needs at least one bit (got bits={bits})")
    biases = [bias for j in heights for bias in _rise(j)]
    outer = [sign * SLOPE * height for height in heights.values() for sign in (1.0, -1.0)]
    return nn.Sequential(linear([[1.0] * bits] * len(biases), biases), nn.ReLU(), linear([outer], [0.0]))
