"""Controls, with what each says of itself."""

from __future__ import annotations

from functools import partial

from attrlab.claims import Claim, holds, violates
from attrlab.method import Attribute, Method
from attrlab.methods import controls
from attrlab.methods.registered.theory import register


def _control(name: str, attribute: Attribute, reference: str, *claims: Claim, modality: str | None = None, **more: str) -> None:
    modalities = frozenset() if modality is None else frozenset({modality})
    register(
        Method(
            name=name,
            attribute=attribute,
            control=True,
            cost=more.pop("cost", "no passes"),
            cost_class="free",
            reference=f"control: {reference}",
            claims=claims,
            modalities=modalities,
            **more,  # type: ignore[arg-type]
        )
    )


_IGNORES_THE_NETWORK = violates("completeness", witness="or-witness-v1", because="it does not look at the network")

_control("random", controls.random, "the floor")
_control(
    "constant",
    controls.constant,
    "no ranking",
    _IGNORES_THE_NETWORK,
    violates("dummy", witness="dummy-witness-v1", because="every feature gets 1"),
)
_control(
    "input_magnitude",
    controls.input_magnitude,
    "what is large looks important",
    _IGNORES_THE_NETWORK,
    violates("dummy", witness="dummy-witness-v1", because="a feature that the network does not use may be large"),
    holds("implementation_invariance", because="it does not look at the network"),
    holds("symmetry", because="equal inputs with equal baselines are equally far from them"),
)
_control(
    "edge_filter",
    controls.edge_filter,
    "contours; Adebayo et al. (2018), section 4",
    holds("implementation_invariance", because="it does not look at the network"),
    modality="image",
)
_control(
    "degree",
    controls.degree,
    "what a graph's degrees alone say",
    holds("implementation_invariance", because="it does not look at the network"),
    modality="graph",
)
_control("class_coded_mask", controls.class_coded_mask, "label leakage; Rong et al. (2022), section 3")
_control(
    "predicted_class_coded_mask",
    partial(controls.class_coded_mask, label="predicted"),
    "label leakage, of the predicted class",
    cost="1 forward",
)
_control("blurred_random", controls.blurred_random, "noise as smooth as a coarse map", modality="image")
_control(
    "truth",
    controls.truth,
    "the ceiling, exact Shapley values of the environment",
    holds("completeness", because="efficiency (Shapley 1953)"),
    holds("dummy", because="null player (Shapley 1953)"),
    holds("symmetry", because="symmetry (Shapley 1953)"),
    convention="shapley",
)
_control("inverted_truth", controls.inverted_truth, "the truth upside down")
_control("noisy_truth", controls.noisy_truth, "a rung of the ladder from the truth to noise", convention="shapley")
