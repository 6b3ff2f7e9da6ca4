"""Does removing what is called relevant first change the output soonest? Areas under deletion and insertion curves.

Outputs of different rows have different scales, so a curve v is brought to (v - v(empty)) / |v(N) - v(empty)|: it runs between 0
and 1 where the input raises the output, and between 0 and -1 where it lowers it. The divisor is a magnitude on purpose: dividing by
the signed difference would turn the curve of an input that lowers its output upside down, and with it the direction that is
better. Where the difference is 0 the normalised area is not defined; the raw area, in logits, always is. Where scores are tied, a curve is
the mean over all orders of the tie (`orders`), so that an attribution which states no order scores what a random order scores on average.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from attrlab.games.curves import Curve, Mode, Order, area
from attrlab.games.ranking import rounding_of
from attrlab.games.value import Value
from attrlab.metrics.answers import Asked, asked
from attrlab.metrics.metric import Metric
from attrlab.metrics.orders import mean_curve

_MODES: tuple[Mode, Mode] = ("insertion", "deletion")


def perturbation_area(
    game: Asked,
    scores: Tensor,  # (batch, players)
    *,
    mode: Mode,
    order: Order = "morf",
    ranking: Literal["signed", "absolute"] = "signed",
    value: Value = "logit",
    normalised: bool = True,
    steps: int | None = None,
) -> Tensor:  # (batch,) float64
    """The exact area under the mean curve over the fraction of players.

    Args:
        game: what is asked.
        scores: of the players.
        mode: "deletion" or "insertion".
        order: "morf", largest score first, or "lerf", smallest first.
        ranking: by the score as it is, or by its absolute value.
        value: "logit", "probability", or a function of (logits, target).
        normalised: whether the curve is first brought to (v - v(empty)) / |v(N) - v(empty)|.
        steps: as in `mean_curve`; None takes players one at a time.

    Returns:
        NaN where scores are not finite, a row has no player or, normalised, v(N) - v(empty) is within rounding of 0 on the scale of
        the curve.

    Raises:
        InvalidInput: as `mean_curve`.

    Example:
        >>> import torch
        >>> from attrlab.games import make_game
        >>> inputs = torch.tensor([[3.0, 1.0]])
        >>> game = make_game(lambda x: x.sum(1, keepdim=True), inputs, target=torch.tensor([0]),
        ...     baseline=torch.zeros(1, 2), feature_mask=torch.tensor([[0, 1]]))
        >>> perturbation_area(game, inputs, mode="deletion")  # 1, 1/4, 0 over halves
        tensor([0.3750], dtype=torch.float64)

    Reference:
        Samek et al., 2017; Petsiuk et al., "RISE", 2018, section 4.
    """
    found = mean_curve(game, scores, order=order, mode=mode, ranking=ranking, steps=steps, value=value)
    return normalised_area(found, mode) if normalised else area(found)


def normalised_area(
    found: Curve,
    mode: Mode,
) -> Tensor:  # (batch,) float64
    """The area of (v - v(empty)) / |v(N) - v(empty)|; NaN where the divisor is within rounding of 0."""
    ends = found.value[:, [0, -1]].double()
    nothing = ends[:, 1] if mode == "deletion" else ends[:, 0]
    difference = (ends[:, 1] - ends[:, 0]).abs()
    defined = difference > rounding_of(found.value.nan_to_num()).squeeze(1)
    return ((area(found) - nothing) / difference).where(defined, torch.nan)


def mean_over_rows(
    game: Asked,
    scores: Tensor,  # (batch, players)
    *,
    mode: Mode,
) -> tuple[Tensor, Tensor]:  # both (points,) float64
    """The mean over rows of the normalised curves, at every fraction at which any of them has a point.

    Between points curves are straight, so the area under the mean curve is the mean of the rows' areas: what is drawn is what is scored.

    Returns:
        Fractions, ascending from 0 to 1, and the curve; empty where the curve is defined on no row.
    """
    found = mean_curve(game, scores, mode=mode)
    ends = found.value[:, [0, -1]].double()
    difference = (ends[:, 1] - ends[:, 0]).abs().unsqueeze(1)
    defined = ~normalised_area(found, mode).isnan()
    value = ((found.value.double() - (ends[:, 1:] if mode == "deletion" else ends[:, :1])) / difference)[defined]
    fraction = found.fraction[defined]
    grid: Tensor = torch.unique(fraction)
    if not len(value):
        return grid, grid
    right = torch.searchsorted(fraction, grid.expand(len(fraction), -1).contiguous()).clamp(1, fraction.shape[1] - 1)
    (x0, x1), (y0, y1) = ((part.gather(1, right - 1), part.gather(1, right)) for part in (fraction, value))
    share = torch.where(x1 > x0, (grid - x0) / torch.where(x1 > x0, x1 - x0, 1), 1.0)
    return grid, torch.lerp(y0, y1, share).mean(0)


def area_between_curves(
    game: Asked,
    scores: Tensor,  # (batch, players)
    *,
    ranking: Literal["signed", "absolute"] = "signed",
) -> Tensor:  # (batch,) float64
    """ABPC: the normalised area between removing the least relevant first (LeRF) and removing the most relevant first (MoRF).

    Keeping all but the least relevant is inserting the most relevant, read backwards, so this is insertion minus deletion, exactly.

    Reference:
        Samek et al., 2017, section III (the difference of the two orders); Bluecher, Vielhaben and Strodthoff, "Decoupling pixel
        flipping and occlusion strategy", 2024.
    """
    known = asked(game)
    kept, removed = (perturbation_area(known, scores, mode=mode, ranking=ranking) for mode in _MODES)
    return kept - removed


def mean_drop(
    game: Asked,
    scores: Tensor,  # (batch, players)
    *,
    steps: int | None = None,
    value: Value = "logit",
) -> Tensor:  # (batch,) float64
    """AOPC: the mean over k = 0, ..., L of v(N) - v(without the k most relevant), each row over its own L.

    Reference:
        Samek et al., 2017, equation 12 (one row of it); one player at a time it scores pixel flipping (Bach et al., 2015).
    """
    found = mean_curve(game, scores, steps=steps, value=value)
    drop = found.value[:, :1] - found.value
    return torch.where(found.valid, drop, 0).sum(1) / found.valid.sum(1)


def _metric(mode: Mode, unit: Literal["normalised", "logit", "probability"]) -> Metric:
    def measure(game: Asked, scores: Tensor) -> Tensor:
        value: Value = "probability" if unit == "probability" else "logit"
        return perturbation_area(game, scores, mode=mode, value=value, normalised=unit == "normalised")

    kept = "without the k highest-scored players" if mode == "deletion" else "of the k highest-scored players alone"
    inner = {"normalised": "(v − v(∅)) / |v(N) − v(∅)|", "logit": "v", "probability": "p"}[unit]
    what = "p the target's probability" if unit == "probability" else "v the target's logit"
    return Metric(
        name=mode if unit == "normalised" else f"{mode}_{unit}",
        question="game",
        direction="lower" if mode == "deletion" else "higher",
        range={"normalised": "unbounded; 0 to 1 for a monotone game", "logit": "in logits", "probability": "0 to 1"}[unit],
        formula=f"∫ {inner} over k/n, {what} {kept}; the mean over all orders of a tie",
        reference="Petsiuk et al., 'RISE', 2018, section 4; Samek et al., 2017; over true fractions"
        + ("" if unit == "probability" else ", on logits"),
        measure=measure,
        cost="n forwards",
    )


METRICS = (
    *(_metric(mode, unit) for unit in ("normalised", "logit", "probability") for mode in ("deletion", "insertion")),
    Metric(
        name="abpc",
        question="game",
        direction="higher",
        range="unbounded; -1 to 1 for a monotone game, 0 for a constant map",
        formula="∫ (v_LeRF − v_MoRF) / |v(N) − v(∅)| over k/n, both by deletion; equal to insertion − deletion",
        reference="Samek et al., 2017, section III; Bluecher et al., 2024 (area between perturbation curves)",
        measure=area_between_curves,
        cost="2n forwards",
    ),
    Metric(
        name="pixel_flipping",
        question="game",
        direction="higher",
        range="in logits",
        formula="1/(n+1) Σ_{k=0..n} v(N) − v(N without the k highest-scored players)",
        reference="Bach et al., 2015 (pixel flipping), scored as in Samek et al., 2017, equation 12 (AOPC), one player at a time",
        measure=mean_drop,
        cost="n forwards",
    ),
)
