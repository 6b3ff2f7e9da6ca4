"""A coalition's worth is one number of the logits: by default the logit of the output that is explained.

Engines keep logits, so that every value function reads the same table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor

from attrlab.errors import InvalidInput

Value = Literal["logit", "probability"] | Callable[[Tensor, Tensor], Tensor]


def worth(
    logits: Tensor,  # (jobs, outputs)
    target: Tensor,  # (jobs,) int64
    *,
    value: Value = "logit",
) -> Tensor:  # (jobs,)
    """The worth of each job.

    Args:
        logits: what the engine returned.
        target: which output each job is about.
        value: "logit"; "probability", the softmax over outputs (the logistic function, where there is a single one); or a function of
            (logits, target) that returns (jobs,).

    Raises:
        InvalidInput: if the value function is unknown, or returns another shape.
    """
    if callable(value):
        found = value(logits, target)
        if found.shape != target.shape:
            raise InvalidInput(f"a value function returns one number per job, {tuple(target.shape)} (got {tuple(found.shape)})")
        return found
    if value == "probability":
        return _probability(logits, target.unsqueeze(1)).squeeze(1)
    if value != "logit":
        raise InvalidInput(f"value is 'logit', 'probability' or a function of (logits, target) (got {value!r})")
    return _of_target(logits, target.unsqueeze(1)).squeeze(1)


def _of_target(numbers: Tensor, target: Tensor) -> Tensor:  # (jobs, outputs), (jobs, 1) -> (jobs, 1)
    """One output of each job; where there is a single one it need not be looked for."""
    return numbers if numbers.shape[1] == 1 else numbers.gather(1, target)


def _probability(logits: Tensor, target: Tensor) -> Tensor:  # (jobs, outputs), (jobs, 1) -> (jobs, 1)
    """The softmax of one output, written out: over so few outputs torch's own takes five times as long."""
    if logits.shape[1] == 1:
        return logits.sigmoid()
    odds = (logits - logits.amax(1, keepdim=True)).exp()
    return odds.gather(1, target) / odds.sum(1, keepdim=True)
