"""Arguments and results of calls are nested tuples, lists and dictionaries, with tensors in them."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary


def constants_cut(value: Any, points: tuple[Tensor, ...]) -> Any:
    """The same arguments with leaves that are not the points cut off from autograd: then what requires a gradient depends on a point."""
    if isinstance(value, Tensor):
        constant = value.is_leaf and value.requires_grad and not any(value is point for point in points)
        return value.detach() if constant else value
    if type(value) in (tuple, list):
        return type(value)(constants_cut(item, points) for item in value)
    return {key: constants_cut(item, points) for key, item in value.items()} if type(value) is dict else value


def tensors_in(value: Any) -> list[Tensor]:
    """All tensors in arguments or results, in order."""
    if isinstance(value, Tensor):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (tuple, list)) else ()
    return [tensor for item in items for tensor in tensors_in(item)]


def swapped(value: Any, carried: WeakTensorKeyDictionary, place: int) -> Any:
    """The arguments with everything that carries something replaced by it."""
    if isinstance(value, Tensor):
        return carried[value][place] if value in carried else value
    if type(value) in (tuple, list):
        return type(value)(swapped(item, carried, place) for item in value)
    return {key: swapped(item, carried, place) for key, item in value.items()} if type(value) is dict else value
