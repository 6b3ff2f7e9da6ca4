"""A graph can lose an edge, a node, a node's features, or keep its degrees and lose who is whose neighbour.

A row is the block [A | X] of n nodes: weighted adjacency, then features. Dropping an edge is what the baseline 0 does, so `keep_baseline`
is that imputer; the others differ in what they leave behind. Dropping edges makes isolated nodes, which no data may hold; rewiring
does not, and so asks whether it matters *which* nodes are joined rather than whether any are.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attrlab.errors import NotApplicable
from attrlab.games.imputers import Imputer, everywhere, keep_baseline

drop_edge = keep_baseline
"""What is absent takes the baseline, which for an edge is 0: nodes stay, perhaps isolated."""


def drop_node() -> Imputer:
    """A node is absent where its features are: they become 0, and so do its edges in both directions.

    For games whose players own nodes' features; a node without a player is always there.
    """

    def impute(inputs: Tensor, baseline: Tensor, kept: Tensor, sample: Tensor) -> Tensor:
        del baseline, sample
        nodes = _nodes(inputs)
        there = kept[..., nodes:].all(2)
        pairs = there.unsqueeze(1) & there.unsqueeze(2)
        return inputs * torch.cat([pairs, there.unsqueeze(2).expand(-1, -1, inputs.shape[2] - nodes)], 2).to(inputs.dtype)

    def changes(inputs: Tensor, baseline: Tensor) -> Tensor:
        del baseline
        nodes = _nodes(inputs)
        joined = (inputs[..., :nodes] != 0).any(2) | (inputs[..., :nodes] != 0).any(1)
        matters = joined | (inputs[..., nodes:] != 0).any(2)
        return matters.unsqueeze(2).expand(inputs.shape)

    return Imputer(name="drop node", impute=impute, changes=changes, leaves="with the fill")


def zero_features() -> Imputer:
    """What is absent of X becomes 0; the adjacency stays whole, whoever is absent."""

    def impute(inputs: Tensor, baseline: Tensor, kept: Tensor, sample: Tensor) -> Tensor:
        del baseline, sample
        nodes = _nodes(inputs)
        return torch.cat([inputs[..., :nodes], inputs[..., nodes:] * kept[..., nodes:].to(inputs.dtype)], 2)

    def changes(inputs: Tensor, baseline: Tensor) -> Tensor:
        del baseline
        nodes = _nodes(inputs)
        return torch.cat([torch.zeros_like(inputs[..., :nodes], dtype=torch.bool), inputs[..., nodes:] != 0], 2)

    return Imputer(name="zero features", impute=impute, changes=changes, leaves="with the fill")


def mean_features() -> Imputer:
    """The graph's analogue of ROAD's imputer: absent features solve x_i = weighted mean of x_j over i's neighbours, the kept ones given.

    A component without a kept node takes its baseline.

    Reference:
        the harmonic extension of Zhu, Ghahramani and Lafferty, "Semi-supervised learning using Gaussian fields and harmonic functions",
        2003, equation 5.
    """

    def impute(inputs: Tensor, baseline: Tensor, kept: Tensor, sample: Tensor) -> Tensor:
        del sample
        nodes = _nodes(inputs)
        there = kept[..., nodes:].all(2)
        filled = harmonic_features(inputs[..., :nodes], inputs[..., nodes:], baseline[..., nodes:], there)
        return torch.cat([inputs[..., :nodes], torch.where(kept[..., nodes:], inputs[..., nodes:], filled)], 2)

    return Imputer(name="mean features", impute=impute, changes=everywhere, leaves="always")


def harmonic_features(
    adjacency: Tensor,  # (rows, n, n), not negative
    features: Tensor,  # (rows, n, channels)
    baseline: Tensor,  # (rows, n, channels)
    kept: Tensor,  # (rows, n) bool
) -> Tensor:  # (rows, n, channels)
    """Features that are harmonic on the absent nodes and given on the kept ones; one batched dense solve."""
    weight = (adjacency + adjacency.transpose(1, 2)) / 2
    weight = weight - torch.diag_embed(weight.diagonal(dim1=1, dim2=2))
    reached = kept
    for _ in range(weight.shape[1]):  # a path to a kept node is at most n steps long
        reached = reached | ((weight > 0) & reached.unsqueeze(1)).any(2)
    fixed = kept | ~reached
    given = torch.where(kept.unsqueeze(2), features, baseline)
    laplacian = torch.diag_embed(weight.sum(2)) - weight
    eye = torch.eye(weight.shape[1], dtype=weight.dtype, device=weight.device)
    system = torch.where(fixed.unsqueeze(2), eye, laplacian)
    filled: Tensor = torch.linalg.solve(system, torch.where(fixed.unsqueeze(2), given, 0))
    return filled


def rewire(
    *,
    seed: int = 0,
    swaps: int = 16,
) -> Imputer:
    """Absent edges are not removed but exchanged: u-v and x-y become u-y and x-v, so that every node keeps its number of edges.

    Swaps are proposed `swaps` times from fixed random numbers and refused where they would join a node to itself or double an edge. Edges
    of unequal weight keep their weights at u and x.

    Reference:
        Maslov and Sneppen, "Specificity and stability in topology of protein networks", 2002; as a null model for explanations: issue
        9016 of torch-geometric asks for it.
    """

    def impute(inputs: Tensor, baseline: Tensor, kept: Tensor, sample: Tensor) -> Tensor:
        del baseline, sample
        nodes = _nodes(inputs)
        generator = torch.Generator().manual_seed(seed)
        numbers = torch.rand(swaps, 2, nodes, nodes, generator=generator, dtype=torch.float64).to(inputs.device)
        edges, free = inputs[..., :nodes], ~kept[..., :nodes]
        free = free & free.transpose(1, 2) & (edges != 0)
        for first, second in numbers:
            edges, free = _swapped(edges, free, first, second)
        return torch.cat([edges, inputs[..., nodes:]], 2)

    return Imputer(name="rewire", impute=impute, changes=_edges_change, leaves="with the fill")


def _swapped(edges: Tensor, free: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """One proposed swap in every row, carried out where it is allowed."""
    rows, nodes = torch.arange(len(edges), device=edges.device), edges.shape[1]

    def chosen(number: Tensor) -> tuple[Tensor, Tensor]:
        place = torch.where(free, number + 1, 0).flatten(1).argmax(1)
        return place // nodes, place % nodes

    (u, v), (x, y) = chosen(first), chosen(second)
    apart = (u != x) & (u != y) & (v != x) & (v != y)
    allowed = apart & free.flatten(1).any(1) & (edges[rows, u, y] == 0) & (edges[rows, x, v] == 0)
    edges, free = edges.clone(), free.clone()
    one, other = edges[rows, u, v], edges[rows, x, y]
    for a, b, weight, is_free in ((u, v, 0 * one, False), (x, y, 0 * other, False), (u, y, one, True), (x, v, other, True)):
        for i, j in ((a, b), (b, a)):
            edges[rows, i, j] = torch.where(allowed, weight, edges[rows, i, j])
            free[rows, i, j] = torch.where(allowed, is_free, free[rows, i, j])
    return edges, free


def _edges_change(inputs: Tensor, baseline: Tensor) -> Tensor:
    del baseline
    nodes = _nodes(inputs)
    return torch.cat([inputs[..., :nodes] != 0, torch.zeros_like(inputs[..., nodes:], dtype=torch.bool)], 2)


def _nodes(inputs: Tensor) -> int:
    if inputs.dim() != 3 or inputs.shape[2] < inputs.shape[1]:
        raise NotApplicable(f"a graph's row is [A | X], (rows, n, n + channels) (got {tuple(inputs.shape)})")
    return inputs.shape[1]
