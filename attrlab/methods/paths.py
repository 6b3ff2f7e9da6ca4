"""Path methods: the gradient integrated along the straight line from baseline to input, by quadrature or in closed form."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from attrlab.errors import NotApplicable
from attrlab.games.game import Model
from attrlab.methods.kinks import Pieces, linear_pieces, tolerance
from attrlab.methods.quadrature import nodes_and_weights
from attrlab.methods.sampled_gradients import gradients_at, summed_gradients


def integrated_gradients(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,)
    baseline: Tensor,  # (batch, *features)
    n_steps: int = 50,
    rule: str = "gauss_legendre",
) -> Tensor:  # (batch, *features)
    """Integrated gradients by quadrature: A_i = (x_i - x'_i) Σ_k w_k ∂_i f(x' + a_k (x - x')) ≈ (x_i - x'_i) ∫₀¹ ∂_i f(x' + a(x - x')) da.

    Args:
        model: maps (rows, *features) to (rows, outputs).
        inputs: the rows that are explained.
        target: which output of each row.
        baseline: where the paths begin.
        n_steps: number of gradients per row; the paper finds 20 to 300 enough. At a kink of a piecewise-linear network the error falls
            as 1 / n_steps only, whatever the rule.
        rule: "gauss_legendre", exact for polynomials of degree 2 n_steps - 1; "midpoint"; "trapezoid", whose n_steps nodes include both
            ends; "left"; or "right", the paper's Riemann sum.

    Returns:
        Scores in units of the output, whose sum over a row is f(x) - f(x') up to the error of the quadrature.

    Raises:
        InvalidInput: if n_steps is not a whole number of at least 1, or the rule is unknown.

    Example:
        >>> square = lambda x: x**2
        >>> integrated_gradients(square, torch.tensor([[3.0]]), target=torch.tensor([0]), baseline=torch.zeros(1, 1), n_steps=1)
        tensor([[9.]])

    Reference:
        Sundararajan, Taly, Yan (2017), "Axiomatic attribution for deep networks", equations 1 and 3.

    Differs from the paper in: Gauss-Legendre nodes are the default, as in Captum; write rule="right" for equation 3.
    """
    nodes, weights = nodes_and_weights(rule, n_steps, like=inputs)
    at = nodes.view(1, -1, *(1,) * (inputs.dim() - 1))

    def points(rows: slice, samples: slice) -> Tensor:
        return torch.lerp(baseline[rows, None], inputs[rows, None], at[:, samples])

    return (inputs - baseline) * summed_gradients(model, inputs, points, weights=weights, target=target)


def exact_integrated_gradients(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,)
    baseline: Tensor,  # (batch, *features)
) -> Tensor:  # (batch, *features)
    """Integrated gradients without quadrature, on networks that are piecewise linear along the path.

    The segment is cut at every kink of every unit; on each piece the gradient is constant, so the integral is a finite sum
    Σ_pieces (b - a) ∂_i f(middle), exact to rounding. A unit that is identically zero along a whole piece has the gradient
    that the framework's ReLU'(0) = 0 gives it.

    Args:
        model: maps (rows, *features) to (rows, outputs), with affine maps and the calls of `operations.KINKS` only.
        inputs: the rows that are explained.
        target: which output of each row.
        baseline: where the paths begin.

    Returns:
        Scores in units of the output, whose sum over a row is f(x) - f(x') to rounding.

    Raises:
        NotApplicable: if the network calls something that is not known to be piecewise linear, or turns out not to be linear between
            kinks (a product of two varying factors), or its gradient is not that of its function (detach).

    Example:
        >>> kink = lambda x: torch.relu(x - 1)
        >>> exact_integrated_gradients(kink, torch.tensor([[3.0]]), target=torch.tensor([0]), baseline=torch.ones(1, 1))
        tensor([[2.]])

    Reference:
        Sundararajan, Taly, Yan (2017), "Axiomatic attribution for deep networks", equation 1, evaluated in closed form.

    Differs from the paper in: nothing but the closed form.
    """
    pieces = linear_pieces(model, inputs, baseline, target)
    return _mean_slope(model, inputs, baseline, target, pieces) * (inputs - baseline)


def _mean_slope(model: Model, inputs: Tensor, baseline: Tensor, target: Tensor, pieces: Pieces) -> Tensor:
    """The gradient at the middle of each piece, weighted with its width and summed over the row."""
    shape = (-1, 1, *(1,) * (inputs.dim() - 1))
    width, middle = (pieces.end - pieces.start).view(shape), ((pieces.start + pieces.end) / 2).view(shape)
    total, like = torch.zeros_like(inputs), inputs[:1].expand(len(pieces.row), *inputs.shape[1:])

    def points(part: slice, _: slice) -> Tensor:
        row = pieces.row[part]
        return torch.lerp(baseline[row, None], inputs[row, None], middle[part])

    for part, _, slopes in gradients_at(model, like, points, samples=1, target=target[pieces.row]):
        row, mean = pieces.row[part], (slopes * width[part]).squeeze(1)
        _require_rise(pieces, part, (mean * (inputs[row] - baseline[row])).flatten(1).sum(1))
        with _fixed_order():
            total.index_add_(0, row, mean)
    return total


@contextmanager
def _fixed_order() -> Iterator[None]:
    """Sum in one order on CUDA too, where index_add_ adds as threads arrive, so that equal calls are equal bit for bit."""
    before, warns = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warns)


def _require_rise(pieces: Pieces, part: slice, rise: Tensor) -> None:
    """Refuse a result that breaks the fundamental theorem of calculus on a piece: autograd's gradient is then not that of the function."""
    left, right = pieces.at_start[part], pieces.at_end[part]
    gap = (rise - (right - left)).abs()
    if not bool((gap <= tolerance(left, right)).all()):
        raise NotApplicable(
            "autograd's gradient does not integrate to the difference of outputs, as after detach(), a custom backward, or curvature that "
            f"no call shows; use a method that only asks for values (shapley, occlusion) (got a gap of {float(gap.max()):.3g})"
        )
