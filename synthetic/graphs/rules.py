"""What a graph world says of its graphs: how they are painted, what is counted, and what is known of the network between graphs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import networkx as nx
import numpy as np
from torch import Tensor

from synthetic.graphs.block import Layout
from synthetic.graphs.chance import Chance
from synthetic.graphs.hosts import Hosts
from synthetic.graphs.paint import Paint, Scene
from synthetic.graphs.terms import Head, Players, Term

Interior = Literal["terms", "local", "unknown"]
"""What is known between graphs, on a neighbourhood of the box from baseline to input: the output is (the head of) the sum of the terms;
it depends on no player that stands in no term; or nothing."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a world says of its graphs.

    Attributes:
        colours: columns of X that a node owns.
        paint: draws X, the mark of the root included.
        count: the specification: A (batch, size, relations * size), X (batch, size, colours + marked) -> (batch, outputs).
        terms: the copies of one graph, of which the output is (the head of) the sum; None where there is no such sum.
        head: what is done with the sum of the terms; None for nothing.
        interior: what is known between graphs, by game; "unknown" for those left out.
        relations: how many relations share the edges.
        marked: whether the last column of X marks a root.
        one_colour: whether X must be one-hot or zero at each node.
        bound: the largest degree that the function is stated for, None for all.
        plant: draws edges again once X is known, (scene, X, chance) -> adjacency; None to keep the host.
        planted: how many edges more than its host a graph may then have.
        target: which output is explained, (batch, outputs) -> (batch,); None for the first.
        balanced: whether nodes are painted until half of the outputs are positive.
        path_integral: a closed form where the interior is not that of the terms, inputs -> scores of the same shape.
        independent: the same for players on which the function does not depend, per graph.
        orbits: the same for groups of players in which it is symmetric, with equal inputs and baselines.
    """

    colours: int
    paint: Paint
    count: Callable[[np.ndarray, np.ndarray], np.ndarray]
    terms: Callable[[np.ndarray, np.ndarray], list[Term]] | None = None
    head: Head | None = None
    interior: Mapping[Players, Interior] = field(default_factory=dict)
    relations: int = 1
    marked: bool = False
    one_colour: bool = True
    bound: int | None = None
    plant: Callable[[Scene, Tensor, Chance], Tensor] | None = None
    planted: int = 0
    target: Callable[[np.ndarray], np.ndarray] | None = None
    balanced: bool = False
    path_integral: Callable[[np.ndarray], np.ndarray] | None = None
    independent: Callable[[nx.Graph], Sequence[int]] | None = None
    orbits: Callable[[nx.Graph], Sequence[Sequence[int]]] | None = None

    def layout(self, hosts: Hosts, players: Players) -> Layout:
        """How rows of this world are written."""
        return Layout(size=hosts.size, colours=self.colours, relations=self.relations, marked=self.marked, players=players)
