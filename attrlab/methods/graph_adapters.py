"""torch-geometric's explainers as methods on rows: thin, because the laboratory's own are batched and this is what they are held to.

Every function explains row by row; what that takes is in `pyg_rows`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.games.game import Model
from attrlab.methods.graph_rows import require_edges
from attrlab.methods.pyg_rows import Sparse, Twin, aim_of, averaged, explain_rows, explainer_of, seeded, sparse_row

CAPTUM = ("IntegratedGradients", "Saliency", "InputXGradient", "Deconvolution", "GuidedBackprop", "ShapleyValueSampling")
"""The attribution methods that torch-geometric's CaptumExplainer supports."""


_SETTINGS: dict[str, Callable[[int, int], dict[str, Any]]] = {
    "IntegratedGradients": lambda steps, _: {"n_steps": steps},
    "Saliency": lambda *_: {"abs": False},
    "ShapleyValueSampling": lambda _, samples: {"n_samples": samples},
}


def pyg_captum(
    model: Model,
    inputs: Tensor,  # (batch, nodes, nodes + columns)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, nodes, nodes + columns)
    feature_mask: Tensor,  # (batch, nodes, nodes + columns) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    twin: Twin,
    algorithm: str = "IntegratedGradients",
    n_steps: int = 50,
    n_samples: int = 25,
) -> Tensor:  # (batch, nodes, nodes + columns), in the dtype of inputs
    """torch-geometric's CaptumExplainer: a Captum method on the weights of edges, or on the features of nodes.

    Args:
        model: not asked; its twin is.
        inputs: rows [A | X].
        target: which output of each row.
        baseline: must be 0 at every player, since the library has no other.
        feature_mask: players of one kind, edges or features of nodes.
        seeds: of ShapleyValueSampling, one per row.
        twin: builds the equal torch-geometric module, and a map from one row to its `Data`.
        algorithm: one of `CAPTUM`.
        n_steps: of IntegratedGradients, Captum's default.
        n_samples: of ShapleyValueSampling, Captum's default. Its players are directed edges, or single features of nodes.

    Returns:
        The library's scores, the two directions of an edge an entry each; they add up to the score of the player.

    Raises:
        InvalidInput: if there is no such algorithm.
        NotApplicable: if the baseline is not 0, players of two kinds stand in one row, or Captum cannot hook a ReLU.

    Reference:
        Fey and Lenssen, torch-geometric 2.8, `torch_geometric.explain.CaptumExplainer`.

    Differs from the library in: Saliency keeps its sign.
    """
    del model
    if algorithm not in CAPTUM:
        raise InvalidInput(f"algorithm is one of {', '.join(CAPTUM)} (got {algorithm!r})")
    settings = _SETTINGS[algorithm](n_steps, n_samples) if algorithm in _SETTINGS else {}

    def explainer() -> Any:
        from torch_geometric.explain import CaptumExplainer

        return CaptumExplainer(algorithm, **settings)

    try:
        return explain_rows(explainer, inputs, target, baseline, feature_mask, seeds, twin, average=False)
    except RuntimeError as error:
        if "cannot register a hook" not in str(error):
            raise
        raise NotApplicable(
            f"Captum hooks every ReLU, and one of them stands where nothing is explained, before the first edge weight; {algorithm} "
            f"applies where all ReLUs lie behind the players, as in a feature game"
        ) from error


def pyg_gnn_explainer(
    model: Model,
    inputs: Tensor,  # (batch, nodes, nodes + columns)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, nodes, nodes + columns)
    feature_mask: Tensor,  # (batch, nodes, nodes + columns) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    twin: Twin,
    epochs: int = 100,
    lr: float = 0.01,
) -> Tensor:  # (batch, nodes, nodes + columns), in the dtype of inputs
    """torch-geometric's GNNExplainer, one graph at a time; `gnn_explainer` finds the same masks for a batch at once.

    A network with several outputs is explained as a classifier of the given target, one with a single output by the squared distance to
    its prediction. Arguments as for `pyg_captum`; epochs and lr are those of Adam.

    Returns:
        The mean of the masks of a player's entries, spread over them.

    Raises:
        NotApplicable: as `pyg_captum`.

    Reference:
        Ying et al. (2019), "GNNExplainer"; `torch_geometric.explain.GNNExplainer`, 2.8.
    """
    del model

    def explainer() -> Any:
        from torch_geometric.explain import GNNExplainer

        return GNNExplainer(epochs=epochs, lr=lr)

    return explain_rows(explainer, inputs, target, baseline, feature_mask, seeds, twin, average=True, classify=True)


