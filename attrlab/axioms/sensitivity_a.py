"""Sensitivity(a): where input and baseline differ in one feature only, and the outputs differ, that feature gets credit."""

from __future__ import annotations

from attrlab.axioms.axiom import Axiom, Explain, Finding
from attrlab.axioms.derive import chosen, game_of, without
from attrlab.axioms.some_credit import NOTHING, shortfall
from attrlab.case import Case
from attrlab.errors import NotApplicable
from attrlab.games import removal


def measure(explain: Explain, case: Case) -> Finding:
    """Whether the one player that differs gets less than a millionth of what it does, from 0 to 1 (no credit at all).

    Each row is explained against itself without one player, the one whose absence changes the output most.

    Raises:
        NotApplicable: if no player of any row makes a difference on its own.
    """
    effects = removal(game_of(case))
    player = effects.abs().argmax(1)
    effect = effects.gather(1, player.unsqueeze(1)).squeeze(1)
    if not bool((effect.abs() > NOTHING).any()):
        raise NotApplicable("in no row does the absence of a single player change the output, so sensitivity(a) says nothing here")
    baseline = without(case, chosen(player, case.players))
    scores = explain(case.derived(baseline=baseline))
    credit = scores.gather(1, player.unsqueeze(1)).squeeze(1)
    return Finding(
        violation=shortfall(credit, effect),
        scores=scores,
        sentence=lambda row: (
            f"against x' = x but for player {int(player[row])}, which then makes f(x) - f(x') = {float(effect[row]):.6g}, "
            f"that player must not get 0; it gets {float(credit[row]):.6g}"
        ),
    )


SENSITIVITY_A = Axiom(
    name="sensitivity_a",
    statement="x and x' differ in x_i only, f(x) ≠ f(x')  ⇒  A_i(f, x, x') ≠ 0",
    reference="Sundararajan, Taly, Yan (2017), section 2 (sensitivity(a))",
    level="functional",
    needs=(),
    measure=measure,
    condition="some player's absence changes the output",
)
