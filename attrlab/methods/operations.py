"""What a forward pass really does, seen call by call, whatever the modules are called.

Library hooks see modules; a functional, reused or multiplied activation escapes them, and the answer is silently wrong.
A `TorchFunctionMode` sees every call, so a method can refuse what it does not understand. Calls are sorted into affine
ones, products, piecewise-linear ones (whose kinks are known) and the rest, which nobody here may guess about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from attrlab.errors import NotApplicable

AFFINE = frozenset(
    """
    add add_ sub sub_ rsub neg linear conv1d conv2d conv3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d
    adaptive_avg_pool2d sum mean cumsum reshape view flatten unflatten permute transpose transpose_ t movedim squeeze unsqueeze
    expand expand_as repeat repeat_interleave cat concat stack unbind chunk split index_select gather select narrow roll flip
    diagonal tril triu pad __getitem__ clone contiguous to double float half type_as detach identity dropout zeros_like
    ones_like new_zeros new_ones new_full new_tensor zeros ones full arange eye T mT size dim numel __get__ __len__ __iter__
    is_floating_point requires_grad_ shape stride is_complex get_device trace view_as reshape_as __radd__ __rsub__ __add__
    __sub__ __neg__ batch_norm _pad index_add index_add_ scatter_add scatter_add_ __iadd__ __isub__
    """.split()
)
PRODUCTS = frozenset(
    """
    mul mul_ multiply matmul bmm mm mv dot einsum div div_ true_divide __mul__ __rmul__ __truediv__ __matmul__ __rmatmul__
    baddbmm addmm outer __imul__ __itruediv__
    """.split()
)
QUOTIENTS = frozenset("div div_ true_divide __truediv__ __itruediv__".split())
"""Those of the products that are affine in their first argument only."""


def _of_input(x: Tensor, *_: Any, **__: Any) -> list[Tensor]:
    return [x]


def _of_difference(a: Tensor, b: Tensor, **_: Any) -> list[Tensor]:
    return [a - b]


def _of_clamp(x: Tensor, min: Any = None, max: Any = None, **_: Any) -> list[Tensor]:
    return [x - bound for bound in (min, max) if bound is not None]


def _of_relu6(x: Tensor, *_: Any, **__: Any) -> list[Tensor]:
    return [x, x - 6]


def _of_hardtanh(x: Tensor, min_val: float = -1.0, max_val: float = 1.0, *_: Any, **__: Any) -> list[Tensor]:
    return [x - min_val, x - max_val]


KINKS: dict[str, Callable[..., list[Tensor]]] = {
    "relu": _of_input,
    "relu_": _of_input,
    "leaky_relu": _of_input,
    "prelu": _of_input,
    "abs": _of_input,
    "clamp": _of_clamp,
    "clip": _of_clamp,
    "clamp_min": _of_clamp,
    "maximum": _of_difference,
    "minimum": _of_difference,
    "relu6": _of_relu6,
    "hardtanh": _of_hardtanh,
}
"""Piecewise-linear calls: a function of the call's arguments whose zeros are its kinks."""


class Watch(TorchFunctionMode):
    """Report every torch function call to `see(name, args, kwargs, result)` while a model runs.

    Arguments that the call may write over (`relu_`, `z += y`, an activation with inplace=True) are reported as they were before it.
    """

    def __init__(self, see: Callable[[str, tuple[Any, ...], dict[str, Any], Any], None]) -> None:
        super().__init__()
        self._see = see

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        """Run the call, then report it."""
        del types
        name = getattr(func, "__name__", str(func))
        kwargs = kwargs or {}
        by_name = name.startswith("__i") or (name.endswith("_") and not name.startswith("__"))
        writes = by_name or any(argument is True for argument in (*args, *kwargs.values()))  # inplace=True
        before = tuple(a.clone() if writes and isinstance(a, Tensor) else a for a in args)
        result = func(*args, **kwargs)
        self._see(name, before, kwargs, result)
        return result


@contextmanager
def active_modules(model: nn.Module) -> Iterator[list[nn.Module]]:
    """Yield the stack of modules whose forward is running; the hooks it takes are removed whatever happens."""
    stack: list[nn.Module] = []

    def enter(module: nn.Module, _: Any) -> None:
        stack.append(module)

    def leave(module: nn.Module, _: Any, __: Any) -> None:
        del module
        stack.pop()

    handles = []
    try:
        for module in model.modules():
            handles.append(module.register_forward_pre_hook(enter))
            handles.append(module.register_forward_hook(leave))
        yield stack
    finally:
        for handle in handles:
            handle.remove()


def outputs_at(model: Callable[[Tensor], Tensor], inputs: Tensor, target: Tensor) -> Tensor:
    """The output that each row is explained by: model(inputs)[row, target[row]], shape (batch,).

    Raises:
        NotApplicable: if the model does not return (batch, outputs).
        IndexError: if a target is out of range; the message says what was got.
    """
    outputs = model(inputs)
    if outputs.dim() != 2 or outputs.shape[0] != inputs.shape[0]:
        raise NotApplicable(
            f"the model must return (batch, outputs); wrap it so that it does (got {tuple(outputs.shape)} for {inputs.shape[0]} rows)"
        )
    if target.numel() and not (int(target.min()) >= 0 and int(target.max()) < outputs.shape[1]):
        raise IndexError(
            f"target must lie in [0, {outputs.shape[1]}), the model's outputs (got {int(target.min())} to {int(target.max())})"
        )
    return outputs.gather(1, target.view(-1, 1)).squeeze(1)


def require_rows_alone(model: Callable[[Tensor], Tensor]) -> None:
    """Refuse a network that normalises over the batch or drops at random: a row would depend on its neighbours, or on luck.

    Raises:
        NotApplicable: if a batch norm or a dropout is in training mode.
    """
    for name, module in model.named_modules() if isinstance(model, nn.Module) else ():
        if isinstance(module, (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)) and module.training:
            raise NotApplicable(
                f"{name or type(module).__name__} is in training mode, so the output of a row depends on its batch or on chance; "
                f"call model.eval() first (got {type(module).__name__} in training mode)"
            )


def reads(model: Callable[[Tensor], Tensor], inputs: Tensor) -> bool:
    """Whether the output is connected to the input at all; a constant function is not, and its gradient is not defined by autograd."""
    with torch.enable_grad():
        point = inputs.detach().clone().requires_grad_()
        total = model(point).sum()
        return bool(total.requires_grad) and torch.autograd.grad(total, point, allow_unused=True)[0] is not None


def unknown_call(name: str) -> NotApplicable:
    """The refusal of a call that is neither affine, nor a product, nor piecewise linear."""
    return NotApplicable(
        f"the network calls {name!r}, of which it is not known that it is piecewise linear; rewrite it with affine maps and "
        f"{', '.join(sorted(KINKS))}, or use a method that does not need to know (integrated_gradients, shapley)"
    )


def differs(value: Any, rows: int) -> bool:
    """Whether a stacked [inputs; baseline] tensor differs between its two halves of `rows` rows; constants do not."""
    if not isinstance(value, Tensor) or value.dim() == 0 or value.shape[0] != 2 * rows:
        return False
    return not torch.equal(value[:rows], value[rows:])
