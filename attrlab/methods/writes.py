"""Calls that write over their first argument are the same calls as those that do not, under another name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

_OPERATORS = {f"__i{name}__": f"__{name}__" for name in ("add", "sub", "mul", "truediv", "matmul", "pow")}
_LAST = frozenset("relu relu6 leaky_relu elu selu celu silu mish hardswish hardtanh hardsigmoid threshold rrelu".split())
"""Activations whose last positional argument says whether they write in place."""


def bare(name: str) -> str:
    """The name of a call without what makes it write in place or be private: relu_ and _relu are relu, __imul__ is __mul__."""
    return _OPERATORS.get(name, name) if name.startswith("__") else name.strip("_")


def writes(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether the call writes over its first argument."""
    if kwargs.get("inplace") is True or name == "__setitem__" or (name in _LAST and args[-1] is True):
        return True
    underscored = name.endswith("_") and not name.endswith("__") and name != "requires_grad_"
    return (underscored or name in _OPERATORS) and isinstance(args[0], Tensor)
