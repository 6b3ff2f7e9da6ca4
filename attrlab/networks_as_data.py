"""A network becomes plain numbers and names, and a network again, without running anything that the file says.

Only classes of torch's own layers and of this laboratory are rebuilt, by name, and only from numbers, texts, lists and tensors; their
constructors are not called. Whatever holds anything else is refused when it is written, not when it is read.
"""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor, nn

from attrlab.errors import InvalidInput

PACKAGES = ("torch.nn.modules", "synthetic", "attrlab", "evaluations")
"""Where the classes of a network may come from."""

_OWN = frozenset(vars(nn.Module()))
"""What every module has: its parameters, hooks and flags."""


def module_as_data(module: nn.Module) -> dict[str, Any]:
    """A module as nested dictionaries of plain values.

    Raises:
        InvalidInput: if it, or a part of it, is of a foreign class or holds something that is not plain.
    """
    name = f"{type(module).__module__}:{type(module).__qualname__}"
    _require_known(type(module).__module__, name)
    attributes = {key: value for key, value in vars(module).items() if key not in _OWN}
    return {
        "class": name,
        "attributes": {key: _plain(value, f"{name}.{key}") for key, value in sorted(attributes.items())},
        "parameters": {key: None if value is None else tensor_as_data(value) for key, value in module._parameters.items()},
        "buffers": {key: None if value is None else tensor_as_data(value) for key, value in module._buffers.items()},
        "modules": {key: None if value is None else module_as_data(value) for key, value in module._modules.items()},
    }


def module_of(data: Any) -> nn.Module:
    """The module that `module_as_data` wrote, in eval mode, with no parameter requiring a gradient.

    Raises:
        InvalidInput: if the data are not such, or name a class that is not there.
    """
    try:
        place, name = str(data["class"]).split(":")
        _require_known(place, data["class"])
        found: Any = importlib.import_module(place)
        for part in name.split("."):
            found = getattr(found, part)
        if not (isinstance(found, type) and issubclass(found, nn.Module)):
            raise InvalidInput(f"{data['class']} is no network layer")
        module: nn.Module = found.__new__(found)
        nn.Module.__init__(module)
        for key, value in data["attributes"].items():
            object.__setattr__(module, key, _value(value))
        for key, value in data["parameters"].items():
            module.register_parameter(key, None if value is None else nn.Parameter(tensor_of(value), requires_grad=False))
        for key, value in data["buffers"].items():
            module.register_buffer(key, None if value is None else tensor_of(value))
        for key, value in data["modules"].items():
            module.add_module(key, None if value is None else module_of(value))
        return module.eval()
    except (KeyError, TypeError, ValueError, AttributeError, ImportError) as error:
        raise InvalidInput(f"this is no network as data: {type(error).__name__}: {error}") from error


def tensor_as_data(value: Tensor) -> dict[str, Any]:
    """A tensor as its type, its shape and its numbers; float64 numbers are written so that they are read back exactly."""
    dtype = str(value.dtype).removeprefix("torch.")
    return {"dtype": dtype, "shape": list(value.shape), "values": value.detach().cpu().flatten().tolist()}


def tensor_of(data: Any) -> Tensor:
    """The tensor that `tensor_as_data` wrote.

    Raises:
        InvalidInput: if the data are not such.
    """
    try:
        dtype = getattr(torch, str(data["dtype"]))
        if not isinstance(dtype, torch.dtype):
            raise TypeError(f"{data['dtype']} is no number type")
        return torch.tensor(data["values"], dtype=dtype).view(data["shape"])
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise InvalidInput(f"this is no tensor as data: {type(error).__name__}: {error}") from error


def _plain(value: Any, where: str) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Tensor):
        return {"tensor": tensor_as_data(value)}
    if isinstance(value, (tuple, list)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_plain(item, where) for item in value]}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: _plain(item, where) for key, item in value.items()}}
    raise InvalidInput(
        f"a network can be written if it holds numbers, texts, lists and tensors only (got {type(value).__name__} in {where})"
    )


def _value(data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    ((kind, content),) = data.items()
    if kind == "tensor":
        return tensor_of(content)
    if kind == "dict":
        return {key: _value(item) for key, item in content.items()}
    return {"tuple": tuple, "list": list}[kind](_value(item) for item in content)


def _require_known(place: str, name: str) -> None:
    if not any(place == package or place.startswith(f"{package}.") for package in PACKAGES):
        raise InvalidInput(f"only layers of torch and of this laboratory are written and read (got {name!r})")
