"""Gradients along critical pathways, with what each says of itself."""

from __future__ import annotations

from functools import partial

from attrlab.claims import violates
from attrlab.method import Attribute, Method
from attrlab.methods.pathways import pathway_gradient, prune_gradient
from attrlab.methods.registered.theory import register
from attrlab.methods.routing import cdrp_gradient

_SLOPE = "a slope, not a share of the output; it vanishes where the output saturates"
_NEURONS = "which neurons are kept depends on how the function is divided among them"
_PATHWAYS = "Khakzar et al. (2021), neural response interpretation through the lens of critical pathways"


def _register(
    name: str,
    attribute: Attribute,
    reference: str,
    cost: str,
    *,
    cost_class: str = "single",
    light: dict[str, object] | None = None,
    witness: str = "monotonicity-witness-v1",
) -> None:
    register(
        Method(
            name=name,
            attribute=attribute,
            reference=reference,
            cost=cost,
            cost_class=cost_class,
            light=light or {},
            claims=(
                violates("completeness", witness="saturation-witness-v1", because=_SLOPE),
                violates("implementation_invariance", witness=witness, because=_NEURONS),
            ),
        )
    )


_register("pathway_gradient", pathway_gradient, f"{_PATHWAYS}, NeuronMCT", "2 (forward + backward)")
_register(
    "pathway_gradient_integrated",
    partial(pathway_gradient, contribution="integrated"),
    f"{_PATHWAYS}, NeuronIntGrad",
    "layers x n_steps (forward + backward), 10 steps by default, and 2 more",
    cost_class="path",
)
_register(
    "prune_gradient",
    prune_gradient,
    "Khakzar et al. (2019), explaining neural networks via perturbing important learned features",
    "sparsity / portion + 1 (forward + backward), 86 by default",
    cost_class="path",
    light={"portion": 0.2},
)
_register(
    "cdrp_gradient",
    cdrp_gradient,
    "Wang et al. (2018), equation 2",
    "steps (forward + backward), 1000 by default",
    cost_class="optimisation",
    light={"steps": 10},
    witness="sign-witness-v1",
)
