"""Controls, with what each says of itself."""

from __future__ import annotations

from attrlab.claims import holds, violates
from attrlab.method import Method
from attrlab.methods.controls import constant, inverted_truth, random, truth
from attrlab.registry import register_method

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
