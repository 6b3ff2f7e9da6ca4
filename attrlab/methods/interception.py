"""One mechanism for every modified backward rule: the forward pass runs as it is, and each call's derivative is replaced by a rule.

The signal that is carried back is relevance divided by activation, so the relevance of any tensor is activation x signal. In this
convention the plain gradient is the rule of every call that only moves, adds or scales, and relevance through residual sums is
conserved without any care. Torch functions are intercepted, not modules: a module, a functional, an in-place and a reused activation
are the same call, calls inside of torch-geometric layers are seen as well, and nothing is attached to the network. A call of which
nothing is known is refused by name.

A rule is written as a forward computation: what it returns is differentiated, and its value is thrown away for the true one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from attrlab.errors import NotApplicable
from attrlab.methods.arguments import constants_cut, swapped, tensors_in
from attrlab.methods.calls import CHOICES, COMPARISONS, REARRANGEMENTS, Call, depends, kind_of
from attrlab.methods.decompositions import DECOMPOSED
from attrlab.methods.operands import DETAILED, detailed
from attrlab.methods.operations import outputs_at, require_rows_alone
from attrlab.methods.surrogates import with_value
from attrlab.methods.writes import bare, writes

Rule = Callable[[Call], Tensor]
"""From a call to a tensor shaped like its output and connected to its arguments; its derivative is the backward rule."""


def gradient_rule(call: Call) -> Tensor:
    """The call's own derivative."""
    return call.output


@dataclass(frozen=True, kw_only=True)
class Rules:
    """One backward rule per kind of call; what is not given keeps its own derivative.

    Attributes:
        activation: of a function of one value, such as relu, tanh, exp, or the maximum of a value and a constant.
        linear: of linear, convolution or matrix product with weights that do not depend on the input.
        first: of those linear calls whose operand is the input itself, at most rearranged; None means as `linear`.
        product: of elementwise and matrix products of two values that both depend on the input.
        quotient: of a division by a value that depends on the input.
        maximum: of max pooling and maxima over a dimension or of two values.
        norm: of layer, group, instance and root-mean-square norms.
        softmax: of softmax and its logarithm.
        shift: of adding a constant, and of a batch norm in eval mode.
    """

    activation: Rule = gradient_rule
    linear: Rule = gradient_rule
    first: Rule | None = None
    product: Rule = gradient_rule
    quotient: Rule = gradient_rule
    maximum: Rule = gradient_rule
    norm: Rule = gradient_rule
    softmax: Rule = gradient_rule
    shift: Rule = gradient_rule


@dataclass(frozen=True, kw_only=True)
class Propagated:
    """What arrives at the input, each (batch, *features).

    Attributes:
        signal: relevance / activation; with the plain gradient everywhere, the gradient.
        direct: relevance that a `first` rule gave to entries whatever their value, 0 elsewhere.
        relevance: input x signal + direct.
    """

    signal: Tensor
    direct: Tensor
    relevance: Tensor


def propagate(
    model: Callable[[Tensor], Tensor],
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,)
    rules: Rules,
    start: Tensor | None = None,  # (batch,)
    carried: Sequence[Tensor] = (),  # each (batch, *features)
) -> Propagated:
    """Carry a signal from the explained outputs back to the input by `rules`.

    Args:
        model: any callable (batch, *features) -> (batch, outputs).
        inputs: the explained rows.
        target: the explained output of each row.
        rules: one backward rule per kind of call.
        start: the signal put on the explained output of each row, 1 by default.
        carried: further tensors shaped like the inputs that a `first` rule reads in `call.carried[1:]`, moved as the input was moved;
            `call.carried[0]` is where it deposits relevance, as the derivative with respect to it.

    Raises:
        NotApplicable: if a call has no rule, or rows depend on their batch or on chance.
        IndexError: if a target is out of range.
    """
    require_rows_alone(model)
    point, deposit = (value.detach().clone().requires_grad_() for value in (inputs, torch.zeros_like(inputs)))
    with torch.enable_grad():
        row = point.clone()  # a network may write into what it is given
        mode = Interception(rules, point, carried={row: (deposit, *carried)} if rules.first else {})
        with mode:
            outputs = model(row)
        explained = outputs_at(lambda _: outputs, inputs, target)
        found = _derivatives(explained, start, (point, deposit))
    signal, direct = (torch.zeros_like(inputs) if value is None else value for value in found)
    return Propagated(signal=signal, direct=direct, relevance=inputs * signal + direct)


def _derivatives(explained: Tensor, start: Tensor | None, leaves: tuple[Tensor, ...]) -> Sequence[Tensor | None]:
    if not explained.requires_grad:
        return [None] * len(leaves)
    try:
        return torch.autograd.grad(explained, leaves, torch.ones_like(explained) if start is None else start, allow_unused=True)
    except RuntimeError as error:
        if "inplace operation" not in str(error):
            raise
        raise NotApplicable(
            f"the network writes over a value that a backward rule still needs; make the call out of place ({error})"
        ) from error


