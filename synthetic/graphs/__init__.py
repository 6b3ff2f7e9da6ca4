"""Graph worlds, rows [A | X]: importing this package registers them; torch-geometric is imported when a twin is asked for."""

from synthetic.graphs import edge_types, colour_nodes  # isort: skip
from synthetic.graphs import (
    attention,
    baselines,
    colour_sums,
    edge_or,
    four_cycles,
    house,
    isolated,
    marked_four_cycles,
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
    "baselines",
    "colour_nodes",
    "colour_sums",
    "edge_or",
    "edge_types",
    "four_cycles",
    "house",
    "isolated",
    "marked_four_cycles",
    "neighbours",
    "reach",
    "relations",
    "shortcut",
    "triangles",
    "walks",
    "xor_edges",
]
