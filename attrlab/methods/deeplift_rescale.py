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

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from attrlab.errors import NotApplicable
from attrlab.games.game import Model
from attrlab.methods.calls import Call, depends
from attrlab.methods.interception import Interception, Rules, propagate
from attrlab.methods.operations import outputs_at

ZERO = 1e-10
"""A difference below this is none, as in the paper's implementation and in Captum: the derivative stands for the multiplier."""


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
    _require_halves(call)
    change, rise = _difference(x), _difference(call.output)
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
    _require_halves(call)
    assert call.other is not None
    apply = call.apply or _times
    return apply(call.x, _mean(call.other), None) + apply(_mean(call.x), call.other, None)


def _times(first: Tensor, second: Tensor, bias: Tensor | None) -> Tensor:
    del bias
    return first * second


def _quotient(call: Call) -> Tensor:
    """Of a / b: a · (1 / b)."""
    _require_halves(call)
    assert call.other is not None
    inverse = _inverse(call.other)
    if not depends(call.arguments[0]):
        return torch.mul(call.arguments[0], inverse)
    return call.x * _mean(inverse) + _mean(call.x) * inverse


def _inverse(b: Tensor) -> Tensor:
    """1 / b with its multiplier: Δ(1/b) = -Δb / (b b')."""
    mine, others = b.detach(), _swapped(b.detach())
    scaled = -b / (mine * others)
    return scaled + (1 / mine - scaled.detach())


def _softmax(call: Call) -> Tensor:
    """Exponentials over their sum; shifted by a maximum that both halves share, which changes nothing but the range of numbers."""
    _require_halves(call)
    if call.name == "softmin":
        raise NotApplicable("'softmin' has no rule; write softmax(-x) (got softmin)")
    given = [*call.arguments[1:], *call.keywords.values()]
    dim = call.keywords.get("dim", given[0] if given else None)
    if not isinstance(dim, int):
        raise NotApplicable(f"{call.name!r} needs its dim written out (got dim={dim!r})")
    top = call.x.detach().amax(dim, keepdim=True)
    shifted = call.x - torch.maximum(top, _swapped(top))
    with Interception(RULES):
        exponentials = torch.exp(shifted)
        total = exponentials.sum(dim, keepdim=True)
        return shifted - torch.log(total) if call.name == "log_softmax" else exponentials / total


def _norm(call: Call) -> Tensor:
    """A layer norm as square, mean, root and quotient."""
    _require_halves(call)
    if call.name != "layer_norm":
        raise NotApplicable(f"{call.name!r} has no Rescale rule; a layer norm, or a batch norm in eval mode, has one (got {call.name!r})")
    names = ("input", "normalized_shape", "weight", "bias", "eps")
    given = {"weight": None, "bias": None, "eps": 1e-5, **dict(zip(names, call.arguments, strict=False)), **call.keywords}
    dims = tuple(range(-len(given["normalized_shape"]), 0))
    with Interception(RULES):
        centred = call.x - call.x.mean(dims, keepdim=True)
        normed = centred * torch.rsqrt((centred * centred).mean(dims, keepdim=True) + given["eps"])
        return normed if given["weight"] is None else normed * given["weight"]


def _maximum(call: Call) -> Tensor:
    """Values at the winners of both halves, each with its multiplier."""
    _require_halves(call)
    sign = -1.0 if call.name in ("amin", "min", "minimum") else 1.0
    if "pool" in call.name:
        values, index = _pooled(call)
    elif call.name in ("amax", "amin", "max", "min", "maximum", "minimum"):
        values, index = _reduced(call, sign)
    else:
        raise NotApplicable(f"{call.name!r} has no Rescale rule; max pooling, amax and maximum have one (got {call.name!r})")
    shape = call.output.shape
    index = index.detach()
    here, there = values.gather(-1, index), values.gather(-1, _swapped(index))
    mine, others = here.detach(), _swapped(here.detach())
    top = torch.maximum(mine, others)
    from_mine = _share(here, values, index, top - others, at_rest=(mine >= others).to(mine.dtype))
    from_theirs = _share(there, values, _swapped(index), mine - top, at_rest=torch.zeros_like(mine))
    return sign * (from_mine * here + from_theirs * there).view(shape)


def _share(value: Tensor, values: Tensor, index: Tensor, rise: Tensor, *, at_rest: Tensor) -> Tensor:
    """The multiplier of one winner: its part of the rise over its own difference."""
    change = value.detach() - _swapped(values.detach()).gather(-1, index)
    return torch.where(change.abs() > ZERO, rise / torch.where(change == 0, 1.0, change), at_rest)


def _pooled(call: Call) -> tuple[Tensor, Tensor]:
    """The pool's input, (2 batch, channels, positions), and the position of every window's winner."""
    name = call.name.removesuffix("_with_indices")
    keywords = {key: value for key, value in call.keywords.items() if key != "return_indices"}
    dims = int(name[-2])
    places = 6 if "adaptive" not in name else 2
    with torch.no_grad():
        pool = getattr(functional, name)
        _, index = pool(call.x.detach(), *call.arguments[1:places], **keywords, return_indices=True)
    return call.x.flatten(-dims), index.flatten(-dims)


def _reduced(call: Call, sign: float) -> tuple[Tensor, Tensor]:
    """The reduced values, the candidates in the last dimension, and the winner among them."""
    given = [*call.arguments[1:], *call.keywords.values()]
    if given and isinstance(given[0], Tensor):
        first, second = call.arguments[0].expand_as(call.output), given[0].expand_as(call.output)
        values = sign * torch.stack([first, second], -1)
        return values, values.detach().argmax(-1, keepdim=True)
    dim = call.keywords.get("dim", call.arguments[1] if len(call.arguments) > 1 else None)
    dims = (dim,) if isinstance(dim, int) else tuple(dim or ())
    if not dims or 0 in dims or -call.x.dim() in dims:
        raise NotApplicable(f"{call.name!r} takes a maximum over the batch, so rows depend on each other; name its dim (got dim={dim!r})")
    kept = call.x.movedim(dims, tuple(range(-len(dims), 0)))
    values = sign * kept.flatten(-len(dims))
    return values, values.detach().argmax(-1, keepdim=True)


def _difference(value: Tensor) -> Tensor:
    """Input half minus baseline half."""
    mine, others = value.detach().chunk(2)
    return mine - others


def _mean(value: Tensor) -> Tensor:
    """The mean of both halves, at both."""
    return (value.detach() + _swapped(value.detach())) / 2 if depends(value) else value


def _swapped(value: Tensor) -> Tensor:
    """The halves in the other order."""
    return torch.cat(tuple(reversed(value.chunk(2))))


def _require_halves(call: Call) -> None:
    """Refuse a call on something of which the first dimension is not that of the stacked rows, or a whole number of each."""
    factors: Sequence[Tensor] = [value for value in (call.x, call.other) if isinstance(value, Tensor) and depends(value)]
    for value in factors:
        if value.dim() == 0 or value.shape[0] % 2:
            raise NotApplicable(
                f"{call.name!r} is called on something whose first dimension is not that of the rows; keep rows first "
                f"(got {tuple(value.shape)})"
            )


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


RULES = Rules(activation=_activation, product=_product, quotient=_quotient, maximum=_maximum, norm=_norm, softmax=_softmax)
"""The backward rules; linear calls and shifts keep their own derivative."""
