"""The contract: what every method owes, whatever it claims.

Scores shaped, typed and placed like the inputs, and finite; no side effect on rows, network, hooks or global generators, also when
something goes wrong; each row's scores its own, whatever stands beside it; the same seed, the same scores. A rule raises
`CheckFailed` with what was measured and what was allowed, and returns what it measured when it is kept.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attrlab.case import Case
from attrlab.errors import AttrlabError, CheckFailed
from attrlab.method import Method, call, explain
from attrlab.precision import in_float32
from attrlab.side_effects import generator_states, hooks_of, restored_generators, same_state, shown, state_of

SINGLE = 1e-3
"""Relative difference allowed between float32 and float64: rounding (6e-8 a term) over sums of up to 10^4 terms."""

STEPWISE = frozenset({"optimisation", "fitted"})
"""Classes of cost whose scores are the end of many steps."""

ROUNDING = 1e-9
"""Relative difference allowed between a row alone and in a batch: matrix products round differently by size (1e-16 a term)."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule of the contract: its name reads as a sentence, `check` returns (measured, bound) or raises `CheckFailed`."""

    name: str
    statement: str
    check: Callable[[Method, Case], tuple[float, float]]


def _fail(method: Method, case: Case, quantity: str, measured: object, bound: object, hint: str) -> CheckFailed:
    return CheckFailed(f"{method.name} on {case.name}: {quantity} is {measured}, must be {bound}. {hint}")


def scores_are_shaped_like_inputs(method: Method, case: Case) -> tuple[float, float]:
    """Scores have the shape of the inputs."""
    scores = explain(method, case)
    if scores.shape != case.inputs.shape:
        raise _fail(
            method, case, "the shape of the scores", tuple(scores.shape), tuple(case.inputs.shape), "Return one score per entry of inputs"
        )
    return 0.0, 0.0


def scores_keep_dtype_and_device(method: Method, case: Case) -> tuple[float, float]:
    """Scores have the dtype and the device of the inputs."""
    scores = explain(method, case)
    found, wanted = (scores.dtype, scores.device), (case.inputs.dtype, case.inputs.device)
    if found != wanted:
        raise _fail(
            method,
            case,
            "dtype and device of the scores",
            f"{found[0]} on {found[1]}",
            f"{wanted[0]} on {wanted[1]}",
            "End with scores.to(inputs)",
        )
    return 0.0, 0.0


def scores_are_finite(method: Method, case: Case) -> tuple[float, float]:
    """No score is NaN or infinite."""
    scores = explain(method, case)
    bad = int((~torch.isfinite(scores)).sum())
    if bad:
        raise _fail(
            method, case, "the number of NaN or infinite scores", f"{bad} of {scores.numel()}", 0, "A division by zero is the usual cause"
        )
    return 0.0, 0.0


def rows_are_left_as_they_were(method: Method, case: Case) -> tuple[float, float]:
    """Inputs, baseline, target and feature mask are not written into, nor set to require a gradient."""
    inputs, offers = case.inputs.clone(), case.offers(0)
    given = {"inputs": inputs, **{name: value for name, value in offers.items() if isinstance(value, Tensor)}}
    before = {name: value.clone() for name, value in given.items()}
    call(method, copy.deepcopy(case.model), inputs, offers)
    for name, value in given.items():
        changed = int((value != before[name]).sum())
        if changed:
            raise _fail(
                method, case, f"the number of changed entries of {name}", f"{changed} of {value.numel()}", 0, f"Work on {name}.clone()"
            )
        if value.requires_grad or value.grad is not None:
            raise _fail(method, case, f"{name}.requires_grad", value.requires_grad, False, f"Work on {name}.detach().clone()")
    return 0.0, 0.0


def the_model_is_left_as_it_was(method: Method, case: Case) -> tuple[float, float]:
    """Parameters, buffers, gradients, flags, train mode and outputs of the network are unchanged."""
    model, inputs = copy.deepcopy(case.model), case.inputs.clone()
    before = state_of(model, inputs)
    call(method, model, inputs, case.offers(0))
    after = state_of(model, inputs)
    for name in sorted(before.keys() | after.keys()):
        if not same_state(before.get(name), after.get(name)):
            raise _fail(
                method, case, f"the model's {name}", shown(after.get(name)), shown(before.get(name)), "Work on copy.deepcopy(model)"
            )
    return 0.0, 0.0


