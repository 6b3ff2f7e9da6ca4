"""Class activation maps: what a late layer holds at each position, weighted by what the explained output makes of its channels.

All of them combine one layer's activations A_k(p) with the slopes g_k(p) = ∂f/∂A_k(p) and differ in how: the slope may be averaged over
positions first (Grad-CAM), taken where it is (HiResCAM), or only where it is positive (LayerCAM, Grad-CAM++). A score is read at the
position of the *layer*; that this is the position of the input is an assumption of all of them, and no property of the function.

Maps are signed, and in units of the output: the ReLU with which the papers end is the keyword `relu`, and nothing is scaled to
[0, 1]. A map is shared out among the entries of the input so that its sum is kept (see `positions`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from attrlab.methods.activations import Activation, Model, activation_at
from attrlab.methods.positions import share_out


def grad_cam(
    model: Model,
    inputs: Tensor,  # (batch, channels, height, width) or (batch, nodes, columns)
    *,
    target: Tensor,  # (batch,) int64
    feature_mask: Tensor | None = None,  # shaped like inputs, int64, -1 for none
    layer: str | None = None,
    relu: bool = False,
) -> Tensor:  # shaped like inputs
    """Grad-CAM: L(p) = Σ_k α_k A_k(p), with α_k = mean over positions of g_k.

    For a network that ends in global average pooling and a linear layer this is Zhou et al.'s class activation map over the number of
    positions, and its sum is f(x) less the bias.

    Args:
        model: maps rows to (batch, outputs).
        inputs: the rows that are explained; of a graph, [A | X].
        target: which output of each row.
        feature_mask: for graphs, the player of each entry: an edge gets the mean of its end points.
        layer: dotted path of the module whose output is A; None for the last tensor with positions (see `activations`).
        relu: set negative cells to 0, as the paper does in order to keep what speaks for the class alone.

    Returns:
        Scores in units of the output; a row's sum is that of its map.

    Raises:
        NotApplicable: if nothing in the network has positions.
        InvalidInput: if there is no such layer.

    Example:
        >>> from torch import nn
        >>> net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten(), nn.Linear(4, 1))
        >>> grad_cam(net, torch.ones(1, 1, 2, 2), target=torch.tensor([0])).shape
        torch.Size([1, 1, 2, 2])

    Reference:
        Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra (2017), "Grad-CAM", equations 1 and 2; on graphs, Pope, Kolouri, Rostami, Martin,
        Hoffmann (2019), "Explainability methods for graph convolutional neural networks", section 3.3.

    Differs from the paper in: no ReLU unless asked for.
    """
    at = activation_at(model, inputs, target=target, layer=layer)
    return _finished(weighted(at, channel_mean(at.slopes)), inputs, feature_mask, relu)


def hires_cam(
    model: Model,
    inputs: Tensor,  # (batch, channels, height, width) or (batch, nodes, columns)
    *,
    target: Tensor,  # (batch,) int64
    feature_mask: Tensor | None = None,  # shaped like inputs, int64, -1 for none
    layer: str | None = None,
    relu: bool = False,
) -> Tensor:  # shaped like inputs
    """HiResCAM: L(p) = Σ_k g_k(p) A_k(p); what each position contributes, if all that follows the layer is linear.

    Then its sum is f(x) less the biases that follow.

    Args, returns, raises: as `grad_cam`.

    Example:
        >>> from torch import nn
        >>> net = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Flatten(), nn.Linear(4, 1, bias=False))
        >>> scores = hires_cam(net, torch.ones(1, 1, 2, 2), target=torch.tensor([0]))
        >>> torch.allclose(scores.sum(), net(torch.ones(1, 1, 2, 2)))
        True

    Reference:
        Draelos, Carin (2020), "Use HiResCAM instead of Grad-CAM for faithful explanations of CNNs", arXiv 2011.08891, section 3.

    Differs from the paper in: no ReLU unless asked for.
    """
    at = activation_at(model, inputs, target=target, layer=layer)
    return _finished((at.slopes * at.values).sum(1), inputs, feature_mask, relu)


def layer_cam(
    model: Model,
    inputs: Tensor,  # (batch, channels, height, width) or (batch, nodes, columns)
    *,
    target: Tensor,  # (batch,) int64
    feature_mask: Tensor | None = None,  # shaped like inputs, int64, -1 for none
    layer: str | None = None,
    relu: bool = False,
) -> Tensor:  # shaped like inputs
    """LayerCAM: L(p) = Σ_k ReLU(g_k(p)) A_k(p); a position counts only where raising it would raise the output.

    Args, returns, raises: as `grad_cam`.

    Example:
        >>> from torch import nn
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(8, 1))
        >>> bool((layer_cam(net, torch.ones(1, 1, 2, 2), target=torch.tensor([0])) >= 0).all())
        True

    Reference:
        Jiang, Zhang, Hou, Cheng, Wei (2021), "LayerCAM: exploring hierarchical class activation maps for localization", equations 5 to 7.

    Differs from the paper in: no ReLU unless asked for (it changes nothing where activations are non-negative); one layer, no fusion.
    """
    at = activation_at(model, inputs, target=target, layer=layer)
    return _finished((at.slopes.clamp(min=0) * at.values).sum(1), inputs, feature_mask, relu)


def grad_cam_plus_plus(
    model: Model,
    inputs: Tensor,  # (batch, channels, height, width) or (batch, nodes, columns)
    *,
    target: Tensor,  # (batch,) int64
    feature_mask: Tensor | None = None,  # shaped like inputs, int64, -1 for none
    layer: str | None = None,
    relu: bool = False,
    rectify: bool = True,
) -> Tensor:  # shaped like inputs
    """Grad-CAM++: L(p) = Σ_k w_k A_k(p), w_k = Σ_p α_k(p) ReLU(g_k(p)), α_k(p) = g_k(p)² / (2 g_k(p)² + g_k(p)³ Σ_q A_k(q)).

    The closed form of α is that of exp(f) as the class score, whose powers of the slope are g, g² and g³.

    Args:
        model: maps rows to (batch, outputs).
        inputs: the rows that are explained; of a graph, [A | X].
        target: which output of each row.
        feature_mask: for graphs, the player of each entry: an edge gets the mean of its end points.
        layer: dotted path of the module whose output is A; None for the last tensor with positions (see `activations`).
        relu: set negative cells to 0, as the paper does.
        rectify: drop negative slopes before they are summed, as the paper does. Without it a slope below -2 / Σ_q A_k(q) still counts as a
            positive one, because its α is negative: the closed form of α is meant for positive slopes.

    Returns, raises: as `grad_cam`.

    Example:
        >>> from torch import nn
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(8, 1))
        >>> grad_cam_plus_plus(net, torch.ones(1, 1, 2, 2), target=torch.tensor([0])).shape
        torch.Size([1, 1, 2, 2])

    Reference:
        Chattopadhay, Sarkar, Howlader, Balasubramanian (2018), "Grad-CAM++", equations 5, 9 and 19.

    Differs from the paper in: no ReLU at the end unless asked for; the factor exp(f) of all weights of a row is left out, as it
        overflows and only scales; α is 0 where its denominator is.
    """
    at = activation_at(model, inputs, target=target, layer=layer)
    positions = tuple(range(2, at.slopes.dim()))
    square = at.slopes.square()
    below = 2 * square + square * at.slopes * at.values.sum(positions, keepdim=True)
    alpha = quotient(square, below)
    slopes = at.slopes.clamp(min=0) if rectify else at.slopes
    return _finished(weighted(at, (alpha * slopes).sum(positions)), inputs, feature_mask, relu)


def x_grad_cam(
    model: Model,
    inputs: Tensor,  # (batch, channels, height, width) or (batch, nodes, columns)
    *,
    target: Tensor,  # (batch,) int64
    feature_mask: Tensor | None = None,  # shaped like inputs, int64, -1 for none
    layer: str | None = None,
    relu: bool = False,
) -> Tensor:  # shaped like inputs
    """XGrad-CAM: L(p) = Σ_k α_k A_k(p), with α_k = Σ_p A_k(p) g_k(p) / Σ_p A_k(p); it sums to what HiResCAM sums to.

    Args, returns, raises: as `grad_cam`.

    Example:
        >>> from torch import nn
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten(), nn.Linear(8, 1))
        >>> x_grad_cam(net, torch.ones(1, 1, 2, 2), target=torch.tensor([0])).shape
        torch.Size([1, 1, 2, 2])

    Reference:
        Fu, Hu, Dong, Guo, Gao, Li (2020), "Axiom-based Grad-CAM", equation 8.

    Differs from the paper in: no ReLU unless asked for; a channel whose activations sum to 0 has weight 0.
    """
    at = activation_at(model, inputs, target=target, layer=layer)
    positions = tuple(range(2, at.slopes.dim()))
    weights = quotient((at.values * at.slopes).sum(positions), at.values.sum(positions))
    return _finished(weighted(at, weights), inputs, feature_mask, relu)


def channel_mean(slopes: Tensor) -> Tensor:  # (batch, channels, *positions) -> (batch, channels)
    """The mean over positions; 0 for no position."""
    return slopes.flatten(2).mean(2)


def weighted(at: Activation, weights: Tensor) -> Tensor:  # (batch, channels) -> (batch, *positions)
    """The sum over channels of activation times the channel's weight."""
    return torch.einsum("bk,bk...->b...", weights, at.values)


def quotient(above: Tensor, below: Tensor) -> Tensor:
    """The quotient above / below, 0 where below is 0."""
    nothing = below == 0
    return torch.where(nothing, 0, above / torch.where(nothing, 1, below))


def _finished(cells: Tensor, inputs: Tensor, feature_mask: Tensor | None, relu: bool) -> Tensor:
    """Rectify the map if asked to, and share it out among the entries."""
    return share_out(cells.clamp(min=0) if relu else cells, inputs, feature_mask)
