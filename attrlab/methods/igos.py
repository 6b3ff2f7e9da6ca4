"""I-GOS and iGOS++: the smallest smooth mask by which an output goes, comes back, or both, found along integrated gradients."""

from __future__ import annotations

from torch import Tensor

from attrlab.games.game import Model
from attrlab.methods.descent import Progress
from attrlab.methods.integrated_masks import Descent, integrated_masks
from attrlab.methods.line_search import Armijo
from attrlab.methods.masked_rows import Bounded


def igos(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    size: int = 28,
    steps: int = 15,
    n_steps: int = 20,
    l1: float = 1.0,
    tv: float = 20.0,
    noise: float = 0.05,
    step: float = 200.0,
    blur: float | None = None,
    bounded: Bounded = "relative",
    progress: Progress | None = None,
) -> Tensor:  # (batch, *features), in the dtype of inputs
    """I-GOS: 1 - m, with m lowering the mean over s of score(b + s m (x - b)), plus l1 mean |1 - m| + tv mean |m_p - m_q|².

    Arguments, result and errors are those of `igos_plus_plus`; the first step tried is 200.

    Reference:
        Qi, Khorram and Li (2020), "Visualizing deep networks by optimizing with integrated gradients", equations 4 to 7.

    Differs from the paper in: as `igos_plus_plus`; the variation's power is 2, and l1 is not lowered where a row's score does not move.

    Example:
        >>> import torch
        >>> x = torch.ones(1, 3)
        >>> scores = igos(lambda x: x[:, :1].clamp(max=0.5), x, target=torch.tensor([0]), baseline=torch.zeros(1, 3),
        ...     feature_mask=torch.tensor([[0, 1, 2]]), seeds=torch.tensor([0]), l1=0.1)
        >>> int(scores.argmax())
        0
    """
    descent = Descent(
        objective="deletion", steps=steps, n_steps=n_steps, l1=l1, tv=tv, noise=noise, armijo=Armijo(start=step), bilateral=False
    )
    question = {"target": target, "baseline": baseline, "feature_mask": feature_mask, "seeds": seeds}
    return integrated_masks(model, inputs, **question, descent=descent, size=size, blur=blur, bounded=bounded, progress=progress).scores


def igos_naive_insertion(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    size: int = 28,
    steps: int = 15,
    n_steps: int = 20,
    l1: float = 1.0,
    tv: float = 20.0,
    noise: float = 0.05,
    step: float = 1000.0,
    blur: float | None = None,
    bounded: Bounded = "relative",
    progress: Progress | None = None,
) -> Tensor:  # (batch, *features), in the dtype of inputs
    """I-GOS with insertion added naively: one mask is asked to delete and, by its complement, to insert; the paper's ablation.

    Arguments, result and errors are those of `igos_plus_plus`.

    Reference:
        Khorram, Lawson and Li (2021), "iGOS++: integrated gradient optimized saliency by bilateral perturbations", section 4.4.

    Example:
        >>> import torch
        >>> x = torch.ones(1, 3)
        >>> scores = igos_naive_insertion(lambda x: x[:, :1], x, target=torch.tensor([0]), baseline=torch.zeros(1, 3),
        ...     feature_mask=torch.tensor([[0, 1, 2]]), seeds=torch.tensor([0]))
        >>> int(scores.argmax())
        0
    """
    descent = Descent(objective="naive", steps=steps, n_steps=n_steps, l1=l1, tv=tv, noise=noise, armijo=Armijo(start=step))
    question = {"target": target, "baseline": baseline, "feature_mask": feature_mask, "seeds": seeds}
    return integrated_masks(model, inputs, **question, descent=descent, size=size, blur=blur, bounded=bounded, progress=progress).scores


