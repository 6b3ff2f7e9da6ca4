"""How a linear unit shares out its relevance: z = Σ_i x_i w_i + b, and each rule says which part of z an input answers for.

A rule of this file takes a linear call with output y that receives the signal g, so that its relevance is R = y g, and returns a
surrogate part(x) · y / part, whose derivative is the signal of the inputs: input i gets the relevance x_i ∂part/∂x_i · R / part. Positive
and negative parts are taken of the contributions x_i w_i, not of the weights, so that negative inputs are treated like all others. The
bias answers for its share, which is lost to the inputs, unless `zero_bias` leaves it out. A part that is zero has nobody to answer
for it, and its relevance is lost.

Rules for the input layer give relevance to inputs whatever their value, which no signal times a value of zero could carry: they
deposit it directly.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from attrlab.methods.calls import CONVOLUTIONS, Apply, Call
from attrlab.methods.interception import Rule
from attrlab.methods.operands import exchanged


def epsilon_rule(epsilon: float, *, zero_bias: bool = False) -> Rule:
    """R_i = x_i w_i / (z + ε sign z) R, with sign 0 = 1 (Bach et al. 2015, equations 56 and 58; ε = 0 is LRP-0)."""

    def rule(call: Call) -> Tensor:
        part = _weighted(call, zero_bias)
        still = part.detach()
        if part is call.output:
            size = still.abs()
            return part * (size / (size + epsilon)) if epsilon else part
        return part * quotient(call.output.detach(), still + torch.where(still < 0, -epsilon, epsilon).to(still))

    return rule


def gamma_rule(gamma: float, *, zero_bias: bool = False) -> Rule:
    """R_i ∝ x_i w_i + γ (x_i w_i)⁺ where z > 0, and x_i w_i + γ (x_i w_i)⁻ where z < 0 (Montavon et al. 2019; Andéol et al. 2021)."""

    def rule(call: Call) -> Tensor:
        part, value = _weighted(call, zero_bias), call.output.detach()
        positive = positive_part(call, zero_bias=zero_bias)
        rising, falling = part + gamma * positive, part + gamma * (part - positive)
        above = part.detach() > 0
        return shared(rising, torch.where(above, value, 0)) + shared(falling, torch.where(above, 0, value))

    return rule


def alpha_beta_rule(alpha: float, beta: float, *, zero_bias: bool = False) -> Rule:
    """R_i = (α (x_i w_i)⁺ / z⁺ - β (x_i w_i)⁻ / z⁻) R (Bach et al. 2015, equation 60); α = 1, β = 0 is z⁺ on contributions."""

    def rule(call: Call) -> Tensor:
        value = call.output.detach()
        surrogate = shared(positive_part(call, zero_bias=zero_bias), alpha * value)
        return surrogate - shared(negative_part(call, zero_bias=zero_bias), beta * value) if beta else surrogate

    return rule


def w_squared_rule(*, zero_bias: bool = False) -> Rule:
    """R_i = w_i² / Σ w² R, for the input layer (Montavon et al. 2017, equation 8)."""

    def rule(call: Call) -> Tensor:
        squared = _weights(call) ** 2
        bias = None if call.bias is None or zero_bias else call.bias**2
        return _deposited(call, squared, bias)

    return rule


def flat_rule() -> Rule:
    """R_i = R / (number of inputs of the unit), for the input layer (Lapuschkin et al. 2019)."""
    return lambda call: _deposited(call, torch.ones_like(_weights(call)), None)


def z_box_rule() -> Rule:
    """R_i ∝ x_i w_i - l_i w_i⁺ - h_i w_i⁻, for an input layer with l ≤ x ≤ h in `call.carried[1:]` (Montavon et al. 2017, equation 13)."""

    def rule(call: Call) -> Tensor:
        deposit, low, high = call.carried
        weights, apply = _weights(call), _apply(call)

        def part(factor: Tensor) -> Tensor:
            rising = apply(factor * low, weights.clamp(min=0), None) + apply(factor * high, weights.clamp(max=0), None)
            return apply(factor * call.x.detach(), weights, None) - rising

        return part(deposit) * quotient(call.output.detach(), part(torch.ones_like(deposit)).detach())

    return rule


def in_turn(rule: Rule) -> Rule:
    """A product of two values that both depend on the input: each factor counts as the other's weights in turn, and answers for half."""

    def product(call: Call) -> Tensor:
        if call.apply is None or call.other is None:
            return call.output / 2
        x, other, swapped = call.x, call.other, exchanged(call.apply)
        of_x = replace(call, kind="linear", other=other.detach(), output=call.apply(x, other.detach(), call.bias))
        of_other = replace(call, kind="linear", x=other, other=x.detach(), apply=swapped, output=swapped(other, x.detach(), call.bias))
        return (rule(of_x) + rule(of_other)) / 2

    return product


def by_layer(*, convolution: Rule, dense: Rule) -> Rule:
    """One rule for convolutions, another for all other linear calls."""
    return lambda call: convolution(call) if call.name in CONVOLUTIONS else dense(call)


def shared(part: Tensor, relevance: Tensor) -> Tensor:
    """The surrogate by which `part` shares out `relevance` per unit of signal; where the part is zero, nothing is shared."""
    return part * quotient(relevance, part.detach())


def quotient(a: Tensor, b: Tensor) -> Tensor:
    """Return a / b, and 0 where b is 0."""
    return torch.where(b == 0, 0, a / torch.where(b == 0, 1, b))


def positive_part(call: Call, *, zero_bias: bool) -> Tensor:
    """The part z⁺ = Σ_i (x_i w_i)⁺ + b⁺, connected to x."""
    weights, apply, x = _weights(call), _apply(call), call.x
    bias = None if call.bias is None or zero_bias else call.bias.clamp(min=0)
    part = apply(torch.relu(x), weights.clamp(min=0), bias)
    return part + apply(-torch.relu(-x), weights.clamp(max=0), None) if _negative(x) else part


def negative_part(call: Call, *, zero_bias: bool) -> Tensor:
    """The part z⁻ = Σ_i (x_i w_i)⁻ + b⁻, connected to x."""
    weights, apply, x = _weights(call), _apply(call), call.x
    bias = None if call.bias is None or zero_bias else call.bias.clamp(max=0)
    part = apply(torch.relu(x), weights.clamp(max=0), bias)
    return part + apply(-torch.relu(-x), weights.clamp(min=0), None) if _negative(x) else part


def _negative(x: Tensor) -> bool:
    """Whether any value is negative; after a ReLU none is, and half of the work is saved."""
    return bool((x.detach() < 0).any())


def _weighted(call: Call, zero_bias: bool) -> Tensor:
    """All of z, or z - b."""
    return call.output if call.bias is None or not zero_bias else _apply(call)(call.x, _weights(call), None)


def _deposited(call: Call, weights: Tensor, bias: Tensor | None) -> Tensor:
    """Shares in proportion to the weights alone, deposited at the input whatever its value."""
    deposit, apply = call.carried[0], _apply(call)
    whole = apply(torch.ones_like(deposit), weights, bias).detach()
    return apply(deposit, weights, None) * quotient(call.output.detach(), whole)


def _weights(call: Call) -> Tensor:
    if call.other is None:
        raise ValueError(f"a rule of linear layers is for calls of the kinds linear and product (got {call.kind!r}, {call.name!r})")
    return call.other


def _apply(call: Call) -> Apply:
    if call.apply is None:
        raise ValueError(f"a rule of linear layers is for calls of the kinds linear and product (got {call.kind!r}, {call.name!r})")
    return call.apply
