"""A metric is a pure function of player scores, with its formula, its direction and its range written beside it.

The same name means different formulas in different libraries; nobody writes the formula next to the score. Here no score is printed
without them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

Question = Literal["truth", "scores", "game", "method"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One number per row about an attribution.

    Attributes:
        name: as in `attrlab list evaluations`.
        question: what it asks: "truth" compares scores with what is known, "scores" looks at them alone, "game" asks the network for more
            answers, "method" calls the method again: on neighbouring inputs, on other targets, on networks with other weights.
        direction: which way is better.
        range: the least and the largest value it can take, in words where it is not a number.
        formula: in one line of mathematics; a_i is the score of player i, g_i its exact score, G the support.
        reference: where it is defined.
        measure: for "truth", `measure(scores, *, truth, support, present)`, each (batch, players); for "scores", `measure(scores, *,
            present)`; for "game", `measure(game, scores)`, where the game may be one that remembers (`answers.Answers`); for "method",
            `measure(explain, case, scores)`, where `explain(case, model=...)` returns player scores. Returns (batch,) float64, NaN in rows
            where it is not defined.
        ranking: whether scores are read with their sign, by magnitude, or not as a ranking at all.
        object: which exact set of players stands for G: the support, or the necessary players (without any one of which the output is
            another). A metric that rewards one punishes explanations of the other.
        modalities: what it applies to; empty means everything.
        worlds: the designed environments that it is a statement about; empty means all.
        ends: for "method", what is worst and what is best where that is known beforehand: neither control nor truth can be asked again.
        cost: calls of the model or of the method per row, in words.
    """

    name: str
    question: Question
    direction: Literal["higher", "lower"]
    range: str
    formula: str
    reference: str
    measure: Callable[..., Tensor]
    ranking: Literal["signed", "absolute", "none"] = "signed"
    object: Literal["support", "necessary"] = "support"
    modalities: frozenset[str] = frozenset()
    worlds: frozenset[str] = frozenset()
    ends: tuple[float, float] = (math.nan, math.nan)
    cost: str = "none"

    def applies_to(
        self,
        modality: str,
        environment: str,
    ) -> bool:
        """Whether it is defined for rows of this modality and in this environment."""
        return (not self.modalities or modality in self.modalities) and (not self.worlds or environment in self.worlds)
