"""Controls: what a score means is known only beside noise, a constant, what needs no network, and the exact truth.

None of them looks into the network. Some look at the input alone (its size, its edges, its degrees), one at the class alone, some at the
truth; whoever does no better than these has explained nothing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.method import players_of, spread
from attrlab.randomness import row_uniform

CLASS_STREAM = 1 << 50
"""Where the streams of class codes begin, apart from those of rows."""


def random(model: nn.Module, inputs: Tensor, *, seeds: Tensor) -> Tensor:
    """Independent uniform scores in [-1, 1), one stream per row: the floor of every ranking."""
    del model
    return row_uniform(seeds, tuple(inputs.shape[1:]), dtype=inputs.dtype) * 2 - 1


def constant(model: nn.Module, inputs: Tensor) -> Tensor:
    """The score 1 for every entry: no ranking at all, so that a metric which rewards the order of indices is caught."""
    del model
    return torch.ones_like(inputs)


def input_magnitude(model: nn.Module, inputs: Tensor, *, baseline: Tensor) -> Tensor:
    """How far an entry is from its baseline, |x_i - x'_i|: what is large looks important."""
    del model
    return (inputs - baseline).abs()


def edge_filter(
    model: nn.Module,
    inputs: Tensor,  # (batch, channels, height, width)
) -> Tensor:
    """The size of the image's gradient by Sobel's filters on the mean of the channels, spread over them: a picture of contours.

    Adebayo et al. (2018), section 4, show that it looks like many an attribution map.

    Raises:
        NotApplicable: if a row is no image.
    """
    del model
    _require_image(inputs)
    grey = pad(inputs.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]], dtype=inputs.dtype, device=inputs.device) / 8
    slopes = conv2d(grey, torch.stack([across, across.T])[:, None])
    return (slopes.square().sum(1, keepdim=True).sqrt() / inputs.shape[1]).expand_as(inputs).clone()


def degree(
    model: nn.Module,
    inputs: Tensor,  # (batch, nodes, nodes + channels): [A | X]
    *,
    feature_mask: Tensor,
) -> Tensor:
    """The degree of a node, and of an edge the sum of the degrees of its ends; every player gets the mean over its entries.

    On the usual motif benchmarks degrees alone find the motif (graphs.md, 1.3). A is read from the first columns of the row.

    Raises:
        NotApplicable: if a row is no [A | X].
    """
    del model
    if inputs.dim() != 3 or inputs.shape[2] < inputs.shape[1]:
        raise NotApplicable(f"a graph is a row [A | X] of shape (nodes, nodes + channels) (got {tuple(inputs.shape[1:])})")
    nodes = inputs.shape[1]
    degrees = (inputs[..., :nodes] != 0).to(inputs.dtype).sum(2)
    ends = degrees.unsqueeze(2) + degrees.unsqueeze(1)
    entries = torch.cat([ends, degrees.unsqueeze(2).expand(-1, -1, inputs.shape[2] - nodes)], 2)
    players = int(feature_mask.max()) + 1 if feature_mask.numel() else 0
    counts = players_of(torch.ones_like(entries), feature_mask, players)
    return spread(players_of(entries, feature_mask, players) / counts.clamp(min=1), feature_mask)


def class_coded_mask(model: nn.Module, inputs: Tensor, *, target: Tensor, label: str = "target") -> Tensor:
    """A pattern of zeros and ones that depends on the class and on nothing else: it explains nothing and tells everything.

    A network retrained on what such a mask keeps reads the class off the mask (label leakage; Rong et al. 2022, section 3).

    Args:
        model: used for its prediction only.
        inputs: used for their shape only, and for the prediction.
        target: (batch,) the class that is written.
        label: "target", or "predicted" for the model's largest output.

    Raises:
        InvalidInput: if `label` is neither.
    """
    if label not in ("target", "predicted"):
        raise InvalidInput(f"label is 'target' or 'predicted' (got {label!r})")
    if label == "predicted":
        with torch.no_grad():
            target = model(inputs).argmax(1)
    return (row_uniform(target + CLASS_STREAM, tuple(inputs.shape[1:]), dtype=inputs.dtype) < 0.5).to(inputs.dtype)


def blurred_random(
    model: nn.Module,
    inputs: Tensor,  # (batch, channels, height, width)
    *,
    seeds: Tensor,
    sigma: float = 1.5,
) -> Tensor:
    """Noise as smooth as a coarse map: one Gaussian field per row, blurred by `sigma` pixels, the same for all channels.

    Smooth maps remove whole regions, and what regions do to a network is not what single pixels do; this is their floor.

    Raises:
        NotApplicable: if a row is no image.
        InvalidInput: if `sigma` is not positive.
    """
    del model
    _require_image(inputs)
    if not sigma > 0:
        raise InvalidInput(f"sigma is a width in pixels, a positive number (got {sigma})")
    height, width = inputs.shape[2:]
    reach = max(1, math.ceil(3 * sigma))
    field = row_uniform(seeds, (1, height + 2 * reach, width + 2 * reach), dtype=inputs.dtype) - 0.5
    steps = torch.arange(-reach, reach + 1, dtype=inputs.dtype, device=inputs.device)
    bell = torch.exp(-steps.square() / (2 * sigma**2))
    bell = bell / bell.sum()
    blurred = conv2d(conv2d(field, bell.view(1, 1, -1, 1)), bell.view(1, 1, 1, -1))
    return (blurred / inputs.shape[1]).expand_as(inputs).clone()


def truth(model: nn.Module, inputs: Tensor, *, feature_mask: Tensor, truth: Tensor) -> Tensor:
    """The exact Shapley values of the environment, spread evenly over the entries of each player: the ceiling."""
    del model
    return spread(truth.to(inputs.dtype), feature_mask)


def inverted_truth(model: nn.Module, inputs: Tensor, *, feature_mask: Tensor, truth: Tensor) -> Tensor:
    """The exact truth with null players on top: |φ| reversed within each row, max|φ| - |φ|.

    The sign of the truth alone would leave the ranking by absolute value unchanged, so the order of sizes is reversed instead.
    """
    del model
    size = truth.abs().to(inputs.dtype)
    return spread(size.amax(1, keepdim=True) - size, feature_mask)


def noisy_truth(model: nn.Module, inputs: Tensor, *, feature_mask: Tensor, truth: Tensor, seeds: Tensor, noise: float = 0.5) -> Tensor:
    """A rung of the ladder (1 - λ) φ + λ max|φ| u from the truth to noise, λ = `noise`, u uniform in [-1, 1).

    An evaluation that can be trusted falls as λ grows.

    Raises:
        InvalidInput: if `noise` is outside of [0, 1].
    """
    del model
    if not 0 <= noise <= 1:
        raise InvalidInput(f"noise is the share of noise in the scores, in [0, 1] (got {noise})")
    exact = truth.to(inputs.dtype)
    drawn = row_uniform(seeds, (truth.shape[1],), dtype=inputs.dtype) * 2 - 1
    mixed = (1 - noise) * exact + noise * exact.abs().amax(1, keepdim=True) * drawn
    return spread(mixed, feature_mask)


def _require_image(inputs: Tensor) -> None:
    if inputs.dim() != 4:
        raise NotApplicable(f"an image is a row (channels, height, width); this control knows no other (got {tuple(inputs.shape[1:])})")
