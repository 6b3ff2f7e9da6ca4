"""Graph worlds, rows [A | X]: importing this package registers them; torch-geometric is imported when a twin is asked for."""

from synthetic.graphs import edge_types, colour_nodes  # isort: skip
from synthetic.graphs import (
    attention,
    colour_sums,
    edge_or,
    four_cycles,
    isolated,
    neighbours,
    reach,
    relations,
    shortcut,
    triangles,
    walks,
    xor_edges,
)

__all__ = [
    "attention",
    "colour_nodes",
    "colour_sums",
    "edge_or",
    "edge_types",
    "four_cycles",
    "isolated",
    "neighbours",
    "reach",
    "relations",
    "shortcut",
    "triangles",
    "walks",
    "xor_edges",
]
