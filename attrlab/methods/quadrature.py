"""Rules of quadrature on [0, 1]: nodes and weights in float64, by the names of the field."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from attrlab.errors import InvalidInput
from attrlab.methods.sampled_gradients import require_count

Rule = Callable[[int], tuple[np.ndarray, np.ndarray]]


def _gauss_legendre(n: int) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return (nodes + 1) / 2, weights / 2


def _midpoint(n: int) -> tuple[np.ndarray, np.ndarray]:
    return (np.arange(n) + 0.5) / n, np.full(n, 1 / n)


def _left(n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(n) / n, np.full(n, 1 / n)


def _right(n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(1, n + 1) / n, np.full(n, 1 / n)


def _trapezoid(n: int) -> tuple[np.ndarray, np.ndarray]:
    require_count("n_steps", n, what="the number of nodes of the trapezoid rule, both ends among them", least=2)
    weights = np.full(n, 1 / (n - 1))
    weights[[0, -1]] /= 2
    return np.linspace(0, 1, n), weights


RULES: dict[str, Rule] = {
    "gauss_legendre": _gauss_legendre,
    "midpoint": _midpoint,
    "trapezoid": _trapezoid,
    "left": _left,
    "right": _right,
}


def nodes_and_weights(
    rule: str,
    n_steps: int,
    *,
    like: Tensor,
) -> tuple[Tensor, Tensor]:  # (n_steps,), (n_steps,)
    """Nodes in [0, 1] and weights that sum to 1, in the type and on the device of `like`.

    Raises:
        InvalidInput: if the rule is unknown, or n_steps is not a whole number of at least 1 (2 for the trapezoid rule).
    """
    require_count("n_steps", n_steps, what="the number of quadrature nodes")
    if rule not in RULES:
        raise InvalidInput(f"rule is one of {', '.join(map(repr, RULES))} (got {rule!r})")
    nodes, weights = _float64(rule, n_steps)
    return torch.as_tensor(nodes).to(like), torch.as_tensor(weights).to(like)


@lru_cache(maxsize=32)
def _float64(rule: str, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
    return RULES[rule](n_steps)
