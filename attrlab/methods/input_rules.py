"""Rules for the input layer, where a value of zero is a value like any other; the z⁺ rule hands relevance down to it.

The input layer is every linear call or convolution whose operand is the input itself, at most rearranged: sliced, reshaped, padded or
put beside constants. Whatever else reads the input follows the rules above.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attrlab.errors import InvalidInput
from attrlab.methods.linear_rules import alpha_beta_rule, flat_rule, w_squared_rule, z_box_rule
from attrlab.methods.relevance import Model, relevance


def lrp_w_squared(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    zero_bias: bool = False,
) -> Tensor:  # (batch, *features)
    """LRP-w² at the input layer, z⁺ above: R_i = Σ_j w_ij² / Σ_i' w_i'j² R_j, whatever the value of x_i.

    Args:
        model: maps (batch, *features) to (batch, outputs); any callable.
        inputs: the explained rows.
        target: the explained output of each row.
        zero_bias: leave biases out of the sums, so that they take no share.

    Returns:
        Relevance in units of the output.

    Raises:
        NotApplicable: if the network makes a call of which nothing is known; the message names it.

    Example:
        >>> layer = torch.nn.Linear(3, 1)
        >>> _ = layer.weight.data.copy_(torch.tensor([[2.0, -1.0, 0.5]])), layer.bias.data.fill_(0.3)
        >>> lrp_w_squared(layer, torch.ones(1, 3), target=torch.tensor([0]))
        tensor([[1.3483, 0.3371, 0.0843]])

    Reference:
        Montavon, Lapuschkin, Binder, Samek, Müller (2017), "Explaining nonlinear classification decisions with deep Taylor decomposition",
        equation 8.
    Differs from the paper in:
        the bias, which the paper takes to be non-positive, has the share b² unless zero_bias is set.
    """
    above = alpha_beta_rule(1, 0, zero_bias=zero_bias)
    return relevance(model, inputs, target, above, first=w_squared_rule(zero_bias=zero_bias))


def lrp_flat(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    zero_bias: bool = False,
) -> Tensor:  # (batch, *features)
    """LRP-flat at the input layer, z⁺ above: every input of a unit gets the same share of its relevance.

    Args:
        model: maps (batch, *features) to (batch, outputs); any callable.
        inputs: the explained rows.
        target: the explained output of each row.
        zero_bias: leave biases out of z⁺ above; at the input layer they never take a share.

    Returns:
        Relevance in units of the output.

    Raises:
        NotApplicable: if the network makes a call of which nothing is known; the message names it.

    Example:
        >>> layer = torch.nn.Linear(3, 1)
        >>> _ = layer.weight.data.copy_(torch.tensor([[2.0, -1.0, 0.5]])), layer.bias.data.fill_(0.3)
        >>> lrp_flat(layer, torch.ones(1, 3), target=torch.tensor([0]))
        tensor([[0.6000, 0.6000, 0.6000]])

    Reference:
        Lapuschkin, Wäldchen, Binder, Montavon, Samek, Müller (2019), "Unmasking Clever Hans predictors and assessing what machines really
        learn", supplementary note.
    Differs from the paper in:
        the rule that it is combined with is z⁺; `lrp_epsilon_plus_flat` has the paper's.
    """
    return relevance(model, inputs, target, alpha_beta_rule(1, 0, zero_bias=zero_bias), first=flat_rule())


def lrp_z_box(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor | None = None,  # (batch, *features)
    low: float | None = None,
    high: float | None = None,
    zero_bias: bool = False,
) -> Tensor:  # (batch, *features)
    """LRP-zᴮ at the input layer, z⁺ above: R_i ∝ x_i w_ij - l_i w_ij⁺ - h_i w_ij⁻, for inputs in the box l ≤ x ≤ h.

    Args:
        model: maps (batch, *features) to (batch, outputs); any callable.
        inputs: the explained rows.
        target: the explained output of each row.
        baseline: the rows that bound the box on the other side; needed unless both bounds are given.
        low: l, the same for every entry; by default min(x_i, x'_i), of the input and its baseline.
        high: h, the same for every entry; by default max(x_i, x'_i).
        zero_bias: leave biases out of z⁺ above; at the input layer they never take a share.

    Returns:
        Relevance in units of the output.

    Raises:
        InvalidInput: if low is above high, or a bound is needed from a baseline that is not given.
        NotApplicable: if the network makes a call of which nothing is known; the message names it.

    Example:
        >>> layer = torch.nn.Linear(3, 1)
        >>> _ = layer.weight.data.copy_(torch.tensor([[2.0, -1.0, 0.5]])), layer.bias.data.fill_(0.3)
        >>> lrp_z_box(layer, torch.ones(1, 3), target=torch.tensor([0]), low=-1.0, high=1.0)
        tensor([[1.4400, 0.0000, 0.3600]])

    Reference:
        Montavon, Lapuschkin, Binder, Samek, Müller (2017), "Explaining nonlinear classification decisions with deep Taylor decomposition",
        equation 13.
    Differs from the paper in:
        by default the box is the tightest that is known for sure, from baseline to input, where the paper has the range of a pixel: what
        is equal to its baseline then gets nothing.
    """
    above = alpha_beta_rule(1, 0, zero_bias=zero_bias)
    return relevance(model, inputs, target, above, first=z_box_rule(), bounds=box(inputs, baseline, low, high))


def box(inputs: Tensor, baseline: Tensor | None, low: float | None, high: float | None) -> tuple[Tensor, Tensor]:
    """The bounds (low, high) of each entry, shaped like the inputs; those that are not given are from the input and its baseline.

    Raises:
        InvalidInput: if low is above high, or a bound is needed from a baseline that is not given.
    """
    if low is not None and high is not None and low > high:
        raise InvalidInput(f"the box of values is from low to high (got {low=}, {high=})")
    if baseline is None and (low is None or high is None):
        raise InvalidInput(f"give low and high, or a baseline to take them from (got {low=}, {high=}, no baseline)")
    other = inputs if baseline is None else baseline
    lower = torch.minimum(inputs, other) if low is None else torch.full_like(inputs, low)
    upper = torch.maximum(inputs, other) if high is None else torch.full_like(inputs, high)
    return lower, upper
