"""Several axioms name players that must get nothing; they differ in why, and so in which players these are."""

from __future__ import annotations

from collections.abc import Callable

from attrlab.axioms.axiom import Explain, Finding, scale_of
from attrlab.case import Case


def no_credit(name: str, *, why: str) -> Callable[[Explain, Case], Finding]:
    """The measure of an axiom that gives nothing to the players known as `name` (a field of `Case`, (batch, players) bool).

    The violation is the largest |A_i| of these players, relative to the scale of the scores.
    """

    def measure(explain: Explain, case: Case) -> Finding:
        known = getattr(case, name)
        scores = explain(case)
        credit = scores.abs().masked_fill(~known, 0)
        return Finding(
            violation=credit.amax(1) / scale_of(scores),
            scores=scores,
            sentence=lambda row: (
                f"player {int(credit[row].argmax())} {why} and must get 0; it gets {float(scores[row, credit[row].argmax()]):.6g}"
            ),
        )

    return measure
