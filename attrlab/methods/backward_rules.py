"""Modified gradients: what passes a rectifier on the way back is decided by the sign or the weight of the signal itself."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.methods.calls import Call, rectifies
from attrlab.methods.interception import Rule, Rules, propagate
from attrlab.methods.surrogates import change_signal


def deconvnet(
    model: Callable[[Tensor], Tensor],
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
) -> Tensor:  # (batch, *features)
    """Deconvolution: the gradient, but a rectifier passes the positive part of the signal, whether it was active or not: s → s⁺.

    Args:
        model: maps (batch, *features) to (batch, outputs); any callable.
        inputs: the explained rows.
        target: the explained output of each row.

    Returns:
        The signal at the input, in units of output per unit of input.

    Raises:
        NotApplicable: if the network makes a call of which nothing is known; the message names it.

    Example:
        >>> deconvnet(torch.relu, torch.tensor([[-1.0]]), target=torch.tensor([0]))
        tensor([[1.]])

    Reference:
        Zeiler, Fergus (2014), "Visualizing and understanding convolutional networks", section 2.1.
    Differs from the paper in:
        every rectifier (leaky ReLU, GELU, clamp at 0, ...) is treated as the ReLU, all other activations by their derivative.
    """
    return propagate(model, inputs, target=target, rules=Rules(activation=_at_rectifiers(_deconvolved))).signal


def guided_backprop(
    model: Callable[[Tensor], Tensor],
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
) -> Tensor:  # (batch, *features)
    """Guided backpropagation: the gradient, but a rectifier passes the positive part of the signal only: s → f'(x) s⁺.

    Args:
        model: maps (batch, *features) to (batch, outputs); any callable.
        inputs: the explained rows.
        target: the explained output of each row.

    Returns:
        The signal at the input, in units of output per unit of input.

    Raises:
        NotApplicable: if the network makes a call of which nothing is known; the message names it.

    Example:
        >>> guided_backprop(lambda x: torch.relu(x) - torch.relu(x), torch.tensor([[1.0]]), target=torch.tensor([0]))
        tensor([[1.]])

    Reference:
        Springenberg, Dosovitskiy, Brox, Riedmiller (2015), "Striving for simplicity: the all convolutional net", section 3.4.
    Differs from the paper in:
        every rectifier (leaky ReLU, GELU, clamp at 0, ...) is guided, all other activations keep their derivative.
    """
    return propagate(model, inputs, target=target, rules=Rules(activation=_at_rectifiers(guided))).signal


def rectgrad(
    model: Callable[[Tensor], Tensor],
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    percentile: float = 98.0,
) -> Tensor:  # (batch, *features)
    """Rectified gradient: a rectifier with output a passes the signal s where a s > τ; τ is a percentile of a s over the row's layer.

    A_i = x_i s_i, with s the signal that arrives at the input.

    Args:
        model: maps (batch, *features) to (batch, outputs); any callable.
        inputs: the explained rows.
        target: the explained output of each row.
        percentile: q in [0, 100), interpolated linearly between units; 98 in the paper.

    Returns:
        Input x signal, in units of the output. A layer of a single unit has no unit above its own percentile, and passes nothing.

    Raises:
        InvalidInput: if the percentile is out of range.
        NotApplicable: if the network makes a call of which nothing is known, or a rectifier's first dimension is not the batch.

    Example:
        >>> x = torch.tensor([[1.0, 2.0, 3.0]])
        >>> rectgrad(lambda x: torch.relu(x).sum(1, keepdim=True), x, target=torch.tensor([0]), percentile=50.0)
        tensor([[0., 0., 3.]])

    Reference:
        Kim, Seo, Jeon, Koo, Choe, Jeon (2019), "Why are saliency maps noisy? Cause of and solution to noisy saliency maps",
        equation 2.
    Differs from the paper in:
        nothing is done at the border of a convolution, which the authors' code sets to 0; pooling keeps its derivative.
    """
    if not 0 <= percentile < 100:
        raise InvalidInput(f"percentile lies in [0, 100): the share of units that is held back (got {percentile})")
    rule = _at_rectifiers(_above(percentile / 100, len(inputs)))
    return inputs * propagate(model, inputs, target=target, rules=Rules(activation=rule)).signal


def guided(call: Call) -> Tensor:
    """The activation's own derivative, of the positive part of the signal."""
    return change_signal(call.output, torch.relu)


def _deconvolved(call: Call) -> Tensor:
    return change_signal(call.x.expand_as(call.output), torch.relu)


def _at_rectifiers(rule: Rule) -> Rule:
    """The rule at rectifiers; other activations keep their derivative."""
    return lambda call: rule(call) if rectifies(call) else call.output


def _above(share: float, rows: int) -> Rule:
    """The signal passes where activation x signal is above the row's quantile."""

    def rule(call: Call) -> Tensor:
        value = call.output.detach()
        if value.dim() < 2 or len(value) != rows:
            raise NotApplicable(
                f"rectgrad needs the units of each row, and {call.name} is called on a tensor whose first dimension is not the batch "
                f"of {rows} (got {tuple(value.shape)})"
            )

        def passed(signal: Tensor) -> Tensor:
            weight = (value * signal).flatten(1)
            if not weight.numel():
                return signal
            threshold = torch.quantile(weight, share, dim=1, keepdim=True)
            return signal * (weight > threshold).view_as(signal)

        return change_signal(call.x.expand_as(value), passed)

    return rule
