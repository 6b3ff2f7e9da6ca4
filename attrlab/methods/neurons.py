"""The rectified units of a network as its neurons: held in one pass, scaled or silenced in the next, whatever the modules are called.

A neuron is an entry of the result of a rectifier, relu or another, that depends on the input; a reused activation has neurons for each of
its calls. Neurons of all layers of a row are laid side by side, so that a share of all of them can be kept by one threshold per row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from attrlab.errors import NotApplicable
from attrlab.games.game import Model
from attrlab.methods.calls import Call, rectifies
from attrlab.methods.operations import outputs_at, require_rows_alone
from attrlab.methods.writes import bare

Edit = Callable[[int, Tensor], Tensor]
"""edit(layer, neurons) -> like neurons: what a layer holds instead."""

_WORDS = frozenset(
    "relu relu6 leaky_relu rrelu prelu elu selu celu gelu silu mish hardswish softplus clamp clip clamp_min maximum max".split()
)

TIED = 1e-9
"""Contributions that differ by less than this share are tied, and are kept or pruned together."""


@dataclass(frozen=True, kw_only=True)
class Pass:
    """A forward pass with its neurons, all connected to the inputs."""

    outputs: Tensor  # (rows,), the explained ones
    neurons: tuple[Tensor, ...]  # of each layer, (rows, *units), after the edit


class Neurons(TorchFunctionMode):
    """Hold the results of rectifiers, and put edited ones in their place."""

    def __init__(self, edit: Edit | None = None) -> None:
        super().__init__()
        self.held: list[Tensor] = []
        self._edit = edit

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        """Run the call; of a rectifier, return what the edit makes of its result."""
        del types
        kwargs = kwargs or {}
        name = bare(getattr(func, "__name__", str(func)))
        depends = any(isinstance(value, Tensor) and value.requires_grad for value in args)
        chosen = name in _WORDS and depends and _is_rectifier(name, args, kwargs)
        result = func(*args, **kwargs)
        if not (chosen and isinstance(result, Tensor)):
            return result
        neurons = result.clone()  # so that what is written over later is another tensor
        neurons = neurons if self._edit is None else self._edit(len(self.held), neurons)
        self.held.append(neurons)
        return neurons


def passed(
    model: Model,
    point: Tensor,  # (rows, *features), requires a gradient
    target: Tensor,  # (rows,)
    edit: Edit | None = None,
) -> Pass:
    """Run the network once; needs gradients to be on.

    Raises:
        NotApplicable: if no rectifier depends on the input.
    """
    with Neurons(edit) as seen:
        outputs = model(point)
    if not seen.held:
        raise NotApplicable("the network has no rectified units that depend on the input; a relu makes it apply (got none)")
    return Pass(outputs=outputs_at(lambda _: outputs, point, target), neurons=tuple(seen.held))


def gated(
    gates: Sequence[Tensor],  # of each layer, (rows, *units)
) -> Edit:
    """Multiply each layer by its gates; 0 silences a neuron."""
    return lambda layer, neurons: neurons * gates[layer]


def marginal_contributions(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    target: Tensor,  # (batch,)
    gates: Sequence[Tensor] | None = None,
) -> tuple[Tensor, ...]:  # of each layer, (batch, *units)
    """|a ∂f/∂a| of each neuron: by how much f falls with it, to first order (NeuronMCT)."""
    require_rows_alone(model)
    with torch.enable_grad():
        point = inputs.detach().clone().requires_grad_()
        run = passed(model, point, target, None if gates is None else gated(gates))
        slopes = slopes_at(run.outputs, run.neurons)
    return tuple((value.detach() * slope).abs() for value, slope in zip(run.neurons, slopes, strict=True))


def integrated_contributions(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    target: Tensor,  # (batch,)
    *,
    n_steps: int,
) -> tuple[Tensor, ...]:  # of each layer, (batch, *units)
    """|a ∫ ∂f/∂a (s a) ds| of each neuron, s from 0 to 1 for its whole layer at once, by midpoints (NeuronIntGrad)."""
    require_rows_alone(model)
    with torch.enable_grad():
        clean = passed(model, inputs.detach().clone().requires_grad_(), target).neurons
    found = [torch.zeros_like(values) for values in clean]
    for layer in range(len(clean)):
        for step in range(n_steps):
            found[layer] += _slope_at_strength(model, inputs, target, layer, (step + 0.5) / n_steps) / n_steps
    return tuple((values.detach() * slope).abs() for values, slope in zip(clean, found, strict=True))


def slopes_at(
    outputs: Tensor,  # (rows,)
    neurons: Sequence[Tensor],  # each (rows, *units)
) -> tuple[Tensor, ...]:
    """The slope of each row's output in its neurons, 0 where there is no connection."""
    found = torch.autograd.grad(outputs, list(neurons), torch.ones_like(outputs), allow_unused=True)
    return tuple(torch.zeros_like(value) if slope is None else slope for value, slope in zip(neurons, found, strict=True))


def kept_share(
    contributions: Sequence[Tensor],  # of each layer, (batch, *units)
    share: float,
    feature_mask: Tensor | None = None,  # (batch, *features) int64, -1 for none
) -> tuple[Tensor, ...]:  # of each layer, (batch, *units), 1 or 0
    """Gates that keep a share of all neurons of a row, those that contribute most; ties with the least of them are kept."""
    flat = torch.cat([values.flatten(1) for values in contributions], 1)
    kept = (share * counted_neurons(contributions, feature_mask)).round().long().clamp(min=1)
    threshold = flat.sort(1, descending=True).values.gather(1, kept.unsqueeze(1) - 1)
    gates = (flat >= threshold * (1 - TIED)).to(flat.dtype)
    return split_like(gates, contributions)


def counted_neurons(
    layers: Sequence[Tensor],  # of each layer, (batch, *units)
    feature_mask: Tensor | None,  # (batch, *features) int64, -1 for none
) -> Tensor:  # (batch,) float64
    """How many neurons a row has; of rows (positions, columns) those at positions without a player are not counted, padding among them.

    Axes of a layer are positions if they are as long as those of the rows.
    """
    total = torch.zeros(len(layers[0]), dtype=torch.float64, device=layers[0].device)
    for values in layers:
        counted = torch.ones_like(values, dtype=torch.float64)
        if feature_mask is not None and feature_mask.dim() == 3:
            present = (feature_mask >= 0).any(2)
            for axis in range(1, values.dim()):
                if values.shape[axis] == present.shape[1]:
                    counted = counted * present.view(len(present), *(-1 if a == axis else 1 for a in range(1, values.dim())))
        total += counted.flatten(1).sum(1)
    return total


def split_like(
    flat: Tensor,  # (batch, neurons)
    layers: Sequence[Tensor],  # each (batch, *units)
) -> tuple[Tensor, ...]:
    """Neurons laid side by side, cut into layers again."""
    parts = torch.split(flat, [values[:1].numel() for values in layers], 1)
    return tuple(part.view(values.shape) for part, values in zip(parts, layers, strict=True))


def _slope_at_strength(model: Model, inputs: Tensor, target: Tensor, layer: int, strength: float) -> Tensor:
    """∂f/∂a of one layer where that whole layer is scaled by `strength`."""
    with torch.enable_grad():
        point = inputs.detach().clone().requires_grad_()
        run = passed(model, point, target, lambda number, values: values * strength if number == layer else values)
        return slopes_at(run.outputs, run.neurons[layer : layer + 1])[0]


def _is_rectifier(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    call = Call(kind="activation", name=name, index=0, x=args[0], output=args[0], arguments=args, keywords=kwargs)
    return rectifies(call)
