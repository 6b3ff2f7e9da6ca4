"""The methods of the field, each once, with what each says of itself.

The claims are the answers of theory (the truth table of the axioms); `pytest evaluations/` tests every one of them in the
direction it is made. A file holds a family; this one holds its claims, so that the table can be read in one place.
"""

from __future__ import annotations

from attrlab.claims import holds, violates
from attrlab.method import Method
from attrlab.methods.coalitions import occlusion, shapley
from attrlab.methods.controls import constant, inverted_truth, random, truth
from attrlab.methods.deeplift import deeplift
from attrlab.methods.gradients import gradient, input_x_gradient
from attrlab.methods.paths import exact_integrated_gradients, integrated_gradients
from attrlab.registry import register_method

_ONLY_THE_GRADIENT = "it reads the network only through its gradient at x, which is the function's own away from kinks"
_ONLY_THE_PATH = "it reads the network only through its gradient on the path (Sundararajan et al. 2017, section 3)"
_ONLY_THE_GAME = "it reads the network only through the values of the baseline game"

_CAPTUM = 1e-6
_CAPTUM_ROUNDING = "Captum 0.9 holds the quadrature weights in float32, whose rounding is 6e-8"

register_method(
    Method(
        name="gradient",
        attribute=gradient,
        reference="Simonyan, Vedaldi, Zisserman (2014), section 3",
        cost="1 forward + 1 backward",
        claims=(
            violates(
                "completeness",
                witness="saturation-witness-v1",
                because="it vanishes where f saturates (Sundararajan et al. 2017, section 2)",
            ),
            holds("dummy", because="∂_i f = 0 everywhere"),
            holds("implementation_invariance", because=_ONLY_THE_GRADIENT),
            holds("symmetry", because="∂_i f and ∂_j f agree where f is symmetric and x_i = x_j"),
        ),
    )
)

register_method(
    Method(
        name="input_x_gradient",
        attribute=input_x_gradient,
        reference="Shrikumar, Greenside, Shcherbina, Kundaje (2016), section 2",
        cost="1 forward + 1 backward",
        claims=(
            holds(
                "completeness", given=("positively_homogeneous",), because="Euler: Σ x_i ∂_i f = f for f homogeneous of degree 1 and x' = 0"
            ),
            violates("completeness", witness="saturation-witness-v1", because="the gradient vanishes where f saturates"),
            holds("dummy", because="∂_i f = 0 everywhere"),
            holds("implementation_invariance", because=_ONLY_THE_GRADIENT),
            holds("symmetry", because="∂_i f and ∂_j f agree where f is symmetric and x_i = x_j"),
        ),
    )
)

register_method(
    Method(
        name="integrated_gradients",
        attribute=integrated_gradients,
        convention="integrated_gradients",
        reference="Sundararajan, Taly, Yan (2017), equation 1; Captum's IntegratedGradients",
        cost="n_steps (forward + backward), 50 by default",
        budget="n_steps",
        claims=(
            holds(
                "completeness",
                because="fundamental theorem of calculus along the path (proposition 1)",
                tolerance=_CAPTUM,
                origin=_CAPTUM_ROUNDING,
            ),
            holds("dummy", because="∂_i f = 0 everywhere"),
            holds("implementation_invariance", because=_ONLY_THE_PATH, tolerance=_CAPTUM, origin=_CAPTUM_ROUNDING),
            holds("symmetry", because="the straight line preserves symmetry (theorem 1)", tolerance=_CAPTUM, origin=_CAPTUM_ROUNDING),
        ),
    )
)

register_method(
    Method(
        name="exact_integrated_gradients",
        attribute=exact_integrated_gradients,
        convention="integrated_gradients",
        reference="Sundararajan, Taly, Yan (2017), equation 1, in closed form between kinks",
        cost="2 forwards per kink and layer + 1 (forward + backward) per piece",
        claims=(
            holds("completeness", because="fundamental theorem of calculus on every linear piece"),
            holds("dummy", because="∂_i f = 0 everywhere"),
            holds("implementation_invariance", because=_ONLY_THE_PATH),
            holds("symmetry", because="the straight line preserves symmetry (theorem 1)"),
        ),
    )
)

register_method(
    Method(
        name="deeplift",
        attribute=deeplift,
        convention="integrated_gradients",
        reference="Shrikumar, Greenside, Kundaje (2017), equations 1 to 5; Captum's DeepLift (Rescale)",
        cost="4 forwards + 1 backward, preflight included",
        claims=(
            holds("completeness", because="summation-to-delta: multipliers are Δoutput / Δinput at every layer (equation 1)"),
            violates(
                "dummy", witness="dummy-witness-v1", because="units that cancel are rescaled apart: it sees the network, not the function"
            ),
            violates(
                "implementation_invariance",
                witness="invariance-witness-v1",
                because="the chain rule does not hold for differences (Sundararajan 2017)",
            ),
            violates(
                "symmetry", witness="symmetry-witness-v1", because="equal functions implemented in two ways get different multipliers"
            ),
        ),
    )
)

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
            holds("dummy", because=_ONLY_THE_GAME),
            holds("implementation_invariance", because=_ONLY_THE_GAME),
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
            holds("implementation_invariance", because=_ONLY_THE_GAME),
            holds("symmetry", because="symmetry (Shapley 1953)"),
        ),
    )
)

register_method(Method(name="random", attribute=random, control=True, cost="no passes", reference="control: the floor"))

register_method(
    Method(
        name="constant",
        attribute=constant,
        control=True,
        cost="no passes",
        reference="control: no ranking",
        claims=(
            violates("completeness", witness="or-witness-v1", because="it does not look at the network"),
            violates("dummy", witness="dummy-witness-v1", because="every feature gets 1"),
        ),
    )
)

register_method(
    Method(
        name="truth",
        attribute=truth,
        convention="shapley",
        control=True,
        cost="no passes",
        reference="control: the ceiling, exact Shapley values of the environment",
        claims=(
            holds("completeness", because="efficiency (Shapley 1953)"),
            holds("dummy", because="null player (Shapley 1953)"),
            holds("symmetry", because="symmetry (Shapley 1953)"),
        ),
    )
)

register_method(
    Method(
        name="inverted_truth",
        attribute=inverted_truth,
        control=True,
        cost="no passes",
        reference="control: the truth upside down",
    )
)

__all__ = [
    "constant",
    "deeplift",
    "exact_integrated_gradients",
    "gradient",
    "input_x_gradient",
    "integrated_gradients",
    "inverted_truth",
    "occlusion",
    "random",
    "shapley",
    "truth",
]
