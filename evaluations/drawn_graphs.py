"""Small message-passing networks on small graphs, drawn for the axioms that are about graphs.

A network is one or two layers h ↦ relu(h S + A h N + b), read as the sum over nodes or at a marked node; a row is [A | X]. The players are
the edges, whose absence is weight 0, or the nodes' features.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import assume
from hypothesis import strategies as st
from torch import Tensor, nn

from attrlab.case import Case
from attrlab.games import Policy
from synthetic.environment import frozen
from synthetic.gadgets import Sum, least_preactivation, linear
from synthetic.graphs.layers import Aggregate, AtRoot, GraphNetwork, Pool
from synthetic.graphs.twin import sparse_twin

NAME = "drawn-networks"
MARGIN = 1 / 8
FAR = 99
"""A distance that no node has."""

Weights = list[list[int]]


class MessagePassing(GraphNetwork):
    """Layers h ↦ relu(h S + A h N + b), and c·h of all nodes, summed, or of the marked one."""

    def __init__(self, layers: list[tuple[Weights, Weights, list[int]]], head: list[int], *, rooted: bool) -> None:
        super().__init__()
        self.own = nn.ModuleList(linear(own, bias) for own, _, bias in layers)
        self.heard = nn.ModuleList(linear(heard, None) for _, heard, _ in layers)
        self.gather = nn.ModuleList(Aggregate() for _ in layers)
        self.join = nn.ModuleList(Sum() for _ in layers)
        self.relu = nn.ModuleList(nn.ReLU() for _ in layers)
        self.head = linear([head], None)
        self.read = AtRoot() if rooted else Pool()
        self.rooted = rooted

    def compute(self, graph: Tensor, features: Tensor) -> Tensor:
        """Return f of each graph."""
        hidden = features
        for own, heard, gather, join, relu in zip(self.own, self.heard, self.gather, self.join, self.relu, strict=True):
            hidden = relu(join(own(hidden), gather(graph, heard(hidden))))
        score = self.head(hidden)
        output: Tensor = self.read(graph, score, features) if self.rooted else self.read(graph, score)
        return output


@st.composite
def graphs(draw: st.DrawFn, *, local: bool, twin: bool, policy: Policy) -> Case:
    """Two graphs of up to four nodes; `local` ones are read at a node that some player is too far from."""
    size, colours = draw(st.integers(3 if local else 2, 4), label="nodes"), draw(st.integers(1, 2), label="columns of X")
    rooted = local
    columns = colours + rooted
    depth = 1 if local else draw(st.integers(1, 2), label="layers")
    model = frozen(draw(_network(columns, depth, rooted=rooted), label="network"))
    edges_play = draw(st.booleans(), label="edges are the players")
    rows = [draw(_graph(size, colours, rooted=rooted), label="graph") for _ in range(1 if local else 2)]
    inputs = torch.stack(rows).to(device=policy.device, dtype=policy.dtype)
    mask = torch.stack([_edge_players(row) if edges_play else _node_players(row, colours) for row in rows]).to(policy.device)
    assume(bool((mask >= 0).any()) and bool((inputs != 0).any(2).all()))  # a node without features and edges is padding
    players = int(mask.max()) + 1
    found = Case(
        name=NAME,
        formula=formula_of_graphs(model, edges_play),
        modality="graph",
        model=model.to(device=policy.device, dtype=policy.dtype),
        inputs=inputs,
        target=torch.zeros(len(rows), dtype=torch.int64, device=policy.device),
        baseline=torch.where(mask >= 0, 0, inputs),
        feature_mask=mask,
        players=players,
        twin=(lambda: sparse_twin(model)) if twin else None,
    )
    assume(least_preactivation(found.model, inputs) >= MARGIN)
    if local:
        far = _outside(inputs, mask, players, depth, edges=edges_play)
        assume(bool(far.any()))
        found = replace(found, unreachable=far)
    return found


@st.composite
def _network(draw: st.DrawFn, columns: int, depth: int, *, rooted: bool) -> MessagePassing:
    def matrix(after: int, before: int) -> Weights:
        return draw(
            st.lists(st.lists(st.integers(-2, 2), min_size=before, max_size=before), min_size=after, max_size=after), label="weights"
        )

    units = draw(st.integers(1, 2), label="units")
    layers = []
    for before in [columns, *[units] * (depth - 1)]:
        layers.append(
            (matrix(units, before), matrix(units, before), draw(st.lists(st.integers(-2, 2), min_size=units, max_size=units), label="b"))
        )
    return MessagePassing(layers, draw(st.lists(st.integers(-2, 2), min_size=units, max_size=units), label="c"), rooted=rooted)


@st.composite
def _graph(draw: st.DrawFn, size: int, colours: int, *, rooted: bool) -> Tensor:
    """[A | X] of a simple graph with small integer features; the mark of node 0 is the last column where it is rooted."""
    adjacency = torch.zeros(size, size, dtype=torch.float64)
    for u in range(size):
        for v in range(u):
            adjacency[u, v] = adjacency[v, u] = float(draw(st.booleans(), label=f"edge {v}-{u}"))
    features = torch.tensor(
        draw(st.lists(st.lists(st.integers(-2, 2), min_size=colours, max_size=colours), min_size=size, max_size=size), label="X")
    )
    mark = [torch.eye(size, 1, dtype=torch.float64)] if rooted else []
    return torch.cat([adjacency, features.double(), *mark], 1)


def _edge_players(row: Tensor) -> Tensor:
    """Both directions of an edge are one player, numbered in the order of the upper triangle."""
    size = row.shape[0]
    mask = torch.full(row.shape, -1, dtype=torch.int64)
    for number, (u, v) in enumerate(row[:, :size].triu().nonzero().tolist()):
        mask[u, v] = mask[v, u] = number
    return mask


def _node_players(row: Tensor, colours: int) -> Tensor:
    """The features of a node are one player; its mark is nobody's."""
    size = row.shape[0]
    mask = torch.full(row.shape, -1, dtype=torch.int64)
    mask[:, size : size + colours] = torch.arange(size).unsqueeze(1)
    return mask


