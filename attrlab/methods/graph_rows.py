"""A graph stands in its row [A | X], and who plays what is read off the mask of players: nothing else is asked of a graph.

A player that owns entries of A, or entries in two rows of the block, is an edge; any other is a node, by its features or its
presence. Both directions of an undirected edge are entries of one player. So every explainer of this room works on edge, feature and
node games and on several relations alike, and none needs a format of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attrlab.errors import NotApplicable


@dataclass(frozen=True, kw_only=True)
class GraphPlayers:
    """Which nodes each player of each row touches.

    Attributes:
        count: how many players the widest row has.
        edges: which players are edges.
        touches: the two ends of an edge, or the node whose features or presence are played.
        entries: how many entries a player owns, 0 where there is no such player.
    """

    count: int
    edges: Tensor  # (batch, players) bool
    touches: Tensor  # (batch, players, nodes) bool
    entries: Tensor  # (batch, players) int64


def graph_players(
    feature_mask: Tensor,  # (batch, nodes, nodes + columns) int64, -1 for none
) -> GraphPlayers:
    """Read off who plays what.

    Raises:
        NotApplicable: if rows are no blocks [A | X].
    """
    require_blocks(feature_mask)
    batch, nodes, width = feature_mask.shape
    count = int(feature_mask.max()) + 1 if feature_mask.numel() else 0
    owner = torch.where(feature_mask < 0, count, feature_mask)
    row = torch.arange(nodes, device=owner.device).view(nodes, 1).expand(nodes, width)
    column = torch.arange(width, device=owner.device).expand(nodes, width)
    ends = _touched(owner, row, nodes, count)
    in_adjacency = _touched(owner[..., :nodes], column[:, :nodes], nodes, count)
    entries = torch.zeros(batch, count + 1, dtype=torch.int64, device=owner.device)
    entries.scatter_add_(1, owner.flatten(1), torch.ones_like(owner.flatten(1)))
    edges = in_adjacency.any(2) | (ends.sum(2) > 1)
    return GraphPlayers(count=count, edges=edges, touches=ends | in_adjacency, entries=entries[:, :count])


def require_blocks(
    rows: Tensor,  # (batch, nodes, nodes + columns)
) -> None:
    """Refuse rows that are no graphs.

    Raises:
        NotApplicable: if a row is not a block [A | X].
    """
    if rows.dim() != 3 or rows.shape[2] < rows.shape[1]:
        raise NotApplicable(
            f"it reads graphs: write rows as blocks [A | X] of shape (batch, nodes, nodes + columns) (got {tuple(rows.shape)})"
        )


def present_nodes(
    rows: Tensor,  # (batch, nodes, nodes + columns)
) -> Tensor:  # (batch, nodes) bool
    """Nodes with a feature or an edge, in either direction; the others are padding."""
    nodes = rows.shape[1]
    return (rows != 0).any(2) | (rows[..., :nodes] != 0).any(1)


def entries_of(
    players: GraphPlayers,
    feature_mask: Tensor,  # (batch, nodes, width) int64
) -> Tensor:  # (batch, nodes, width) int64
    """How many entries the player of each entry owns, 1 where there is none."""
    owner = torch.where(feature_mask < 0, players.count, feature_mask).flatten(1)
    count = torch.cat([players.entries, players.entries.new_ones(len(players.entries), 1)], 1)
    return count.gather(1, owner).view(feature_mask.shape)


def player_masks(
    owner: Tensor,  # (batch, nodes, width) int64, the player of each entry, -1 for none
    kind: Tensor,  # (batch, players) bool
) -> Tensor:  # (batch, nodes, width) bool
    """The entries of the players of one kind."""
    padded = torch.cat([kind, kind.new_zeros(len(kind), 1)], 1)
    return padded.gather(1, torch.where(owner < 0, kind.shape[1], owner).flatten(1)).view(owner.shape)


def require_edges(feature_mask: Tensor, name: str) -> GraphPlayers:
    """The players, refused where one is not an edge of the one adjacency A.

    Raises:
        NotApplicable: if a player is a node, or an edge of a second relation.
    """
    players, nodes = graph_players(feature_mask), feature_mask.shape[1]
    if bool((feature_mask[..., nodes:] >= 0).any()):
        raise NotApplicable(
            f"{name} scores the edges of one adjacency matrix, and here players stand beyond A; "
            f"an edge game of one relation makes it apply (players='edges')"
        )
    return players


def _touched(owner: Tensor, node: Tensor, nodes: int, count: int) -> Tensor:
    """Whether a player owns an entry whose `node` is this one, (batch, players, nodes)."""
    batch = len(owner)
    flat = torch.zeros(batch, (count + 1) * nodes, dtype=torch.bool, device=owner.device)
    place = (owner * nodes + node).flatten(1)
    return flat.scatter_(1, place, torch.ones_like(place, dtype=torch.bool)).view(batch, count + 1, nodes)[:, :count]
