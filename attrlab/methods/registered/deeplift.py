"""DeepLIFT and its kin, with what each says of itself."""

from __future__ import annotations

from attrlab.claims import holds, violates
from attrlab.method import Method
from attrlab.methods.deeplift import deeplift
from attrlab.methods.deeplift_rescale import deeplift_rescale
from attrlab.methods.expectations import deepshap
from attrlab.methods.registered.theory import register

_CLAIMS = (
    holds("completeness", because="summation-to-delta: multipliers are Δoutput / Δinput at every layer (equation 1)"),
    violates("dummy", witness="dummy-witness-v1", because="units that cancel are rescaled apart: it sees the network, not the function"),
    violates(
        "implementation_invariance",
        witness="invariance-witness-v1",
        because="the chain rule does not hold for differences (Sundararajan 2017)",
    ),
    violates("symmetry", witness="symmetry-witness-v1", because="equal functions implemented in two ways get different multipliers"),
)

register(
    Method(
        name="deeplift",
        attribute=deeplift,
        convention="integrated_gradients",
        reference="Shrikumar, Greenside, Kundaje (2017), equations 1 to 5; Captum's DeepLift (Rescale)",
        cost="4 forwards + 1 backward, preflight included",
        cost_class="single",
        claims=_CLAIMS,
    )
)

register(
    Method(
        name="deeplift_rescale",
        attribute=deeplift_rescale,
        convention="integrated_gradients",
        reference="Shrikumar, Greenside, Kundaje (2017), equations 1 to 5 and 10 (Rescale); products by the Shapley value of their factors",
        cost="2 forwards + 1 backward on twice the rows",
        cost_class="single",
        claims=_CLAIMS,
    )
)

register(
    Method(
        name="deepshap",
        attribute=deepshap,
        reference="Lundberg, Lee (2017), section 4.2; Chen, Lundberg, Lee (2019), section 2",
        cost="2 forwards + 1 backward on twice the rows, for every reference row",
        cost_class="single",
        needs=frozenset({"reference data"}),
        claims=(
            violates("completeness", witness="sum-witness-v1", because="it is complete against the mean of f over the reference data"),
        ),
    )
)
