"""DeepLIFT on whole computations: the Rescale rule by interception of torch functions, with rules for products and maxima.

Inputs and baselines are stacked and run through the network once; at every non-linear call each half sees the other, and the call's
derivative is replaced by its multiplier Δoutput / Δinput. Functional, in-place and reused activations are the same call as a module's.
Every call gets a rule whose contributions add up to its own Δoutput, so the chain adds up to f(x) - f(x'):

    activation      Δy / Δx; the derivative where Δx = 0
    product         Δ(ab) = Δa (b + b')/2 + Δb (a + a')/2, the Shapley value of the two factors; exact for x1 x2
    quotient        a product with the rescaled reciprocal
    maximum         from max(y, y') down to y' at the winner of the input, down to y at the winner of the baseline; windows may overlap
    softmax, norms  step by step: exponential, sum, logarithm, quotient, square and root by the rules above
"""

from __future__ import annotations

import torch
from torch import Tensor

from attrlab.errors import NotApplicable
from attrlab.games.game import Model
from attrlab.methods.calls import Call, depends
from attrlab.methods.interception import Interception, Rules, propagate
from attrlab.methods.operations import outputs_at
from attrlab.methods.rescaled_maximum import ZERO, maximum_rule
from attrlab.methods.stacked_halves import difference, mean_of_both, require_halves, swapped


def deeplift_rescale(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
) -> Tensor:  # (batch, *features)
    """DeepLIFT with the Rescale rule on any computation: A_i = m_i (x_i - x'_i), multipliers m chained like derivatives.

    Args:
        model: maps (rows, *features) to (rows, outputs); any callable.
        inputs: the rows that are explained.
        target: which output of each row.
        baseline: the reference of each row.

    Returns:
        Scores in units of the output, whose sum over a row is f(x) - f(x').

    Raises:
        NotApplicable: if the network makes a call for which there is no rule, mixes rows, or contributions do not add up.

    Example:
        >>> rows = torch.tensor([[2.0, 3.0]])
        >>> deeplift_rescale(lambda x: x[:, :1] * x[:, 1:], rows, target=torch.tensor([0]), baseline=torch.zeros(1, 2))
        tensor([[3., 3.]])

    Reference:
        Shrikumar, Greenside, Kundaje (2017), "Learning important features through propagating activation differences", equations 1 to 5
        and 10 (Rescale).

    Differs from the paper in: products, quotients, softmax and norms, of which it does not speak, have the rules above; a maximum has the
        rule of the SHAP library and of Captum; RevealCancel is not offered.
    """
    batch = len(inputs)
    if not batch:
        return torch.zeros_like(inputs)
    with torch.no_grad():
        stacked = torch.cat([inputs.detach(), baseline.detach().to(inputs.dtype)])
    start = torch.cat([inputs.new_ones(batch), inputs.new_zeros(batch)])
    signal = propagate(model, stacked, target=target.repeat(2), rules=RULES, start=start).signal[:batch]
    scores = signal * (inputs - baseline)
    _require_summation_to_delta(model, stacked, target, scores)
    return scores


def _activation(call: Call) -> Tensor:
    """Multiply x by Δy / Δx, and by the derivative where Δx is zero."""
    x = call.x.expand_as(call.output)
    require_halves(call)
    change, rise = difference(x), difference(call.output)
    apart = (change.abs() > ZERO) & torch.isfinite(change)
    slope = torch.where(apart, rise / change, 0.0)
    if not bool(apart.all()):
        own = _derivative(call)
        slope = torch.where(torch.cat([apart, apart]), torch.cat([slope, slope]), own)
    else:
        slope = torch.cat([slope, slope])
    return slope * x


def _derivative(call: Call) -> Tensor:
    """The activation's own derivative at each half; an activation that broadcasts its input is seen through its sum."""
    if call.x.shape != call.output.shape:
        raise NotApplicable(
            f"{call.name!r} widens its input, which the Rescale rule does not cover; expand it first (got {tuple(call.x.shape)})"
        )
    (own,) = torch.autograd.grad(call.output, call.x, torch.ones_like(call.output), retain_graph=True)
    return own


