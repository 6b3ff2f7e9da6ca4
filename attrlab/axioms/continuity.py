"""Continuity: rows next to each other, on both sides of a kink, have scores next to each other."""

from __future__ import annotations

import torch

from attrlab.axioms.axiom import Axiom, Explain, Finding, scale_of
from attrlab.axioms.knowledge import neighbours
from attrlab.case import Case

SLACK = 16.0
"""How many times steeper than the function the scores may be. Shapley values and removal effects are at most 2 times, regressions on
coalitions a few times, an average over noise of width σ about 1/σ times."""


def measure(explain: Explain, case: Case) -> Finding:
    """By how much the scores of two neighbouring rows differ beyond 16 L |x - y|, relative to the scale, L a Lipschitz constant of f."""
    assert case.lipschitz is not None
    first, second = neighbours(case)
    steepest = case.lipschitz
    at = case.rows(first)
    one, two = explain(at), explain(at.derived(inputs=case.inputs[second], model=case.model))
    distance = (case.inputs[first] - case.inputs[second]).abs().flatten(1).amax(1)
    jump = (one - two).abs().amax(1)
    beyond = (jump - SLACK * steepest * distance).clamp(min=0) / scale_of(one, two)
    worst = beyond.new_zeros(len(case)).scatter_reduce_(0, first, beyond, "amax")
    scores = one.new_zeros(len(case), case.players).index_copy_(0, first.flip(0), one.flip(0))

    def sentence(row: int) -> str:
        pair = int(torch.where(first == row, beyond, -1).argmax())
        there = ", ".join(f"{value:.9g}" for value in case.inputs[second[pair]].flatten().tolist()[:12])
        return (
            f"the row ({there}) is {float(distance[pair]):.3g} away, where f differs by at most {steepest * float(distance[pair]):.3g}; "
            f"the scores must be near and differ by {float(jump[pair]):.6g}"
        )

    return Finding(violation=worst, scores=scores, sentence=sentence)


CONTINUITY = Axiom(
    name="continuity",
    statement="f continuous  ⇒  x ↦ A(f, x, x') continuous",
    reference="Montavon, Samek, Müller (2018), section 7 (explanation continuity)",
    level="functional",
    needs=("lipschitz", "neighbours"),
    measure=measure,
    condition="shown on pairs of rows across a kink; a jump counts beyond 16 times what the function itself may do",
    of_rows_together=True,
)
