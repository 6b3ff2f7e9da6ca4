"""Implementation invariance: two networks that compute the same function get the same scores."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from attrlab.axioms.axiom import Axiom, Explain, Finding, scale_of
from attrlab.case import Case
from attrlab.errors import NotApplicable


def measure(explain: Explain, case: Case) -> Finding:
    """The largest |A_i(f) - A_i(g)| over the players and the networks g that equal f, relative to the scale of the scores.

    A network that the method refuses to explain is no evidence either way and is left out.

    Raises:
        NotApplicable: if the method refuses every one of them.
    """
    scores, others = explain(case), _explained(explain, case)
    names = tuple(others)
    gaps = torch.stack([(others[name] - scores).abs() for name in names])  # (networks, batch, players)

    def sentence(row: int) -> str:
        network, player = divmod(int(gaps[:, row].argmax()), gaps.shape[2])
        return (
            f"a second network ({names[network]}) computes the same function, so player {player} must get the same on both; "
            f"it gets {float(scores[row, player]):.6g} and {float(others[names[network]][row, player]):.6g}"
        )

    return Finding(violation=gaps.amax((0, 2)) / scale_of(scores), scores=scores, sentence=sentence)


def _explained(explain: Explain, case: Case) -> dict[str, Tensor]:
    found, refusal = {}, None
    for name, network in case.others.items():
        try:
            found[name] = explain(replace(case, model=network, twin=None))
        except NotApplicable as reason:
            refusal = reason
    if refusal is not None and not found:
        raise refusal
    return found


IMPLEMENTATION_INVARIANCE = Axiom(
    name="implementation_invariance",
    statement="f = g everywhere  ⇒  A(f, x, x') = A(g, x, x')",
    reference="Sundararajan, Taly, Yan (2017), section 2 (implementation invariance)",
    level="functional",
    needs=("others",),
    measure=measure,
)