def _outside(rows: Tensor, mask: Tensor, players: int, depth: int, *, edges: bool) -> Tensor:  # (batch, players) bool
    """Nodes further than `depth` from node 0, and edges whose nearer end is at least that far: what its state cannot hear of."""
    found = torch.zeros(len(rows), players, dtype=torch.bool, device=rows.device)
    size = rows.shape[1]
    for index, row in enumerate(rows):
        distance = _distances(row[:, :size])
        for player in range(players):
            at = (mask[index] == player).nonzero()
            ends = at[0].tolist() if edges and len(at) else at[:1, 0].tolist()
            if ends:
                found[index, player] = min(distance[end] for end in ends) >= depth + (not edges)
    return found


def _distances(adjacency: Tensor) -> list[int]:
    """Steps from node 0 to every node; `FAR` where there is no path."""
    steps = [0, *[FAR] * (len(adjacency) - 1)]
    for reach in range(len(adjacency)):
        for u, v in adjacency.nonzero().tolist():
            if steps[u] == reach:
                steps[v] = min(steps[v], reach + 1)
    return steps


def formula_of_graphs(model: nn.Module, edges_play: bool) -> str:
    """The network in one line: its layers' numbers and its read-out."""
    assert isinstance(model, MessagePassing)
    layers = [
        f"h = relu(h {_shown(own.weight)}^T + A h {_shown(heard.weight)}^T + {_shown(own.bias)})"  # type: ignore[arg-type]
        for own, heard in zip(model.own, model.heard, strict=True)
    ]
    read = "of the marked node" if model.rooted else "of all nodes, summed"
    weight = _shown(model.head.weight[0])
    return f"f(A, X) = {weight}·h {read}; h = X, then {', then '.join(layers)}; {'edges' if edges_play else 'nodes'} are players"


def _shown(values: Tensor) -> str:
    return str([[int(v) for v in row] if isinstance(row, list) else int(row) for row in values.tolist()])
