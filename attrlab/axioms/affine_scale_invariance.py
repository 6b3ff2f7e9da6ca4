"""Affine scale invariance: in other units, feature by feature, the credit is the same."""

from __future__ import annotations

from attrlab.axioms.axiom import Axiom, Explain, Finding
from attrlab.axioms.derive import SCALES, behind_affine, repeated
from attrlab.axioms.unchanged import unchanged
from attrlab.case import Case


def measure(explain: Explain, case: Case) -> Finding:
    """The largest |A_i(g, D x, D x') - A_i(f, x, x')| with g(u) = f(u / D), D = diag(2, 1/2, 4, 1, 1/4, ...), relative to the scale."""
    units = repeated(SCALES, case.inputs)
    asked = case.derived(
        model=behind_affine(case.model, 1 / units, 0 * units),
        inputs=case.inputs * units,
        baseline=case.baseline * units,
        reference=None if case.reference is None else case.reference * units,
    )
    shown = ", ".join(f"{value:g}" for value in SCALES[: units.numel()])
    return unchanged(
        explain(case), explain(asked), f"for g(u) = f(u / D) at D x against D x', D = ({shown}{', ...' * (units.numel() > 5)})"
    )


AFFINE_SCALE_INVARIANCE = Axiom(
    name="affine_scale_invariance",
    statement="g(u) = f(D⁻¹ u), D > 0 diagonal  ⇒  A(g, D x, D x') = A(f, x, x')",
    reference=(
        "Friedman, Moulin (1999), section 3 (scale invariance); Sundararajan, Najmi (2020), section 2 (affine scale invariance; its "
        "shift is input_shift_invariance)"
    ),
    level="functional",
    needs=(),
    measure=measure,
)
