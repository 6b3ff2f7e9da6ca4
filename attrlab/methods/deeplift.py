"""DeepLIFT by Captum, behind a preflight that refuses the networks on which it is silently wrong.

Captum's DeepLIFT hooks activation *modules*. A functional activation, a product of two units, an overlapping maximum or an
activation it has no rule for falls back to the plain gradient without a word, and the softmax rule mixes the rows of a batch.
The preflight watches one forward pass of input and baseline together, call by call, and says what it found and what to
change; after the pass, the summation-to-delta that Rescale guarantees is checked on every row.
"""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn

from attrlab.errors import NotApplicable
from attrlab.methods.operations import AFFINE, PRODUCTS, QUOTIENTS, Watch, active_modules, differs, outputs_at, reads, require_rows_alone

RESCALED = (nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus)
"""Activation modules to which Captum 0.9 applies the Rescale rule correctly."""

POOLED = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)


def deeplift(
    model: nn.Module,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,)
    baseline: Tensor,  # (batch, *features)
) -> Tensor:  # (batch, *features)
    """DeepLIFT with the Rescale rule: multipliers m = Δoutput / Δinput of every non-linearity, chained like derivatives.

    A_i = m_i · (x_i - x'_i), so that Σ_i A_i = f(x) - f(x').

    Raises:
        NotApplicable: if the model is not a module, or holds something on which Captum's implementation is silently wrong; the
            message names it and what to write instead.
    Reference:
        Shrikumar, Greenside, Kundaje (2017), "Learning important features through propagating activation differences",
        equations 1 to 5 (Rescale); computed by Captum's DeepLift.
    Differs from the paper in:
        only the Rescale rule, as in Captum; RevealCancel is not offered.
    """
    _preflight(model, inputs, baseline)
    # A function that autograd does not connect to its input has the multiplier 0 everywhere; Captum would raise.
    scores = _captum(model, inputs, target, baseline) if reads(model, inputs[:1]) else torch.zeros_like(inputs)
    _require_summation_to_delta(model, inputs, baseline, target, scores)
    return scores


def _captum(model: nn.Module, inputs: Tensor, target: Tensor, baseline: Tensor) -> Tensor:
    from captum.attr import DeepLift  # heavy: imports matplotlib

    with warnings.catch_warnings(), torch.enable_grad():
        # Captum announces on every call that it sets hooks on activations; it removes them again (the contract checks that).
        warnings.filterwarnings("ignore", message="Setting forward, backward hooks and attributes on non-linear")
        scores: Tensor = DeepLift(model).attribute(inputs.detach().clone().requires_grad_(), baselines=baseline, target=target)
    return scores.detach()


def _preflight(model: nn.Module, inputs: Tensor, baseline: Tensor) -> None:
    """Run input and baseline through the network and refuse what Captum's hooks would miss."""
    if not isinstance(model, nn.Module):
        raise NotApplicable(f"DeepLIFT needs an nn.Module whose activations are modules (got {type(model).__name__})")
    require_rows_alone(model)
    try:
        _watch(model, inputs, baseline)
    except NotApplicable:
        # A constant of as many entries as there are rows looks like a value that varies; beside one row more it does not.
        again = torch.arange(len(inputs) + 1, device=inputs.device).clamp(max=len(inputs) - 1)
        _watch(model, inputs[again], baseline[again])


def _watch(model: nn.Module, inputs: Tensor, baseline: Tensor) -> None:
    """Run input and baseline through the network at once and judge every call."""
    rows, calls = inputs.shape[0], Counter[nn.Module]()
    with active_modules(model) as stack:

        def see(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
            del result
            module = stack[-1] if stack else model
            if type(module) in (*RESCALED, *POOLED, nn.Softmax):
                calls[module] += 1
                _judge_activation(module, calls[module])
            elif name in PRODUCTS:
                _judge_product(name, module, [differs(argument, rows) for argument in (*args, *kwargs.values())])
            elif name not in AFFINE:
                _refuse_call(name, module)

        with torch.no_grad(), Watch(see):
            model(torch.cat([inputs.detach(), baseline]))


def _judge_activation(module: nn.Module, calls: int) -> None:
    kind = type(module).__name__
    if calls > 1:
        raise NotApplicable(
            f"one {kind} module is called {calls} times; DeepLIFT keeps one difference per module: give each use its own {kind}"
        )
    if isinstance(module, nn.Softmax):
        raise NotApplicable("Captum's rule for nn.Softmax divides by the size of the whole batch, so rows leak; return logits")
    if isinstance(module, POOLED) and _overlaps(module):
        raise NotApplicable(
            f"{kind} with overlapping windows or padding loses contributions in Captum; use stride = kernel_size, no padding, no dilation"
        )


def _overlaps(pool: nn.Module) -> bool:
    """Whether an entry may be in two windows, or a window beyond the edge; sizes are one number, or one per dimension."""

    def sizes(value: Any) -> tuple[int, ...]:
        return tuple(value) if isinstance(value, (tuple, list)) else (value,) * (POOLED.index(type(pool)) + 1)

    apart = sizes(pool.kernel_size) == sizes(pool.stride)
    return not apart or any(sizes(pool.padding)) or any(size != 1 for size in sizes(pool.dilation))


def _judge_product(name: str, module: nn.Module, varying: list[bool]) -> None:
    if sum(varying) > 1 or (name in QUOTIENTS and any(varying[1:])):
        raise NotApplicable(
            f"{type(module).__name__} multiplies or divides two values that differ from the baseline ({name}); Captum's DeepLIFT has no "
            "product rule and would use the gradient. Use integrated_gradients or shapley, or explain one factor at a time"
        )


def _refuse_call(name: str, module: nn.Module) -> None:
    raise NotApplicable(
        f"{name!r} is called as a function in {type(module).__name__}.forward, where Captum's DeepLIFT does not see it and would use the "
        f"gradient; make it one of the modules {', '.join(kind.__name__ for kind in RESCALED)}"
    )


def _require_summation_to_delta(model: nn.Module, inputs: Tensor, baseline: Tensor, target: Tensor, scores: Tensor) -> None:
    """Refuse a result that breaks the identity the Rescale rule guarantees: an unknown failure of the library, caught."""
    with torch.no_grad():
        delta = outputs_at(model, inputs, target) - outputs_at(model, baseline, target)
    total = scores.flatten(1).sum(1)
    gap = (total - delta).abs()
    # Rounding: each score is a product chain over the depth, summed over all entries.
    bound = 1e3 * torch.finfo(scores.dtype).eps * (1 + delta.abs() + scores.flatten(1).abs().sum(1))
    if bool((gap > bound).any()):
        row = int((gap - bound).argmax())
        raise NotApplicable(
            f"Captum's DeepLIFT does not sum to the difference of outputs on this network: row {row} sums to {float(total[row]):.6g} "
            f"instead of {float(delta[row]):.6g}, so some operation in it has no rule"
        )
