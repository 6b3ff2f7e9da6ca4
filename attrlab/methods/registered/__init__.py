"""The methods of the field, each once, with what each says of itself; a file registers a family.

The claims are the answers of theory (the truth table of the axioms); `pytest evaluations/` tests every one of them in the
direction it is made.
"""

from importlib import import_module

from attrlab.registry import registered

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

FAMILY_OF: dict[str, str] = {}
"""Which family registered a method."""

for _family in FAMILIES:
    import_module(f"{__name__}.{_family}")
    FAMILY_OF.update({name: _family for name in registered() if name not in FAMILY_OF})