def no_hook_is_left(method: Method, case: Case) -> tuple[float, float]:
    """No hook stays on any module: after a call, after one with a target out of range, and after the model raised."""
    wrong = case.offers(0)
    wrong["target"] = wrong["target"] + 10**6
    situations: dict[str, tuple[nn.Module, dict[str, Any]]] = {
        "a call": (copy.deepcopy(case.model), case.offers(0)),
        "a call with a target out of range": (copy.deepcopy(case.model), wrong),
        "a call in which the model raised": (_Raising(copy.deepcopy(case.model)), case.offers(0)),
    }
    for situation, (model, offers) in situations.items():
        _allow_error(situation, lambda model=model, offers=offers: call(method, model, case.inputs.clone(), offers))  # type: ignore[misc]
        left = hooks_of(model)
        if left:
            raise _fail(
                method,
                case,
                f"the number of hooks left after {situation}",
                f"{len(left)} ({left[0]})",
                0,
                "Remove handles in a finally block",
            )
    return 0.0, 0.0


def global_generators_are_left_alone(method: Method, case: Case) -> tuple[float, float]:
    """The global generators of torch, numpy and Python are neither drawn from nor seeded."""
    with restored_generators():
        random.seed(1)
        np.random.seed(1)  # the generator under test is the global one
        torch.manual_seed(1)
        before = generator_states()
        explain(method, case)
        for name, state in generator_states().items():
            if state != before[name]:
                hint = "Name the keyword generator (or seeds) and draw from it: torch.randn(..., generator=generator)"
                raise _fail(method, case, f"the state of the global generator of {name}", "changed", "unchanged", hint)
    return 0.0, 0.0


def equal_seeds_give_equal_scores(method: Method, case: Case) -> tuple[float, float]:
    """Two calls with the same seed give the same scores, bit for bit, whatever the global generators hold."""
    with restored_generators():
        torch.manual_seed(2)
        first = explain(method, case, seed=7)
        torch.manual_seed(3)
        np.random.seed(3)
        random.seed(3)
        second = explain(method, case, seed=7)
    gap = _gap(first, second)
    if not torch.equal(first.nan_to_num(), second.nan_to_num()):
        raise _fail(
            method, case, "the difference between two calls with one seed", f"{gap:.3g}", 0, "Draw from the generator that is offered"
        )
    return gap, 0.0


def _one_per_row(method: Method, case: Case) -> Tensor:
    scores = explain(method, case)
    if scores.dim() == 0 or len(scores) != len(case):
        raise _fail(
            method, case, "the shape of the scores", tuple(scores.shape), tuple(case.inputs.shape), "Return one score per entry of inputs"
        )
    return scores


def rows_do_not_depend_on_their_batch(method: Method, case: Case) -> tuple[float, float]:
    """A row explained alone, or beside other rows, gets the scores it gets in the whole batch."""
    whole = _one_per_row(method, case)
    everyone = torch.arange(len(case), device=case.inputs.device)
    parts = [everyone[::2], *(row.view(1) for row in everyone)]  # a leak through the largest row shows on all rows but that one
    gaps = [_gap(explain(method, case.rows(part)), whole[part]) for part in parts]
    return _bounded(
        method, case, "the difference between a row in its batch and the row in another", max(gaps), "Sum over rows, never average"
    )


def rows_do_not_depend_on_their_order(method: Method, case: Case) -> tuple[float, float]:
    """Permuting the rows of a batch permutes the scores."""
    whole = _one_per_row(method, case)
    order = torch.arange(len(case) - 1, -1, -1, device=case.inputs.device)
    gap = _gap(explain(method, case.rows(order)), whole[order])
    return _bounded(
        method, case, "the difference between a row and the same row at another place of the batch", gap, "Treat every row alike"
    )


