"""Gradient methods, with what each says of itself."""

from __future__ import annotations

from attrlab.claims import holds, violates
from attrlab.method import Method
from attrlab.methods.gradients import gradient, input_x_gradient
from attrlab.methods.registered.reasons import ONLY_THE_GRADIENT
from attrlab.registry import register_method

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
            holds("implementation_invariance", because=ONLY_THE_GRADIENT),
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
            holds("implementation_invariance", because=ONLY_THE_GRADIENT),
            holds("symmetry", because="∂_i f and ∂_j f agree where f is symmetric and x_i = x_j"),
        ),
    )
)
