"""Every call of a forward pass is of one of few kinds, and a modified backward rule is stated per kind.

What decides the kind is the name of the call and which of its arguments depend on the input: a matrix product with a constant is a
linear layer, whoever wrote it and in whichever module; of two values that both depend on the input it is a product. Calls that only
move, add or scale entries by constants have no rule, since relevance = activation x signal passes through them by the chain rule alone:
the parts of a sum share its signal, and their relevances add up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from attrlab.errors import NotApplicable
from attrlab.methods.operations import AFFINE, PRODUCTS, QUOTIENTS

Apply = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""A bilinear call as a function of its two operands and its bias."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of the forward pass, as a rule sees it.

    A rule returns a tensor shaped like `output`, connected to `x`: its derivative is the backward rule, and its value is not used.

    Attributes:
        kind: "linear", "product", "quotient", "activation", "maximum", "norm", "softmax" or "shift".
        name: the torch function's, such as "conv2d"; without the underscore of an in-place call.
        index: how many calls of a kind were made before this one in the pass.
        x: the argument that depends on the input, connected to it.
        output: the call's own result, connected to `x` by its own derivative; to return it is the plain gradient.
        other: the weights of a linear call; the second factor of a product, connected; the denominator of a quotient, connected.
        bias: of a linear call or a norm, or None.
        apply: a linear call, or a product that is a matrix product, as a function (x, other, bias); None for all others.
        carried: what rides along with the input, moved as the input was moved to become `x`; empty if `x` is more than that.
        arguments: all positional arguments.
        keywords: all keyword arguments.
    """

    kind: str
    name: str
    index: int
    x: Tensor
    output: Tensor
    other: Tensor | None = None
    bias: Tensor | None = None
    apply: Apply | None = None
    carried: tuple[Tensor, ...] = ()
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)


RECTIFIERS = frozenset("relu relu6 leaky_relu rrelu prelu elu selu celu gelu silu mish hardswish softplus".split())
"""Activations that pass what is positive and hold back what is negative; `clamp` and `maximum` with a constant can be one."""

ZERO_AT_ZERO = frozenset(
    """
    tanh softsign hardtanh abs tanhshrink softshrink hardshrink square sin sinh asinh atan erf sqrt log1p expm1 threshold clamp clip
    clamp_min clamp_max
    """.split()
)
OFFSET = frozenset("exp exp2 log log2 log10 sigmoid logsigmoid hardsigmoid cos cosh reciprocal rsqrt __rdiv__ __rtruediv__".split())
"""Smooth functions that are not zero at zero, so that a value of zero does not mean that nothing is passed on."""

POWERS = frozenset("pow __pow__ __rpow__ float_power".split())

MAXIMA = frozenset(
    """
    max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices adaptive_max_pool1d
    adaptive_max_pool2d adaptive_max_pool3d adaptive_max_pool1d_with_indices adaptive_max_pool2d_with_indices
    adaptive_max_pool3d_with_indices amax amin max min maximum minimum topk sort
    """.split()
)
NORMS = frozenset("layer_norm group_norm instance_norm rms_norm".split())
SOFTMAXES = frozenset("softmax log_softmax softmin".split())
SHIFTS = frozenset("add sub rsub __add__ __radd__ __sub__ __rsub__ batch_norm".split())
"""Affine calls that may add a constant."""

ELEMENTWISE = frozenset("mul multiply __mul__ __rmul__".split())
CONVOLUTIONS = frozenset("conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d".split())
MATRIX_PRODUCTS = frozenset("matmul bmm mm mv dot __matmul__ __rmatmul__".split())
ADDED_PRODUCTS = frozenset("addmm baddbmm addmv".split())
BILINEAR = CONVOLUTIONS | MATRIX_PRODUCTS | ADDED_PRODUCTS | {"linear", "einsum"}
COMPARISONS = frozenset(
    "gt lt ge le eq ne greater less greater_equal less_equal bool isclose __gt__ __lt__ __ge__ __le__ __eq__ __ne__".split()
)
CHOICES = frozenset("where masked_fill mul multiply __mul__ __rmul__".split())
"""Calls that make an activation out of a comparison, such as where(x > 0, x, 0)."""

REARRANGEMENTS = frozenset(
    """
    reshape view flatten unflatten permute transpose t movedim swapaxes swapdims squeeze unsqueeze expand expand_as repeat
    repeat_interleave cat concat stack unbind chunk split index_select gather select narrow roll flip diagonal pad __getitem__ clone
    contiguous to double float type_as view_as reshape_as dropout __get__ T mT
    """.split()
)
"""Calls whose result holds entries of their arguments, and constants."""

