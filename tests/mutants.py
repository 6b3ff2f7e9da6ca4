"""Methods with one planted fault each that breaks the contract, and the rule that must catch it, with what it must say.

Every one of them is integrated gradients, or close to it, but for its fault: a check that lets its mutant pass is worthless.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from attrlab.methods.paths import exact_integrated_gradients


def right(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """No fault: the control of the mutants."""
    return exact_integrated_gradients(model, inputs, target=target, baseline=baseline)


def leaks_across_the_batch(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """Scores divided by the largest of the whole batch."""
    scores = right(model, inputs, target=target, baseline=baseline)
    return scores / scores.abs().max().clamp(min=1e-9)


def mutates_the_model(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """The first parameter is shifted, after the scores were made."""
    scores = right(model, inputs, target=target, baseline=baseline)
    with torch.no_grad():
        next(model.parameters()).add_(1.0)
    return scores


def leaves_gradients(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """Parameters are set to require gradients and keep them."""
    for parameter in model.parameters():
        parameter.requires_grad_()
    with torch.enable_grad():
        model(inputs.detach()).sum().backward()
    return right(model, inputs, target=target, baseline=baseline)


def switches_to_training(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """The network is left in training mode."""
    model.train()
    return right(model, inputs, target=target, baseline=baseline)


def returns_nan(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """0 / 0 where the input equals its baseline."""
    return right(model, inputs, target=target, baseline=baseline) * (inputs - baseline) / (inputs - baseline)


def returns_the_wrong_shape(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """One score per row."""
    return right(model, inputs, target=target, baseline=baseline).flatten(1).sum(1)


def returns_float32(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """Scores rounded to float32."""
    return right(model, inputs, target=target, baseline=baseline).float()


def uses_global_randomness(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """Noise from torch's global generator, too small to be seen in any score."""
    scores = right(model, inputs, target=target, baseline=baseline)
    return scores + 1e-12 * torch.randn(scores.shape, dtype=scores.dtype).to(scores.device)


def uses_numpy_randomness(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """Noise from numpy's global generator."""
    scores = right(model, inputs, target=target, baseline=baseline)
    return scores * float(np.random.uniform(1.0, 1.0))


def seeds_by_the_clock(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """Noise of a generator of its own, seeded from the system: never the same twice, and no global state touched."""
    own = torch.Generator()
    own.seed()
    scores = right(model, inputs, target=target, baseline=baseline)
    return scores + 1e-3 * torch.rand(scores.shape, generator=own, dtype=scores.dtype).to(scores.device)


def depends_on_row_order(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """Row r is weighted by 1 + r / 10."""
    scores = right(model, inputs, target=target, baseline=baseline)
    weight = 1 + torch.arange(len(inputs), device=inputs.device, dtype=scores.dtype) / 10
    return scores * weight.view(-1, *[1] * (inputs.dim() - 1))


def writes_into_inputs(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """The baseline is written over the inputs, after the scores were made."""
    scores = right(model, inputs, target=target, baseline=baseline)
    inputs.copy_(baseline)
    return scores


def keeps_a_hook(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """A forward hook stays on the network."""
    model.register_forward_hook(lambda module, arguments, output: None)
    return right(model, inputs, target=target, baseline=baseline)


def keeps_a_hook_when_the_target_is_wrong(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """The hook is removed, unless something raises."""
    handle = next(model.children(), model).register_full_backward_pre_hook(lambda module, gradients: None)
    scores = right(model, inputs, target=target, baseline=baseline)
    handle.remove()
    return scores


def needs_gradients_on(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """Zeros where gradients are off."""
    scores = right(model, inputs, target=target, baseline=baseline)
    return scores if torch.is_grad_enabled() else torch.zeros_like(scores)


def errs_in_batches(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """Right for one row alone; of two rows or more, the last gets half of its scores."""
    scores = right(model, inputs, target=target, baseline=baseline).clone()
    if len(inputs) > 1:
        scores[-1] *= 0.5
    return scores


def standardises_by_the_batch(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """Each score less the mean of its column, divided by the deviation of its column."""
    scores = right(model, inputs, target=target, baseline=baseline)
    deviation = scores.std(0, unbiased=False) if len(scores) > 1 else torch.ones_like(scores[0])
    return (scores - scores.mean(0)) / deviation.clamp(min=1e-6)


def errs_in_float32(model: nn.Module, inputs: Tensor, *, target: Tensor, baseline: Tensor) -> Tensor:
    """Scores below 1 are taken for noise and set to 0, but in float32 only."""
    scores = right(model, inputs, target=target, baseline=baseline)
    return torch.where(scores.abs() <= 1, 0.0, scores) if inputs.dtype == torch.float32 else scores


def raises(model: nn.Module, inputs: Tensor, *, target: Tensor) -> Tensor:
    """It raises."""
    del model, inputs, target
    raise ZeroDivisionError("planted")


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A faulty method, what it claims, what must catch it, and a part of what must be said."""

    method: Callable[..., Tensor]
    caught_by: str
    message: str
    claims: tuple[str, ...] = ()


OFFENDERS = (
    Mutant(method=returns_the_wrong_shape, caught_by="scores_are_shaped_like_inputs", message="the shape of the scores is"),
    Mutant(method=returns_float32, caught_by="scores_keep_dtype_and_device", message="torch.float32 on cpu, must be torch.float64 on cpu"),
    Mutant(method=returns_nan, caught_by="scores_are_finite", message="the number of NaN or infinite scores is"),
    Mutant(method=writes_into_inputs, caught_by="rows_are_left_as_they_were", message="the number of changed entries of inputs is"),
    Mutant(method=mutates_the_model, caught_by="the_model_is_left_as_it_was", message="the model's outputs is"),
    Mutant(method=leaves_gradients, caught_by="the_model_is_left_as_it_was", message="the model's gradient of"),
    Mutant(method=switches_to_training, caught_by="the_model_is_left_as_it_was", message="is True, must be False"),
    Mutant(method=keeps_a_hook, caught_by="no_hook_is_left", message="the number of hooks left after a call is 1"),
    Mutant(
        method=keeps_a_hook_when_the_target_is_wrong, caught_by="no_hook_is_left", message="after a call with a target out of range is 1"
    ),
    Mutant(method=uses_global_randomness, caught_by="global_generators_are_left_alone", message="global generator of torch is changed"),
    Mutant(method=uses_numpy_randomness, caught_by="global_generators_are_left_alone", message="global generator of numpy is changed"),
    Mutant(
        method=seeds_by_the_clock, caught_by="equal_seeds_give_equal_scores", message="the difference between two calls with one seed is"
    ),
    Mutant(
        method=leaks_across_the_batch, caught_by="rows_do_not_depend_on_their_batch", message="a row in its batch and the row in another is"
    ),
    Mutant(method=depends_on_row_order, caught_by="rows_do_not_depend_on_their_order", message="at another place of the batch is"),
    Mutant(method=errs_in_batches, caught_by="rows_do_not_depend_on_their_batch", message="a row in its batch and the row in another is"),
    Mutant(
        method=standardises_by_the_batch,
        caught_by="rows_do_not_depend_on_their_batch",
        message="a row in its batch and the row in another is",
    ),
    Mutant(method=errs_in_float32, caught_by="float32_is_answered_like_float64", message="the network in float32 and in float64 is"),
    Mutant(method=needs_gradients_on, caught_by="it_works_where_gradients_are_off", message="with and without torch.no_grad is"),
)
"""Mutants that break a rule of the contract."""
