"""A component is a module seen from outside: one tensor that it hands on, which can be kept, exchanged and differentiated.

Hooks are set for one pass and gone after it. A module that is called several times has several outputs, kept in the order of the calls;
an exchange gives every call its own. What is not a tensor with one entry per row cannot be exchanged row by row and is refused by name.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.methods.interception import Interception, Rules
from attrlab.methods.operations import outputs_at

Outputs = Mapping[str, Sequence[Tensor]]
"""Module path -> its output at every call, each (batch, ...)."""


@contextmanager
def exchanging(
    model: nn.Module,
    layers: Sequence[str],
    act: Callable[[str, int, Any], Any],
) -> Iterator[None]:
    """While the block runs, hand on `act(path, call, output)` in place of each layer's output, call counted from 0; None leaves it."""
    modules, calls, handles = dict(model.named_modules()), Counter[str](), []

    def hook_of(name: str) -> Callable[[nn.Module, Any, Any], Any]:
        def hook(module: nn.Module, arguments: Any, output: Any) -> Any:
            del module, arguments
            calls[name] += 1
            return act(name, calls[name] - 1, output)

        return hook

    try:
        for name in layers:
            handles.append(modules[name].register_forward_hook(hook_of(name)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def outputs_of(
    model: nn.Module,
    inputs: Tensor,  # (batch, *features)
    layers: Sequence[str] | None,
) -> dict[str, list[Tensor]]:
    """What each layer hands on for these rows, detached; with None, every module below the model that hands on a tensor per row.

    Raises:
        NotApplicable: if a layer that was asked for is not called, or hands on something else than one tensor with an entry per row.
        InvalidInput: if there is no such module.
    """
    names, kept = named(model, layers), dict[str, list[Any]]()

    def keep(name: str, call: int, output: Any) -> None:
        del call
        kept.setdefault(name, []).append(output.detach().clone() if isinstance(output, Tensor) else output)

    with torch.no_grad(), exchanging(model, names, keep):
        model(inputs)
    problems = {name: _problem(kept.get(name, []), len(inputs)) for name in names}
    for name, problem in problems.items():
        if problem and layers is not None:
            raise NotApplicable(f"module {name!r} {problem}; name a module that is called and hands on one floating-point tensor per row")
    return {name: kept[name] for name in names if not problems[name]}


def signals_at(
    model: nn.Module,
    rows: Tensor,  # (batch, *features)
    target: Tensor,  # (batch,) int64
    layers: Sequence[str],
    rules: Rules,
) -> dict[str, list[tuple[Tensor, Tensor]]]:
    """For each call of each layer, what it hands on and the signal that arrives there; with no rules changed, the slope of the output.

    Raises:
        NotApplicable: if the model makes a call that no rule is known for, and a rule is changed.
    """
    kept = dict[str, list[Tensor]]()

    def keep(name: str, call: int, output: Tensor) -> Tensor:
        del call
        kept.setdefault(name, []).append(output)
        return output.clone()  # what follows may write into it

    with torch.enable_grad():
        point = rows.detach().clone().requires_grad_()
        with exchanging(model, layers, keep), nullcontext() if rules == Rules() else Interception(rules, point):
            outputs = model(point.clone())
        total = outputs_at(lambda _: outputs, rows, target).sum()
        reached = [output for name in layers for output in kept[name] if output.requires_grad and total.requires_grad]
        found = torch.autograd.grad(total, reached, allow_unused=True, materialize_grads=True) if reached else ()
    signals = {id(output): signal for output, signal in zip(reached, found, strict=True)}
    return {name: [(one.detach(), signals.get(id(one), torch.zeros_like(one))) for one in kept[name]] for name in layers}


def named(model: nn.Module, layers: Sequence[str] | None) -> tuple[str, ...]:
    """The module paths that were asked for; with None, all below the model, in the order in which they are registered.

    Raises:
        NotApplicable: if the model is no module, and so has no components.
        InvalidInput: if there is no such module; the message suggests the nearest.
    """
    if not isinstance(model, nn.Module):
        raise NotApplicable(f"components are modules, and this model has none; wrap it as an nn.Module (got {type(model).__name__})")
    known = [name for name, _ in model.named_modules() if name]
    for name in layers or ():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise InvalidInput(
                f"layers are paths of modules, as in model.named_modules(){f'; did you mean {near[0]!r}?' if near else ''} (got {name!r})"
            )
    return tuple(known if layers is None else layers)


def _problem(outputs: Sequence[Any], rows: int) -> str:
    """What is wrong with a module's outputs, or nothing."""
    if not outputs:
        return "is not called"
    for output in outputs:
        if not isinstance(output, Tensor):
            return f"hands on a {type(output).__name__} (got {type(output).__name__})"
        if output.dim() == 0 or output.shape[0] != rows or not output.is_floating_point():
            return f"hands on no floating-point tensor of {rows} rows (got {tuple(output.shape)}, {output.dtype})"
    return ""
