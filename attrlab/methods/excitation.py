"""Excitation backpropagation: a winner is passed down with probabilities in proportion to excitation, and sums stay one.

The prior of the paper, one on the explained unit, is put on the linear calls that no other linear call follows; what follows them, a
residual sum or a pooling of nodes, shares it out by its derivative. The contrastive form negates the weights of the same calls.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attrlab.errors import NotApplicable
from attrlab.methods.calls import Call
from attrlab.methods.interception import Interception, Rule, Rules, propagate
from attrlab.methods.linear_rules import alpha_beta_rule, in_turn, negative_part, positive_part, shared
from attrlab.methods.operations import outputs_at
from attrlab.methods.unit_rules import constant_scale, handed_on


def excitation_backprop(
    model: Callable[[Tensor], Tensor],
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
) -> Tensor:  # (batch, *features)
    """Excitation backpropagation: P(i | j) ∝ (x_i w_ij)⁺, summed over the units j that unit i excites.

    Args:
        model: maps (batch, *features) to (batch, outputs); any callable.
        inputs: the explained rows.
        target: the explained output of each row.

    Returns:
        Winning probabilities: they sum to 1 unless a unit on the way has no positive contribution at all. Biases get nothing.

    Raises:
        NotApplicable: if the network makes a call of which nothing is known, or has no linear layer.

    Example:
        >>> layer = torch.nn.Linear(3, 1)
        >>> _ = layer.weight.data.copy_(torch.tensor([[2.0, -1.0, 2.0]]))
        >>> excitation_backprop(layer, torch.tensor([[3.0, 1.0, 1.0]]), target=torch.tensor([0]))
        tensor([[0.7500, 0.0000, 0.2500]])

    Reference:
        Zhang, Lin, Brandt, Shen, Sclaroff (2016), "Top-down neural attention by excitation backprop", equations 3 to 5.
    Differs from the paper in:
        it runs down to the input, where values may be negative: a contribution x_i w_ij excites if it is positive, which for
        non-negative activations is the paper's positive weight.
    """
    return _excited(model, inputs, target, contrastive=False)


def contrastive_excitation_backprop(
    model: Callable[[Tensor], Tensor],
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
) -> Tensor:  # (batch, *features)
    """Contrastive excitation backpropagation: the map of the explained unit minus that of its dual, whose weights are negated.

    Args:
        model: maps (batch, *features) to (batch, outputs); any callable.
        inputs: the explained rows.
        target: the explained output of each row.

    Returns:
        The difference of two maps of probabilities, so it sums to 0 where both the unit and its dual are excited.

    Raises:
        NotApplicable: if the network makes a call of which nothing is known, or has no linear layer.

    Example:
        >>> layer = torch.nn.Linear(2, 1)
        >>> _ = layer.weight.data.copy_(torch.tensor([[2.0, -1.0]]))
        >>> contrastive_excitation_backprop(layer, torch.tensor([[3.0, 1.0]]), target=torch.tensor([0]))
        tensor([[ 1., -1.]])

    Reference:
        Zhang, Lin, Brandt, Shen, Sclaroff (2016), "Top-down neural attention by excitation backprop", section 3.3.
    Differs from the paper in:
        the map is signed; the paper shows its positive part. It runs down to the input, as `excitation_backprop`.
    """
    return _excited(model, inputs, target, contrastive=True)


def _excited(model: Callable[[Tensor], Tensor], inputs: Tensor, target: Tensor, *, contrastive: bool) -> Tensor:
    tops = _top_calls(model, inputs, target)
    if not tops:
        raise NotApplicable("no linear layer depends on the input, so there is no winner to start from; use lrp_0 or gradient")
    below = alpha_beta_rule(1, 0, zero_bias=True)
    linear = _with_prior(below, tops, contrastive=contrastive)
    rules = Rules(linear=linear, product=in_turn(below), activation=handed_on, norm=constant_scale)
    return propagate(model, inputs, target=target, rules=rules).relevance


def _with_prior(below: Rule, tops: frozenset[int], *, contrastive: bool) -> Rule:
    """At the top the signal itself is the probability; below it, relevance is activation x signal."""

    def rule(call: Call) -> Tensor:
        if call.index not in tops:
            return below(call)
        one = torch.ones_like(call.output)
        winner = shared(positive_part(call, zero_bias=True), one)
        return winner - shared(negative_part(call, zero_bias=True), one) if contrastive else winner

    return rule


def _top_calls(model: Callable[[Tensor], Tensor], inputs: Tensor, target: Tensor) -> frozenset[int]:
    """The linear calls that reach the explained outputs without another one in between, by their index."""
    reached: dict[int, Tensor] = {}

    def stop(call: Call) -> Tensor:
        reached[call.index] = call.output.detach().requires_grad_()
        return reached[call.index]

    with torch.enable_grad():
        point = inputs.detach().clone().requires_grad_()
        row = point.clone()
        with Interception(Rules(linear=stop), point):
            outputs = model(row)
        total = outputs_at(lambda _: outputs, inputs, target).sum()
        if not reached or not total.requires_grad:
            return frozenset()
        signals = torch.autograd.grad(total, list(reached.values()), allow_unused=True)
    return frozenset(index for index, signal in zip(reached, signals, strict=True) if signal is not None)
