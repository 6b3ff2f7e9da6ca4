"""Dummy, on the lattice: a feature that never changes the value of a coalition gets no credit, whatever f does in between."""

from __future__ import annotations

from attrlab.axioms.axiom import Axiom
from attrlab.axioms.no_credit import no_credit

LATTICE_DUMMY = Axiom(
    name="lattice_dummy",
    statement="f(x_{S∪i}, x'_rest) = f(x_S, x'_rest) for every coalition S  ⇒  A_i(f, x, x') = 0",
    reference="Shapley (1953), null player, of the baseline game; Sundararajan, Najmi (2020), section 3 (dummy of baseline Shapley)",
    level="lattice",
    needs=("null",),
    measure=no_credit("null", why="changes the value of no coalition"),
)