def pyg_attention_explainer(
    model: Model,
    inputs: Tensor,  # (batch, nodes, nodes + columns)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, nodes, nodes + columns)
    feature_mask: Tensor,  # (batch, nodes, nodes + columns) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    twin: Twin,
) -> Tensor:  # (batch, nodes, nodes + columns), in the dtype of inputs
    """torch-geometric's AttentionExplainer: coefficients named `alpha` in its layers, the maximum over heads and over layers.

    Arguments and result as for `pyg_gnn_explainer`.

    Raises:
        NotApplicable: if no layer has such coefficients, or players are not edges.

    Reference:
        `torch_geometric.explain.AttentionExplainer`, 2.8.
    """
    del model

    def explainer() -> Any:
        from torch_geometric.explain import AttentionExplainer

        return AttentionExplainer()

    try:
        return explain_rows(explainer, inputs, target, baseline, feature_mask, seeds, twin, average=True, edges_only=True, kind="model")
    except ValueError as error:
        if "attention coefficients" not in str(error):
            raise
        raise NotApplicable("no layer of the twin has attention coefficients; a GATConv or TransformerConv makes it apply") from error


def pyg_dummy_explainer(
    model: Model,
    inputs: Tensor,  # (batch, nodes, nodes + columns)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, nodes, nodes + columns)
    feature_mask: Tensor,  # (batch, nodes, nodes + columns) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    twin: Twin,
) -> Tensor:  # (batch, nodes, nodes + columns), in the dtype of inputs
    """torch-geometric's DummyExplainer: uniform noise. Arguments, result and errors as for `pyg_gnn_explainer`."""
    del model

    def explainer() -> Any:
        from torch_geometric.explain.algorithm import DummyExplainer

        return DummyExplainer()

    return explain_rows(explainer, inputs, target, baseline, feature_mask, seeds, twin, average=True)


def pyg_pg_explainer(
    model: Model,
    inputs: Tensor,  # (batch, nodes, nodes + columns)
    *,
    feature_mask: Tensor,  # (batch, nodes, nodes + columns) int64, -1 for none
    reference: Tensor,  # (rows, nodes, nodes + columns)
    generator: torch.Generator,
    twin: Twin,
    epochs: int = 30,
    lr: float = 0.003,
) -> Tensor:  # (batch, nodes, nodes + columns), in the dtype of inputs
    """torch-geometric's PGExplainer, trained on the reference rows, one step per graph; `pg_explainer` reads dense networks too.

    Args:
        model: not asked; its twin is.
        inputs: rows [A | X].
        feature_mask: players are edges.
        reference: what it is trained on, towards the network's own predictions; graphs without edges are left out.
        generator: its first number seeds the library.
        twin: builds the equal torch-geometric module, and a map from one row to its `Data`.
        epochs: passes over the reference.
        lr: step size of Adam.

    Returns:
        The mean of the masks of a player's entries, spread over them.

    Raises:
        NotApplicable: if players are not edges of one adjacency, or the last layer that passes messages has no value per node.

    Reference:
        Luo et al. (2020), "Parameterized explainer for graph neural networks"; `torch_geometric.explain.PGExplainer`, 2.8.
    """
    players = require_edges(feature_mask, "pyg_pg_explainer")
    scores, seed = torch.zeros_like(inputs), int(torch.randint(1 << 32, (1,), generator=generator, device=generator.device))
    with torch.no_grad():
        classes = model(reference).argmax(1).tolist()
    drawn = [sparse_row(row, torch.full_like(row, -1, dtype=torch.int64), None, twin) for row in reference]
    with seeded(seed):
        algorithm = _trained(drawn, classes, epochs, lr)
    for row in range(len(inputs)):
        one = sparse_row(inputs[row], feature_mask[row], None, twin)
        if not len(one.receiver):
            continue
        with seeded(seed):
            explainer = explainer_of(algorithm, one, True, "phenomenon")
            found = explainer(one.data.x, one.data.edge_index, target=aim_of(one, 0), edge_weight=one.data.edge_weight)
        scores[row, one.receiver, one.source] = found.edge_mask.to(scores)
    return averaged(scores, feature_mask, players)


def _trained(drawn: list[Sparse], classes: list[int], epochs: int, lr: float) -> Any:
    """A PGExplainer that has seen every graph once per epoch; the twin of each graph is its own."""
    from torch_geometric.explain import PGExplainer

    algorithm = PGExplainer(epochs=epochs, lr=lr).to(drawn[0].data.x)
    connected = [(one, target) for one, target in zip(drawn, classes, strict=True) if len(one.receiver)]
    for one, _ in connected[:1]:
        _require_embeddings(one)
    for epoch in range(epochs):
        for one, target in connected:
            explainer_of(algorithm, one, True, "phenomenon")
            aim, data = aim_of(one, target), one.data
            algorithm.train(epoch, one.network, data.x, data.edge_index, target=aim, edge_weight=data.edge_weight)
    return algorithm


def _require_embeddings(one: Sparse) -> None:
    """Refuse before the library indexes too far: on CUDA that is no error to be caught, but the end of the device's context."""
    from torch_geometric.utils import get_embeddings

    data = one.data
    found = get_embeddings(one.network, data.x, data.edge_index, edge_weight=data.edge_weight)
    if not found or len(found[-1]) < len(data.x):
        raise NotApplicable(
            "torch-geometric takes the output of the last message-passing layer for the embeddings of nodes, and here that is the "
            "answer for the whole graph; a pooling layer of its own makes it apply"
        )
