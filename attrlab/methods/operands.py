"""A bilinear call, whichever its name, is two operands, a bias, and a function of the three: what rules of linear layers are written in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from attrlab.methods.calls import ADDED_PRODUCTS, BILINEAR, CONVOLUTIONS, Apply, Call, depends

DETAILED = ("linear", "product", "quotient")
"""Kinds of calls that are taken apart."""


def detailed(call: Call, func: Any) -> tuple[Call, Tensor | None]:
    """The call with its operands, and what is added to its result if its bias depends on the input as well."""
    given = [*call.arguments, *call.keywords.values()]
    if call.kind == "quotient":
        return replace(call, x=given[0] if depends(given[0]) else given[1], other=given[1]), None
    if call.name not in BILINEAR:
        return replace(call, x=given[0], other=given[1]), None
    found = operands(call.name, func, call.arguments, call.keywords)
    first, second, apply = found.first, found.second, found.apply
    if not depends(first):
        first, second, apply = second, first, exchanged(found.apply)
    if depends(found.bias):
        return replace(call, x=first, other=second, apply=apply, output=apply(first, second, None)), found.bias
    return replace(call, x=first, other=second, bias=found.bias, apply=apply), None


def exchanged(apply: Apply) -> Apply:
    """The same function with its operands in the other order."""
    return lambda x, other, bias: apply(other, x, bias)


@dataclass(frozen=True, kw_only=True)
class Operands:
    """The two operands and the bias of a bilinear call, and the call as a function of them."""

    first: Any
    second: Any
    bias: Any
    apply: Apply


def operands(name: str, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Operands:
    """Take a bilinear call apart."""
    if name == "linear" or name in CONVOLUTIONS:
        return _layer(func, args, dict(kwargs))
    if name == "einsum":
        return _einsum(args)
    values = [*args, *(value for key, value in kwargs.items() if key not in ("alpha", "beta"))]
    if name in ADDED_PRODUCTS:
        alpha, beta = kwargs.get("alpha", 1), kwargs.get("beta", 1)
        return Operands(first=_times(alpha, values[1]), second=values[2], bias=_times(beta, values[0]), apply=_matmul)
    first, second = values[:2] if name != "__rmatmul__" else values[1::-1]
    return Operands(first=first, second=second, bias=None, apply=_matmul)


def _times(factor: float, value: Tensor) -> Tensor:
    return value if factor == 1 else factor * value


def _matmul(first: Tensor, second: Tensor, bias: Tensor | None) -> Tensor:
    product = first @ second
    return product if bias is None else product + bias


def _layer(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Operands:
    """Input, weight, bias, and the strides and paddings that stay as they are."""
    given = dict(zip(("input", "weight", "bias"), args, strict=False))
    given.update({name: kwargs.pop(name) for name in ("input", "weight", "bias") if name in kwargs})
    rest = args[3:]

    def apply(first: Tensor, second: Tensor, bias: Tensor | None) -> Tensor:
        result: Tensor = func(first, second, bias, *rest, **kwargs)
        return result

    return Operands(first=given["input"], second=given["weight"], bias=given.get("bias"), apply=apply)


def _einsum(args: tuple[Any, ...]) -> Operands:
    equation, *factors = args
    factors = list(factors[0]) if len(factors) == 1 and isinstance(factors[0], (list, tuple)) else factors

    def apply(first: Tensor, second: Tensor, bias: Tensor | None) -> Tensor:
        del bias
        result: Tensor = torch.einsum(equation, first, second)
        return result

    return Operands(first=factors[0], second=factors[1], bias=None, apply=apply)
