"""Permutation equivariance, of graphs: a node's number is a name, and scores move with the nodes.

On graphs of up to four nodes two permutations are tried that generate all others, a transposition and a cycle: who keeps both on every
numbering of a graph keeps them all.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attrlab.axioms.axiom import Axiom, Explain, Finding
from attrlab.axioms.unchanged import unchanged
from attrlab.case import Case
from attrlab.errors import NotApplicable
from attrlab.methods.operations import outputs_at

ROUNDING = 1e-9
"""Sums over neighbours in another order round differently."""


GENERATED = 4
"""Nodes up to which the generators of all permutations are tried."""


def measure(explain: Explain, case: Case) -> Finding:
    """The largest |A_i(π G) - A_i(G)|, relative to the scale, each player keeping its number and moving with its entries.

    Raises:
        NotApplicable: if the network's own output is not invariant.
    """
    scores = explain(case)
    found = [_moved(explain, case, scores, order.to(case.inputs.device)) for order in orders(case.inputs.shape[1])]
    violation = torch.stack([finding.violation for finding in found])
    return Finding(violation=violation.amax(0), scores=scores, sentence=lambda row: found[int(violation[:, row].argmax())].sentence(row))


def orders(nodes: int) -> list[Tensor]:
    """The permutations that are tried, (nodes,) int64 each: generators of all of them, or one at random where there are many nodes."""
    if nodes > GENERATED:
        return [torch.randperm(nodes, generator=torch.Generator().manual_seed(1))]
    transposition, cycle = torch.arange(nodes), torch.arange(nodes).roll(-1)
    transposition[:2] = transposition[:2].flip(0)
    return [transposition] if nodes < 3 else [transposition, cycle]


def _moved(explain: Explain, case: Case, scores: Tensor, order: Tensor) -> Finding:
    inputs, baseline, mask = (permuted(rows, order) for rows in (case.inputs, case.baseline, case.feature_mask))
    with torch.no_grad():
        before, after = outputs_at(case.model, case.inputs, case.target), outputs_at(case.model, inputs, case.target)
    if not bool(((before - after).abs() <= ROUNDING * before.abs().clamp(min=1)).all()):
        raise NotApplicable("the network's output depends on how the nodes are numbered, so its scores may as well")
    reference = None if case.reference is None else permuted(case.reference, order)
    asked = case.derived(inputs=inputs, baseline=baseline, feature_mask=mask, reference=reference, twin=case.twin)
    return unchanged(scores, explain(asked), f"with the nodes taken in the order {order.tolist()}")


def permuted(
    rows: Tensor,  # (batch, n, n + columns), [A | X]
    order: Tensor,  # (n,) int64
) -> Tensor:  # like rows
    """The same graphs with their nodes in another order, X moving with them."""
    size = rows.shape[1]
    moved = rows[:, order]
    return torch.cat([moved[:, :, :size][:, :, order], moved[:, :, size:]], 2)


PERMUTATION_EQUIVARIANCE = Axiom(
    name="permutation_equivariance",
    statement="A(π G) = π A(G) for every permutation π of the nodes",
    reference="equivariance of message passing: Bronstein et al. (2021), section 4; for explainers, folklore",
    level="functional",
    needs=("graph",),
    measure=measure,
    condition="the network's output is invariant; noise per entry does not move with the nodes, so random methods keep it on average only",
)
