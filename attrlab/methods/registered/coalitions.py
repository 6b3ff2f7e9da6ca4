"""Methods that ask the game for coalitions, with what each says of itself."""

from __future__ import annotations

from attrlab.claims import holds, violates
from attrlab.method import Method
from attrlab.methods.coalitions import occlusion, shapley
from attrlab.methods.registered.reasons import ONLY_THE_GAME
from attrlab.registry import register_method

register_method(
    Method(
        name="occlusion",
        attribute=occlusion,
        convention="removal",
        reference="Zeiler, Fergus (2014), section 4.2; one player at a time",
        cost="players + 1 forwards",
        claims=(
            holds("completeness", given=("additive",), because="for f = Σ g_i(x_i) removing i costs g_i(x_i) - g_i(x'_i)"),
            violates("completeness", witness="or-witness-v1", because="of two redundant features neither is missed alone"),
            holds("dummy", because=ONLY_THE_GAME),
            holds("implementation_invariance", because=ONLY_THE_GAME),
            holds("symmetry", because="removing i and removing j have the same value where f is symmetric"),
        ),
    )
)

register_method(
    Method(
        name="shapley",
        attribute=shapley,
        convention="shapley",
        reference="Shapley (1953); baseline Shapley, Sundararajan, Najmi (2020), section 3",
        cost="2^players forwards, of players that differ from the baseline",
        claims=(
            holds("completeness", because="efficiency (Shapley 1953)"),
            holds("dummy", because="null player (Shapley 1953)"),
            holds("implementation_invariance", because=ONLY_THE_GAME),
            holds("symmetry", because="symmetry (Shapley 1953)"),
        ),
    )
)
