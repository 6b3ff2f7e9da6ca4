"""Output scaling: a multiple of the output has that multiple of the scores; a method may keep this for one sign of the factor only."""

from __future__ import annotations

from collections.abc import Callable

from attrlab.axioms.axiom import Axiom, Explain, Finding
from attrlab.axioms.derive import times
from attrlab.axioms.unchanged import unchanged
from attrlab.case import Case


def measure(factor: float) -> Callable[[Explain, Case], Finding]:
    """The largest |A_i(c f) - c A_i(f)|, relative to the scale."""

    def of(explain: Explain, case: Case) -> Finding:
        asked = case.derived(model=times(case.model, factor, case))
        return unchanged(explain(case), explain(asked), f"for {factor:g} f", factor=factor)

    return of


OUTPUT_SCALING_POSITIVE = Axiom(
    name="output_scaling_positive",
    statement="A(c f, x, x') = c A(f, x, x') for c > 0",
    reference="a case of linearity: Sundararajan, Taly, Yan (2017), section 3",
    level="structural",
    needs=(),
    measure=measure(2.0),
)

OUTPUT_SCALING_NEGATIVE = Axiom(
    name="output_scaling_negative",
    statement="A(c f, x, x') = c A(f, x, x') for c < 0",
    reference="a case of linearity: Sundararajan, Taly, Yan (2017), section 3; what speaks for f speaks against -f",
    level="structural",
    needs=(),
    measure=measure(-1.0),
)
