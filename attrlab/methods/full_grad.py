"""FullGrad: the full gradient as a map, with the signs that make it an account of the output, and without them, as it was published.

The decomposition (see `full_gradient`) places each bias at the call that adds it. As a map its terms are brought to the size of the
image and summed; what the published map takes from them first, their sign and their scale, is what the decomposition was exact in.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attrlab.errors import NotApplicable
from attrlab.methods.activations import Model
from attrlab.methods.full_gradient import Decomposition, full_gradient_decomposition
from attrlab.methods.positions import interpolated, share_out


def full_grad(
    model: Model,
    inputs: Tensor,  # (batch, channels, height, width)
    *,
    target: Tensor,  # (batch,) int64
) -> Tensor:  # shaped like inputs
    """FullGrad saliency: S(p) = Σ_channels ψ(x ⊙ ∂f/∂x)(p) + Σ_maps Σ_channels ψ(b ⊙ ∂f/∂y)(p).

    ψ takes absolute values, stretches each term of each row to [0, 1] over its channels and positions, and interpolates it to the size of
    the image. By this the map loses the sign, the scale and the completeness of the decomposition.

    Args:
        model: maps images to (batch, outputs).
        inputs: the images that are explained.
        target: which output of each row.

    Returns:
        Non-negative scores without a unit, a pixel's divided evenly among its channels.

    Raises:
        NotApplicable: if rows are not images, or as `full_gradient_decomposition`.

    Example:
        >>> net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8, 1))
        >>> bool((full_grad(net, torch.ones(1, 1, 2, 2), target=torch.tensor([0])) >= 0).all())
        True

    Reference:
        Srinivas, Fleuret (2019), section 4, equation 4, with the ψ of the authors' published program.

    Differs from the paper in: a term that is the same everywhere is 0, where the program adds 10⁻⁶ to its range; each call is a term, so
        a convolution and the batch norm after it are two, as in the program. Terms without positions (dense layers) are left out, as there.
    """
    require_images(inputs)
    terms = full_gradient_decomposition(model, inputs, target=target)
    saliency = _stretched(terms.input_term).sum(1)
    for term in terms.bias_terms:
        if term.product.dim() == 4:
            saliency = saliency + interpolated(_stretched(term.product).sum(1), inputs)
    return (saliency / inputs.shape[1]).unsqueeze(1).expand_as(inputs).clone()


def full_grad_signed(
    model: Model,
    inputs: Tensor,  # (batch, channels, height, width)
    *,
    target: Tensor,  # (batch,) int64
) -> Tensor:  # shaped like inputs
    """The full-gradient decomposition as a map: every term keeps its sign and stands where it arose, so that a row sums to f(x).

    Input terms stand at their entries, bias terms with positions are shared out among the pixels, and those without (dense layers) evenly
    among all entries: they have no place, and so they move no ranking.

    Args, raises: as `full_grad`.

    Returns:
        Scores in units of the output, whose sum over a row is f(x).

    Example:
        >>> net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8, 1))
        >>> x = torch.ones(1, 1, 2, 2)
        >>> torch.allclose(full_grad_signed(net, x, target=torch.tensor([0])).sum(), net(x).sum())
        True

    Reference:
        Srinivas, Fleuret (2019), proposition 1, without the ψ of equation 4.
    """
    require_images(inputs)
    return located(full_gradient_decomposition(model, inputs, target=target), inputs)


def located(terms: Decomposition, inputs: Tensor) -> Tensor:
    """Share the terms out among the entries of images; their sums are kept."""
    scores = terms.input_term
    entries = max(inputs[0].numel(), 1) if len(inputs) else 1
    for term in terms.bias_terms:
        if term.product.dim() == 4:
            scores = scores + share_out(term.product.sum(1), inputs, None)
        else:
            scores = scores + (term.product.flatten(1).sum(1) / entries).view(-1, 1, 1, 1)
    return scores


def require_images(inputs: Tensor) -> None:
    """Refuse rows in which biases have no place.

    Raises:
        NotApplicable: if rows are not (channels, height, width).
    """
    if inputs.dim() != 4:
        raise NotApplicable(
            "the map of the full gradient places biases among pixels, so rows must be (channels, height, width); the terms of any other "
            f"network are given by full_gradient_decomposition (got rows of shape {tuple(inputs.shape[1:])})"
        )


def _stretched(product: Tensor) -> Tensor:  # (batch, channels, height, width)
    """Absolute values, stretched to [0, 1] within each row; a term that is the same everywhere is 0."""
    size = product.abs()
    low, high = size.amin((1, 2, 3), keepdim=True), size.amax((1, 2, 3), keepdim=True)
    return (size - low) / torch.where(high > low, high - low, 1)
