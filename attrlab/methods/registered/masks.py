"""Optimised masks, with what each says of itself."""

from __future__ import annotations

from attrlab.claims import Claim, violates
from attrlab.method import Attribute, Method
from attrlab.methods.extremal import extremal_perturbation
from attrlab.methods.igos import igos, igos_naive_insertion, igos_plus_plus
from attrlab.methods.optimised_masks import mask
from attrlab.methods.registered.theory import register

_MASK = "masks lie in [0, 1], whatever the size of the output"
_SMOOTH = "a mask is asked to be smooth, and so removes the neighbours of what matters"
_NEIGHBOURS = violates("dummy", witness="positions-witness-v1", because=_SMOOTH)


def _register(name: str, attribute: Attribute, reference: str, cost: str, light: dict[str, object], *further: Claim) -> None:
    claims = (violates("completeness", witness="colour-count-v1", because=_MASK), *further)
    register(Method(name=name, attribute=attribute, reference=reference, cost=cost, cost_class="optimisation", light=light, claims=claims))


_register(
    "mask",
    mask,
    "Fong, Vedaldi (2017), equation 4",
    "steps (forward + backward), 300 by default",
    {"steps": 5},
    _NEIGHBOURS,
)
_register(
    "extremal_perturbation",
    extremal_perturbation,
    "Fong, Patrick, Vedaldi (2019), equations 2 to 5",
    "areas x steps (forward + backward), 4 x 800 by default",
    {"steps": 5, "areas": (0.1,)},
    _NEIGHBOURS,
)
_search = "and up to 12 times S forwards for each line search; T = 15, S = 20"
_register(
    "igos",
    igos,
    "Qi, Khorram, Li (2020), equations 4 to 7",
    f"T S (forward + backward), {_search}",
    {"steps": 2, "n_steps": 4},
)
_register(
    "igos_naive_insertion",
    igos_naive_insertion,
    "Khorram, Lawson, Li (2021), section 4.4: insertion added to I-GOS",
    f"2 T S (forward + backward), {_search} by twos",
    {"steps": 2, "n_steps": 4},
    _NEIGHBOURS,
)
_register(
    "igos_plus_plus",
    igos_plus_plus,
    "Khorram, Lawson, Li (2021), equations 4 to 8",
    f"4 T S (forward + backward), {_search} by fours",
    {"steps": 2, "n_steps": 4},
    _NEIGHBOURS,
)
