"""Path methods: the gradient integrated along the straight line from baseline to input."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.methods.kinks import linear_pieces
from attrlab.methods.operations import outputs_at, reads

EXPANDED_BYTES = 64 << 20
"""Captum expands the batch n_steps times; above this size it is told to work through it in parts."""


def integrated_gradients(
    model: nn.Module,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,)
    baseline: Tensor,  # (batch, *features)
    n_steps: int = 50,
) -> Tensor:  # (batch, *features)
    """Integrated gradients by quadrature: A_i = (x_i - x'_i) ∫₀¹ ∂_i f(x' + a(x - x')) da.

    n_steps is the number of Gauss-Legendre nodes; at a kink of a piecewise-linear network the error falls as 1 / n_steps only.

    Raises:
        InvalidInput: if n_steps is not a whole number of at least 1.
    Reference:
        Sundararajan, Taly, Yan (2017), "Axiomatic attribution for deep networks", equations 1 and 3; computed by Captum's
        IntegratedGradients with its default of 50 steps.
    Differs from the paper in:
        Gauss-Legendre nodes instead of a Riemann sum. Captum 0.9 holds the weights of the nodes in float32, so float64 results
        carry an error of about 1e-7 of their size.
    """
    if not isinstance(n_steps, int) or n_steps < 1:
        raise InvalidInput(f"n_steps is the number of quadrature nodes, a whole number of at least 1 (got {n_steps!r})")
    if not reads(model, inputs):
        return torch.zeros_like(inputs)
    from captum.attr import IntegratedGradients  # heavy: imports matplotlib

    expanded = inputs.numel() * inputs.element_size() * n_steps
    rows = max(len(inputs), EXPANDED_BYTES * len(inputs) * n_steps // max(expanded, 1))
    with torch.enable_grad():
        scores: Tensor = IntegratedGradients(model).attribute(
            inputs.detach().clone(),
            baselines=baseline,
            target=target,
            n_steps=n_steps,
            internal_batch_size=rows if expanded > EXPANDED_BYTES else None,
        )
    return scores.detach()


def exact_integrated_gradients(
    model: nn.Module,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,)
    baseline: Tensor,  # (batch, *features)
) -> Tensor:  # (batch, *features)
    """Integrated gradients without quadrature, on networks that are piecewise linear along the path.

    The segment is cut at every kink of every unit; on each piece the gradient is constant, so the integral is a finite sum
    Σ_pieces (b - a) ∂_i f(middle), exact to rounding. A unit that is identically zero along a whole piece has the gradient
    that the framework's ReLU'(0) = 0 gives it.

    Raises:
        NotApplicable: if the network calls something that is not known to be piecewise linear, or turns out not to be linear between
            kinks (a product of two varying factors), or its gradient is not that of its function (detach).
    Reference:
        Sundararajan, Taly, Yan (2017), equation 1, evaluated in closed form.
    """
    pieces = linear_pieces(model, inputs, baseline, target)
    row, start, end = pieces.row, pieces.start, pieces.end
    shape = (-1,) + (1,) * (inputs.dim() - 1)
    scores = torch.zeros_like(inputs)
    step = max(1, EXPANDED_BYTES // max(1, inputs[0].numel() * inputs.element_size() * 8))
    for first in range(0, len(row), step):
        part = slice(first, first + step)
        where, width = row[part], (end[part] - start[part])
        middle = (start[part] + end[part]) / 2
        with torch.enable_grad():
            point = torch.lerp(baseline[where], inputs[where], middle.view(shape).to(inputs.dtype)).requires_grad_()
            total = (outputs_at(model, point, target[where]) * width).sum()
            if not total.requires_grad:
                continue
            (slope,) = torch.autograd.grad(total, point, allow_unused=True)
        if slope is not None:
            with _fixed_order():
                scores.index_add_(0, where, slope)
    scores *= inputs - baseline
    _require_completeness(model, inputs, baseline, target, scores)
    return scores


@contextmanager
def _fixed_order() -> Iterator[None]:
    """Sum in one order on CUDA too, where index_add_ adds as threads arrive, so that equal calls are equal bit for bit."""
    before, warns = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warns)


def _require_completeness(model: nn.Module, inputs: Tensor, baseline: Tensor, target: Tensor, scores: Tensor) -> None:
    """Refuse a result that breaks the fundamental theorem of calculus: autograd's gradient is then not that of the function."""
    with torch.no_grad():
        left, right = outputs_at(model, baseline, target), outputs_at(model, inputs, target)
    gap = (scores.flatten(1).sum(1) - (right - left)).abs()
    # The bound of the linearity of the pieces: it covers the deepest networks and still sees any part that is cut off.
    bound = torch.finfo(scores.dtype).eps ** 0.5 * (1 + left.abs() + right.abs() + scores.flatten(1).abs().sum(1))
    if not bool((gap <= bound).all()):
        raise NotApplicable(
            "autograd's gradient does not integrate to the difference of outputs, as after detach() or with a custom backward; "
            f"use a method that only asks for values (shapley, occlusion) (got a gap of {float(gap.max()):.3g})"
        )
