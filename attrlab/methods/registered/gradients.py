"""Gradient methods and their smoothed versions, with what each says of itself."""

from __future__ import annotations

from attrlab.claims import holds, violates
from attrlab.method import Method
from attrlab.methods.gradients import absolute_gradient, gradient, gradient_x_difference, input_x_gradient
from attrlab.methods.registered.reasons import ONLY_THE_GRADIENT
from attrlab.methods.registered.theory import register
from attrlab.methods.smoothing import smoothgrad, smoothgrad_squared, vargrad

_NULL = "∂_i f = 0 everywhere"
_EQUAL = "∂_i f and ∂_j f agree where f is symmetric and x_i = x_j"
_FLAT = "with the noise inside the flat part the gradient is 0 at every sample"

register(
    Method(
        name="gradient",
        attribute=gradient,
        reference="Simonyan, Vedaldi, Zisserman (2014), section 3",
        cost="1 forward + 1 backward",
        cost_class="single",
        claims=(
            violates(
                "completeness",
                witness="saturation-witness-v1",
                because="it vanishes where f saturates (Sundararajan et al. 2017, section 2)",
            ),
            holds("dummy", because=_NULL),
            holds("implementation_invariance", because=ONLY_THE_GRADIENT),
            holds("symmetry", because=_EQUAL),
        ),
    )
)

register(
    Method(
        name="absolute_gradient",
        attribute=absolute_gradient,
        reference="Simonyan, Vedaldi, Zisserman (2014), section 3.1",
        cost="1 forward + 1 backward",
        cost_class="single",
        claims=(
            violates("completeness", witness="saturation-witness-v1", because="the gradient vanishes where f saturates"),
            holds("dummy", because=_NULL),
            holds("implementation_invariance", because=ONLY_THE_GRADIENT),
            holds("symmetry", because=_EQUAL),
        ),
    )
)

register(
    Method(
        name="input_x_gradient",
        attribute=input_x_gradient,
        reference="Shrikumar, Greenside, Shcherbina, Kundaje (2016), section 2",
        cost="1 forward + 1 backward",
        cost_class="single",
        claims=(
            holds(
                "completeness", given=("positively_homogeneous",), because="Euler: Σ x_i ∂_i f = f for f homogeneous of degree 1 and x' = 0"
            ),
            violates("completeness", witness="saturation-witness-v1", because="the gradient vanishes where f saturates"),
            holds("dummy", because=_NULL),
            holds("implementation_invariance", because=ONLY_THE_GRADIENT),
            holds("symmetry", because=_EQUAL),
        ),
    )
)

register(
    Method(
        name="gradient_x_difference",
        attribute=gradient_x_difference,
        reference="Shrikumar, Greenside, Kundaje (2017), section 2.2.3; the linear estimate of f(x) - f(x')",
        cost="1 forward + 1 backward",
        cost_class="single",
        claims=(
            holds(
                "completeness", given=("positively_homogeneous",), because="Euler: Σ x_i ∂_i f = f for f homogeneous of degree 1 and x' = 0"
            ),
            violates("completeness", witness="saturation-witness-v1", because="the gradient vanishes where f saturates"),
            holds("dummy", because=_NULL),
            holds("implementation_invariance", because=ONLY_THE_GRADIENT),
            holds("symmetry", because=_EQUAL),
        ),
    )
)

for _name, _smoothed, _reference in (
    ("smoothgrad", smoothgrad, "Smilkov, Thorat, Kim, Viégas, Wattenberg (2017), section 3"),
    ("smoothgrad_squared", smoothgrad_squared, "Hooker, Erhan, Kindermans, Kim (2019), section 3"),
    ("vargrad", vargrad, "Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim (2018), section 2"),
):
    register(
        Method(
            name=_name,
            attribute=_smoothed,
            reference=_reference,
            cost="samples (forward + backward), 50 by default" + (" + 1" if _name == "vargrad" else ""),
            cost_class="path",
            light={"samples": 8},
            claims=(
                violates("completeness", witness="saturation-witness-v1", because=_FLAT),
                violates("dummy", witness="house-v1", because="noise leaves the box between baseline and input, where i is null"),
            ),
        )
    )
