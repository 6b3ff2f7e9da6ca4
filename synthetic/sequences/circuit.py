"""What a component does for an answer is what changes when it is given the activation of another input: activation patching, on paper.

A circuit lists the network's components in the order in which they act, each with what it reads and its rule on token numbers. Patching
is to run the list with one value replaced. No network is called, and no embedding, gate or softmax occurs: rules compare and count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

TOKENS = "tokens"
"""The name under which rules read the token numbers, (batch, length)."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """One component: its module path, what it reads by name, and its rule.

    The rule takes one array per name in `reads`, each with the batch first, and returns an array with the batch first.
    """

    name: str
    reads: tuple[str, ...]
    rule: Callable[..., np.ndarray]


Circuit = Sequence[Component]
"""Components in the order in which they act; the last one's value is the output, (batch, outputs)."""


def run(
    circuit: Circuit,
    tokens: np.ndarray,  # (batch, length) int
    *,
    patch: Mapping[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Return the value of every component; those named in `patch` have the value given there."""
    values = {TOKENS: tokens}
    for component in circuit:
        given = (patch or {}).get(component.name)
        values[component.name] = component.rule(*(values[name] for name in component.reads)) if given is None else given
    return values


def patching_effects(
    circuit: Circuit,
    tokens: np.ndarray,  # (batch, length) int
    others: np.ndarray,  # (batch, length) int
    target: np.ndarray,  # (batch,) int
) -> dict[str, np.ndarray]:  # each (batch,) float64
    """f(x; h := h(x')) - f(x) for every component h: activation patching (Vig et al. 2020; Meng et al. 2022), from x' into x."""
    here, there = run(circuit, tokens), run(circuit, others)
    output, rows = circuit[-1].name, np.arange(len(tokens))
    clean = here[output][rows, target]
    effects = {}
    for component in circuit:
        patched = run(circuit, tokens, patch={component.name: there[component.name]})
        effects[component.name] = (patched[output][rows, target] - clean).astype(np.float64)
    return effects


def counts(
    pattern: np.ndarray,  # (batch, keys) int: how much each position is attended to
    values: np.ndarray,  # (batch, keys) int: a class from 1, 0 for none
    classes: int,
) -> np.ndarray:  # (batch, classes) int
    """How much attention falls on each class of values."""
    return np.stack([(pattern * (values == c)).sum(1) for c in range(1, classes + 1)], axis=1)
