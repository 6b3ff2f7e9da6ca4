"""An axiom is a statement of mathematics and a number: by how much a method violates it on a case, 0 when it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from attrlab.axioms.knowledge import KNOWLEDGE
from attrlab.case import Case

Explain = Callable[[Case], Tensor]
"""Player scores (batch, players) of one fixed method, from one seed, on a case: the one that is judged, or one derived from it."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What an axiom measured on a case.

    Attributes:
        violation: per row, relative to the scale of the scores, at least 0.
        scores: the player scores that were judged.
        sentence: says of one row what is required and what was found.
    """

    violation: Tensor  # (batch,)
    scores: Tensor  # (batch, players)
    sentence: Callable[[int], str]


@dataclass(frozen=True, kw_only=True)
class Axiom:
    """One axiom: its statement, where it is from, and how its violation is measured.

    Attributes:
        name: the field's name in snake_case.
        statement: in mathematics.
        level: "functional" (of the function), "structural" (of the network), "lattice" (of the baseline game) or "statistical".
        needs: words of `KNOWLEDGE`, what must be known of a case.
        measure: the violation of each row; `NotApplicable` if the case has no row of which the axiom says anything.
        condition: under which it can be asked at all, in words; empty if it can be asked wherever what it needs is known.
        of_rows_together: whether it compares rows of a case with each other, so that a suspected row cannot be asked again alone.
    """

    name: str
    statement: str
    reference: str
    level: str
    needs: tuple[str, ...]
    measure: Callable[[Explain, Case], Finding]
    condition: str = ""
    of_rows_together: bool = False

    def applies_to(self, case: Case) -> bool:
        """Whether the case states what the axiom needs, for at least one row."""
        return not self.missing(case)

    def missing(self, case: Case) -> str:
        """What the case does not state, or an empty string."""
        for need in self.needs:
            if not KNOWLEDGE[need].of(case):
                return KNOWLEDGE[need].what
        return ""


def orbit_extremes(orbit: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The smallest and largest score in each orbit of each row, and how many players it has, all (batch, orbits)."""
    batch, orbits = orbit.shape[0], int(orbit.max().clamp(min=0)) + 1
    column = torch.where(orbit < 0, orbits, orbit)
    low = scores.new_full((batch, orbits + 1), torch.inf).scatter_reduce_(1, column, scores, "amin")
    high = scores.new_full((batch, orbits + 1), -torch.inf).scatter_reduce_(1, column, scores, "amax")
    size = torch.zeros_like(low).scatter_add_(1, column, torch.ones_like(scores))
    return low[:, :orbits], high[:, :orbits], size[:, :orbits]


def scale_of(scores: Tensor, *others: Tensor) -> Tensor:
    """The scale that violations are measured in: the largest magnitude among the row's scores and `others`, at least 1.

    Every network of the laboratory has outputs of order 1 or more, so the floor of 1 keeps rounding noise around a true zero from
    being read as a large relative error.
    """
    scale = scores.abs().amax(1).clamp(min=1)
    for other in others:
        scale = scale.maximum(other.abs() if other.dim() == 1 else other.abs().amax(1))
    return scale
