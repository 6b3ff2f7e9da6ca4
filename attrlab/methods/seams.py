"""A seam of a network: a layer whose values are read in one pass and replaced by others in the next, without touching the network.

A bottleneck and a path through neurons both ask what the network would say if a layer held something else. The layer is a call of the
forward pass, found by its number among all calls, so that functional and reused activations and plain functions have seams too; or
the output of a named module. Values are channels first, (rows, channels, *positions), whatever the network's own order is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from attrlab.errors import NotApplicable
from attrlab.methods.activations import Model, Trail, module_called
from attrlab.methods.operations import outputs_at


@dataclass(frozen=True, kw_only=True)
class Seam:
    """One layer of one network.

    Attributes:
        model: the network.
        place: the number of the call among all calls of a forward pass, or of the named module's call among its own.
        layer: the dotted path of a module, or None where the seam is a call.
        turned: whether the network has channels last there.
    """

    model: Model
    place: int
    layer: str | None
    turned: bool

    def read(
        self,
        rows: Tensor,  # (rows, *features)
    ) -> Tensor:  # (rows, channels, *positions)
        """The layer's values, detached."""
        with torch.no_grad():
            values, _ = self._run(rows, None)
        return values

    def replaced(
        self,
        rows: Tensor,  # (rows, *features)
        values: Tensor,  # (rows, channels, *positions)
    ) -> Tensor:  # (rows, outputs)
        """What the network says of rows if the layer holds `values`."""
        return self._run(rows, values.movedim(1, 2) if self.turned else values)[1]

    def passed(
        self,
        rows: Tensor,  # (rows, *features)
    ) -> Tensor:  # (rows, channels, *positions)
        """The layer's values, connected to `rows`."""
        return self._run(rows, None)[0]

    def _run(self, rows: Tensor, values: Tensor | None) -> tuple[Tensor, Tensor]:
        if self.layer is None:
            with _Calls({self.place: values}) as seen:
                outputs = self.model(rows)
            held = seen.held
        else:
            with _hooked(self.model, self.layer, self.place, values) as held:
                outputs = self.model(rows)
        if self.place not in held:
            raise NotApplicable(
                f"the network makes other calls for these rows than before; name a layer (got {len(held)} of call {self.place})"
            )
        found = held[self.place]
        return found.movedim(2, 1) if self.turned else found, outputs


def seam_at(
    model: Model,
    inputs: Tensor,  # (batch, channels, height, width) or (batch, nodes, columns)
    *,
    target: Tensor,  # (batch,)
    layer: str | None = None,
) -> Seam:
    """The seam at a named module, or at the last tensor that still has positions and that the output depends on.

    Raises:
        InvalidInput: if there is no such module.
        NotApplicable: if rows or the layer have no positions.
    """
    if layer is None:
        return seams_of(model, inputs, target=target)[-1]
    _require_positions(inputs)
    counted: list[Tensor] = []
    handle = module_called(model, layer).register_forward_hook(lambda _, __, output: counted.append(output))
    try:
        with torch.no_grad():
            model(inputs)
    finally:
        handle.remove()
    held = counted[-1] if counted else None
    if not isinstance(held, Tensor) or held.dim() != inputs.dim() or held.shape[0] != len(inputs):
        raise NotApplicable(f"the layer {layer!r} must return values with positions beside the rows; name one that does (got {held!r:.80})")
    return Seam(model=model, place=len(counted) - 1, layer=layer, turned=inputs.dim() == 3)


def seams_of(
    model: Model,
    inputs: Tensor,  # (batch, channels, height, width) or (batch, nodes, columns)
    *,
    target: Tensor,  # (batch,)
) -> list[Seam]:
    """All tensors with positions, as `attrlab.methods.activations` defines them, that the output depends on, from first call to last.

    Raises:
        NotApplicable: if there is none.
    """
    _require_positions(inputs)
    with torch.enable_grad():
        point = inputs.detach().clone().requires_grad_()
        with Trail(point) as trail, _Calls({}, numbered=True) as calls:
            outputs = model(point)
        total = outputs_at(lambda _: outputs, point, target).sum()
        tensors = [tensor for _, tensor, _ in trail.candidates if id(tensor) in calls.numbers]
        if total.requires_grad:
            slopes = torch.autograd.grad(total, tensors, allow_unused=True) if tensors else ()
            tensors = [tensor for tensor, slope in zip(tensors, slopes, strict=True) if slope is not None]
    if not tensors:
        raise NotApplicable(
            "no call of the network that its output depends on has a result with positions: it reads all positions at once; "
            f"a convolution or a layer on nodes makes it apply (got rows of shape {tuple(inputs.shape[1:])})"
        )
    return [Seam(model=model, place=calls.numbers[id(tensor)], layer=None, turned=inputs.dim() == 3) for tensor in tensors]


def _require_positions(inputs: Tensor) -> None:
    if inputs.dim() not in (3, 4):
        raise NotApplicable(
            "a seam is where a network has positions: rows of an image are (channels, height, width), of a graph (nodes, columns) "
            f"(got rows of shape {tuple(inputs.shape[1:])})"
        )


class _Calls(TorchFunctionMode):
    """Number the calls of a pass, hold the results at some numbers, and put others in their place."""

    def __init__(self, places: Mapping[int, Tensor | None], *, numbered: bool = False) -> None:
        super().__init__()
        self.held: dict[int, Tensor] = {}
        self.numbers: dict[int, int] = {}
        self._places, self._numbered, self._count = places, numbered, 0
        self._results: list[Tensor] = []  # kept, so that no other tensor can take their identity

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        """Run the call; return its result, or what is put in its place."""
        del types
        result, number = func(*args, **(kwargs or {})), self._count
        self._count += 1
        if self._numbered and isinstance(result, Tensor):
            self.numbers[id(result)] = number  # of a result that is written over in place, the last
            self._results.append(result)
        if number not in self._places:
            return result
        self.held[number] = result.clone()
        value = self._places[number]
        return result if value is None else value.clone()


@contextmanager
def _hooked(model: Model, layer: str, place: int, values: Tensor | None) -> Iterator[dict[int, Tensor]]:
    """Hold the output of one call of a module, and put `values` in its place; the hook is removed whatever happens."""
    held: dict[int, Tensor] = {}
    count = 0

    def hook(_: nn.Module, __: Any, output: Tensor) -> Tensor | None:
        nonlocal count
        count += 1
        if count != place + 1:
            return None
        held[place] = output.clone()
        return output.clone() if values is None else values.clone()

    handle = module_called(model, layer).register_forward_hook(hook)
    try:
        yield held
    finally:
        handle.remove()
