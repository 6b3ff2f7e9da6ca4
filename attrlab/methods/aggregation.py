"""Where a sign is dropped decides what a map can still tell: one function with the stage and the sign as its parameters.

Grad-CAM++ and FullGrad drop signs while they aggregate, and their maps, as salient as before, hardly depend any more on the output that is
explained or on the weights that computed it. To see that it is the sign and nothing else, each stage of aggregation is offered with
all signs: the slopes before they are averaged over positions, the products of slope and activation before they are summed over
channels, the products of bias and slope, and the finished map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from torch import Tensor

from attrlab.errors import InvalidInput
from attrlab.methods.activations import Activation, Model, activation_at
from attrlab.methods.class_activation import channel_mean, weighted
from attrlab.methods.full_grad import located, require_images
from attrlab.methods.full_gradient import BiasTerm, Decomposition, full_gradient_decomposition
from attrlab.methods.positions import share_out

Sign = Callable[[Tensor], Tensor]

SIGNS: Mapping[str, Sign] = {
    "all": lambda values: values,
    "positive": lambda values: values.clamp(min=0),
    "negative": lambda values: values.clamp(max=0),
    "absolute": lambda values: values.abs(),
}
"""What is kept: everything, what is above 0, what is below 0 (with its sign), or the size."""

_STAGES: Mapping[str, Callable[[Activation, Sign], Tensor]] = {
    "gradient": lambda at, sign: weighted(at, channel_mean(sign(at.slopes))),
    "gradient_x_activation": lambda at, sign: sign(at.slopes * at.values).sum(1),
    "map": lambda at, sign: sign(weighted(at, channel_mean(at.slopes))),
}

STAGES = (*_STAGES, "bias_x_gradient")


def aggregated_gradients(
    model: Model,
    inputs: Tensor,  # (batch, channels, height, width) or, but for the stage bias_x_gradient, (batch, nodes, columns)
    *,
    target: Tensor,  # (batch,) int64
    feature_mask: Tensor | None = None,  # shaped like inputs, int64, -1 for none
    layer: str | None = None,
    stage: str = "gradient",
    sign: str = "all",
) -> Tensor:  # shaped like inputs
    """A map in which `sign`, s below, is applied at one `stage` of aggregation and nowhere else.

        gradient               L(p) = Σ_k mean_q[s(g_k(q))] A_k(p)
        gradient_x_activation  L(p) = Σ_k s(g_k(p) A_k(p))
        bias_x_gradient        L(p) = Σ s(x ⊙ ∂f/∂x)(p) + Σ_calls Σ_k s(b ⊙ ∂f/∂y)_k(p)
        map                    L(p) = s(Σ_k mean_q[g_k(q)] A_k(p))

    "all" at the gradient and at the map is Grad-CAM, at gradient x activation HiResCAM, at bias x gradient the signed full gradient;
    "positive" at the map is Grad-CAM with its ReLU; "positive" at gradient x activation is LayerCAM where no activation is negative.

    Args:
        model: maps rows to (batch, outputs).
        inputs: the rows that are explained; of a graph, [A | X].
        target: which output of each row.
        feature_mask: for graphs, the player of each entry: an edge gets the mean of its end points.
        layer: dotted path of the module whose output is A; None for the last tensor with positions (see `activations`), and for the stage
            bias_x_gradient, which reads every layer.
        stage: "gradient", "gradient_x_activation", "bias_x_gradient" or "map".
        sign: "all", "positive", "negative" or "absolute".

    Returns:
        Scores in units of the output, not normalised; a row's sum is that of its map.

    Raises:
        InvalidInput: if stage or sign is none of these, or there is no such layer.
        NotApplicable: if nothing in the network has positions, or biases are asked for where rows are not images.

    Example:
        >>> import torch
        >>> net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.Flatten(), torch.nn.Linear(8, 1))
        >>> x = torch.ones(1, 1, 2, 2)
        >>> bool((aggregated_gradients(net, x, target=torch.tensor([0]), stage="map", sign="negative") <= 0).all())
        True

    Reference:
        Khakzar, Baselizadeh, Navab (2020), "Rethinking positive aggregation and propagation of gradients in gradient-based saliency
        methods", arXiv 2012.00362.

    Differs from the paper in: the names are descriptive; no map is normalised.
    """
    if stage not in STAGES or sign not in SIGNS:
        raise InvalidInput(f"stage is one of {', '.join(STAGES)} and sign one of {', '.join(SIGNS)} (got stage={stage!r}, sign={sign!r})")
    if stage != "bias_x_gradient":
        cells = _STAGES[stage](activation_at(model, inputs, target=target, layer=layer), SIGNS[sign])
        return share_out(cells, inputs, feature_mask)
    if layer is not None:
        raise InvalidInput(f"the stage bias_x_gradient reads every layer; leave layer=None (got layer={layer!r})")
    require_images(inputs)
    return located(_signed(full_gradient_decomposition(model, inputs, target=target), SIGNS[sign]), inputs)


def _signed(terms: Decomposition, sign: Sign) -> Decomposition:
    """The decomposition with the sign applied to every product."""
    products = tuple(BiasTerm(call=term.call, product=sign(term.product)) for term in terms.bias_terms)
    return replace(terms, input_term=sign(terms.input_term), bias_terms=products)