class Interception(TorchFunctionMode):
    """While it is active, every call on tensors that depend on the `points` gets its backward rule from `rules`; values are unchanged.

    The points are leaves that require a gradient; all other leaves, such as parameters, count as constants. Tensors met on the way, by a
    hook for instance, are connected, so that `torch.autograd.grad(output, tensor)` is the signal at them.

    Args:
        carried: for tensors that are the input itself, what is rearranged along with them.
    """

    def __init__(self, rules: Rules, *points: Tensor, carried: dict[Tensor, tuple[Tensor, ...]] | None = None) -> None:
        super().__init__()
        self._rules = {rule.name: getattr(rules, rule.name) for rule in fields(rules)}
        self._points = points
        self._carried = WeakTensorKeyDictionary(carried or {})
        self._decided = WeakTensorKeyDictionary()
        self._index = 0

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        """Run the call on the same values and connect its result by the rule of its kind."""
        del types
        args, kwargs = constants_cut(args, self._points), constants_cut(kwargs or {}, self._points)
        tensors = tensors_in((args, kwargs))
        if not any(map(depends, tensors)):
            result = func(*args, **kwargs)
            if self._decided and any(tensor in self._decided for tensor in tensors):
                self._decide(result)
            return result
        name = getattr(func, "__name__", str(func))
        if name in DECOMPOSED:
            with self:
                return DECOMPOSED[name](*args, **kwargs)
        return self._dependent(func, name, args, kwargs)

    def _dependent(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call that depends on the input."""
        self._refuse_choices(bare(name), tensors_in((args, kwargs)))
        plain = bare(name)
        if writes(name, args, kwargs) and kind_of(plain, args, kwargs):
            before = args[0].clone()
            again = tuple(before if value is args[0] else value for value in args)  # z *= z reads what it writes
            value = self._ruled(func, plain, again, kwargs, work=before.clone())
            self._forget(args[0])
            return args[0].copy_(value)
        if writes(name, args, kwargs):
            self._forget(args[0])
            return func(*args, **kwargs)
        return self._ruled(func, plain, args, kwargs)

    def _ruled(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], work: Tensor | None = None) -> Any:
        """The result of a call with its rule; `work` is what a call in place writes on instead of its first argument."""
        result = func(*(args if work is None else (work, *args[1:])), **kwargs)
        if not any(map(depends, tensors_in(result))):
            if name in COMPARISONS:
                self._decide(result)
            return result
        kind = kind_of(name, args, kwargs)
        if kind is None:
            self._carry(func, name, args, kwargs, result)
            return result
        self._index += 1
        value = result if isinstance(result, Tensor) else result[0]
        connected = self._connected(func, kind, name, args, kwargs, value)
        return connected if isinstance(result, Tensor) else type(result)((connected, *result[1:]))

    def _connected(self, func: Any, kind: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], value: Tensor) -> Tensor:
        """The value, with the rule's derivative in place of its own."""
        x = next(tensor for tensor in tensors_in((args, kwargs)) if depends(tensor))
        call = Call(kind=kind, name=name, index=self._index - 1, x=x, output=value, arguments=args, keywords=kwargs)
        rule: Rule = self._rules[kind]
        extra: Tensor | None = None
        if kind in DETAILED and (rule is not gradient_rule or self._rules["first"]):
            call, extra = detailed(call, func)
        if kind == "linear" and self._rules["first"] and call.x in self._carried:
            rule, call = self._rules["first"], replace(call, carried=self._carried[call.x])
        surrogate = rule(call)
        if surrogate is value:
            return value
        return with_value(surrogate if extra is None else surrogate + extra, value)

    def _carry(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Rearrange what rides along with the input as the input is rearranged."""
        known = [self._carried[tensor] for tensor in tensors_in((args, kwargs)) if tensor in self._carried] if self._carried else []
        if not known or name not in REARRANGEMENTS or any(depends(t) and t not in self._carried for t in tensors_in((args, kwargs))):
            return
        riders = [
            tensors_in(func(*swapped(args, self._carried, place), **swapped(kwargs, self._carried, place)))
            for place in range(len(known[0]))
        ]
        for number, tensor in enumerate(tensors_in(result)):
            self._carried[tensor] = tuple(rider[number] for rider in riders)

    def _forget(self, written: Tensor) -> None:
        """What is written over is no longer the input."""
        if written in self._carried:
            del self._carried[written]

    def _decide(self, result: Any) -> None:
        for tensor in tensors_in(result):
            self._decided[tensor] = True

    def _refuse_choices(self, name: str, tensors: list[Tensor]) -> None:
        """An activation written with a comparison, such as where(x > 0, x, 0), would be missed: the comparison has no derivative."""
        if name in CHOICES and any(tensor in self._decided for tensor in tensors if not depends(tensor)):
            raise NotApplicable(
                f"the network chooses by comparing values that depend on the input ({name!r}), which no backward rule sees; write it "
                f"with relu, clamp or maximum (got a comparison followed by {name!r})"
            )
