"""Occlusion by a window that slides over an image: what a region is worth, read where windows overlap as their mean.

A window is not a player, since windows overlap. Its effect is divided among its pixels, so that a map has the scale of single pixels
whatever the window: of a network that is additive in its pixels, windows side by side give sums that are complete.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attrlab.errors import NotApplicable
from attrlab.games.drawn import Windows, answers
from attrlab.games.game import Model, make_game
from attrlab.games.plan import Without, concatenate
from attrlab.method import spread
from attrlab.methods.sampling import require_at_least


def occlusion_windows(
    model: Model,
    inputs: Tensor,  # (batch, channels, height, width)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, channels, height, width)
    feature_mask: Tensor,  # (batch, channels, height, width) int64, -1 for none
    window: int = 3,
    stride: int = 1,
) -> Tensor:  # (batch, channels, height, width), in the dtype of inputs
    """The effect of hiding a square window, averaged over the windows that cover a pixel, per pixel of the window.

    A_p = mean over windows W that cover p of (v(N) - v(N without W)) / |W|, spread evenly over the channels of p, where the pixels of W
    take the baseline's value. Windows stand at every multiple of `stride` and, where the last would not reach it, at the edge.

    Args:
        model: maps (rows, channels, height, width) to (rows, outputs).
        inputs: the images that are explained.
        target: which output of each row.
        baseline: the value of what is hidden.
        feature_mask: entries of -1 are no part of any window's effect, and score 0; how the others are grouped does not matter.
        window: side of the square, in pixels; cut down to an image that is smaller.
        stride: step between windows, in pixels, at most `window`.

    Returns:
        Scores whose sum over the entries of windows that do not overlap is the windows' effects.

    Raises:
        NotApplicable: if inputs are not images.
        InvalidInput: if shapes, types or ranges do not fit.

    Example:
        >>> import torch
        >>> image = torch.arange(4.0).view(1, 1, 2, 2)
        >>> occlusion_windows(lambda x: x.sum((1, 2, 3)).unsqueeze(1), image, target=torch.tensor([0]), baseline=torch.zeros(1, 1, 2, 2),
        ...     feature_mask=torch.arange(4).view(1, 1, 2, 2), window=2, stride=2)
        tensor([[[[1.5000, 1.5000],
                  [1.5000, 1.5000]]]])

    Reference:
        Zeiler and Fergus, "Visualizing and understanding convolutional networks", 2014, section 4.2.

    Differs from the paper in: the effect is on the logit and is divided among the pixels of a window (Captum's Occlusion gives each
        of them the whole); what is hidden takes the baseline's value, not grey.
    """
    _require_images(inputs, window, stride)
    high, wide = image = (inputs.shape[2], inputs.shape[3])
    pixels = torch.arange(high * wide, device=inputs.device).view(1, 1, *image).expand_as(inputs)
    pixels = torch.where(feature_mask < 0, -1, pixels)
    game = make_game(model, inputs, target=target, baseline=baseline, feature_mask=pixels, players=high * wide)
    tall, broad = min(window, high), min(window, wide)
    down, across = _starts(high, tall, stride, inputs.device), _starts(wide, broad, stride, inputs.device)
    top, left = torch.cartesian_prod(down, across).unbind(1)
    nobody = torch.arange(len(game), device=top.device)
    jobs = concatenate(
        Without(sample=nobody, player=torch.full_like(nobody, -1), players=game.players),
        Windows(batch=len(game), top=top, left=left, height=tall, width=broad, image=image),
    )
    values = answers(game, jobs)
    effects = values[: len(game)].view(-1, 1, 1) - values[len(game) :].view(len(game), len(down), len(across))
    scores = _shared(effects, game.present.view(-1, *image), _covered(down, tall, high), _covered(across, broad, wide))
    return spread(scores.flatten(1), game.feature_mask).to(inputs.dtype)


def _shared(
    effects: Tensor,  # (batch, tops, lefts) float64
    present: Tensor,  # (batch, height, width) bool
    rows: Tensor,  # (tops, height) float64, 1 where a window covers
    columns: Tensor,  # (lefts, width) float64
) -> Tensor:  # (batch, height, width) float64
    """Every window's effect divided among its present pixels, and at every pixel the mean over the windows that cover it."""
    size = rows @ present.double() @ columns.T
    total = rows.T @ (effects / size.clamp(min=1)) @ columns
    covering = torch.outer(rows.sum(0), columns.sum(0))
    return total / covering * present


def _starts(side: int, window: int, stride: int, device: torch.device) -> Tensor:  # (windows,) int64
    """Where windows begin: every multiple of the stride, and one at the edge where the last does not reach it."""
    starts = list(range(0, side - window + 1, stride))
    return torch.tensor(starts + [side - window] * (starts[-1] + window < side), device=device)


def _covered(starts: Tensor, window: int, side: int) -> Tensor:  # (windows, side) float64
    at = torch.arange(side, device=starts.device)
    return ((at >= starts.unsqueeze(1)) & (at < starts.unsqueeze(1) + window)).double()


def _require_images(inputs: Tensor, window: int, stride: int) -> None:
    require_at_least("stride", stride, 1)
    require_at_least("window", window, stride)
    if inputs.dim() != 4:
        raise NotApplicable(f"a window slides over images, (batch, channels, height, width): use occlusion (got {tuple(inputs.shape)})")
