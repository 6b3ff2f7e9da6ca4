"""Scores that no network gave: what degree, bridges and numbering alone say of a graph, to be printed beside every explainer's.

On the usual motif benchmarks the degree of an edge's ends finds the motifs of BA-Shapes, "no bridge" those of BA-2Motifs, and the node
number both, each with an area under the curve of 1.0. A score of an explainer means something only beyond these.
"""

from __future__ import annotations

import networkx as nx
import torch
from torch import Tensor

from synthetic.environment import Batch


def degree_scores(batch: Batch) -> Tensor:  # (batch, players) float64
    """The degree of a node; minus the sum of the degrees of an edge's ends, since motifs hang on hubs and have few edges themselves."""
    adjacency = _adjacency(batch)
    degrees = adjacency.sum(2)
    return _players(batch, nodes=degrees, edges=-(degrees.unsqueeze(2) + degrees.unsqueeze(1)))


def bridge_scores(batch: Batch) -> Tensor:  # (batch, players) float64
    """1 for an edge that lies on some cycle, 0 for a bridge; of a node, the share of its edges that are no bridges, 0 without edges."""
    adjacency = _adjacency(batch)
    cyclic = adjacency.clone()
    for row in range(len(adjacency)):
        for u, v in nx.bridges(nx.from_numpy_array(adjacency[row].numpy())):
            cyclic[row, u, v] = cyclic[row, v, u] = 0
    return _players(batch, nodes=cyclic.sum(2) / adjacency.sum(2).clamp(min=1), edges=cyclic)


def index_scores(batch: Batch) -> Tensor:  # (batch, players) float64
    """The place of a node in the row; of an edge, the sum of the places of its ends."""
    place = torch.arange(batch.inputs.shape[1], dtype=torch.float64).expand(len(batch), -1)
    return _players(batch, nodes=place, edges=place.unsqueeze(2) + place.unsqueeze(1))


def _edge_entries(batch: Batch) -> Tensor:  # (entries, 4): row, line, node at the other end, player
    """The entries of edge players: those whose mirror image in the same block of n columns belongs to the same player."""
    owner = batch.feature_mask.cpu()
    row, line, column = (owner >= 0).nonzero(as_tuple=True)
    other = column % owner.shape[1]
    mirror = column - other + line
    inside = (mirror < owner.shape[2]) & (line != other)
    player = owner[row, line, column]
    same = inside & (owner[row, other, torch.where(inside, mirror, 0)] == player)
    return torch.stack([row, line, other, player], 1)[same]


def _adjacency(batch: Batch) -> Tensor:  # (batch, size, size) float64 of zeros and ones
    """The graph of each row: the edges that are players, of all relations; A where no edge is one."""
    row, line, other, _ = _edge_entries(batch).unbind(1)
    size = batch.inputs.shape[1]
    if not len(row):
        return (batch.inputs[..., :size].detach().cpu() > 0).double()
    adjacency = torch.zeros(len(batch), size, size, dtype=torch.float64)
    adjacency[row, line, other] = 1
    return adjacency


def _players(
    batch: Batch,
    *,
    nodes: Tensor,  # (batch, size)
    edges: Tensor,  # (batch, size, size)
) -> Tensor:  # (batch, players)
    """Give each player the score of its edge, or of its node."""
    scores = torch.zeros(len(batch), batch.players, dtype=torch.float64)
    row, line, other, player = _edge_entries(batch).unbind(1)
    if len(row):
        scores[row, player] = edges[row, line, other]
    else:
        owner = batch.feature_mask.cpu()
        row, line, column = (owner >= 0).nonzero(as_tuple=True)
        scores[row, owner[row, line, column]] = nodes[row, line]
    return scores
