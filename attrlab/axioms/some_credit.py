"""Several axioms require that a player gets something; how much is too little is said once, here."""

from __future__ import annotations

from torch import Tensor

NOTHING = 1e-6
"""Credit below a millionth of the effect counts as none: far above rounding, far below any score that a reader would see."""


def shortfall(credit: Tensor, effect: Tensor) -> Tensor:
    """0 where |credit| is at least `NOTHING` |effect|, rising to 1 where there is no credit; 0 where there is no effect to credit."""
    owed = NOTHING * effect.abs()
    lacking = (1 - credit.abs() / owed.clamp(min=1e-300)).clamp(min=0)
    return lacking.masked_fill(effect.abs() <= NOTHING, 0)
