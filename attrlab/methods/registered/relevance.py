"""Layer-wise relevance propagation, with what each rule says of itself."""

from __future__ import annotations

from functools import partial

from attrlab.claims import Claim, holds, violates
from attrlab.method import Attribute, Method
from attrlab.methods.composites import lrp_epsilon_alpha2_beta1, lrp_epsilon_gamma_box, lrp_epsilon_plus, lrp_epsilon_plus_flat
from attrlab.methods.input_rules import lrp_flat, lrp_w_squared, lrp_z_box
from attrlab.methods.registered.theory import register
from attrlab.methods.relevance import lrp_0, lrp_alpha_beta, lrp_epsilon, lrp_gamma

BACH, MONTAVON, LAPUSCHKIN = "Bach et al. (2015)", "Montavon et al. (2019), section 10.3", "Lapuschkin et al. (2019)"
SATURATED = violates(
    "completeness", witness="saturation-witness-v1", because="nothing passes a unit that is off, and the bias keeps its share"
)
CANCELLED = violates("dummy", witness="uncertainty-aware-v1", because="units that cancel are given different shares")
ON_RELU = "on a ReLU network it is input × gradient (identity E2), and that is the function's own away from kinks"


def _told_apart(because: str, *, witness: str = "symmetry-witness-v1") -> Claim:
    return violates("implementation_invariance", witness=witness, because=because)


def _asymmetric(because: str) -> Claim:
    return violates("symmetry", witness="symmetry-witness-v1", because=because)


def _register(name: str, attribute: Attribute, reference: str, *claims: Claim, cost: str = "1 forward + 1 backward") -> None:
    register(Method(name=name, attribute=attribute, reference=reference, cost=cost, cost_class="single", claims=claims))


PARTS = "positive and negative contributions are counted unit by unit, and the same function can be made of other units"
STABILISED = "ε absorbs relevance unit by unit, in proportion to 1 / |z|"
SIGNED = "1 forward + 1 backward, and each linear layer 2 times more for each sign of contributions"

_register(
    "lrp_0",
    lrp_0,
    f"{BACH}, equation 56",
    holds("completeness", given=("positively_homogeneous",), because="Euler: Σ x_i ∂_i f = f for f homogeneous of degree 1 and x' = 0"),
    SATURATED,
    holds("dummy", given=("piecewise_linear",), because=ON_RELU),
    holds("implementation_invariance", given=("piecewise_linear",), because=ON_RELU),
    _told_apart("a product gives half to each factor, and x (y z) is not (x y) z", witness="marked-triangle-smooth-v1"),
    holds("symmetry", given=("piecewise_linear",), because=ON_RELU),
)
_register("lrp_epsilon", lrp_epsilon, f"{BACH}, equation 58", SATURATED, CANCELLED, _told_apart(STABILISED), _asymmetric(STABILISED))
_register(
    "lrp_gamma",
    lrp_gamma,
    "Montavon et al. (2019), table 10.1; Andéol et al. (2021)",
    holds(
        "completeness",
        given=("bias_free", "positively_homogeneous"),
        because="shares of z + γ z⁺ where z > 0, and of z + γ z⁻ where z < 0, sum to one",
    ),
    SATURATED,
    CANCELLED,
    _told_apart(PARTS),
    _asymmetric(PARTS),
    cost=SIGNED,
)
_register(
    "lrp_alpha1_beta0",
    partial(lrp_alpha_beta, alpha=1.0, beta=0.0),
    f"{BACH}, equation 60 (z⁺)",
    SATURATED,
    CANCELLED,
    _told_apart(PARTS, witness="uncertainty-aware-v1"),
    cost=SIGNED,
)
_register(
    "lrp_alpha2_beta1",
    partial(lrp_alpha_beta, alpha=2.0, beta=1.0),
    f"{BACH}, equation 60",
    SATURATED,
    CANCELLED,
    _told_apart(PARTS),
    _asymmetric(PARTS),
    cost=SIGNED,
)
_register(
    "lrp_w_squared",
    lrp_w_squared,
    "Montavon et al. (2017), equation 8",
    SATURATED,
    CANCELLED,
    _told_apart("two units of half the weight share otherwise than one"),
    _asymmetric("the weights' squares are those of the implementation"),
    cost=SIGNED,
)
_register(
    "lrp_flat",
    lrp_flat,
    f"{LAPUSCHKIN}, supplementary note",
    SATURATED,
    violates("dummy", witness="null-beside-or-witness-v1", because="an input whose weight is 0 gets the same share as all others"),
    _told_apart("an input is given a share by each unit that it is wired to", witness="edge-types-features-v1"),
    cost=SIGNED,
)
_register(
    "lrp_z_box",
    lrp_z_box,
    "Montavon et al. (2017), equation 13",
    SATURATED,
    CANCELLED,
    _told_apart(PARTS, witness="uncertainty-aware-v1"),
    cost=SIGNED,
)
_register(
    "lrp_epsilon_plus",
    lrp_epsilon_plus,
    f"{MONTAVON}; Zennit's EpsilonPlus",
    SATURATED,
    CANCELLED,
    _told_apart(STABILISED),
    _asymmetric(STABILISED),
    cost=SIGNED,
)
_register(
    "lrp_epsilon_plus_flat",
    lrp_epsilon_plus_flat,
    f"{LAPUSCHKIN}; Zennit's EpsilonPlusFlat",
    SATURATED,
    violates("dummy", witness="null-beside-or-witness-v1", because="an input whose weight is 0 gets the same share as all others"),
    _told_apart(STABILISED),
    cost=SIGNED,
)
_register(
    "lrp_epsilon_gamma_box",
    lrp_epsilon_gamma_box,
    f"{MONTAVON}; Zennit's EpsilonGammaBox",
    SATURATED,
    CANCELLED,
    _told_apart(STABILISED),
    _asymmetric(STABILISED),
    cost=SIGNED,
)
_register(
    "lrp_epsilon_alpha2_beta1",
    lrp_epsilon_alpha2_beta1,
    f"{MONTAVON}; Zennit's EpsilonAlpha2Beta1",
    SATURATED,
    CANCELLED,
    _told_apart(STABILISED),
    _asymmetric(STABILISED),
    cost=SIGNED,
)
