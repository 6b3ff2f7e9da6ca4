"""Locality, of graphs: what is further from the read-out than the network has layers gets no credit."""

from __future__ import annotations

from attrlab.axioms.axiom import Axiom
from attrlab.axioms.no_credit import no_credit

LOCALITY = Axiom(
    name="locality",
    statement="i is outside of the receptive field of the node that is read  ⇒  A_i(f, G, G') = 0",
    reference="structural dummy, on graphs: the computation graph of Ying et al. (2019), section 3",
    level="structural",
    needs=("graph", "unreachable"),
    measure=no_credit("unreachable", why="is outside of the receptive field"),
)
