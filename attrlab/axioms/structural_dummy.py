"""Dummy, on the structural level: a feature that no path of non-zero weights connects with the output gets no credit."""

from __future__ import annotations

from attrlab.axioms.axiom import Axiom
from attrlab.axioms.no_credit import no_credit

STRUCTURAL_DUMMY = Axiom(
    name="structural_dummy",
    statement="no path of non-zero weights leads from x_i to f  ⇒  A_i(f, x, x') = 0",
    reference="the structural form of sensitivity(b), Sundararajan, Taly, Yan (2017), section 2; weaker than the functional one",
    level="structural",
    needs=("unreachable",),
    measure=no_credit("unreachable", why="is connected with no output that is explained"),
)
