"""The activations at a layer, and the slope of the explained output at them, held while the network runs and without touching it.

Class activation methods speak of "the last convolution", which modules name only where a network is a plain chain of them. Here the
layer is found by watching the calls of the forward pass, so that functional and reused modules, and plain functions, have one too:

    the last tensor that still has positions and that the explained output depends on.

For images that is a *map*: the (batch, channels, height, width) result, of more than one position, of a convolution, pooling or
resampling of something that depends on the input, or of any call on a map; rearrangements (permute, view, ...) and padded results are
passed over, because their cells are not places of the image. For graphs, sequences and sets it is the (batch, nodes, channels) result
of any call on something that depends on the input, transposes excepted. Whatever comes later mixes positions, since outputs have none. It
need not be all that the output reads: of branches side by side it is the last one's, and a layer that carries both is then to be named.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.methods.operations import outputs_at

Model = Callable[[Tensor], Tensor]

_TURNS = frozenset("__get__ permute transpose transpose_ t movedim moveaxis swapaxes swapdims".split())
_REARRANGED = _TURNS | frozenset("view reshape unflatten view_as reshape_as unsqueeze pad _pad matmul bmm __matmul__ einsum".split())
_SPATIAL = frozenset("interpolate upsample pixel_shuffle pixel_unshuffle grid_sample".split())


@dataclass(frozen=True, kw_only=True)
class Activation:
    """A layer's values and the gradient of the explained outputs there, channels first, detached."""

    values: Tensor  # (batch, channels, *positions): (height, width) of an image, (nodes,) of a graph
    slopes: Tensor  # shaped like values


def activation_at(
    model: Model,
    inputs: Tensor,  # (batch, channels, height, width) or (batch, nodes, columns)
    *,
    target: Tensor,  # (batch,) int64
    layer: str | None = None,
) -> Activation:
    """Run the model once forwards and once backwards to a layer, and return what stood there.

    Args:
        model: maps rows to (batch, outputs).
        inputs: the rows that are explained.
        target: which output of each row.
        layer: the dotted path of a module, as in `model.named_modules()`, whose output (of its last call, if it is reused) is meant; None
            for the last tensor that still has positions, as this file's first lines define it.

    Raises:
        InvalidInput: if no module is called `layer`, or the model has no modules.
        NotApplicable: if rows have no positions, nothing in the network has any, or the named layer's output has none.
    """
    if inputs.dim() not in (3, 4):
        raise NotApplicable(
            "a class activation map needs positions: rows of an image are (channels, height, width), rows of a graph (nodes, columns); "
            f"write them so, or use a method that needs none (got rows of shape {tuple(inputs.shape[1:])})"
        )
    with torch.enable_grad():
        point = inputs.detach().clone().requires_grad_()
        if layer is None:
            values, slopes = _last_with_positions(model, point, target)
        else:
            values, slopes = _output_of(model, point, target, layer)
    return Activation(values=_channels_first(values), slopes=_channels_first(slopes))