def _product(call: Call) -> Tensor:
    """Each factor with the mean of the other over input and baseline; matrix products and convolutions alike, being bilinear."""
    require_halves(call)
    assert call.other is not None
    apply = call.apply or _times
    return apply(call.x, mean_of_both(call.other), None) + apply(mean_of_both(call.x), call.other, None)


def _times(first: Tensor, second: Tensor, bias: Tensor | None) -> Tensor:
    del bias
    return first * second


def _quotient(call: Call) -> Tensor:
    """Of a / b: a · (1 / b)."""
    require_halves(call)
    assert call.other is not None
    inverse = _inverse(call.other)
    if not depends(call.arguments[0]):
        return torch.mul(call.arguments[0], inverse)
    return call.x * mean_of_both(inverse) + mean_of_both(call.x) * inverse


def _inverse(b: Tensor) -> Tensor:
    """1 / b with its multiplier: Δ(1/b) = -Δb / (b b')."""
    mine, others = b.detach(), swapped(b.detach())
    scaled = -b / (mine * others)
    return scaled + (1 / mine - scaled.detach())


def _softmax(call: Call) -> Tensor:
    """Exponentials over their sum; shifted by a maximum that both halves share, which changes nothing but the range of numbers."""
    require_halves(call)
    if call.name == "softmin":
        raise NotApplicable("'softmin' has no rule; write softmax(-x) (got softmin)")
    given = [*call.arguments[1:], *call.keywords.values()]
    dim = call.keywords.get("dim", given[0] if given else None)
    if not isinstance(dim, int):
        raise NotApplicable(f"{call.name!r} needs its dim written out (got dim={dim!r})")
    top = call.x.detach().amax(dim, keepdim=True)
    shifted = call.x - torch.maximum(top, swapped(top))
    with Interception(RULES):
        exponentials = torch.exp(shifted)
        total = exponentials.sum(dim, keepdim=True)
        return shifted - torch.log(total) if call.name == "log_softmax" else exponentials / total


def _norm(call: Call) -> Tensor:
    """A layer norm as square, mean, root and quotient."""
    require_halves(call)
    if call.name != "layer_norm":
        raise NotApplicable(f"{call.name!r} has no Rescale rule; a layer norm, or a batch norm in eval mode, has one (got {call.name!r})")
    names = ("input", "normalized_shape", "weight", "bias", "eps")
    given = {"weight": None, "bias": None, "eps": 1e-5, **dict(zip(names, call.arguments, strict=False)), **call.keywords}
    dims = tuple(range(-len(given["normalized_shape"]), 0))
    with Interception(RULES):
        centred = call.x - call.x.mean(dims, keepdim=True)
        normed = centred * torch.rsqrt((centred * centred).mean(dims, keepdim=True) + given["eps"])
        return normed if given["weight"] is None else normed * given["weight"]


def _require_summation_to_delta(model: Model, stacked: Tensor, target: Tensor, scores: Tensor) -> None:
    """Refuse contributions that do not add up: a call outside of torch's functions, a detach, or rows that are not kept first."""
    with torch.no_grad():
        after, before = outputs_at(model, stacked, target.repeat(2)).chunk(2)
    total = scores.flatten(1).sum(1)
    gap = (total - (after - before)).abs()
    # Differences below ZERO are taken for none, and rounding is that of a product chain over the depth, summed over all entries.
    unit = max(1e3 * torch.finfo(scores.dtype).eps, 1e1 * ZERO)
    bound = unit * (1 + (after - before).abs() + scores.flatten(1).abs().sum(1))
    if not bool((gap <= bound).all()):
        row = int((gap - bound).argmax())
        raise NotApplicable(
            f"contributions do not add up on this network: those of row {row} sum to {float(total[row]):.6g} instead of "
            f"{float((after - before)[row]):.6g}; it detaches a value, calls what is not a torch function, or moves rows "
            "out of the first dimension"
        )


RULES = Rules(activation=_activation, product=_product, quotient=_quotient, maximum=maximum_rule, norm=_norm, softmax=_softmax)
"""The backward rules; linear calls and shifts keep their own derivative."""