def it_works_where_gradients_are_off(method: Method, case: Case) -> tuple[float, float]:
    """Called under torch.no_grad, a method gives the scores it gives elsewhere."""
    outside = explain(method, case)
    with torch.no_grad():
        inside = explain(method, case)
    gap = _gap(inside, outside)
    if gap > ROUNDING:
        raise _fail(
            method,
            case,
            "the difference between scores with and without torch.no_grad",
            f"{gap:.3g}",
            f"<= {ROUNDING:g}",
            "Use torch.enable_grad()",
        )
    return gap, ROUNDING


def float32_is_answered_like_float64(method: Method, case: Case) -> tuple[float, float]:
    """On a network and rows in float32 the scores are float32, finite, and those in float64 up to rounding.

    What is found by steps of an optimisation amplifies rounding, so there only the type and finiteness are asked.
    """
    exact, scores = explain(method, case), explain(method, in_float32(case))
    if scores.dtype != torch.float32 or not bool(torch.isfinite(scores).all()):
        found = str(scores.dtype) if scores.dtype != torch.float32 else "not finite"
        raise _fail(method, case, "on a float32 network the scores", found, "finite, torch.float32", "Create tensors like the inputs")
    gap = _gap(scores, exact)
    bound = SINGLE if method.cost_class not in STEPWISE else torch.inf
    if gap > bound:
        quantity = "the difference between scores on the network in float32 and in float64"
        raise _fail(method, case, quantity, f"{gap:.3g}", f"<= {bound:g}", "A tolerance below 1e-7 is the usual cause")
    return gap, bound


RULES = tuple(
    Rule(name=check.__name__, statement=(check.__doc__ or "").strip(), check=check)
    for check in (
        scores_are_shaped_like_inputs,
        scores_keep_dtype_and_device,
        scores_are_finite,
        rows_are_left_as_they_were,
        the_model_is_left_as_it_was,
        no_hook_is_left,
        global_generators_are_left_alone,
        equal_seeds_give_equal_scores,
        rows_do_not_depend_on_their_batch,
        rows_do_not_depend_on_their_order,
        it_works_where_gradients_are_off,
        float32_is_answered_like_float64,
    )
)
"""Every rule of the contract, in the order in which a broken method is easiest to understand."""


def _bounded(method: Method, case: Case, quantity: str, gap: float, hint: str) -> tuple[float, float]:
    """Judge a difference between two calls: against rounding, or for a method with one generator per call against its own spread."""
    bound = ROUNDING
    if method.names("generator") and not method.names("seeds"):
        # Its noise is drawn for the whole batch, so rows differ by noise; twice the spread over seeds is noise, more is dependence.
        bound = max(bound, 2 * _spread(method, case))
        hint += ". It draws one stream per call; naming seeds instead of generator gives every row its own"
    if gap > bound:
        raise _fail(method, case, quantity, f"{gap:.3g}", f"<= {bound:.3g}", hint)
    return gap, bound


def _spread(method: Method, case: Case) -> float:
    """The largest relative difference between calls that differ in the seed only."""
    first, *others = [explain(method, case, seed=seed) for seed in range(6)]
    return max(_gap(other, first) for other in others)


def _gap(found: Tensor, wanted: Tensor) -> float:
    """The largest difference, relative to the larger of the two scales; infinite if shapes differ, and NaN equals NaN."""
    if found.shape != wanted.shape:
        return float("inf")
    found, wanted = found.double().nan_to_num(nan=1e300), wanted.double().nan_to_num(nan=1e300)
    scale = max(float(wanted.abs().max()), float(found.abs().max()), 1.0)
    return float((found - wanted).abs().max()) / scale


class _Raising(nn.Module):
    """A network whose forward pass ends in an error, after all its modules have run."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        self.model(inputs)
        raise RuntimeError("this network raises, to see what a method leaves behind")


def _allow_error(situation: str, run: Callable[[], object]) -> None:
    """Run; in the two situations that are meant to fail, failing is right, whatever is raised."""
    try:
        run()
    except AttrlabError:
        if situation == "a call":
            raise
