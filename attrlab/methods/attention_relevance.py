"""Relevance through attention: a bilinear, gated and normalised network is explained as if its gates, ratios and scales stood still.

Two sets of backward rules for the interception of calls. Both give half of a product's relevance to each of its factors, hold the scale
of a norm constant, let a smooth activation be the identity times its ratio f(z)/z, and let a softmax keep its own slope, the first-order
term of its Taylor expansion. They differ in the linear map: AttnLRP stabilises it by ε and multiplies what arrives by the input;
relevance patching takes the weights themselves and multiplies what arrives by a difference between two inputs.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.methods.calls import POWERS, Call, vanishes_at_zero
from attrlab.methods.interception import Rules, gradient_rule, propagate
from attrlab.methods.unit_rules import constant_scale

PIECEWISE = frozenset(
    """
    relu relu6 leaky_relu rrelu prelu threshold hardtanh abs clamp clip clamp_min clamp_max maximum minimum max min softshrink hardshrink
    """.split()
)
"""Activations that keep their slope, which is their ratio wherever they are homogeneous."""

SCALES = frozenset("sqrt rsqrt reciprocal".split())
"""Calls that make a scale to multiply or divide by."""

SMALL = 1e-6
"""Below this |z| an activation's ratio is its slope, which differs from it by a term of this size."""


def attn_lrp(
    model: Callable[[Tensor], Tensor],
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    epsilon: float = 1e-6,
) -> Tensor:  # (batch, *features)
    """AttnLRP: relevance of each input entry, carried back from the explained output.

    Softmax s(z): R_i = z_i (R_i^s - s_i Σ_j R_j^s). Product of two streams: half of the relevance to each. Norm: as the linear map that it
    is with its scale held constant. Smooth activation: R^in = R^out. Linear map: R_i = Σ_j z_ij / (z_j + ε sign z_j) R_j, biases keeping
    their share.

    Args:
        model: maps (batch, *features) to (batch, outputs); any callable.
        inputs: the rows that are explained.
        target: which output of each row.
        epsilon: the stabiliser ε, in units of a pre-activation.

    Returns:
        Relevance in units of the output. Products, norms without offset and activations conserve it; biases and the softmax, whose
        expansion has a constant term, absorb some.

    Raises:
        NotApplicable: if the model makes a call that no rule is known for; the message names it.
        InvalidInput: if epsilon is negative.

    Example:
        >>> x = torch.tensor([[2.0, 3.0]])
        >>> attn_lrp(lambda x: x[:, :1] * x[:, 1:], x, target=torch.tensor([0]))
        tensor([[3., 3.]])

    Reference:
        Achtibat et al. (2024), "AttnLRP: attention-aware layer-wise relevance propagation for transformers", propositions 3.1 to 3.4.
    Differs from the paper in:
        linear maps follow the ε rule everywhere, where the paper takes the γ rule for vision; a product's halves are exact, without a
        stabiliser.
    """
    return propagate(model, inputs, target=target, rules=attn_lrp_rules(epsilon=epsilon)).relevance


def attn_lrp_rules(*, epsilon: float = 1e-6) -> Rules:
    """The backward rules of AttnLRP.

    Raises:
        InvalidInput: if epsilon is negative.
    """
    if not epsilon >= 0:
        raise InvalidInput(f"epsilon stabilises a denominator and is not negative (got {epsilon})")

    def stabilised(call: Call) -> Tensor:
        value = call.output.detach()
        stable = value + epsilon * torch.where(value < 0, -1.0, 1.0).to(value)
        kept: Tensor = call.output * torch.where(stable == 0, 0, value / stable)
        return kept

    return Rules(linear=stabilised, activation=_activation, product=_half, quotient=_over_constant, norm=constant_scale)


def relevance_patching_rules(*, frozen_attention: bool = False) -> Rules:
    """The backward rules of relevance patching; with frozen attention all of a head's relevance goes to its values."""
    softmax = _constant if frozen_attention else gradient_rule
    return Rules(activation=_activation, product=_half, quotient=_over_constant, norm=constant_scale, softmax=softmax)


def _half(call: Call) -> Tensor:
    """Each factor of a product gets half of the signal."""
    return call.output / 2


def _constant(call: Call) -> Tensor:
    """What the call returns counts as a constant from here on, so that a product with it is a linear map."""
    return call.output.detach_()


def _over_constant(call: Call) -> Tensor:
    """A denominator is a scale, held constant."""
    numerator, denominator = [*call.arguments, *call.keywords.values()][:2]
    if not (isinstance(numerator, Tensor) and numerator.requires_grad):
        return _constant(call)
    scaled: Tensor = numerator / denominator.detach()
    return scaled


def _activation(call: Call) -> Tensor:
    """The identity times f(z)/z; z^n is a product of n streams, a root a scale, and the sigmoid the softmax of two.

    Raises:
        NotApplicable: if f(0) is not 0, so that f(z)/z has no limit there.
    """
    if call.name in POWERS and call.name != "__rpow__":
        return _power(call)
    if call.name in SCALES:
        return _constant(call)
    if call.name in PIECEWISE or call.name == "sigmoid":
        return call.output
    if not vanishes_at_zero(call):
        raise NotApplicable(
            f"{call.name} is not 0 at 0, so the ratio of its value to its argument has no limit there; write it with softmax, sigmoid or "
            f"an activation through 0 such as gelu, or use attribution_patching (got {call.name!r})"
        )
    return call.x * _ratio(call)


def _ratio(call: Call) -> Tensor:
    """f(z)/z, and where z is near 0 its limit, the slope."""
    z, value = call.x.detach(), call.output.detach()
    near = z.abs() < SMALL
    (slope,) = torch.autograd.grad(call.output.sum(), call.x, retain_graph=True)
    return torch.where(near, slope, value / torch.where(near, 1, z))


def _power(call: Call) -> Tensor:
    exponent = [*call.arguments, *call.keywords.values()][1]
    if isinstance(exponent, Tensor) or exponent < 1 or exponent != int(exponent):
        return _constant(call)
    share: Tensor = call.output / exponent
    return share
