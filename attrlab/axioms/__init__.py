"""The axioms, one file each; a claim names one of `AXIOMS`."""

from __future__ import annotations

import difflib
from types import MappingProxyType

from attrlab.axioms.additive_recovery import ADDITIVE_RECOVERY
from attrlab.axioms.affine_scale_invariance import AFFINE_SCALE_INVARIANCE
from attrlab.axioms.axiom import Axiom, Explain, Finding
from attrlab.axioms.class_sensitivity import CLASS_SENSITIVITY
from attrlab.axioms.completeness import COMPLETENESS
from attrlab.axioms.continuity import CONTINUITY
from attrlab.axioms.demand_monotonicity import DEMAND_MONOTONICITY
from attrlab.axioms.disjoint_union_additivity import DISJOINT_UNION_ADDITIVITY
from attrlab.axioms.dummy import DUMMY
from attrlab.axioms.edge_order_invariance import EDGE_ORDER_INVARIANCE
from attrlab.axioms.implementation_invariance import IMPLEMENTATION_INVARIANCE
from attrlab.axioms.input_shift_invariance import INPUT_SHIFT_INVARIANCE, INPUT_SHIFT_INVARIANCE_FIXED
from attrlab.axioms.knowledge import KNOWLEDGE
from attrlab.axioms.lattice_dummy import LATTICE_DUMMY
from attrlab.axioms.linearity import LINEARITY
from attrlab.axioms.locality import LOCALITY
from attrlab.axioms.output_scaling import OUTPUT_SCALING_NEGATIVE, OUTPUT_SCALING_POSITIVE
from attrlab.axioms.parameter_sensitivity import PARAMETER_SENSITIVITY
from attrlab.axioms.permutation_equivariance import PERMUTATION_EQUIVARIANCE
from attrlab.axioms.proportionality import PROPORTIONALITY
from attrlab.axioms.saturation import SATURATION
from attrlab.axioms.sensitivity_a import SENSITIVITY_A
from attrlab.axioms.sensitivity_n import SENSITIVITY_N
from attrlab.axioms.sign_consistency import SIGN_CONSISTENCY
from attrlab.axioms.structural_dummy import STRUCTURAL_DUMMY
from attrlab.axioms.symmetry import SYMMETRY
from attrlab.errors import UnknownName

AXIOMS = MappingProxyType(
    {
        axiom.name: axiom
        for axiom in (
            COMPLETENESS,
            SENSITIVITY_A,
            DUMMY,
            STRUCTURAL_DUMMY,
            LATTICE_DUMMY,
            IMPLEMENTATION_INVARIANCE,
            LINEARITY,
            SYMMETRY,
            INPUT_SHIFT_INVARIANCE,
            INPUT_SHIFT_INVARIANCE_FIXED,
            AFFINE_SCALE_INVARIANCE,
            OUTPUT_SCALING_POSITIVE,
            OUTPUT_SCALING_NEGATIVE,
            DEMAND_MONOTONICITY,
            SIGN_CONSISTENCY,
            PROPORTIONALITY,
            SATURATION,
            CONTINUITY,
            ADDITIVE_RECOVERY,
            CLASS_SENSITIVITY,
            PARAMETER_SENSITIVITY,
            SENSITIVITY_N,
            PERMUTATION_EQUIVARIANCE,
            DISJOINT_UNION_ADDITIVITY,
            LOCALITY,
            EDGE_ORDER_INVARIANCE,
        )
    }
)

__all__ = ["AXIOMS", "KNOWLEDGE", "Axiom", "Explain", "Finding", "find_axiom"]


def find_axiom(name: str) -> Axiom:
    """Return the axiom of this name.

    Raises:
        UnknownName: if there is none; the nearest are suggested.
    """
    if name in AXIOMS:
        return AXIOMS[name]
    near = difflib.get_close_matches(name, AXIOMS, n=2, cutoff=0.4)
    hint = f"Did you mean {' or '.join(repr(n) for n in near)}?" if near else f"The axioms are {', '.join(AXIOMS)}."
    raise UnknownName(f"there is no axiom {name!r}. {hint}")
