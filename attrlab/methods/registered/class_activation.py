"""Class activation maps and the family of aggregations, with what each says of itself."""

from __future__ import annotations

from functools import partial

from attrlab.claims import Claim, holds, violates
from attrlab.method import Attribute, Method
from attrlab.methods.activation_masks import guided_grad_cam, score_cam
from attrlab.methods.aggregation import aggregated_gradients
from attrlab.methods.class_activation import grad_cam, grad_cam_plus_plus, hires_cam, layer_cam, x_grad_cam
from attrlab.methods.full_grad import full_grad, full_grad_signed
from attrlab.methods.registered.theory import register

WITNESS = "positions-witness-v1"
EVERYWHERE = frozenset({"image", "graph", "sequence", "set"})
IMAGES = frozenset({"image"})
KHAKZAR = "Khakzar, Baselizadeh, Navab (2020), arXiv 2012.00362"
ONE_PASS = "1 forward + 1 backward"

AVERAGED = violates("dummy", witness=WITNESS, because="the slope averaged over positions credits every position with an activation")
PLACES = violates(
    "implementation_invariance", witness=WITNESS, because="a score is read at a position of the layer, which networks may choose freely"
)


def _register(
    name: str,
    attribute: Attribute,
    reference: str,
    *claims: Claim,
    cost: str = ONE_PASS,
    modalities: frozenset[str] = EVERYWHERE,
) -> None:
    cost_class = "linear" if cost.startswith("channels") else "single"
    method = Method(
        name=name, attribute=attribute, reference=reference, cost=cost, cost_class=cost_class, modalities=modalities, claims=claims
    )
    register(method)


def _incomplete(because: str, witness: str = WITNESS) -> Claim:
    return violates("completeness", witness=witness, because=because)


EULER = holds(
    "completeness", given=("positively_homogeneous",), because="Euler: Σ g_k(p) A_k(p) = f(x) where what follows the layer has no bias"
)
BIASED = _incomplete("the biases that follow the layer belong to no position of it", witness="colour-continuous-v1")

_register(
    "grad_cam",
    grad_cam,
    "Selvaraju et al. (2017), equations 1 and 2; on graphs, Pope et al. (2019)",
    _incomplete("the mean of the slopes times the sum of the activations is not the sum of their products"),
    AVERAGED,
    PLACES,
)
_register(
    "grad_cam_plus_plus",
    grad_cam_plus_plus,
    "Chattopadhay et al. (2018), equations 5, 9 and 19",
    _incomplete("its weights are those of exp(f), and scale with the number of positions"),
    AVERAGED,
    PLACES,
)
_register("hires_cam", hires_cam, "Draelos, Carin (2020), section 3", EULER, BIASED, PLACES)
_register("layer_cam", layer_cam, "Jiang et al. (2021), equations 5 to 7", BIASED, PLACES)
_register("x_grad_cam", x_grad_cam, "Fu et al. (2020), equation 8", EULER, BIASED, AVERAGED, PLACES)
_register(
    "score_cam",
    score_cam,
    "Wang et al. (2020), equations 4 to 7",
    _incomplete("weights that sum to 1 leave the map in units of the activations"),
    AVERAGED,
    PLACES,
    cost="channels + 2 forwards + 1 backward",
)
_register(
    "guided_grad_cam",
    guided_grad_cam,
    "Selvaraju et al. (2017), section 3.2",
    PLACES,
    cost="2 forwards + 2 backwards",
)
_register(
    "full_grad",
    full_grad,
    "Srinivas, Fleuret (2019), equation 4",
    _incomplete("each term is stretched to [0, 1], so the map forgets how large f is"),
    violates(
        "implementation_invariance", witness="two-class-patches-v1", because="which biases there are, and how many, is the network's choice"
    ),
    cost="2 forwards + 1 backward",
    modalities=IMAGES,
)
_register(
    "full_grad_signed",
    full_grad_signed,
    "Srinivas, Fleuret (2019), proposition 1",
    holds("completeness", given=("positively_homogeneous",), because="its terms sum to f(x), and f(0) = 0 (proposition 1)"),
    _incomplete("its terms sum to f(x), whatever f is at the baseline", witness="unseen-colour-baseline-v1"),
    cost="2 forwards + 1 backward",
    modalities=IMAGES,
)

for _sign in ("positive", "negative", "absolute"):
    _places = () if _sign == "negative" else (PLACES,)  # on the witness nothing is negative
    _register(
        f"grad_cam_{_sign}_gradient",
        partial(aggregated_gradients, stage="gradient", sign=_sign),
        f"{KHAKZAR}: Grad-CAM of {_sign} slopes",
        *_places,
    )
    _register(
        f"hires_cam_{_sign}",
        partial(aggregated_gradients, stage="gradient_x_activation", sign=_sign),
        f"{KHAKZAR}: {_sign} products of slope and activation",
        *_places,
    )
    _register(
        f"full_grad_{_sign}",
        partial(aggregated_gradients, stage="bias_x_gradient", sign=_sign),
        f"{KHAKZAR}: {_sign} products of bias and slope",
        cost="2 forwards + 1 backward",
        modalities=IMAGES,
    )
    _register(
        f"grad_cam_{_sign}_map",
        partial(aggregated_gradients, stage="map", sign=_sign),
        f"{KHAKZAR}: {_sign} part of Grad-CAM" if _sign != "positive" else "Selvaraju et al. (2017), equation 2, with its ReLU",
        *_places,
    )
