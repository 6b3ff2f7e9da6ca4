"""An environment of graphs from its network and its rules: what every graph world has in common, said once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from torch import nn

from synthetic.environment import Environment, frozen
from synthetic.graphs.hosts import Hosts
from synthetic.graphs.layers import Dropping
from synthetic.graphs.play import counter, sampler
from synthetic.graphs.rules import Rules
from synthetic.graphs.terms import Players
from synthetic.graphs.twin import sparse_twin

BOX: Mapping[Players, str] = MappingProxyType(
    {
        "edges": "A anywhere in [0, 1], X as drawn",
        "features": "A binary, the colours of X anywhere from 0 to those drawn",
        "nodes": "A binary, X as drawn, p anywhere in [0, 1]",
    }
)
"""Where the players move."""

TIED = ("tied",)
"""Traits of worlds where players of equal score undo a motif each. A deletion curve that is evaluated at the ends of a
block of ties, with a straight line between, lies above the curve of every order within the block; so its area says nothing of the truth."""


def graph_world(
    *,
    id: str,
    players: Players,
    hosts: Hosts,
    rules: Rules,
    network: nn.Module,
    formula: str,
    traits: Iterable[str],
    isolates: str,
    reference: str,
    outputs: int = 1,
    knobs: Mapping[str, Any] | None = None,
    equals: Mapping[str, nn.Module] | None = None,
    sparse: bool = True,
) -> Environment:
    """Build the environment of a network and its rules.

    `equals` are networks that agree with it wherever the players move; `sparse` says whether message passing over one adjacency is
    all that the network does. The node game multiplies by presences, so there it has no twin and is not piecewise linear.
    """
    model = frozen(network)
    dropping = players == "nodes"
    return Environment(
        id=id,
        modality="graph",
        formula=formula + ("; A_ij stands for A_ij p_i p_j and X_i for X_i p_i" if dropping else ""),
        model=frozen(Dropping(model)) if dropping else model,
        outputs=outputs,
        domain=f"graphs of at most {hosts.size} nodes and degree at most D = {hosts.degree}; {BOX[players]}",
        traits=frozenset(traits) - ({"piecewise_linear", "additive", "multilinear"} if dropping else set()),
        sample=sampler(hosts=hosts, players=players, rules=rules),
        specification=counter(rules, hosts=hosts, players=players),
        equals={name: frozen(Dropping(frozen(other)) if dropping else other) for name, other in (equals or {}).items()},
        knobs={"players": players, **(knobs or {}), **hosts.knobs()},
        isolates=isolates,
        reference=reference,
        twin=partial(sparse_twin, model) if sparse and not dropping else None,
    )


def require_at_least(name: str, value: int, least: int, why: str) -> None:
    """Refuse a knob that is too small.

    Raises:
        ValueError: if `value` is less than `least`.
    """
    if value < least:
        raise ValueError(f"{why}; write {name}={least} or more (got {name}={value})")
