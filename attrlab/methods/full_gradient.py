"""The full gradient: an output is exactly its input times its gradient there, plus every bias of the network times the gradient at it.

Of a call y = c(a) with slope J at a, the *implicit bias* is y - J a: the bias of a convolution, the shift of a batch norm, a constant that
is added or padded, and 0 for a ReLU. Going backwards through the calls, f = Σ y ∂f/∂y at the output is replaced by what enters and what the
biases add, so that

    f(x) = Σ_i x_i ∂f/∂x_i + Σ_calls Σ_p b_call(p) ∂f/∂y_call(p)

holds for any differentiable network. J a is the call's directional derivative along its own arguments. For dense and convolutional calls
y - J a is the bias they are given, for rectifiers, pooling and rearrangements 0; of any other call J a is found by forward-mode
differentiation as the call is seen. So nothing hangs on module types, their order, or reuse, and a call that escapes (an autograd
function of one's own) is caught by the sum, which is checked.
"""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass
from typing import Any

import torch
import torch.autograd.forward_ad as forward
from torch import Tensor
from torch.overrides import TorchFunctionMode

from attrlab.errors import NotApplicable
from attrlab.methods.activations import Model, tensors_of
from attrlab.methods.operations import outputs_at

_ROUNDING = 16
"""A bias this many units in the last place of y and J a is none."""

_STATED = frozenset("linear conv1d conv2d conv3d".split())
"""Calls whose bias is their third argument, for channels in the second dimension (of `linear`, in the last)."""

_NONE = frozenset(
    """
    relu relu_ leaky_relu max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d
    adaptive_max_pool2d flatten view reshape permute transpose squeeze unsqueeze movedim expand sum mean neg __getitem__ contiguous clone
    dropout identity gather
    """.split()
)
"""Calls that are positively homogeneous in their only tensor that depends on the input, and so have no bias (Euler)."""


@dataclass(frozen=True, kw_only=True)
class BiasTerm:
    """What the implicit bias of one call adds to the output."""

    call: str
    product: Tensor  # (batch, *shape of the call's result): bias times gradient


@dataclass(frozen=True, kw_only=True)
class Decomposition:
    """The terms of f(x); a row's terms sum to the explained output."""

    input_term: Tensor  # (batch, *features): input times gradient
    bias_terms: tuple[BiasTerm, ...]

    def total(self) -> Tensor:  # (batch,)
        """The sum of all terms."""
        return self.input_term.flatten(1).sum(1) + sum(term.product.flatten(1).sum(1) for term in self.bias_terms)


def full_gradient_decomposition(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
) -> Decomposition:
    """Split the explained output into input times gradient and bias times gradient, exactly, call by call.

    Biases that are 0 everywhere in the batch are left out; the others stand in the order of their calls.

    Raises:
        NotApplicable: if a call has no forward derivative, a bias belongs to no row, or the terms do not sum to the output.

    Example:
        >>> net = torch.nn.Linear(2, 1)
        >>> x = torch.ones(1, 2)
        >>> terms = full_gradient_decomposition(net, x, target=torch.tensor([0]))
        >>> [term.call for term in terms.bias_terms], torch.allclose(terms.total(), net(x)[:, 0])
        (['linear'], True)

    Reference:
        Srinivas, Fleuret (2019), "Full-gradient representation for neural network visualization", proposition 1 and section 3.2 (implicit
        biases).

    Differs from the paper in: the biases of all calls are taken, dense layers, constants and smooth non-linearities included.
    """
    with torch.enable_grad():
        point = inputs.detach().clone().requires_grad_()
        with _ImplicitBiases(point) as seen:
            outputs = outputs_at(model, point, target)
        slopes = _slopes(outputs, [point, *(result for _, result, _ in seen.biases)])
    decomposition = Decomposition(
        input_term=point.detach() * slopes[0],
        bias_terms=tuple(BiasTerm(call=name, product=bias * slope) for (name, _, bias), slope in zip(seen.biases, slopes[1:], strict=True)),
    )
    return _checked(decomposition, outputs.detach())


@functools.cache
def _prepare() -> None:
    """Let torch load its forward derivatives once, where its own deprecation warning is nobody's business."""
    with warnings.catch_warnings(), forward.dual_level():
        warnings.filterwarnings("ignore", message=".*torch.jit.script", category=Warning)
        forward.make_dual(torch.zeros(()), torch.zeros(()))  # type: ignore[no-untyped-call]


def _slopes(outputs: Tensor, at: list[Tensor]) -> list[Tensor]:
    """The gradient of the outputs at each tensor; zeros where they do not depend on it."""
    found = torch.autograd.grad(outputs.sum(), at, allow_unused=True) if outputs.requires_grad else [None] * len(at)
    return [torch.zeros_like(tensor) if slope is None else slope for tensor, slope in zip(at, found, strict=True)]


