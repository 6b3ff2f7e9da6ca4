"""Layer-wise relevance propagation: the output is handed down layer by layer, and each rule says in which shares.

What every method of this file has in common: relevance of a tensor is activation x signal; residual sums, reshapes, average and max
pooling pass it by the chain rule; a product of two values that both depend on the input gives half to each factor; activations hand
on what they received; a norm's scale counts as constant; a softmax is linearised. So they differ in linear layers only.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.methods.calls import Call
from attrlab.methods.interception import Rule, Rules, propagate
from attrlab.methods.linear_rules import alpha_beta_rule, epsilon_rule, gamma_rule, in_turn
from attrlab.methods.unit_rules import constant_scale, handed_on

Model = Callable[[Tensor], Tensor]


def lrp_0(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    zero_bias: bool = False,
) -> Tensor:  # (batch, *features)
    """LRP-0: R_i = Σ_j x_i w_ij / z_j R_j.

    Args:
        model: maps (batch, *features) to (batch, outputs); any callable.
        inputs: the explained rows.
        target: the explained output of each row.
        zero_bias: leave biases out of z, so that they take no share.

    Returns:
        Relevance in units of the output. On ReLU networks it is input x gradient, and sums to the output if there are no biases.

    Raises:
        NotApplicable: if the network makes a call of which nothing is known; the message names it.

    Example:
        >>> lrp_0(lambda x: torch.relu(x[:, :1] - x[:, 1:]), torch.tensor([[3.0, 1.0]]), target=torch.tensor([0]))
        tensor([[ 3., -1.]])

    Reference:
        Bach, Binder, Montavon, Klauschen, Müller, Samek (2015), "On pixel-wise explanations for non-linear classifier decisions by
        layer-wise relevance propagation", equation 56.
    Differs from the paper in:
        nothing.
    """
    return relevance(model, inputs, target, epsilon_rule(0.0, zero_bias=zero_bias))


def lrp_epsilon(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    epsilon: float = 1e-6,
    zero_bias: bool = False,
) -> Tensor:  # (batch, *features)
    """LRP-ε: R_i = Σ_j x_i w_ij / (z_j + ε sign z_j) R_j.

    Args:
        model: maps (batch, *features) to (batch, outputs); any callable.
        inputs: the explained rows.
        target: the explained output of each row.
        epsilon: ε >= 0, in units of the pre-activations; it absorbs relevance where |z| is not far above it.
        zero_bias: leave biases out of z, so that they take no share.

    Returns:
        Relevance in units of the output.

    Raises:
        InvalidInput: if epsilon is negative.
        NotApplicable: if the network makes a call of which nothing is known; the message names it.

    Example:
        >>> layer = torch.nn.Linear(1, 1, bias=False)
        >>> lrp_epsilon(layer, layer.weight.detach().sign(), target=torch.tensor([0]), epsilon=0.0) == layer.weight.abs()
        tensor([[True]])

    Reference:
        Bach et al. (2015), equation 58.
    Differs from the paper in:
        ε = 1e-6, the default of Zennit; the paper chooses it per network.
    """
    if not epsilon >= 0:
        raise InvalidInput(f"epsilon is a stabiliser >= 0 (got {epsilon})")
    return relevance(model, inputs, target, epsilon_rule(epsilon, zero_bias=zero_bias))


def lrp_gamma(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    gamma: float = 0.25,
    zero_bias: bool = False,
) -> Tensor:  # (batch, *features)
    """LRP-γ: R_i ∝ x_i w_ij + γ (x_i w_ij)⁺ where z_j > 0, and x_i w_ij + γ (x_i w_ij)⁻ where z_j < 0.

    Args:
        model: maps (batch, *features) to (batch, outputs); any callable.
        inputs: the explained rows.
        target: the explained output of each row.
        gamma: γ >= 0, how much contributions of the unit's own sign are favoured; 1/4 in the paper.
        zero_bias: leave biases out of z, so that they take no share.

    Returns:
        Relevance in units of the output.

    Raises:
        InvalidInput: if gamma is negative.
        NotApplicable: if the network makes a call of which nothing is known; the message names it.

    Example:
        >>> x = torch.tensor([[1.0, 1.0, 1.0]])
        >>> layer = torch.nn.Linear(3, 1)
        >>> _ = layer.weight.data.copy_(torch.tensor([[2.0, -1.0, 0.5]])), layer.bias.data.fill_(0.3)
        >>> lrp_gamma(layer, x, target=torch.tensor([0]))
        tensor([[ 1.8000, -0.7200,  0.4500]])

    Reference:
        Montavon, Binder, Lapuschkin, Samek, Müller (2019), "Layer-wise relevance propagation: an overview", table 10.1; for negative inputs
        and pre-activations Andéol, Kawakami, Wada, Kanamori, Müller, Montavon (2021), "Learning domain invariant representations by joint
        Wasserstein distance minimization", appendix.
    Differs from the paper in:
        signs are those of contributions, which for non-negative inputs are those of the weights; the bias is favoured likewise.
    """
    if not gamma >= 0:
        raise InvalidInput(f"gamma favours contributions and is >= 0 (got {gamma})")
    return relevance(model, inputs, target, gamma_rule(gamma, zero_bias=zero_bias))


def lrp_alpha_beta(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    alpha: float = 2.0,
    beta: float = 1.0,
    zero_bias: bool = False,
) -> Tensor:  # (batch, *features)
    """LRP-αβ: R_i = Σ_j (α (x_i w_ij)⁺ / z_j⁺ - β (x_i w_ij)⁻ / z_j⁻) R_j; α = 1, β = 0 is the z⁺ rule.

    Args:
        model: maps (batch, *features) to (batch, outputs); any callable.
        inputs: the explained rows.
        target: the explained output of each row.
        alpha: α >= 1, the weight of positive contributions.
        beta: β = α - 1, the weight of negative ones.
        zero_bias: leave biases out of z⁺ and z⁻, so that they take no share.

    Returns:
        Relevance in units of the output. A unit without a negative part hands down α times its relevance, one without a positive part
        -β times, so sums are kept only where both are there.

    Raises:
        InvalidInput: if α < 1 or α - β is not 1.
        NotApplicable: if the network makes a call of which nothing is known; the message names it.

    Example:
        >>> layer = torch.nn.Linear(2, 1, bias=False)
        >>> _ = layer.weight.data.copy_(torch.tensor([[2.0, -1.0]]))
        >>> lrp_alpha_beta(layer, torch.tensor([[1.0, 1.0]]), target=torch.tensor([0]))
        tensor([[ 2., -1.]])

    Reference:
        Bach et al. (2015), equations 60 and 61.
    Differs from the paper in:
        nothing; libraries that split weights instead of contributions agree with it for non-negative inputs only.
    """
    if not (alpha >= 1 and math.isclose(alpha - beta, 1, abs_tol=1e-12)):
        raise InvalidInput(f"alpha is at least 1 and beta is alpha - 1, so that relevance is neither made nor lost (got {alpha=}, {beta=})")
    return relevance(model, inputs, target, alpha_beta_rule(alpha, beta, zero_bias=zero_bias))


def relevance(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    target: Tensor,  # (batch,)
    linear: Rule,
    *,
    first: Rule | None = None,
    bounds: tuple[Tensor, ...] = (),  # each (batch, *features)
) -> Tensor:  # (batch, *features)
    """Relevance by these rules of linear layers and the common rules of everything else; `bounds` are for the z-box rule.

    Raises:
        NotApplicable: if the network makes a call of which nothing is known, or no linear layer reads the input itself where a `first`
            rule is given.
    """
    used: list[str] = []

    def recorded(call: Call) -> Tensor:
        used.append(call.name)
        return linear(call) if first is None else first(call)

    rules = Rules(
        linear=linear, first=None if first is None else recorded, product=in_turn(linear), activation=handed_on, norm=constant_scale
    )
    found = propagate(model, inputs, target=target, rules=rules, carried=bounds).relevance
    if first is not None and not used:
        raise NotApplicable(
            "no linear layer or convolution reads the input itself, so the rule for the input layer has no place; use lrp_epsilon, or "
            "begin the network with a linear layer (got none)"
        )
    return found
