"""Dummy, on the functional level: a feature on which the function does not depend anywhere gets no credit."""

from __future__ import annotations

from attrlab.axioms.axiom import Axiom
from attrlab.axioms.no_credit import no_credit

DUMMY = Axiom(
    name="dummy",
    statement="f does not depend on x_i  ⇒  A_i(f, x, x') = 0",
    reference="Sundararajan, Taly, Yan (2017), section 2 (sensitivity(b)); Shapley (1953), null player",
    level="functional",
    needs=("independent",),
    measure=no_credit("independent", why="does not change f anywhere"),
)
