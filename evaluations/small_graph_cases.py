"""Blocks of small message-passing networks on all small graphs: networks side by side, a row explaining the one that it is about.

The players are the edges, whose absence is weight 0, or the features of the nodes. Graphs are taken up to isomorphism, but for permutation
equivariance, which is asked of every numbering: a method that commutes with a transposition and a cycle on all of them commutes with
every permutation. Rows on a kink are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from attrlab.axioms import Axiom
from attrlab.case import Case
from attrlab.claims import SMALL_SCOPE
from attrlab.games import Policy
from evaluations.drawn_graphs import MessagePassing, formula_of_graphs
from synthetic.environment import frozen
from synthetic.gadgets import linear
from synthetic.graphs.twin import sparse_twin
from synthetic.small_graphs import (
    SmallMessagePassing,
    graphs_up_to_isomorphism,
    labelled_graphs,
    small_message_passing,
    steps_from_the_first,
)

WIDTH = 12
"""Networks that are put to a method at once."""

EVERY_NUMBERING = "permutation_equivariance"
"""The axiom that is about the numbering of nodes."""

PAIRED = 3
"""Nodes up to which an axiom that compares a graph with the next one is asked of every pair; beyond, of each with the next."""

GraphSize = tuple[str, int, int]
"""The word for it, nodes, and rounds of message passing."""

ANSWERED = frozenset({"graph", "unreachable", "twin"})
"""What is known of enumerated graphs."""


@dataclass(frozen=True, kw_only=True)
class GraphBlock:
    """Networks side by side, with the rows about them, in the edge game or in the game of nodes' features."""

    size: GraphSize
    case: Case
    members: tuple[SmallMessagePassing, ...]
    rooted: bool
    edges_play: bool

    def alone(self, member: int, policy: Policy) -> Case:
        """The rows about one network, on that network alone."""
        case = self.case.rows((self.case.target == member).nonzero().squeeze(1))
        model = _side_by_side([self.members[member]], rooted=self.rooted)
        return replace(
            case,
            formula=formula_of_graphs(model, self.edges_play),
            model=_placed(model, policy),
            target=torch.zeros_like(case.target),
            twin=None if case.twin is None else lambda: sparse_twin(model),
        )

    def told(self, case: Case) -> Case:
        """A case of one row with its graph in words."""
        nodes = case.inputs.shape[1]
        edges = [f"{u}-{v}" for u, v in case.inputs[0, :, :nodes].triu().nonzero().tolist()]
        features = ", ".join(f"{value:g}" for value in case.inputs[0, :, nodes].tolist())
        root = ", node 0 marked" if self.rooted else ""
        return replace(case, formula=f"{case.formula}; {nodes} nodes{root}, edges {', '.join(edges) or 'none'}, X = ({features})")


def graph_blocks(axiom: Axiom, sizes: tuple[GraphSize, ...], *, width: int = WIDTH, policy: Policy) -> Iterator[GraphBlock]:
    """All networks of these sizes on all graphs that the axiom says something about, the smallest first, in both games."""
    rooted = "unreachable" in axiom.needs
    for size in sizes:
        _, nodes, rounds = size
        for edges_play in (False, True):
            networks = small_message_passing(rounds)
            for start in range(0, len(networks), width):
                part = networks.rows(torch.arange(start, min(start + width, len(networks))))
                case = _case(axiom, part, nodes, rooted=rooted, edges_play=edges_play, policy=policy)
                if case is not None:
                    members = tuple(part.rows(torch.tensor([k])) for k in range(len(part)))
                    yield GraphBlock(size=size, case=case, members=members, rooted=rooted, edges_play=edges_play)


