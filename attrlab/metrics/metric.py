"""A metric is a pure function of player scores, with its formula, its direction and its range written beside it.

The same name means different formulas in different libraries; nobody writes the formula next to the score. Here no score is printed
without them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One number per row about an attribution.

    Attributes:
        name: as in `attrlab list evaluations`.
        question: what it asks: "truth" compares scores with what is known, "game" asks the network for more answers.
        direction: which way is better.
        range: the least and the largest value it can take, in words where it is not a number.
        formula: in one line of mathematics; a_i is the score of player i, g_i its exact score, G the support.
        reference: where it is defined.
        measure: for "truth", `measure(scores, *, truth, support, present)`, each (batch, players); for "game",
            `measure(game, scores)`. Returns (batch,) float64, NaN in rows where it is not defined.
    """

    name: str
    question: Literal["truth", "game"]
    direction: Literal["higher", "lower"]
    range: str
    formula: str
    reference: str
    measure: Callable[..., Tensor]
