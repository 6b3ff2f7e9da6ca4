"""Path methods, with what each says of itself."""

from __future__ import annotations

from attrlab.claims import holds, violates
from attrlab.method import Method
from attrlab.methods.adaptive_paths import blur_ig, guided_ig
from attrlab.methods.captum_paths import captum_integrated_gradients
from attrlab.methods.expectations import expected_gradients
from attrlab.methods.paths import exact_integrated_gradients, integrated_gradients
from attrlab.methods.registered.reasons import ONLY_THE_PATH
from attrlab.methods.registered.theory import register

_CAPTUM = 1e-6
_CAPTUM_ROUNDING = "Captum 0.9 holds the quadrature weights in float32, whose rounding is 6e-8"
_FUNDAMENTAL = "fundamental theorem of calculus along the path (proposition 1)"
_STRAIGHT = "the straight line preserves symmetry (theorem 1)"

register(
    Method(
        name="integrated_gradients",
        attribute=integrated_gradients,
        convention="integrated_gradients",
        reference="Sundararajan, Taly, Yan (2017), equation 1, by Gauss-Legendre quadrature",
        cost="n_steps (forward + backward), 50 by default",
        cost_class="path",
        budget="n_steps",
        claims=(
            holds("completeness", because=_FUNDAMENTAL),
            holds("dummy", because="∂_i f = 0 everywhere"),
            holds("implementation_invariance", because=ONLY_THE_PATH),
            holds("symmetry", because=_STRAIGHT),
        ),
    )
)

register(
    Method(
        name="captum_integrated_gradients",
        attribute=captum_integrated_gradients,
        convention="integrated_gradients",
        reference="Sundararajan, Taly, Yan (2017), equation 1; Captum's IntegratedGradients",
        cost="n_steps (forward + backward), 50 by default",
        peer=True,
        cost_class="path",
        budget="n_steps",
        claims=(
            holds("completeness", because=_FUNDAMENTAL, tolerance=_CAPTUM, origin=_CAPTUM_ROUNDING),
            holds("dummy", because="∂_i f = 0 everywhere"),
            holds("implementation_invariance", because=ONLY_THE_PATH, tolerance=_CAPTUM, origin=_CAPTUM_ROUNDING),
            holds("symmetry", because=_STRAIGHT, tolerance=_CAPTUM, origin=_CAPTUM_ROUNDING),
        ),
    )
)

register(
    Method(
        name="exact_integrated_gradients",
        attribute=exact_integrated_gradients,
        convention="integrated_gradients",
        reference="Sundararajan, Taly, Yan (2017), equation 1, in closed form between kinks",
        cost="1 forward per kink + 1 (forward + backward) per piece",
        cost_class="path",
        claims=(
            holds("completeness", because="fundamental theorem of calculus on every linear piece"),
            holds("dummy", because="∂_i f = 0 everywhere"),
            holds("implementation_invariance", because=ONLY_THE_PATH),
            holds("symmetry", because=_STRAIGHT),
        ),
    )
)

register(
    Method(
        name="expected_gradients",
        attribute=expected_gradients,
        reference="Erion, Janizek, Sturmfels, Lundberg, Lee (2021), equation 3; GradientSHAP",
        cost="samples (forward + backward), 200 by default",
        cost_class="path",
        needs=frozenset({"reference data"}),
        light={"samples": 16},
        claims=(
            violates("completeness", witness="sum-witness-v1", because="it is complete against the mean of f over the reference data"),
        ),
    )
)

register(
    Method(
        name="blur_ig",
        attribute=blur_ig,
        modalities=frozenset({"image"}),
        reference="Xu, Venugopalan, Sundararajan (2020), equation 6",
        cost="steps (forward + backward), 100 by default",
        cost_class="path",
        light={"steps": 10},
    )
)

register(
    Method(
        name="guided_ig",
        attribute=guided_ig,
        convention="integrated_gradients",
        reference="Kapishnikov, Venugopalan, Avci, Wedin, Terry, Bolukbasi (2021), algorithm 1",
        cost="steps (forward + backward), 200 by default, one after the other",
        cost_class="path",
        light={"steps": 10},
        claims=(
            violates(
                "completeness",
                witness="continuity-witness-v1",
                because="on a piecewise-linear network the path slides along a kink and crosses it at every step, however short",
            ),
            holds("dummy", because="∂_i f = 0 everywhere"),
        ),
    )
)
