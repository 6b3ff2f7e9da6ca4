"""The axioms, one file each; a claim names one of `AXIOMS`."""

from __future__ import annotations

import difflib
from types import MappingProxyType

from attrlab.axioms.axiom import Axiom, Finding
from attrlab.axioms.completeness import COMPLETENESS
from attrlab.axioms.dummy import DUMMY
from attrlab.axioms.implementation_invariance import IMPLEMENTATION_INVARIANCE
from attrlab.axioms.symmetry import SYMMETRY
from attrlab.errors import UnknownName

AXIOMS = MappingProxyType({axiom.name: axiom for axiom in (COMPLETENESS, DUMMY, IMPLEMENTATION_INVARIANCE, SYMMETRY)})

__all__ = ["AXIOMS", "Axiom", "Finding", "find_axiom"]


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
