"""Composites: one rule for convolutions, one for dense layers, and one for the input layer.

Positive rules below, where a convolution mixes many noisy contributions, and a stabilised LRP-0 above, where a class is told from the
others (Montavon et al. 2019, section 10.3). A dense layer is every linear call that is no convolution.
"""

from __future__ import annotations

from torch import Tensor

from attrlab.errors import InvalidInput
from attrlab.methods.input_rules import box
from attrlab.methods.interception import Rule
from attrlab.methods.linear_rules import alpha_beta_rule, by_layer, epsilon_rule, flat_rule, gamma_rule, z_box_rule
from attrlab.methods.relevance import Model, relevance


def lrp_epsilon_plus(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    epsilon: float = 1e-6,
    zero_bias: bool = False,
) -> Tensor:  # (batch, *features)
    """LRP-ε in dense layers, z⁺ in convolutions.

    Args:
        model: maps (batch, *features) to (batch, outputs); any callable.
        inputs: the explained rows.
        target: the explained output of each row.
        epsilon: ε >= 0 of the dense layers, in units of the pre-activations.
        zero_bias: leave biases out, so that they take no share.

    Returns:
        Relevance in units of the output.

    Raises:
        InvalidInput: if epsilon is negative.
        NotApplicable: if the network makes a call of which nothing is known; the message names it.

    Example:
        >>> network = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 2, bias=False), torch.nn.Flatten())
        >>> _ = network[0].weight.data.copy_(torch.tensor([[[[1.0, 2.0], [-1.0, 0.0]]]]))
        >>> lrp_epsilon_plus(network, torch.ones(1, 1, 2, 2), target=torch.tensor([0])).flatten()
        tensor([0.6667, 1.3333, 0.0000, 0.0000])

    Reference:
        Montavon, Binder, Lapuschkin, Samek, Müller (2019), "Layer-wise relevance propagation: an overview", section 10.3; the composite
        EpsilonPlus of Zennit.
    Differs from the paper in:
        ε and the map from layers to rules are Zennit's.
    """
    plus, dense = alpha_beta_rule(1, 0, zero_bias=zero_bias), _epsilon(epsilon, zero_bias)
    return relevance(model, inputs, target, by_layer(convolution=plus, dense=dense))


def lrp_epsilon_plus_flat(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    epsilon: float = 1e-6,
    zero_bias: bool = False,
) -> Tensor:  # (batch, *features)
    """LRP-flat at the input layer, LRP-ε in dense layers and z⁺ in convolutions above it.

    Args:
        model: maps (batch, *features) to (batch, outputs); any callable.
        inputs: the explained rows.
        target: the explained output of each row.
        epsilon: ε >= 0 of the dense layers, in units of the pre-activations.
        zero_bias: leave biases out, so that they take no share.

    Returns:
        Relevance in units of the output.

    Raises:
        InvalidInput: if epsilon is negative.
        NotApplicable: if no linear layer or convolution reads the input itself.
        NotApplicable: if the network makes a call of which nothing is known; the message names it.

    Example:
        >>> network = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 2, bias=False), torch.nn.Flatten())
        >>> _ = network[0].weight.data.copy_(torch.tensor([[[[1.0, 2.0], [-1.0, 0.0]]]]))
        >>> lrp_epsilon_plus_flat(network, torch.ones(1, 1, 2, 2), target=torch.tensor([0])).flatten()
        tensor([0.5000, 0.5000, 0.5000, 0.5000])

    Reference:
        Lapuschkin et al. (2019), "Unmasking Clever Hans predictors and assessing what machines really learn"; the
        composite EpsilonPlusFlat of Zennit.
    Differs from the paper in:
        ε and the map from layers to rules are Zennit's.
    """
    plus, dense = alpha_beta_rule(1, 0, zero_bias=zero_bias), _epsilon(epsilon, zero_bias)
    return relevance(model, inputs, target, by_layer(convolution=plus, dense=dense), first=flat_rule())


