"""Every small graph, and every small message-passing network on it: weights and biases in {-1, 0, 1}, one unit, one round or two.

A network maps the one feature of a node to h_i = relu(s x_i + m Σ_j A_ij x_j + b), in two rounds once more, and is read as ±h of the marked
node, or of all nodes, summed. Graphs have features -1 or 1, so that no node is padding. They are given with every numbering of their nodes,
or once each: what is claimed of all numberings must be asked of all, and what does not depend on the numbering of one.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

LEVELS = (-1, 0, 1)
"""What weights and biases may be."""

FEATURES = (-1.0, 1.0)
"""What the feature of a node may be."""


@dataclass(frozen=True, kw_only=True)
class SmallMessagePassing:
    """All networks of some rounds, the smallest first.

    Attributes:
        numbers: of each round own weight, weight of what is heard, and bias, (networks, rounds, 3).
        head: 1 or -1, what reads the last state, (networks,).
    """

    numbers: Tensor
    head: Tensor

    def __len__(self) -> int:
        return len(self.head)

    def rows(self, index: Tensor) -> SmallMessagePassing:
        """The networks named by `index`, in that order."""
        return SmallMessagePassing(numbers=self.numbers[index], head=self.head[index])

    def states(
        self,
        adjacency: Tensor,  # (graphs, nodes, nodes)
        features: Tensor,  # (graphs, nodes)
    ) -> tuple[Tensor, Tensor]:  # (networks, graphs, nodes), (networks, graphs)
        """The last state of every node, and the least |pre-activation| of any unit."""
        state = features.expand(len(self), -1, -1)
        least = torch.full((len(self), len(features)), torch.inf, dtype=torch.float64)
        for round_ in range(self.numbers.shape[1]):
            own, heard, bias = (self.numbers[:, round_, k].view(-1, 1, 1) for k in range(3))
            before = own * state + heard * (adjacency @ state.unsqueeze(3)).squeeze(3) + bias
            least, state = torch.minimum(least, before.abs().amin(2)), before.clamp(min=0)
        return state, least


@cache
def small_message_passing(rounds: int) -> SmallMessagePassing:
    """Every network of these many rounds, in order of size; units that read nothing are left out.

    Size is the number of numbers that are not zero; equal sizes are in the order of the numbers.

    Raises:
        ValueError: if there is no round.
    """
    if rounds < 1:
        raise ValueError(f"a message-passing network has at least one round (got {rounds})")
    reads = [(own, heard, bias) for own, heard, bias in itertools.product(LEVELS, repeat=3) if own or heard]
    every = [[*itertools.chain(*chosen), head] for chosen in itertools.product(reads, repeat=rounds) for head in (1, -1)]
    found = torch.tensor(sorted(every, key=_size), dtype=torch.float64)
    return SmallMessagePassing(numbers=found[:, :-1].view(-1, rounds, 3), head=found[:, -1])


def _size(numbers: list[int]) -> tuple[int, int, list[int]]:
    return sum(number != 0 for number in numbers), sum(number < 0 for number in numbers), [-number for number in numbers]


@cache
def labelled_graphs(nodes: int) -> tuple[Tensor, Tensor]:  # (graphs, nodes, nodes), (graphs, nodes)
    """Every simple graph on these nodes with every feature of each, with few edges first.

    Raises:
        ValueError: if there is no node.
    """
    if nodes < 1:
        raise ValueError(f"a graph has at least one node (got {nodes})")
    pairs = list(itertools.combinations(range(nodes), 2))
    chosen = sorted(itertools.product((0.0, 1.0), repeat=len(pairs)), key=lambda edges: (sum(edges), [-edge for edge in edges]))
    every = [(edges, features) for edges in chosen for features in itertools.product(reversed(FEATURES), repeat=nodes)]
    adjacency = torch.zeros(len(every), nodes, nodes, dtype=torch.float64)
    for (one, other), edge in zip(pairs, torch.tensor([edges for edges, _ in every], dtype=torch.float64).unbind(1), strict=False):
        adjacency[:, one, other] = adjacency[:, other, one] = edge
    return adjacency, torch.tensor([features for _, features in every], dtype=torch.float64)


@cache
def graphs_up_to_isomorphism(nodes: int, *, rooted: bool = False) -> tuple[Tensor, Tensor]:  # as `labelled_graphs`
    """Of graphs that differ in the numbering of their nodes only, the first; `rooted` ones keep node 0 in its place."""
    adjacency, features = labelled_graphs(nodes)
    met: set[bytes] = set()
    kept = []
    for place in range(len(features)):
        forms = []
        for order in itertools.permutations(range(nodes)):
            if not rooted or order[0] == 0:
                index = torch.tensor(order)
                moved = torch.cat([adjacency[place][index][:, index].flatten(), features[place][index]])
                forms.append(moved.to(torch.int8).numpy().tobytes())
        form = min(forms)
        if form not in met:
            met.add(form)
            kept.append(place)
    return adjacency[kept], features[kept]


def steps_from_the_first(adjacency: Tensor) -> Tensor:  # (graphs, nodes, nodes) -> (graphs, nodes) int64
    """How many edges lead from node 0 to each node; as many as there are nodes where none do."""
    graphs, nodes, _ = adjacency.shape
    reached = torch.zeros(graphs, nodes, dtype=torch.float64)
    reached[:, 0] = 1
    steps = torch.where(reached > 0, 0, nodes)
    for step in range(1, nodes):
        reached = ((adjacency @ reached.unsqueeze(2)).squeeze(2) + reached > 0).double()
        steps = torch.where((reached > 0) & (steps == nodes), step, steps)
    return steps
