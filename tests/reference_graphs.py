"""Slow twins of the graph explainers, written from their definitions: one graph at a time, plain loops, autograd for everything."""

from __future__ import annotations

import itertools
import math

import torch
from torch import nn
from torch_geometric.explain import Explainer, GNNExplainer


def gnn_explainer_of_one(
    model, row, absent, owner, target, start, *, epochs=100, lr=0.01, sizes=(0.005, 1.0), entropies=(1.0, 0.1), edge=True
):
    """GNNExplainer of one row: `start` maps each player to its first logit; returns the mask of each player."""
    players = sorted(start)
    logits = nn.Parameter(torch.tensor([start[p] for p in players], dtype=row.dtype))
    adam = torch.optim.Adam([logits], lr=lr)
    wanted, kept = model(row[None])[0].detach(), None
    for _ in range(epochs):
        mask = logits.sigmoid()
        shown = row.clone()
        for number, player in enumerate(players):
            shown = torch.where(owner == player, absent + mask[number] * (row - absent), shown)
        out = model(shown[None])[0]
        loss = -torch.log_softmax(out, 0)[target] if len(out) > 1 else (out[0] - wanted[0]) ** 2
        if kept is not None:
            # a mask counts once for each entry that it multiplies, as it does where each entry has a mask of its own
            all_masks = [mask[n] for n, p in enumerate(players) if kept[n] for _ in range(int((owner == p).sum()))]
            if all_masks:
                s = torch.stack(all_masks)
                entropy = (-s * s.log() - (1 - s) * (1 - s).log()).mean()
                loss = loss + (sizes[0] * s.sum() + entropies[0] * entropy if edge else sizes[1] * s.mean() + entropies[1] * entropy)
        adam.zero_grad()
        if loss.requires_grad:
            loss.backward()
        grad = torch.zeros_like(logits) if logits.grad is None else logits.grad
        kept = [bool(g != 0) for g in grad] if kept is None else kept
        adam.step()
    return {p: float(logits[n].detach().sigmoid()) if kept[n] else 0.0 for n, p in enumerate(players)}


class StartedGNNExplainer(GNNExplainer):
    """torch-geometric's GNNExplainer from given masks instead of random ones; nothing else differs."""

    def __init__(self, *, edge=None, node=None, **kwargs):
        super().__init__(**kwargs)
        self._starts = edge, node

    def _initialize_masks(self, x, edge_index):
        del x, edge_index
        edge, node = self._starts
        self.edge_mask = self.hard_edge_mask = self.node_mask = self.hard_node_mask = None
        if edge is not None:
            self.edge_mask = nn.Parameter(edge.clone())
        if node is not None:
            self.node_mask = nn.Parameter(node.clone())


def geometric_gnn_explainer(module, data, target, *, edge=None, node=None, outputs=1, epochs=100):
    """torch-geometric's masks of one graph, from the given first logits: (directed edges,) or (nodes, columns)."""
    explainer = Explainer(
        module,
        StartedGNNExplainer(edge=edge, node=node, epochs=epochs),
        explanation_type="phenomenon",
        edge_mask_type=None if edge is None else "object",
        node_mask_type=None if node is None else "attributes",
        model_config={"mode": "regression" if outputs == 1 else "multiclass_classification", "task_level": "graph", "return_type": "raw"},
    )
    with torch.no_grad():
        out = module(data.x, data.edge_index, data.edge_weight)
    aim = out if outputs == 1 else torch.tensor([target])
    found = explainer(data.x, data.edge_index, target=aim, edge_weight=data.edge_weight)
    return found.edge_mask if node is None else found.node_mask


def shapley_of_a_group(value, players, group):
    """The Shapley value of `group` as one player beside the others, by all orders: value(frozenset) -> number."""
    others = [p for p in players if p not in group]
    n, total = len(others) + 1, 0.0
    for size in range(len(others) + 1):
        weight = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
        for chosen in itertools.combinations(others, size):
            total += weight * (value(frozenset(chosen) | frozenset(group)) - value(frozenset(chosen)))
    return total


def walk_by_derivatives(network, adjacency, features, walk):
    """R_W of one graph: the mixed derivative of network([A1, ..., AL], X) by one entry of each layer's own adjacency, times these."""
    layers = [adjacency.clone().requires_grad_() for _ in walk[1:]]
    value = network(layers, features)
    for layer, (source, receiver) in zip(layers, itertools.pairwise(walk), strict=True):
        if not value.requires_grad:
            return 0.0
        (slope,) = torch.autograd.grad(value, layer, create_graph=True, allow_unused=True)
        if slope is None:
            return 0.0
        value = slope[receiver, source] * adjacency[receiver, source]
    return float(value.detach())


def lrp_gamma_of_nodes(adjacency, features, weights, gamma):
    """Relevance of each node's features in relu(A relu(A X W1) W2) summed, by LRP-gamma layer by layer and unit by unit."""
    hidden, inner = [features], []
    for weight in weights:
        inner.append(adjacency @ hidden[-1])
        hidden.append(torch.relu(inner[-1] @ weight))
    relevance = hidden[-1]
    for weight, heard, below in zip(reversed(weights), reversed(inner), reversed(hidden[:-1]), strict=True):
        leaning = weight + gamma * weight.clamp(min=0)
        at_heard = torch.zeros_like(heard)
        for i in range(len(heard)):
            for k in range(weight.shape[1]):
                total = sum(heard[i, c] * leaning[c, k] for c in range(weight.shape[0]))
                for c in range(weight.shape[0]):
                    at_heard[i, c] += heard[i, c] * leaning[c, k] / total * relevance[i, k] if relevance[i, k] != 0 else 0
        relevance = torch.zeros_like(below)
        for i in range(len(heard)):
            for c in range(heard.shape[1]):
                for j in range(len(below)):
                    if heard[i, c] != 0:
                        relevance[j, c] += adjacency[i, j] * below[j, c] / heard[i, c] * at_heard[i, c]
    return relevance.sum(1)