def lrp_epsilon_gamma_box(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor | None = None,  # (batch, *features)
    epsilon: float = 1e-6,
    gamma: float = 0.25,
    low: float | None = None,
    high: float | None = None,
    zero_bias: bool = False,
) -> Tensor:  # (batch, *features)
    """LRP-zᴮ at the input layer, LRP-ε in dense layers and LRP-γ in convolutions above it.

    Args:
        model: maps (batch, *features) to (batch, outputs); any callable.
        inputs: the explained rows.
        target: the explained output of each row.
        baseline: the rows that bound the box on the other side; needed unless both bounds are given.
        epsilon: ε >= 0 of the dense layers, in units of the pre-activations.
        gamma: γ >= 0 of the convolutions.
        low: the least value of an entry; by default min(x_i, x'_i), of the input and its baseline.
        high: the largest value of an entry; by default max(x_i, x'_i).
        zero_bias: leave biases out, so that they take no share.

    Returns:
        Relevance in units of the output.

    Raises:
        InvalidInput: if epsilon or gamma is negative, low is above high, or a bound is needed from a baseline that is not given.
        NotApplicable: if no linear layer or convolution reads the input itself.
        NotApplicable: if the network makes a call of which nothing is known; the message names it.

    Example:
        >>> network = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 2, bias=False), torch.nn.Flatten())
        >>> _ = network[0].weight.data.copy_(torch.tensor([[[[1.0, 2.0], [-1.0, 0.0]]]]))
        >>> lrp_epsilon_gamma_box(network, torch.ones(1, 1, 2, 2), target=torch.tensor([0]), low=0.0, high=1.0).flatten()
        tensor([0.6667, 1.3333, 0.0000, 0.0000])

    Reference:
        Montavon, Binder, Lapuschkin, Samek, Müller (2019), "Layer-wise relevance propagation: an overview", section 10.3; the composite
        EpsilonGammaBox of Zennit.
    Differs from the paper in:
        ε and the map from layers to rules are Zennit's; the default box is that of `lrp_z_box`.
    """
    if not gamma >= 0:
        raise InvalidInput(f"gamma favours contributions and is >= 0 (got {gamma})")
    rule = by_layer(convolution=gamma_rule(gamma, zero_bias=zero_bias), dense=_epsilon(epsilon, zero_bias))
    return relevance(model, inputs, target, rule, first=z_box_rule(), bounds=box(inputs, baseline, low, high))


def lrp_epsilon_alpha2_beta1(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    epsilon: float = 1e-6,
    zero_bias: bool = False,
) -> Tensor:  # (batch, *features)
    """LRP-ε in dense layers, LRP-α2β1 in convolutions.

    Args:
        model: maps (batch, *features) to (batch, outputs); any callable.
        inputs: the explained rows.
        target: the explained output of each row.
        epsilon: ε >= 0 of the dense layers, in units of the pre-activations.
        zero_bias: leave biases out, so that they take no share.

    Returns:
        Relevance in units of the output.

    Raises:
        InvalidInput: if epsilon is negative.
        NotApplicable: if the network makes a call of which nothing is known; the message names it.

    Example:
        >>> network = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 2, bias=False), torch.nn.Flatten())
        >>> _ = network[0].weight.data.copy_(torch.tensor([[[[1.0, 2.0], [-1.0, 0.0]]]]))
        >>> lrp_epsilon_alpha2_beta1(network, torch.ones(1, 1, 2, 2), target=torch.tensor([0])).flatten()
        tensor([ 1.3333,  2.6667, -2.0000,  0.0000])

    Reference:
        Montavon, Binder, Lapuschkin, Samek, Müller (2019), "Layer-wise relevance propagation: an overview", section 10.3; the composite
        EpsilonAlpha2Beta1 of Zennit.
    Differs from the paper in:
        ε and the map from layers to rules are Zennit's.
    """
    rule = by_layer(convolution=alpha_beta_rule(2, 1, zero_bias=zero_bias), dense=_epsilon(epsilon, zero_bias))
    return relevance(model, inputs, target, rule)


def _epsilon(epsilon: float, zero_bias: bool) -> Rule:
    if not epsilon >= 0:
        raise InvalidInput(f"epsilon is a stabiliser >= 0 (got {epsilon})")
    return epsilon_rule(epsilon, zero_bias=zero_bias)
