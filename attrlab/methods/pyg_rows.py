"""One row of a batch as torch-geometric sees it, on a network that no explainer has touched.

Explainers leave traces: a mask slot on every layer after which gradient explainers raise, gradients on parameters, coefficients on a
class. So a fresh twin is built for every row. They draw from the global generators, which are seeded per row and then put back. They
explain all of X, also what is no player; the network is therefore shown those columns as they were. And they give the two directions of
an undirected edge a score each: attributions are entries and add up, masks are averaged.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from attrlab.errors import NotApplicable
from attrlab.methods.graph_rows import GraphPlayers, entries_of, graph_players
from attrlab.side_effects import restored_generators

Twin = Callable[[], tuple[nn.Module, Callable[[Tensor], Any]]]


class Shown(nn.Module):
    """A twin whose output is the explained one, (graphs,), and that sees of X only the players move."""

    def __init__(self, twin: nn.Module, features: Tensor, played: Tensor, target: int | None) -> None:
        super().__init__()
        self.twin = twin
        self._features, self._played, self._target = features, played, target

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        """Return f_target of the graph, or all outputs where no target is set."""
        outputs: Tensor = self.twin(torch.where(self._played, x, self._features), edge_index, edge_weight)
        return outputs if self._target is None else outputs[:, self._target]


@dataclass(frozen=True, kw_only=True)
class Sparse:
    """One row as torch-geometric sees it."""

    network: Shown
    data: Any
    receiver: Tensor  # (directed edges,) places in the row
    source: Tensor  # (directed edges,) places in the row
    nodes: Tensor  # (nodes,) places in the row


def sparse_row(
    row: Tensor,  # (nodes, width)
    owner: Tensor,  # (nodes, width) int64
    target: int | None,
    twin: Twin,
) -> Sparse:
    """One row on a twin of its own; with a target the output is that one alone."""
    module, data_of = twin()
    data = data_of(row)
    played = owner[:, row.shape[0] :][data.position] >= 0
    source, receiver = data.position[data.edge_index]
    network = Shown(module, data.x, played, target)
    return Sparse(network=network, data=data, receiver=receiver, source=source, nodes=data.position)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Global generators started from `seed` and put back afterwards; the libraries' notices are kept quiet."""
    with restored_generators(), warnings.catch_warnings(), torch.enable_grad():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        yield


def explain_rows(
    explainer: Callable[[], Any],
    inputs: Tensor,
    target: Tensor,
    baseline: Tensor,
    feature_mask: Tensor,
    seeds: Tensor,
    twin: Twin,
    *,
    average: bool,
    classify: bool = False,
    edges_only: bool = False,
    kind: str = "phenomenon",
) -> Tensor:
    """Explain row by row and write what is found where it stands in the row."""
    players = require_one_kind(baseline, feature_mask, edges_only=edges_only)
    scores = torch.zeros_like(inputs)
    for row in range(len(inputs)):
        on_edges = bool(players.edges[row].any())
        one = sparse_row(inputs[row], feature_mask[row], None if classify else int(target[row]), twin)
        with seeded(int(seeds[row]) % (1 << 32)):
            found = _explained(explainer(), one, int(target[row]), on_edges, kind)
        if on_edges:
            scores[row, one.receiver, one.source] = found.edge_mask.to(scores)
        else:
            scores[row, one.nodes, inputs.shape[1] :] = found.node_mask.to(scores)
    return averaged(scores, feature_mask, players) if average else scores.masked_fill(feature_mask < 0, 0)


def averaged(
    masks: Tensor,  # (batch, nodes, width), one of each entry
    feature_mask: Tensor,  # (batch, nodes, width) int64
    players: GraphPlayers,
) -> Tensor:  # (batch, nodes, width)
    """Masks so divided that those of a player's entries add up to their mean."""
    return masks.masked_fill(feature_mask < 0, 0) / entries_of(players, feature_mask)


def explainer_of(algorithm: Any, one: Sparse, on_edges: bool, kind: str) -> Any:
    """The library's explainer of one graph: a classifier where the network shows several outputs, a regression where one."""
    from torch_geometric.explain import Explainer

    classes = _outputs(one).dim() == 2 and _outputs(one).shape[1] > 1
    return Explainer(
        one.network,
        algorithm,
        explanation_type=kind,
        node_mask_type=None if on_edges else "attributes",
        edge_mask_type="object" if on_edges else None,
        model_config={"mode": "multiclass_classification" if classes else "regression", "task_level": "graph", "return_type": "raw"},
    )


def aim_of(one: Sparse, target: int) -> Tensor:
    """What a phenomenon is: the class, or the prediction where there is one output."""
    outputs = _outputs(one)
    return torch.tensor([target], device=outputs.device) if outputs.dim() == 2 and outputs.shape[1] > 1 else outputs


def _outputs(one: Sparse) -> Tensor:
    with torch.no_grad():
        shown: Tensor = one.network(one.data.x, one.data.edge_index, one.data.edge_weight)
    return shown


def _explained(algorithm: Any, one: Sparse, target: int, on_edges: bool, kind: str) -> Any:
    explainer, data = explainer_of(algorithm, one, on_edges, kind), one.data
    aim = aim_of(one, target) if kind == "phenomenon" else None
    return explainer(data.x, data.edge_index, target=aim, edge_weight=data.edge_weight)


def require_one_kind(baseline: Tensor, feature_mask: Tensor, *, edges_only: bool) -> GraphPlayers:
    """The players, refused where the library would explain something else.

    Raises:
        NotApplicable: if a row has players of two kinds or of the wrong one, or their baseline is not 0.
    """
    players = graph_players(feature_mask)
    there = players.entries > 0
    edges, nodes = players.edges & there, ~players.edges & there
    if bool((edges.any(1) & nodes.any(1)).any()):
        raise NotApplicable("torch-geometric splits the credit where edges and features are explained at once; play one kind at a time")
    if edges_only and bool(nodes.any()):
        raise NotApplicable("it explains edges only, and here the players are nodes; an edge game makes it apply (players='edges')")
    if bool((baseline[feature_mask >= 0] != 0).any()):
        raise NotApplicable("torch-geometric's absent value is 0, and the baseline is another; a baseline of 0 makes it apply")
    return players
