"""Modified gradients and excitation backpropagation, with what each says of itself."""

from __future__ import annotations

from attrlab.claims import Claim, violates
from attrlab.method import Attribute, Method
from attrlab.methods.backward_rules import deconvnet, guided_backprop, rectgrad
from attrlab.methods.excitation import contrastive_excitation_backprop, excitation_backprop
from attrlab.methods.registered.theory import register

UNITS = "it acts on the network's units, and the same function can be made of other units"


def _incomplete(because: str) -> Claim:
    return violates("completeness", witness="saturation-witness-v1", because=because)


def _register(name: str, attribute: Attribute, reference: str, *claims: Claim, cost: str = "1 forward + 1 backward") -> None:
    register(Method(name=name, attribute=attribute, reference=reference, cost=cost, cost_class="single", claims=claims))


_register(
    "deconvnet",
    deconvnet,
    "Zeiler, Fergus (2014), section 2.1",
    _incomplete("a signal, not a share of the output; a negative one is held back"),
    violates("dummy", witness="dummy-witness-v1", because="of two equal units with opposite weights it passes the positive signal only"),
    violates("implementation_invariance", witness="edge-types-v1", because=f"{UNITS}; whether they are active is not asked"),
)

_register(
    "guided_backprop",
    guided_backprop,
    "Springenberg et al. (2015), section 3.4",
    _incomplete("a signal, not a share of the output; it vanishes where the output saturates"),
    violates("dummy", witness="dummy-witness-v1", because="of two equal units with opposite weights it passes the positive signal only"),
    violates("implementation_invariance", witness="colour-nodes-features-v1", because=UNITS),
)

_register(
    "rectgrad",
    rectgrad,
    "Kim et al. (2019), equation 2",
    _incomplete("what is below the percentile is dropped"),
    violates("dummy", witness="dummy-witness-v1", because="of two equal units with opposite weights the more relevant one passes"),
    violates(
        "implementation_invariance", witness="sign-witness-v1", because="a percentile over a layer moves when a unit is split or added"
    ),
    violates("symmetry", witness="edge-types-gate-v1", because="two implementations of a symmetric function are thresholded apart"),
)

_register(
    "excitation_backprop",
    excitation_backprop,
    "Zhang et al. (2016), equations 3 to 5",
    _incomplete("probabilities sum to 1, whatever the output is"),
    violates("dummy", witness="dummy-witness-v1", because="a unit that takes away what another gives does not inhibit"),
    violates("implementation_invariance", witness="uncertainty-aware-v1", because=UNITS),
    cost="1 forward + 1 backward, and once more as far as the last linear layers",
)

_register(
    "contrastive_excitation_backprop",
    contrastive_excitation_backprop,
    "Zhang et al. (2016), section 3.3",
    _incomplete("two maps of probabilities differ by 0 in sum, whatever the output is"),
    violates("dummy", witness="uncertainty-aware-v1", because="what excites unit and dual alike is divided by different sums"),
    violates("implementation_invariance", witness="uncertainty-aware-v1", because=UNITS),
    cost="1 forward + 1 backward, and once more as far as the last linear layers",
)