def _last_with_positions(model: Model, point: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The last candidate that the output depends on, with its slope; of a constant output, the last candidate and zeros."""
    with Trail(point) as trail:
        total = outputs_at(model, point, target).sum()
    if not trail.candidates:
        raise NotApplicable(
            "no call of the network has a result with more than one position that depends on the input: it reads all positions at once; "
            f"a convolution or a layer on nodes makes it apply (got rows of shape {tuple(point.shape[1:])})"
        )
    for name, values, version in reversed(trail.candidates):
        slopes = torch.autograd.grad(total, values, allow_unused=True, retain_graph=True)[0] if total.requires_grad else None
        if slopes is not None:
            if values._version != version:
                raise NotApplicable(
                    f"the result of {name!r} is written over later; name a layer, or write out of place (got {name!r} in place)"
                )
            return values.detach(), slopes
    values = trail.candidates[-1][1].detach()
    return values, torch.zeros_like(values)


def _output_of(model: Model, point: Tensor, target: Tensor, layer: str) -> tuple[Tensor, Tensor]:
    """The output of a module's last call with its slope; the hook that holds it is removed whatever happens."""
    held: list[Any] = []

    def hold(_: nn.Module, __: Any, output: Any) -> Any:
        held.append(output)
        return output.clone() if isinstance(output, Tensor) else output  # so that an activation in place leaves it alone

    handle = module_called(model, layer).register_forward_hook(hold)
    try:
        total = outputs_at(model, point, target).sum()
    finally:
        handle.remove()
    values = held[-1] if held else None
    if not isinstance(values, Tensor) or not _has_positions(values, point):
        wanted = "(batch, channels, height, width)" if point.dim() == 4 else f"(batch, {point.shape[1]}, channels)"
        got = "no call" if not held else tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise NotApplicable(f"the layer {layer!r} must return {wanted} with positions; name one that does (got {got})")
    connected = total.requires_grad and values.requires_grad
    slopes = torch.autograd.grad(total, values, allow_unused=True)[0] if connected else None
    return values.detach(), torch.zeros_like(values) if slopes is None else slopes


def module_called(model: Model, layer: str) -> nn.Module:
    """The module at a dotted path.

    Raises:
        InvalidInput: if there is none, with the nearest name.
    """
    if not isinstance(model, nn.Module):
        raise InvalidInput(f"a layer is a module of an nn.Module; leave layer=None for a function (got layer={layer!r})")
    modules: dict[str, nn.Module] = dict(model.named_modules())
    if layer not in modules:
        near = difflib.get_close_matches(layer, modules, n=1, cutoff=0.0)
        raise InvalidInput(f"the model has no module {layer!r}; did you mean {near[0]!r}? (got layer={layer!r})")
    return modules[layer]


def _has_positions(values: Tensor, point: Tensor) -> bool:
    """Whether a tensor is (batch, channels, height, width) beside an image, or (batch, nodes, channels) beside a graph."""
    if values.dim() != point.dim() or values.shape[0] != point.shape[0] or not values.is_floating_point():
        return False
    if point.dim() == 4:
        return values.shape[2] * values.shape[3] > 1
    return values.shape[1] == point.shape[1]


def _channels_first(values: Tensor) -> Tensor:
    return values if values.dim() == 4 else values.movedim(2, 1)


class Trail(TorchFunctionMode):
    """Follow what depends on the input through every call, and note the results that have positions, with their versions."""

    def __init__(self, point: Tensor) -> None:
        super().__init__()
        self.candidates: list[tuple[str, Tensor, int]] = []
        self._point = point
        self._reached = {id(point): point}  # the tensors are held, so that no other can take their identity
        self._maps = {id(point)}

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        """Run the call, then note its results."""
        del types
        given = {id(tensor) for tensor in tensors_of((args, kwargs or {}))}
        result = func(*args, **(kwargs or {}))
        if given & self._reached.keys():
            name = getattr(func, "__name__", str(func))
            for tensor in tensors_of(result):
                if tensor.requires_grad:
                    self._note(name, tensor, bool(given & self._maps))
        return result

    def _note(self, name: str, tensor: Tensor, on_a_map: bool) -> None:
        self._reached[id(tensor)] = tensor
        if not _has_positions(tensor, self._point):
            return
        spatial = name in _SPATIAL or name.endswith("2d")
        if (spatial or (on_a_map and name not in _REARRANGED)) if tensor.dim() == 4 else name not in _TURNS:
            self.candidates.append((name, tensor, tensor._version))
            self._maps.add(id(tensor))
        elif name in ("pad", "_pad") and on_a_map:
            self._maps.add(id(tensor))


def tensors_of(value: Any) -> Iterator[Tensor]:
    """Every tensor in nested tuples, lists and dictionaries."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors_of(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from tensors_of(part)
