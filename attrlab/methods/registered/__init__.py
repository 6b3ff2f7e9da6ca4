"""The methods of the field, each once, with what each says of itself; a file registers a family.

The claims are the answers of theory (the truth table of the axioms); `pytest evaluations/` tests every one of them in the
direction it is made.
"""

from importlib import import_module

FAMILIES = (
    "gradients",
    "paths",
    "deeplift",
    "backward_rules",
    "relevance",
    "coalitions",
    "graphs",
    "class_activation",
    "sequences",
    "masks",
    "bottlenecks",
    "pathways",
    "instances",
    "controls",
)
"""The order in which methods are listed."""

for _family in FAMILIES:
    import_module(f"{__name__}.{_family}")
