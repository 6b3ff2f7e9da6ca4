"""An invariance asks the same question twice, in two forms; the scores must agree player by player."""

from __future__ import annotations

from torch import Tensor

from attrlab.axioms.axiom import Finding, scale_of


def unchanged(
    scores: Tensor,  # (batch, players)
    again: Tensor,  # (batch, players)
    where: str,
    *,
    factor: float = 1.0,
) -> Finding:
    """The largest |again_i - factor scores_i|, relative to the scale of both; `where` says what the second question was."""
    wanted = factor * scores
    gap = (again - wanted).abs()

    def sentence(row: int) -> str:
        player = int(gap[row].argmax())
        return f"{where}, player {player} must get {float(wanted[row, player]):.6g}; it gets {float(again[row, player]):.6g}"

    return Finding(violation=gap.amax(1) / scale_of(scores, again), scores=scores, sentence=sentence)
