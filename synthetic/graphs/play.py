"""A graph world is drawn, cut into players and given its truth: by its terms where it is a sum of them, by enumeration where not.

Drawing knows nothing of truth, so that a batch costs what its graphs cost. The specification counts in integer arithmetic over
sets of nodes, and never calls a network. What holds between graphs too (path integrals, independence, exchangeability) follows
from the terms where the network is their sum on the whole box, and is otherwise read off each graph by the world's own argument.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from synthetic.environment import Batch, GroundTruth
from synthetic.graphs.block import require_one_colour
from synthetic.graphs.chance import Chance, chance_of
from synthetic.graphs.derivation import truth_of
from synthetic.graphs.hosts import Hosts, draw_hosts, edge_numbers
from synthetic.graphs.paint import Scene
from synthetic.graphs.rules import Rules
from synthetic.graphs.terms import Players

REPAINTINGS = 64
"""How often a row is painted until its output is of the class that was drawn for it; then the last painting stays."""


def require_players(players: str, allowed: Sequence[str]) -> None:
    """Refuse a game that the world does not play.

    Raises:
        ValueError: if `players` is not one of `allowed`.
    """
    if players not in allowed:
        raise ValueError(f"players is {' or '.join(map(repr, allowed))} (got {players!r})")


def sampler(*, hosts: Hosts, players: Players, rules: Rules) -> Callable[[int, torch.Generator], Batch]:
    """Return the function that draws a batch."""
    layout, widest = rules.layout(hosts, players), hosts.edges + rules.planted if players == "edges" else hosts.size
    specification = counter(rules, hosts=hosts, players=players)

    def sample(n: int, generator: torch.Generator) -> Batch:
        chance = chance_of(n, generator)
        adjacency, nodes = draw_hosts(chance.fork(0), hosts)
        scene = Scene(adjacency=adjacency, nodes=nodes, chance=chance.fork(1))
        features = _painted(rules, scene, chance.fork(2))
        adjacency = adjacency if rules.plant is None else rules.plant(scene, features, chance.fork(5))
        numbers = edge_numbers(chance.fork(3), adjacency)
        inputs = layout.write(_related(adjacency, rules.relations, chance.fork(4)), features, nodes)
        baseline, feature_mask = layout.cut(inputs, numbers, nodes)
        target = torch.zeros(n, dtype=torch.int64)
        if rules.target is not None:
            target = torch.from_numpy(rules.target(specification(inputs.numpy())).astype(np.int64))

        def derive() -> GroundTruth:
            return truth_of(batch, rules=rules, layout=layout, specification=specification, numbers=numbers.numpy())

        batch = Batch(inputs=inputs, target=target, baseline=baseline, feature_mask=feature_mask, players=widest, derive=derive)
        return batch

    return sample


def counter(rules: Rules, *, hosts: Hosts, players: Players) -> Callable[[np.ndarray], np.ndarray]:
    """Return the specification, rows -> (batch, outputs); it accepts the rows of coalitions."""
    layout = rules.layout(hosts, players)

    def specification(rows: np.ndarray) -> np.ndarray:
        adjacency, features = layout.read(rows)
        if rules.one_colour:
            require_one_colour(features[..., : rules.colours])
        largest = int(adjacency.sum(-1).max(initial=0))
        if rules.bound is not None and largest > rules.bound:
            raise ValueError(
                f"this world is stated for degrees up to {rules.bound}; build it with degree={largest} (got a node of degree {largest})"
            )
        return np.asarray(rules.count(adjacency, features), dtype=np.float64)

    return specification


def _painted(rules: Rules, scene: Scene, chance: Chance) -> Tensor:
    """Paint each row, again and again where the classes are balanced and its output is not of the class drawn for it."""
    features = rules.paint(scene, chance.fork(1))
    if not rules.balanced:
        return features
    wanted, pending = chance.fork(0).uniform() < 0.5, torch.arange(len(chance))
    for attempt in range(2, REPAINTINGS + 2):
        outputs = rules.count(scene.adjacency[pending].numpy(), features[pending].numpy())
        pending = pending[(torch.from_numpy(outputs[:, 0]) > 0) != wanted[pending]]
        if not len(pending):
            break
        features[pending] = rules.paint(scene.rows(pending), chance.rows(pending).fork(attempt))
    return features


def _related(adjacency: Tensor, relations: int, chance: Chance) -> Tensor:
    """Give each edge one of the relations, all alike: (batch, size, relations * size)."""
    if relations == 1:
        return adjacency
    upper = (chance.uniform(*adjacency.shape[1:]) * relations).long().triu(1)
    relation = upper + upper.mT
    return torch.cat([adjacency * (relation == r) for r in range(relations)], 2)