PASSED = (
    AFFINE
    | REARRANGEMENTS
    | frozenset(
        """
        adaptive_avg_pool3d index_copy index_put index_fill __setitem__ masked_scatter masked_fill masked_select where take take_along_dim
        scatter copy fill zero tile broadcast_to unfold fold pixel_shuffle pixel_unshuffle moveaxis ravel upsample interpolate dropout1d
        dropout2d dropout3d alpha_dropout feature_dropout tensor_split hsplit vsplit hstack vstack column_stack nanmean cpu cuda bfloat16
        sum_to_size positive diag diag_embed block_diag
        """.split()
    )
)
"""Calls that are affine in whatever depends on the input: no rule."""


def depends(value: Any) -> bool:
    """Whether a value is a tensor that depends on the input: constants require no gradient while calls are intercepted."""
    return isinstance(value, Tensor) and value.requires_grad


def kind_of(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str | None:
    """The kind of a call by its bare name, or None for one that needs no rule.

    Raises:
        NotApplicable: if nothing is known of the call.
    """
    two = [*args, *kwargs.values()][:2]
    if name in BILINEAR:
        return _bilinear(name, args, kwargs)
    if name in ELEMENTWISE or name == "outer":
        return "product" if all(map(depends, two)) else None
    if name in QUOTIENTS:
        return "quotient" if depends(two[-1]) else None
    if name in RECTIFIERS or name in ZERO_AT_ZERO or name in OFFSET or name in POWERS or _clamps(name, two):
        return "activation"
    _refuse_chance(name, args, kwargs)
    for kind, names in (("maximum", MAXIMA), ("norm", NORMS), ("softmax", SOFTMAXES)):
        if name in names:
            return kind
    if name in SHIFTS:
        return "shift" if name == "batch_norm" or not all(map(depends, two)) else None
    if name in PASSED and name not in PRODUCTS:
        return None
    raise NotApplicable(
        f"the network calls {name!r}, for which no backward rule is known; write it with linear maps, products, maxima and activations "
        f"such as relu, or use a method that reads the function alone, such as gradient or shapley (got {name!r})"
    )


def _bilinear(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str | None:
    """A bilinear call is a product if both operands depend on the input, linear if one does; a bias that depends is a sum."""
    values = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
    values += [factor for value in args if isinstance(value, (list, tuple)) for factor in value if isinstance(factor, Tensor)]
    factors = values[1:3] if name in ADDED_PRODUCTS else values if name == "einsum" else values[:2]
    if len(factors) < 2:
        return None
    if len(factors) > 2 and any(map(depends, factors)):
        raise NotApplicable(f"einsum of {len(factors)} operands has no backward rule; write it as products of two (got {args[0]!r})")
    dependent = sum(map(depends, factors))
    return "product" if dependent > 1 else "linear" if dependent else None


def _refuse_chance(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Refuse a dropout that drops, and a norm over the batch: a row would depend on luck, or on its neighbours."""
    place = {"dropout": 2, "batch_norm": 5, "instance_norm": -1}.get(name)
    given = kwargs.get("training", place is not None and 0 <= place < len(args) and args[place])
    if given is True and not (name == "dropout" and 0 in (kwargs.get("p"), *args[1:2])):
        raise NotApplicable(f"{name} is called in training mode, so a row depends on its batch or on chance (got training=True)")


def _clamps(name: str, two: list[Any]) -> bool:
    """Whether a maximum or minimum of two has one constant side: max(x, 0) is a rectifier."""
    return (
        name in ("maximum", "minimum", "max", "min") and len(two) == 2 and isinstance(two[1], Tensor) and depends(two[0]) != depends(two[1])
    )


def rectifies(call: Call) -> bool:
    """Whether an activation is a rectifier, in whichever words: relu(x), clamp(x, min=0), maximum(x, zeros)."""
    if call.name in RECTIFIERS:
        return True
    bounds = [*call.arguments[1:], *call.keywords.values()]
    if call.name in ("clamp", "clip", "clamp_min", "threshold"):
        low = call.keywords.get("min", bounds[0] if len(call.arguments) > 1 else None)
        return low is not None and _zero(low) and (call.name != "threshold" or _zero(bounds[1]))
    if call.name in ("maximum", "max"):
        return all(_zero(value) for value in (*call.arguments, *call.keywords.values()) if not depends(value))
    return False


def _zero(bound: Any) -> bool:
    return bool((torch.as_tensor(bound) == 0).all())


def vanishes_at_zero(call: Call) -> bool:
    """Whether an activation is known to be zero at zero, so that relevance / activation is well defined through it."""
    if call.name in POWERS:
        exponent = [*call.arguments, *call.keywords.values()][1]
        return call.name != "__rpow__" and not isinstance(exponent, Tensor) and exponent > 0
    if call.name in ("clamp", "clip", "clamp_min", "clamp_max", "threshold", "maximum", "minimum", "max", "min"):
        return rectifies(call)
    return (call.name in RECTIFIERS and call.name != "softplus") or call.name in ZERO_AT_ZERO
