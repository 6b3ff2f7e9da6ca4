"""Additive recovery: a function that is a sum over features leaves nothing to share, each feature has what it adds."""

from __future__ import annotations

from attrlab.axioms.axiom import Axiom, Explain, Finding, scale_of
from attrlab.axioms.derive import game_of
from attrlab.case import Case
from attrlab.games import removal


def measure(explain: Explain, case: Case) -> Finding:
    """The largest |A_i - (g_i(x_i) - g_i(x'_i))|, relative to the scale; what a player adds is what is lost without it."""
    wanted = removal(game_of(case))
    scores = explain(case)
    gap = (scores - wanted).abs()

    def sentence(row: int) -> str:
        player = int(gap[row].argmax())
        return (
            f"f is a sum over players, and player {player} adds {float(wanted[row, player]):.6g}; it gets {float(scores[row, player]):.6g}"
        )

    return Finding(violation=gap.amax(1) / scale_of(scores, wanted), scores=scores, sentence=sentence)


ADDITIVE_RECOVERY = Axiom(
    name="additive_recovery",
    statement="f(x) = Σ g_i(x_i)  ⇒  A_i(f, x, x') = g_i(x_i) - g_i(x'_i)",
    reference="follows from completeness, linearity and dummy: Sundararajan, Taly, Yan (2017); Lundberg, Lee (2017)",
    level="functional",
    needs=("additive",),
    measure=measure,
)
