"""What stands at the nodes of a host graph: colours, numbers, bits and the mark of a root, drawn for a whole batch at once.

A painter takes a scene and a chance; what must not change when a row is painted again for the sake of class balance (how many nodes have
which colour) is drawn from the chance of the scene, and what may (where they are) from the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from synthetic.graphs.chance import Chance

RELEVANT = 7 / 8
"""How often an edge, drawn at random, is given the colours 0 and 1 at its ends, so that few graphs lack such an edge."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Host graphs that are to be painted."""

    adjacency: Tensor  # (batch, size, size)
    nodes: Tensor  # (batch,)
    chance: Chance

    @property
    def present(self) -> Tensor:  # (batch, size) bool
        """Nodes that are no padding."""
        return torch.arange(self.adjacency.shape[1]) < self.nodes.unsqueeze(1)

    def rows(self, index: Tensor) -> Scene:
        """The scenes named by `index`."""
        return Scene(adjacency=self.adjacency[index], nodes=self.nodes[index], chance=self.chance.rows(index))


Paint = Callable[[Scene, Chance], Tensor]
"""(scene, chance) -> features (batch, size, columns)."""


def evenly(colours: int) -> Paint:
    """Each node one of the colours, all alike."""

    def paint(scene: Scene, chance: Chance) -> Tensor:
        return _written((chance.uniform(scene.adjacency.shape[1]) * colours).long(), scene, colours)

    return paint


def an_edge(scene: Scene, chance: Chance) -> Tensor:
    """Each node one of three colours, all alike; then, mostly, the ends of one edge the colours 0 and 1."""
    size = scene.adjacency.shape[1]
    colour = (chance.fork(0).uniform(size) * 3).long()
    keys = torch.where(scene.adjacency > 0, chance.fork(1).uniform(size, size), -1.0).flatten(1)
    chosen = keys.argmax(1)  # a directed edge
    rows = (chance.fork(2).uniform() < RELEVANT).nonzero().squeeze(1)
    colour[rows, chosen[rows] // size], colour[rows, chosen[rows] % size] = 0, 1
    return _written(colour, scene, 3)


def few(*most: int) -> Paint:
    """Between 1 and `most[c]` nodes of each colour c, as many in every repainting, and all others of one further colour."""

    def paint(scene: Scene, chance: Chance) -> Tensor:
        order = _last(chance.uniform(scene.adjacency.shape[1]), scene).argsort(1).argsort(1)
        colour, taken = torch.full_like(order, len(most)), torch.zeros_like(scene.nodes)
        for c, bound in enumerate(most):
            upto = taken + scene.chance.fork(c).integers(1, bound)
            colour[(order >= taken.unsqueeze(1)) & (order < upto.unsqueeze(1))] = c
            taken = upto
        return _written(colour, scene, len(most) + 1)

    return paint


def rooted(paint: Paint) -> Paint:
    """The same, and a last column with the mark of one node, drawn in proportion to its degree so that it seldom stands alone."""

    def painted(scene: Scene, chance: Chance) -> Tensor:
        race = -chance.fork(1).uniform(scene.adjacency.shape[1]).clamp(min=2.0**-53).log()
        root = _last(race / (scene.adjacency.sum(2) + 2.0**-20), scene).argmin(1)
        mark = one_hot(root, scene.adjacency.shape[1]).unsqueeze(2).double()
        return torch.cat([paint(scene, chance.fork(0)), mark], 2)

    return painted


def numbered(scene: Scene, chance: Chance) -> Tensor:
    """Each node a number of its own, one-hot, in random order."""
    size = scene.adjacency.shape[1]
    return _written(chance.uniform(size).argsort(1), scene, size)


def roles(count: int) -> Paint:
    """One node in each of `count` roles, and the others in none, a column of zeros each."""

    def paint(scene: Scene, chance: Chance) -> Tensor:
        rank = _last(chance.uniform(scene.adjacency.shape[1]), scene).argsort(1).argsort(1)
        return _written(rank, scene, max(count, scene.adjacency.shape[1]))[..., :count]

    return paint


def bits(scene: Scene, chance: Chance) -> Tensor:
    """Each node one number, 0 or 1."""
    return ((chance.uniform(scene.adjacency.shape[1]) < 0.5) & scene.present).unsqueeze(2).double()


def plain(scene: Scene, chance: Chance) -> Tensor:
    """Each node the number 1: all that is said of it is that it is there."""
    del chance
    return scene.present.unsqueeze(2).double()


def _written(colour: Tensor, scene: Scene, colours: int) -> Tensor:
    return one_hot(colour, colours).double() * scene.present.unsqueeze(2)


def _last(keys: Tensor, scene: Scene) -> Tensor:
    """Keys with padding behind everything else."""
    return torch.where(scene.present, keys, torch.inf)
