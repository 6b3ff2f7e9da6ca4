"""Edge-order invariance, of graphs: a list of edges says nothing by its order, nor by which direction of an edge comes first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from attrlab.axioms.axiom import Axiom, Explain, Finding
from attrlab.axioms.unchanged import unchanged
from attrlab.case import Case

Twin = Callable[[], tuple[nn.Module, Callable[[Tensor], Any]]]


def measure(explain: Explain, case: Case) -> Finding:
    """The largest |A_i| difference between edges listed as they are and in reverse, relative to the scale.

    A method that reads rows [A | X], where edges have no order, is asked the same question twice, and keeps the axiom by construction.
    """
    assert case.twin is not None
    return unchanged(explain(case), explain(replace(case, twin=_reversed(case.twin))), "with the edges of every graph listed in reverse")


def _reversed(twin: Twin) -> Twin:
    """The same network, on data whose edges are listed in reverse; both halves of the list stay the two directions of the same edges."""

    def build() -> tuple[nn.Module, Callable[[Tensor], Any]]:
        module, data_of = twin()

        def in_reverse(row: Tensor) -> Any:
            data = data_of(row)
            edges = data.edge_index.shape[1]
            order = torch.arange(edges - 1, -1, -1, device=data.edge_index.device)
            for key, value in list(data.items()):
                if key == "edge_index":
                    data[key] = value[:, order]
                elif data.is_edge_attr(key):
                    data[key] = value[order]
            return data

        return module, in_reverse

    return build


EDGE_ORDER_INVARIANCE = Axiom(
    name="edge_order_invariance",
    statement="A(G) does not depend on the order in which edges, and the two directions of an edge, are listed",
    reference="sets have no order: Zaheer et al. (2017), section 2; for explainers on edge lists, folklore",
    level="functional",
    needs=("graph", "twin"),
    measure=measure,
    condition="the method reads the torch-geometric twin; on dense rows edges have no order",
)