def _checked(decomposition: Decomposition, outputs: Tensor) -> Decomposition:
    """Refuse terms that do not belong to rows, or do not sum to the output."""
    for term in decomposition.bias_terms:
        if term.product.dim() == 0 or term.product.shape[0] != len(outputs):
            raise NotApplicable(
                f"the bias of {term.call!r} belongs to no row: its result must have the batch first (got {tuple(term.product.shape)})"
            )
    sizes = [decomposition.input_term, *(term.product for term in decomposition.bias_terms)]
    scale = outputs.abs() + sum(size.abs().flatten(1).sum(1) for size in sizes)
    gap = (decomposition.total() - outputs).abs()
    worst = float((gap - scale * torch.finfo(outputs.dtype).eps ** 0.5).max()) if len(outputs) else 0.0
    if worst > 0:
        raise NotApplicable(
            "the terms do not sum to the output: a call escaped, such as a torch.autograd.Function of one's own, or a result was written "
            f"over in place; write it with torch functions, out of place (got a gap of {float(gap.max()):.3g})"
        )
    return decomposition


def _difference(value: Tensor, along: Tensor | None) -> Tensor:
    """The bias y - J a, 0 where it is nothing but rounding; of a result that is not differentiated, the result."""
    if along is None or not value.is_floating_point():
        return value
    rounding = _ROUNDING * torch.finfo(value.dtype).eps * (value.abs() + along.abs())
    return torch.where((value - along).abs() <= rounding, 0, value - along)


class _ImplicitBiases(TorchFunctionMode):
    """Follow what depends on the input, and find the implicit bias y - J a of every call on it."""

    def __init__(self, point: Tensor) -> None:
        super().__init__()
        self.biases: list[tuple[str, Tensor, Tensor]] = []  # the call, its result in the graph, its bias
        self._reached = {id(point): point}  # the tensors are held, so that no other can take their identity

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        """Run the call along its own arguments, then run it, and note its bias."""
        del types
        kwargs = kwargs or {}
        if not any(id(tensor) in self._reached for tensor in tensors_of((args, kwargs))):
            return func(*args, **kwargs)
        name = getattr(func, "__name__", str(func))
        versions = [(tensor, tensor._version) for tensor in tensors_of((args, kwargs))]
        stated = self._stated(name, args, kwargs)
        tangents = self._along_itself(name, func, args, kwargs) if stated is None else []
        result = func(*args, **kwargs)
        written = any(tensor._version != version for tensor, version in versions)
        results = list(tensors_of(args[0] if name == "__setitem__" else result))
        if stated is not None:
            biases = [stated.expand_as(y) if y.is_floating_point() else stated for y in results]
        elif len(tangents) == len(results):
            biases = [_difference(y.detach(), tangent) for y, tangent in zip(results, tangents, strict=True)]
        else:
            raise NotApplicable(f"the call {name!r} gives other results when it is differentiated (got {len(tangents)} for {len(results)})")
        biased = [self._note(name, y, bias) for y, bias in zip(results, biases, strict=True)]
        if isinstance(result, Tensor) and biased[0] and not written:
            result = result.clone()  # so that a call in place leaves the noted result alone
            self._reached[id(result)] = result
        return result

    def _stated(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
        """The bias of a call that is known by name, shaped to be expanded over its result; None where it must be found."""
        depends = [id(tensor) in self._reached for tensor in tensors_of((args, kwargs))]
        if sum(depends) > 1 or not depends[0] or not isinstance(args[0], Tensor):
            return None
        if name in _NONE:
            return args[0].new_zeros(())
        if name not in _STATED or args[0].dim() < 2:
            return None
        bias = args[2] if len(args) > 2 else kwargs.get("bias")
        if bias is None:
            return args[0].new_zeros(())
        spatial = 0 if name == "linear" else int(name[4])
        return bias.detach().view(-1, *[1] * spatial) if isinstance(bias, Tensor) else None

    def _along_itself(self, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Tensor | None]:
        """The call's directional derivative along those of its arguments that depend on the input: J a."""
        _prepare()
        try:
            with torch.no_grad(), forward.dual_level():
                dual_args, dual_kwargs = self._dual(args), self._dual(kwargs)
                result = func(*dual_args, **dual_kwargs)
                results = tensors_of(dual_args[0] if name == "__setitem__" else result)
                return [forward.unpack_dual(tensor).tangent if tensor.is_floating_point() else None for tensor in results]  # type: ignore[no-untyped-call]
        except (NotImplementedError, RuntimeError) as error:
            raise NotApplicable(f"the call {name!r} has no forward derivative, so its bias is not known ({error})") from error

    def _dual(self, value: Any) -> Any:
        """Copies of the arguments, with themselves as their direction where they depend on the input."""
        if isinstance(value, Tensor):
            copy = value.detach().clone()
            return forward.make_dual(copy, copy.clone()) if id(value) in self._reached else copy  # type: ignore[no-untyped-call]
        if isinstance(value, tuple | list):
            return type(value)(self._dual(part) for part in value)
        return {key: self._dual(part) for key, part in value.items()} if isinstance(value, dict) else value

    def _note(self, name: str, y: Tensor, bias: Tensor) -> bool:
        """Note a result, and its bias if it has one."""
        if not (y.requires_grad and y.is_floating_point()):
            return False
        self._reached[id(y)] = y
        if biased := bool(torch.count_nonzero(bias)):
            self.biases.append((name, y, bias))
        return biased
