"""Disjoint-union additivity, of graphs: where the output adds over components, so does the explanation."""

from __future__ import annotations

import torch
from torch import Tensor

from attrlab.axioms.axiom import Axiom, Explain, Finding
from attrlab.axioms.unchanged import unchanged
from attrlab.case import Case
from attrlab.errors import NotApplicable
from attrlab.methods.operations import outputs_at

ROUNDING = 1e-9
"""Sums over more nodes round differently."""


def measure(explain: Explain, case: Case) -> Finding:
    """The largest |A_i(G ⊔ H) - A_i(G)| over the players of G, H the graph of the next row, relative to the scale.

    Raises:
        NotApplicable: if the network's own output does not add, or it cannot read graphs of twice the size.
    """
    other = torch.arange(len(case), device=case.inputs.device).roll(1)
    both = _joined(case, case.rows(other))
    _require_sum(case, both, other)
    found = explain(both)[:, : case.players]
    return unchanged(explain(case), found, "in the disjoint union with the graph of another row")


def _joined(case: Case, next_: Case) -> Case:
    """Each graph beside the other: the players of the second are numbered after those of the first."""
    second = torch.where(next_.feature_mask < 0, -1, next_.feature_mask + case.players)
    return case.derived(
        inputs=union(case.inputs, next_.inputs, 0),
        baseline=union(case.baseline, next_.baseline, 0),
        feature_mask=union(case.feature_mask, second, -1),
        players=2 * case.players,
        reference=None,
        twin=case.twin,
    )


def union(
    one: Tensor,  # (batch, n, n + columns), [A | X]
    two: Tensor,  # (batch, n, n + columns)
    nothing: int,
) -> Tensor:  # (batch, 2n, 2n + columns)
    """Two graphs side by side: block-diagonal A, `nothing` between them, X one below the other."""
    size = one.shape[1]
    gap = torch.full_like(one[:, :, :size], nothing)
    upper = torch.cat([one[:, :, :size], gap, one[:, :, size:]], 2)
    lower = torch.cat([gap, two[:, :, :size], two[:, :, size:]], 2)
    return torch.cat([upper, lower], 1)


def _require_sum(case: Case, both: Case, other: Tensor) -> None:
    """Refuse a network that cannot read the union, or whose output on it, or on its coalitions' baseline, is no sum."""
    refusal = "the network's output on a disjoint union is not the sum of the outputs, so its scores need not be"
    try:
        with torch.no_grad():
            for part, whole in ((case.inputs, both.inputs), (case.baseline, both.baseline)):
                single = outputs_at(case.model, part, case.target)
                elsewhere = outputs_at(case.model, part[other], case.target)
                joined = outputs_at(case.model, whole, case.target)
                if not bool(((joined - single - elsewhere).abs() <= ROUNDING * joined.abs().clamp(min=1)).all()):
                    raise NotApplicable(refusal)
    except (RuntimeError, IndexError, ValueError) as error:
        raise NotApplicable(f"the network does not read graphs of twice the size: {error}") from error


DISJOINT_UNION_ADDITIVITY = Axiom(
    name="disjoint_union_additivity",
    statement="f(G ⊔ H) = f(G) + f(H)  ⇒  A(G ⊔ H) = (A(G), A(H))",
    reference="linearity and dummy (Shapley 1953) together, for a function that adds over the components of a graph",
    level="functional",
    needs=("graph",),
    measure=measure,
    condition="the network's output adds over components",
    of_rows_together=True,
)
