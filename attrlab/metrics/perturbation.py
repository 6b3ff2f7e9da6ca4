"""Does removing what is called relevant first change the output soonest? Areas under deletion and insertion curves.

Outputs of different rows have different scales, so a curve v is brought to (v - v(empty)) / |v(N) - v(empty)|: it runs between 0
and 1 where the input raises the output, and between 0 and -1 where it lowers it. The divisor is a magnitude on purpose: dividing by
the signed difference would turn the curve of an input that lowers its output upside down, and with it the direction that is
better. Where the difference is 0 the normalised area is not defined; the raw area, in logits, always is.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attrlab.games.curves import Mode, area, curve
from attrlab.games.game import Game
from attrlab.games.ranking import rounding_of
from attrlab.metrics.metric import Metric


def perturbation_area(
    game: Game,
    scores: Tensor,  # (batch, players)
    *,
    mode: Mode,
    normalised: bool = True,
    steps: int | None = None,
) -> Tensor:  # (batch,) float64
    """The exact area under the curve of the target's logit, most relevant (largest signed score) first, over the fraction of players.

    Args:
        game: what is asked.
        scores: of the players.
        mode: "deletion" or "insertion".
        normalised: whether the curve is first brought to (v - v(empty)) / |v(N) - v(empty)|.
        steps: as in `curve`; None takes one point per tie block.

    Returns:
        NaN where scores are not finite, a row has no player or, normalised, v(N) - v(empty) is within rounding of 0 on the scale of
        the curve.
    """
    found = curve(game, scores, mode=mode, steps=steps)
    raw = area(found)
    if not normalised:
        return raw
    ends = found.value[:, [0, -1]].double()
    nothing = ends[:, 1] if mode == "deletion" else ends[:, 0]
    difference = (ends[:, 1] - ends[:, 0]).abs()
    defined = difference > rounding_of(found.value.nan_to_num()).squeeze(1)
    return ((raw - nothing) / difference).where(defined, torch.nan)


def _metric(mode: Mode, *, normalised: bool) -> Metric:
    def measure(game: Game, scores: Tensor) -> Tensor:
        return perturbation_area(game, scores, mode=mode, normalised=normalised)

    kept = "without the k highest-scored players" if mode == "deletion" else "of the k highest-scored players alone"
    return Metric(
        name=mode if normalised else f"{mode}_logit",
        question="game",
        direction="lower" if mode == "deletion" else "higher",
        range="unbounded; 0 to 1 for a monotone game" if normalised else "in logits",
        formula=f"∫ {'(v − v(∅)) / |v(N) − v(∅)|' if normalised else 'v'} over k/n, v the target's logit {kept}; ties removed whole",
        reference="Petsiuk et al., 'RISE', 2018, section 4; Samek et al., 2017; on logits, over true fractions",
        measure=measure,
    )


METRICS = tuple(_metric(mode, normalised=normalised) for normalised in (True, False) for mode in ("deletion", "insertion"))