def igos_plus_plus(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    size: int = 28,
    steps: int = 15,
    n_steps: int = 20,
    l1: float = 1.0,
    tv: float = 20.0,
    bilateral: bool = True,
    width: float = 0.01,
    noise: float = 0.05,
    step: float = 1000.0,
    blur: float | None = None,
    bounded: Bounded = "relative",
    progress: Progress | None = None,
) -> Tensor:  # (batch, *features), in the dtype of inputs
    """iGOS++: 1 - m_x m_y, where m_x deletes, m_y inserts, and their product does both.

    With D(m) the mean over s = 1/S, ..., 1 of score(b + s m (x - b)), and I(m) that of score(x + s m (b - x)), it lowers
    D(m_x) - I(m_y) + D(m_x m_y) - I(m_x m_y) + l1 mean |1 - m_x m_y| + tv (variation + bilateral variation)(m_x m_y) / 2 from
    masks of ones, by steps along the slope which Armijo's test accepts on this same objective.

    Args:
        model: maps (rows, *features) to (rows, outputs).
        inputs: the explained rows.
        target: which output of each row.
        baseline: what stands where something is removed.
        feature_mask: the player of each entry; players of rows that are no images have one cell each, and entries of -1 always stay.
        seeds: the noise stream of each row; a step draws once, and its line search keeps what was drawn.
        size: of an image's masks, at most this many cells along a side.
        steps: T, how often the masks are moved.
        n_steps: S, strengths of a mask over which the score is averaged.
        l1: weight of the share of the row that is removed; the paper has 10 for masks of 224 x 224.
        tv: weight of the mask's variation.
        bilateral: whether half of it is free where the image itself has an edge; of images only.
        width: of such an edge, as a share of the row's range.
        noise: standard deviation, as a share of the row's range; 0.2 for images of unit deviation, which span about 4.
        step: the first step that is tried; it shrinks by 0.2 down to 1e-5. The paper's suits slopes of a thousandth, one of 784 cells;
            where cells are few it sends many of both masks to 0 at once, and where both are 0 their product has no slope back. On
            digits of 16 x 16 pixels 3 reached a lower objective than 1000.
        blur: of the image that replaces the removed part, in pixels (the paper: 50 at 224 x 224); None for the baseline.
        bounded: the score: relative to what the replacement of everything does, a softmax (the paper) or a sigmoid.
        progress: called as progress(steps done, steps in all).

    Returns:
        How much of each cell the product removes, in [0, 1], divided among the entries of a pixel or of a player. 0 where f(x) ≈ f(b):
        there is no explanation; `integrated_masks` says which rows these are, and gives both masks.

    Raises:
        InvalidInput: if a hyperparameter is out of range.
        NotApplicable: if rows depend on their batch, or rows that are no images are to be blurred.

    Reference:
        Khorram, Lawson and Li (2021), "iGOS++: integrated gradient optimized saliency by bilateral perturbations", equations 4 to 8.

    Differs from the paper in: the score is relative and the replacement the baseline, unless asked otherwise; size and variation are
        means over cells and over pairs of neighbours; Armijo's test asks for a decrease in proportion to the projected step.

    Example:
        >>> import torch
        >>> x = torch.ones(1, 3)
        >>> scores = igos_plus_plus(lambda x: x[:, :1], x, target=torch.tensor([0]), baseline=torch.zeros(1, 3),
        ...     feature_mask=torch.tensor([[0, 1, 2]]), seeds=torch.tensor([0]))
        >>> scores.round(decimals=1) + 0
        tensor([[1., 0., 0.]])
    """
    descent = Descent(
        objective="product",
        steps=steps,
        n_steps=n_steps,
        l1=l1,
        tv=tv,
        noise=noise,
        armijo=Armijo(start=step),
        bilateral=bilateral,
        width=width,
    )
    question = {"target": target, "baseline": baseline, "feature_mask": feature_mask, "seeds": seeds}
    return integrated_masks(model, inputs, **question, descent=descent, size=size, blur=blur, bounded=bounded, progress=progress).scores
