"""Class sensitivity: what another class alone depends on gets no credit for this one."""

from __future__ import annotations

import torch

from attrlab.axioms.axiom import Axiom, Explain, Finding, scale_of
from attrlab.case import Case


def measure(explain: Explain, case: Case) -> Finding:
    """The largest |A_i(f_a)| over players i on which only an output b depends, for every such pair a, b; relative to the scale."""
    assert case.supports is not None
    supports = case.supports
    worst: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor, int]] = []
    for output in range(len(supports)):
        apart = ((supports & supports[output]).sum(1) == 0) & supports.any(1)
        foreign = supports[apart].any(0) & ~supports[output]
        if not bool(foreign.any()) or not bool(supports[output].any()):
            continue
        scores = explain(case.derived(target=torch.full_like(case.target, output)))
        credit = scores.abs().masked_fill(~foreign, 0)
        worst.append((credit.amax(1) / scale_of(scores), credit, scores, output))
    violation, which = torch.stack([entry[0] for entry in worst]).max(0)
    shown = torch.stack([entry[2] for entry in worst])[which, torch.arange(len(case), device=which.device)]

    def sentence(row: int) -> str:
        _, credit, scores, output = worst[int(which[row])]
        player = int(credit[row].argmax())
        return (
            f"output {output} does not depend on player {player}, on which another output depends; for output {output} it must get 0 and "
            f"gets {float(scores[row, player]):.6g}"
        )

    return Finding(violation=violation, scores=shown, sentence=sentence)


CLASS_SENSITIVITY = Axiom(
    name="class_sensitivity",
    statement="f_a, f_b depend on disjoint S_a, S_b  ⇒  A(f_a) = 0 outside of S_a and A(f_b) = 0 outside of S_b",
    reference="Khakzar et al. (2022), section 4 (class sensitivity); dummy, output by output",
    level="functional",
    needs=("supports",),
    measure=measure,
)