def _case(axiom: Axiom, networks: SmallMessagePassing, nodes: int, *, rooted: bool, edges_play: bool, policy: Policy) -> Case | None:
    """The rows about these networks, off the kinks, that have a player; None if there are none."""
    every_numbering = axiom.name == EVERY_NUMBERING
    adjacency, features = labelled_graphs(nodes) if every_numbering else graphs_up_to_isomorphism(nodes, rooted=rooted)
    _, least = networks.states(adjacency, features)
    clear = (least > 0) & ((adjacency != 0).flatten(1).any(1) | torch.tensor(not edges_play))
    far = _outside(adjacency, networks.numbers.shape[1], edges=edges_play)
    if rooted:
        clear = clear & far.any(1)
    network, graph = clear.nonzero(as_tuple=True)
    if not len(network):
        return None
    if axiom.of_rows_together and nodes <= PAIRED:
        network, graph = _every_pair(network, graph)
    inputs, mask = _rows(adjacency, features, rooted=rooted), _players(adjacency, rooted=rooted, edges=edges_play)
    model = _side_by_side([networks.rows(torch.tensor([k])) for k in range(len(networks))], rooted=rooted)
    rows, masks = inputs[graph].to(device=policy.device, dtype=policy.dtype), mask[graph].to(policy.device)
    players = int(masks.max()) + 1
    return Case(
        name=SMALL_SCOPE,
        formula=f"{len(networks)} networks side by side",
        modality="graph",
        model=_placed(model, policy),
        inputs=rows,
        target=network.to(policy.device),
        baseline=torch.where(masks >= 0, 0, rows),
        feature_mask=masks,
        players=players,
        unreachable=far[graph][:, :players].to(policy.device) if rooted else None,
        twin=(lambda: sparse_twin(model)) if "twin" in axiom.needs else None,
    )


def _every_pair(network: Tensor, graph: Tensor) -> tuple[Tensor, Tensor]:
    """The graphs of each network in a cycle in which every graph is followed by every one, itself among them, once."""
    networks, graphs = [], []
    for member in sorted(set(network.tolist())):
        own = graph[network == member]
        cycle = [place for i in range(len(own)) for place in (i, *(k for j in range(i + 1, len(own)) for k in (i, j)))]
        graphs.append(own[[*cycle, 0]])
        networks.append(torch.full((len(cycle) + 1,), member))
    return torch.cat(networks), torch.cat(graphs)


def _side_by_side(networks: list[SmallMessagePassing], *, rooted: bool) -> nn.Module:
    """One network whose output k is the k-th of these."""
    numbers = torch.cat([network.numbers for network in networks])
    layers = []
    for round_ in range(numbers.shape[1]):
        own, heard, bias = numbers[:, round_].unbind(1)
        weights = [value.unsqueeze(1) if round_ == 0 else torch.diag(value) for value in (own, heard)]
        if round_ == 0 and rooted:
            weights = [torch.cat([weight, torch.zeros_like(weight)], 1) for weight in weights]  # the mark is read at the end only
        layers.append((weights[0].tolist(), weights[1].tolist(), bias.tolist()))
    model = MessagePassing(layers, [0] * len(networks), rooted=rooted)
    model.head = linear(torch.diag(torch.cat([network.head for network in networks])), None)
    return frozen(model)


def _rows(adjacency: Tensor, features: Tensor, *, rooted: bool) -> Tensor:
    """[A | X], with the mark of node 0 as the last column where it is rooted."""
    mark = torch.eye(adjacency.shape[1], 1, dtype=torch.float64).expand(len(adjacency), -1, -1)
    return torch.cat([adjacency, features.unsqueeze(2), *([mark] if rooted else [])], 2)


def _players(adjacency: Tensor, *, rooted: bool, edges: bool) -> Tensor:
    """Which player an entry belongs to: both directions of an edge to one, a feature to its node."""
    graphs, nodes, _ = adjacency.shape
    owner = torch.full((graphs, nodes, nodes + 1 + rooted), -1, dtype=torch.int64)
    if not edges:
        owner[:, :, nodes] = torch.arange(nodes)
        return owner
    upper = adjacency.triu() > 0
    number = torch.where(upper, upper.flatten(1).cumsum(1).view(upper.shape) - 1, -1)
    owner[:, :, :nodes] = torch.maximum(number, number.transpose(1, 2))
    return owner


def _outside(adjacency: Tensor, rounds: int, *, edges: bool) -> Tensor:  # (graphs, players) bool
    """Nodes further than the rounds from node 0, and edges both of whose ends are at least that far: what its state cannot hear of."""
    steps = steps_from_the_first(adjacency)
    if not edges:
        return steps > rounds
    graphs, nodes, _ = adjacency.shape
    found = torch.zeros(graphs, nodes * (nodes - 1) // 2, dtype=torch.bool)
    for graph, upper in enumerate(adjacency.triu() > 0):
        for player, (u, v) in enumerate(upper.nonzero().tolist()):
            found[graph, player] = bool(torch.minimum(steps[graph, u], steps[graph, v]) >= rounds)
    return found


def _placed(model: nn.Module, policy: Policy) -> nn.Module:
    return model.to(device=policy.device, dtype=policy.dtype)
