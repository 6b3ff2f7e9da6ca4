"""PGExplainer: what makes an edge matter is learnt once, from graphs drawn apart, and then read off the embeddings of its ends.

The predictor sees the reference rows and nothing else, so that an explained row is never trained on and does not depend on its batch. It
never learns which output is asked about: its masks keep the whole prediction. Nothing is kept between calls.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.games.game import Model
from attrlab.methods.graph_masks import prediction_loss
from attrlab.methods.graph_rows import entries_of, require_blocks, require_edges
from attrlab.methods.operations import Watch

HIDDEN = 64


class Predictor(NamedTuple):
    """w_2 · relu(W_1 [z_source, z_receiver] + b_1) + b_2, the logit of an edge."""

    first: Tensor  # (HIDDEN, 2 channels)
    first_bias: Tensor  # (HIDDEN,)
    second: Tensor  # (1, HIDDEN)
    second_bias: Tensor  # (1,)


def pg_explainer(
    model: Model,
    inputs: Tensor,  # (batch, nodes, nodes + columns)
    *,
    feature_mask: Tensor,  # (batch, nodes, nodes + columns) int64, -1 for none
    reference: Tensor,  # (rows, nodes, nodes + columns)
    generator: torch.Generator,
    epochs: int = 30,
    lr: float = 0.003,
    batch_size: int = 1,
    edge_size: float = 0.05,
    edge_entropy: float = 1.0,
    temperature: tuple[float, float] = (5.0, 2.0),
    bias: float = 0.01,
) -> Tensor:  # (batch, nodes, nodes + columns), in the dtype of inputs
    """PGExplainer: the mask of an edge is sigmoid(w), w a learnt function of the embeddings of its two ends.

    Trained on reference graphs G by Adam on Σ_G [ L(f(G, s)) + c_1 Σ_e s_e + c_2 mean_e H(0.99 s_e + 0.005) ] with concrete masks
    s_e = sigmoid((log u - log(1 - u) + w_e) / τ), u uniform in [bias, 1 - bias], and τ falling geometrically over the epochs; L as for
    `gnn_explainer`, towards the network's own prediction. An embedding is the last value of shape (rows, nodes, channels) that
    the network computes.

    Args:
        model: maps (rows, nodes, width) to (rows, outputs).
        inputs: rows [A | X].
        feature_mask: the player of each entry; players are edges.
        reference: the rows that the predictor is trained on, in this order.
        generator: of the first weights and of u; it is not drawn from for the explained rows.
        epochs: passes over the reference.
        lr: step size of Adam.
        batch_size: graphs in a step, whose losses are summed.
        edge_size: c_1.
        edge_entropy: c_2.
        temperature: τ in the first epoch, and where it tends to.
        bias: how far u stays from 0 and 1; at 1/2 masks are deterministic.

    Returns:
        For each player the mean of the masks of its entries, spread over them.

    Raises:
        InvalidInput: if a setting is out of its range.
        NotApplicable: if players are not edges of one adjacency, or the network computes nothing per node.

    Reference:
        Luo, Cheng, Xu, Yu, Zong, Chen, Zhang (2020), "Parameterized explainer for graph neural networks", equations 4 to 9; defaults
        and one step per graph as in torch-geometric 2.8.

    Differs from the paper in: no connectivity term; masks of the two directions are averaged after training, not in it.
    """
    _require_settings(epochs, lr, batch_size, temperature, bias)
    require_blocks(inputs)
    players = require_edges(feature_mask, "pg_explainer")
    nodes = inputs.shape[1]
    predictor = _fresh(embeddings(model, reference).shape[2], generator, reference)
    train(
        model,
        reference,
        embeddings(model, reference),
        predictor,
        generator,
        epochs=epochs,
        lr=lr,
        batch_size=batch_size,
        penalties=(edge_size, edge_entropy),
        temperature=temperature,
        bias=bias,
    )
    if not len(inputs):
        return torch.zeros_like(inputs)
    with torch.no_grad():
        masks = logits_of(predictor, embeddings(model, inputs)).sigmoid()
        owner = feature_mask[..., :nodes]
        count = entries_of(players, owner)
        scores = torch.zeros_like(inputs)
        scores[..., :nodes] = torch.where(owner >= 0, masks / count, 0)
    return scores


def embeddings(
    model: Model,
    rows: Tensor,  # (rows, nodes, nodes + columns)
) -> Tensor:  # (rows, nodes, channels)
    """The last value of shape (rows, nodes, channels) that the network computes.

    Raises:
        NotApplicable: if there is none.
    """
    seen: list[Tensor] = []

    def see(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        del args, kwargs
        if isinstance(result, Tensor) and result.shape[:2] == rows.shape[:2] and result.dim() == 3 and name != "__getitem__":
            seen[:] = [result]

    with torch.no_grad(), Watch(see):
        model(rows)
    if not seen:
        raise NotApplicable(
            "the network computes nothing of shape (rows, nodes, channels), so its nodes have no embeddings; a network that passes "
            "messages between nodes makes it apply"
        )
    return seen[0].detach().clone()


def logits_of(
    predictor: Predictor,
    embedded: Tensor,  # (rows, nodes, channels)
) -> Tensor:  # (rows, nodes, nodes): of the edge j -> i at [i, j]
    """The logit of every pair of nodes; the first layer is applied to each end once and then added."""
    channels = embedded.shape[2]
    source = embedded @ predictor.first[:, :channels].T
    receiver = embedded @ predictor.first[:, channels:].T + predictor.first_bias
    hidden = torch.relu(receiver.unsqueeze(2) + source.unsqueeze(1))
    return hidden @ predictor.second[0] + predictor.second_bias


def train(
    model: Model,
    reference: Tensor,  # (rows, nodes, nodes + columns)
    embedded: Tensor,  # (rows, nodes, channels)
    predictor: Predictor,
    generator: torch.Generator,
    *,
    epochs: int,
    lr: float,
    batch_size: int,
    penalties: tuple[float, float],
    temperature: tuple[float, float],
    bias: float,
) -> None:
    """Train the predictor in place."""
    with torch.no_grad():
        outputs = model(reference)
    target = outputs.argmax(1)
    wanted, nodes = outputs.gather(1, target.view(-1, 1)).squeeze(1), reference.shape[1]
    chosen = (reference[..., :nodes] != 0).flatten(1).any(1).nonzero().squeeze(1)  # a graph without edges has no mask
    adam = torch.optim.Adam(list(predictor), lr=lr)
    for epoch in range(epochs):
        heat = temperature[0] * (temperature[1] / temperature[0]) ** (epoch / epochs)
        for part in torch.split(chosen, batch_size):
            rows = reference[part]
            drawn = torch.rand(len(part), nodes, nodes, generator=generator, dtype=rows.dtype, device=rows.device)
            u = (1 - 2 * bias) * drawn + bias
            with torch.enable_grad():
                masks = ((u.log() - (1 - u).log() + logits_of(predictor, embedded[part])) / heat).sigmoid()
                shown = torch.cat([rows[..., :nodes] * masks, rows[..., nodes:]], 2)
                loss = prediction_loss(model(shown), target[part], wanted[part]).sum()
                loss = loss + _penalty(masks, rows[..., :nodes] != 0, *penalties)
            for parameter, slope in zip(predictor, torch.autograd.grad(loss, list(predictor)), strict=True):
                parameter.grad = slope
            adam.step()


def _penalty(masks: Tensor, edges: Tensor, size: float, entropy: float) -> Tensor:
    """Size and entropy of the masks of the edges, within each graph, summed over graphs."""
    inner = 0.99 * masks + 0.005
    disorder = -inner * inner.log() - (1 - inner) * (1 - inner).log()
    count = edges.sum((1, 2))
    return size * (masks * edges).sum() + entropy * ((disorder * edges).sum((1, 2)) / count).sum()


def _fresh(channels: int, generator: torch.Generator, like: Tensor) -> Predictor:
    """Weights and biases uniform within 1 / sqrt(fan in), the default of a linear layer."""

    def uniform(fan: int, *shape: int) -> Tensor:
        drawn = torch.rand(*shape, generator=generator, dtype=like.dtype, device=like.device)
        return ((2 * drawn - 1) / math.sqrt(fan)).requires_grad_()

    inward = 2 * channels
    return Predictor(uniform(inward, HIDDEN, inward), uniform(inward, HIDDEN), uniform(HIDDEN, 1, HIDDEN), uniform(HIDDEN, 1))


def _require_settings(epochs: int, lr: float, batch_size: int, temperature: tuple[float, float], bias: float) -> None:
    if not isinstance(epochs, int) or epochs < 1 or not isinstance(batch_size, int) or batch_size < 1:
        raise InvalidInput(f"epochs and batch_size are whole numbers of at least 1 (got {epochs!r} and {batch_size!r})")
    if not lr > 0:
        raise InvalidInput(f"lr is the step size of Adam, greater than 0 (got {lr!r})")
    if not min(temperature) > 0:
        raise InvalidInput(f"temperature is two numbers greater than 0, such as (5, 2) (got {temperature!r})")
    if not 0 < bias <= 0.5:
        raise InvalidInput(f"bias keeps u off 0 and 1; it lies in (0, 1/2] (got {bias!r})")
