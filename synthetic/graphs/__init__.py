"""Graph worlds, rows [A | X]: importing this package registers them; torch-geometric is imported when a twin is asked for."""

from synthetic.graphs import edge_types, colour_nodes  # isort: skip

__all__ = ["colour_nodes", "edge_types"]
