"""Five kinds of host graphs, each drawn for a whole batch at once.

Random keys replace sequential choices: the m smallest keys are a uniform choice of m pairs, and an exponential race with weights w
takes nodes in proportion to w without replacement. Only attachment and the decoding of trees go node by node, for all
rows together.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from synthetic.graphs.chance import Chance

Draw = Callable[[Chance, Tensor, int, int, int], Tensor]
"""(chance, nodes (batch,), size, edges, degree) -> adjacency (batch, size, size) float64."""


def erdos_renyi(chance: Chance, nodes: Tensor, size: int, edges: int, degree: int) -> Tensor:
    """All graphs with m edges alike, m uniform between nodes - 1 and the bound; possibly disconnected."""
    del degree
    first, second = torch.triu_indices(size, size, 1)
    keys = torch.where(second < nodes.unsqueeze(1), chance.fork(1).uniform(len(first)), 2.0)
    m = chance.fork(0).integers(nodes - 1, (nodes * (nodes - 1) // 2).clamp(max=edges))
    last = keys.sort(1).values.gather(1, m.unsqueeze(1) - 1)
    return _symmetric(size, first, second, keys <= last)


def barabasi_albert(chance: Chance, nodes: Tensor, size: int, edges: int, degree: int) -> Tensor:
    """Each node attaches itself to one node, or to two, in proportion to their degrees, if they have fewer than the bound."""
    two = (chance.fork(0).uniform() < 0.5) & (2 * nodes - 3 <= edges)
    adjacency = torch.zeros(len(nodes), size, size, dtype=torch.float64)
    adjacency[:, 0, 1] = adjacency[:, 1, 0] = 1
    race = -chance.fork(1).uniform(size, size).clamp(min=2.0**-53).log()
    for node in range(2, size):
        weight = adjacency[:, :node].sum(2)
        weight = weight * (weight < degree)
        time = torch.where(weight > 0, race[:, node, :node] / weight, torch.inf)
        order = time.sort(1)
        for place in (0, 1):
            joins = (node < nodes) & order.values[:, place].isfinite() & (two if place else torch.ones_like(two))
            rows, other = joins.nonzero().squeeze(1), order.indices[joins, place]
            adjacency[rows, node, other] = adjacency[rows, other, node] = 1
    return adjacency


def tree(chance: Chance, nodes: Tensor, size: int, edges: int, degree: int) -> Tensor:
    """All labelled trees alike, decoded from Prüfer's sequence of nodes - 2 numbers."""
    del edges, degree
    batch = len(nodes)
    code = (chance.uniform(max(size - 2, 1)) * nodes.unsqueeze(1)).long()
    used = torch.arange(code.shape[1]) < nodes.unsqueeze(1) - 2
    left = (torch.arange(size) < nodes.unsqueeze(1)).long()  # how often a node is still to be joined
    left.scatter_add_(1, code, used.long())
    adjacency, rows = torch.zeros(batch, size, size, dtype=torch.float64), torch.arange(batch)
    for place in range(code.shape[1]):
        leaf, other, now = (left == 1).long().argmax(1), code[:, place], used[:, place]
        left[rows, leaf] -= now.long()
        left[rows, other] -= now.long()
        adjacency[rows, leaf, other] += now.double()
    ends = (left == 1).double().topk(2, dim=1).indices
    adjacency[rows, ends[:, 0], ends[:, 1]] += 1
    return adjacency + adjacency.mT


def grid(chance: Chance, nodes: Tensor, size: int, edges: int, degree: int) -> Tensor:
    """A rectangular grid of at least 2 x 2 nodes, all shapes within the bounds alike; the number of nodes is that of the shape."""
    least = int(nodes.min()) if len(nodes) else 4
    shapes = [
        (r, c)
        for r, c in product(range(2, size + 1), repeat=2)
        if r <= c and least <= r * c <= size and r * (c - 1) + c * (r - 1) <= edges and 2 + (r > 2) + (c > 2) <= degree
    ]
    if not shapes:
        raise ValueError(
            f"no grid has {least} to {size} nodes, at most {edges} edges and degree at most {degree}; widen nodes (got {least}, {size})"
        )
    drawn = torch.stack([_lattice(r, c, size) for r, c in shapes])
    return drawn[chance.integers(0, len(shapes) - 1)]


def regular(chance: Chance, nodes: Tensor, size: int, edges: int, degree: int) -> Tensor:
    """A cycle through all nodes, half of the time with chords between disjoint pairs, so that every degree is 2 or 3."""
    place = torch.arange(size)
    after = torch.where(place + 1 < nodes.unsqueeze(1), place + 1, 0)
    adjacency = torch.zeros(len(nodes), size, size, dtype=torch.float64)
    adjacency.scatter_(2, after.unsqueeze(2), (place < nodes.unsqueeze(1)).double().unsqueeze(2))
    chords = (chance.fork(0).uniform() < 0.5) & (nodes + nodes // 2 <= edges) & torch.tensor(degree >= 3)
    order = torch.where(place < nodes.unsqueeze(1), chance.fork(1).uniform(size), 2.0).argsort(1)
    for pair in range(size // 2):
        rows = (chords & (2 * pair + 1 < nodes)).nonzero().squeeze(1)
        adjacency[rows, order[rows, 2 * pair], order[rows, 2 * pair + 1]] = 1
    return ((adjacency + adjacency.mT) > 0).double()


KINDS: dict[str, Draw] = {"erdos-renyi": erdos_renyi, "barabasi-albert": barabasi_albert, "tree": tree, "grid": grid, "regular": regular}
"""The kinds of hosts by name."""


def _symmetric(size: int, first: Tensor, second: Tensor, present: Tensor) -> Tensor:
    adjacency = torch.zeros(len(present), size, size, dtype=torch.float64)
    adjacency[:, first, second] = adjacency[:, second, first] = present.double()
    return adjacency


def _lattice(rows: int, columns: int, size: int) -> Tensor:
    """The adjacency of a grid, nodes numbered row by row."""
    line, column = torch.arange(size) // columns, torch.arange(size) % columns
    steps = (line.unsqueeze(0) - line.unsqueeze(1)).abs() + (column.unsqueeze(0) - column.unsqueeze(1)).abs()
    inside = torch.arange(size) < rows * columns
    return ((steps == 1) & inside & inside.unsqueeze(1)).double()
