"""The truth table of the axioms: what theory says of each method, cell by cell, with the reason; every cell is tested in its direction.

Rows and columns are those of the literature's table (Sundararajan et al. 2017; Ancona et al. 2018; Kindermans et al. 2019;
Sundararajan and Najmi 2020; Sixt et al. 2020), where a counterexample or a proof corrected it as corrected. What a method's own file
claims of an axiom stands before what stands here.
"""

from __future__ import annotations

from dataclasses import replace

from attrlab.claims import FLOAT64, SMALL_SCOPE, Claim, holds, violates
from attrlab.method import Method
from attrlab.registry import register_method

COLUMNS = """
    sensitivity_a structural_dummy linearity input_shift_invariance_fixed input_shift_invariance affine_scale_invariance
    output_scaling_negative demand_monotonicity sign_consistency proportionality saturation continuity additive_recovery lattice_dummy
""".split()

TABLE: dict[str, tuple[str, str]] = {
    # method                        kind           A2 3s A5 7a 7b A8 A9 10 10'11 12 13 14 3x
    "gradient": ("slope", "                       -  +  +  +  +  -  +  -  +  -  -  -  -  -"),
    "absolute_gradient": ("slope", "              -  +  -  +  +  -  -  -  +  -  -  -  -  -"),
    "input_x_gradient": ("product", "             -  +  +  -  -  +  +  -  n  +  -  -  h  -"),
    "gradient_x_difference": ("product", "        -  +  +  -  +  +  +  -  +  +  -  -  h  -"),
    "smoothgrad": ("slope", "                     -  +  +  -  -  -  +  -  .  -  -  .  -  -"),
    "integrated_gradients": ("path", "            +  +  +  -  +  +  +  -  +  +  +  -  +  -"),
    "exact_integrated_gradients": ("path", "      +  +  +  -  +  +  +  -  +  +  +  -  +  -"),
    "expected_gradients": ("path", "              .  +  +  -  .  .  +  -  .  .  .  -  .  -"),
    "deeplift": ("multipliers", "                 +  +  +  -  +  +  +  -  -  -  +  -  -  -"),
    "deeplift_rescale": ("multipliers", "         +  +  +  -  +  +  +  -  -  -  +  -  -  -"),
    "deepshap": ("multipliers", "                 .  +  +  -  .  .  +  -  -  -  .  -  -  -"),
    "lrp_0": ("product", "                        -  +  +  -  -  +  +  -  n  +  -  -  h  -"),
    "lrp_epsilon": ("shares", "                   -  +  -  -  -  +  .  -  .  .  -  -  -  -"),
    "lrp_alpha1_beta0": ("shares", "              -  +  -  -  -  +  -  .  -  -  -  -  -  -"),
    "lrp_alpha2_beta1": ("shares", "              -  +  -  -  -  +  -  .  -  -  -  -  -  -"),
    "guided_backprop": ("signal", "               -  +  -  +  +  -  -  -  -  -  -  -  -  -"),
    "deconvnet": ("signal", "                     -  +  -  +  +  -  -  +  -  -  -  +  -  -"),
    "occlusion": ("marginals", "                  +  +  +  -  +  +  +  +  +  -  -  +  +  +"),
    "shapley": ("marginals", "                    +  +  +  -  +  +  +  +  +  -  +  +  +  +"),
    "kernel_shap": ("marginals", "                +  +  +  -  +  +  +  .  .  -  +  +  +  +"),
    "lime_unpenalised": ("regression", "          +  -  +  -  +  +  +  .  -  -  +  +  +  -"),
    "lime": ("regression", "                      +  -  +  -  +  +  +  .  -  -  .  +  .  -"),
    "lime_lasso": ("regression", "                -  -  -  -  +  +  +  .  .  -  .  +  -  ."),
    "rise_players": ("average", "                 -  -  +  -  +  +  +  +  -  -  -  +  -  -"),
    "mask": ("mask", "                            -  .  -  -  -  -  -  -  .  -  -  .  -  -"),
    "extremal_perturbation": ("area", "           .  -  -  -  .  .  -  .  .  -  .  .  -  -"),
    "igos": ("mask", "                            -  +  -  -  -  -  -  .  +  .  .  .  -  -"),
    "igos_naive_insertion": ("mask", "            .  +  -  -  -  -  -  .  +  -  .  .  -  -"),
    "igos_plus_plus": ("mask", "                  .  +  -  -  -  -  -  .  +  -  .  .  -  -"),
    "iba": ("bits", "                             .  .  .  .  .  .  -  .  .  .  .  .  -  ."),
    "regression_iba": ("bits", "                  .  .  .  .  .  .  -  .  +  .  .  .  -  ."),
    "inverse_iba": ("bits", "                     .  .  .  .  .  .  -  .  +  .  .  .  -  ."),
    "multilayer_iba": ("bits", "                  .  .  .  .  .  .  -  .  +  .  .  .  -  ."),
    "readout_iba": ("bits", "                     .  .  .  .  .  .  -  .  +  .  .  .  -  ."),
    "input_iba": ("bits", "                       .  .  .  .  .  .  -  .  .  .  .  .  -  ."),
    "input_iba_lite": ("bits", "                  .  .  .  .  .  .  -  .  +  .  .  .  -  ."),
    "pathway_gradient": ("pathway", "             -  +  -  +  +  -  +  -  -  -  -  -  -  -"),
    "pathway_gradient_integrated": ("pathway", "  -  +  -  +  +  -  +  -  -  -  -  -  -  -"),
    "prune_gradient": ("pathway", "               -  +  -  +  +  -  +  -  -  -  -  -  -  -"),
    "cdrp_gradient": ("pathway", "                -  .  -  .  .  -  .  -  -  -  -  -  -  -"),
    "instance_grad_cam": ("map", "               .  .  .  .  .  .  .  .  .  .  .  .  .  ."),
    "instance_regression_iba": ("bits", "         .  .  .  .  .  .  -  .  .  .  .  .  -  ."),
    "instance_inverse_iba": ("bits", "            .  .  .  .  .  .  -  .  .  .  .  .  -  ."),
    "instance_input_iba": ("bits", "              .  .  .  .  .  .  -  .  .  .  .  .  -  ."),
}
"""Of each method the kind of thing it is, and for each column: + holds, - is violated, n holds for x >= x' = 0, h holds without biases,
. is left open. What holds of a method that takes hundreds of steps a call is not claimed, as a search would take minutes; the slow table of
the tests asks it in a light setting."""

CONDITIONS = {"n": ("nonnegative_inputs",), "h": ("positively_homogeneous", "additive")}

MASKS = ("extremal_perturbation", "mask", "igos", "igos_naive_insertion", "igos_plus_plus")
BOTTLENECKS = tuple(name for name, (kind, _) in TABLE.items() if kind == "bits" and not name.startswith("instance"))
OF_BAGS = tuple(name for name, (kind, _) in TABLE.items() if kind == "bits" and name.startswith("instance"))
PATHWAYS = tuple(name for name, (kind, _) in TABLE.items() if kind == "pathway")

BECAUSE: dict[str, dict[str, str]] = {
    "sensitivity_a": {
        "+": "the effect is that of one player, and it is shared out among those that have one",
        "-": "it vanishes where the function is flat at the input, though not between baseline and input",
        "-regression": "the penalty may take what little a player has",
        "-average": "it averages values, and misses what f takes away from them",
        "-mask": "removal may cost more than it is worth, or a mask of ones stand where f is flat",
    },
    "structural_dummy": {
        "+": "no signal reaches it on any path of weights",
        "+marginals": "v(S + i) = v(S)",
        "+mask": "nothing is gained by its removal, which costs, and players of a table have no neighbours",
        "-area": "where the area is larger than what matters, the rest of it goes to anyone",
        "-": "the masks of one player are not independent of what others do to the fit",
    },
    "linearity": {
        "+": "it is made of slopes, multipliers or values of f, each linear in f",
        "-": "it cuts, squares or divides by what the branches have in common",
        "-mask": "masks lie in [0, 1], and the score is relative to the sum of the branches",
        "-area": "masks lie in [0, 1], and the score is relative to the sum of the branches",
        "-pathway": "the share of neurons that is kept is one of both branches together",
    },
    "input_shift_invariance_fixed": {
        "+": "it reads activations and slopes, which a compensated shift leaves alone",
        "-": "the input, or its distance from a reference that stayed, is part of it",
    },
    "input_shift_invariance": {
        "+": "only differences from the baseline and activations enter",
        "+marginals": "the baseline game stays as it is",
        "-": "the input itself is a factor, wherever its zero is",
        "-mask": "noise is in units of the row's range, which the shift of one column changes",
    },
    "affine_scale_invariance": {
        "+": "the factor of the difference cancels that of the slope",
        "+marginals": "the baseline game stays as it is",
        "-": "a slope is in units of output per unit of input",
        "-mask": "noise is in units of the row's range, which the scale of one column changes",
    },
    "output_scaling_negative": {
        "+": "it is odd in f",
        "-": "what speaks against and what speaks for the output are treated apart",
        "-mask": "the score is relative to f(x) - f(x'), whose sign it loses",
        "-area": "the score is relative to f(x) - f(x'), whose sign it loses",
        "-bits": "bits, and shares, are never negative",
    },
    "demand_monotonicity": {
        "+": "every value it is made of rises with x_i",
        "+signal": "without pooling the signal does not depend on the input at all",
        "-": "it falls where f, still rising, begins to saturate",
    },
    "sign_consistency": {
        "+": "every slope or marginal it is made of has the sign of the change",
        "-": "parts that cancel in the function are signed apart",
        "-pathway": "the neuron that is kept may be one that f falls with",
        "+mask": "a mask is at most 1, so what it removes is never negative",
        "+bits": "bits, and shares, are never negative",
    },
    "proportionality": {
        "+": "the slope is the same for all players of the sum",
        "-": "equal slopes, or marginals that are not linear, do not share a sum in proportion",
    },
    "saturation": {
        "+": "the effect is shared among all that would have had it",
        "-": "of several causes each of which is enough none is missed alone",
    },
    "continuity": {
        "+": "it is a sum of values of f, which is continuous",
        "+signal": "without pooling the signal does not depend on the input at all",
        "-": "slopes jump at a kink, and so does what they are made into",
    },
    "additive_recovery": {
        "+": "of a sum over players each gets its own term",
        "-": "a player's term is changed by what it is weighed, cut or averaged with",
        "-mask": "masks lie in [0, 1], whatever a term is worth",
        "-area": "masks lie in [0, 1], whatever a term is worth",
        "-bits": "bits, or shares, are counted, whatever a term is worth",
    },
    "lattice_dummy": {
        "+": "a player that changes no coalition's value gets nothing (Shapley 1953)",
        "-": "it reads the function between the points of the lattice, or fits players jointly",
    },
}
"""Why a column holds or is violated, for a kind of method where that has its own reason."""

WITNESSES = {
    "sensitivity_a": "saturation-witness-v1",
    "structural_dummy": "null-beside-and-witness-v1",
    "linearity": "saturation-witness-v1",
    "input_shift_invariance_fixed": "saturation-witness-v1",
    "input_shift_invariance": "invariance-witness-v1",
    "affine_scale_invariance": "invariance-witness-v1",
    "output_scaling_negative": "invariance-witness-v1",
    "demand_monotonicity": "monotonicity-witness-v1",
    "proportionality": "sum-witness-v1",
    "saturation": "or-witness-v1",
    "continuity": "continuity-witness-v1",
    "additive_recovery": "saturation-witness-v1",
    "lattice_dummy": "interacting-v1",
}
"""The environment that shows most violations of an axiom."""

OTHER_WITNESSES: dict[tuple[str, str], str | None] = {
    **{(name, "input_shift_invariance_fixed"): "invariance-witness-v1" for name in ("input_x_gradient", "gradient_x_difference", "lrp_0")},
    **{(name, "input_shift_invariance_fixed"): "invariance-witness-v1" for name in ("lrp_epsilon", "lrp_alpha2_beta1", "lime_lasso")},
    **{(name, "input_shift_invariance_fixed"): "invariance-witness-v1" for name in ("expected_gradients", "deepshap")},
    ("lrp_alpha1_beta0", "input_shift_invariance_fixed"): "symmetry-witness-v1",
    ("lrp_alpha1_beta0", "input_shift_invariance"): "symmetry-witness-v1",
    ("lime_lasso", "structural_dummy"): "interacting-v1",
    ("lime_lasso", "linearity"): "invariance-witness-v1",
    ("deconvnet", "output_scaling_negative"): "saturation-witness-v1",
    **{(name, "lattice_dummy"): "off-lattice-witness-v1" for name in ("integrated_gradients", "exact_integrated_gradients", "deconvnet")},
    **{(name, "lattice_dummy"): "off-lattice-witness-v1" for name in ("smoothgrad",)},
    **{(name, "lattice_dummy"): "dummy-witness-v1" for name in ("deeplift", "deeplift_rescale")},
    **{(name, "lattice_dummy"): "null-beside-and-witness-v1" for name in ("lime", "lime_unpenalised", "rise_players")},
    **{(name, "additive_recovery"): "sign-witness-v1" for name in ("deeplift", "deeplift_rescale")},
    **{(name, "sign_consistency"): "sign-witness-v1" for name in ("deeplift", "deeplift_rescale")},
    **{(name, "sign_consistency"): "guided-sign-witness-v1" for name in ("guided_backprop", "deconvnet")},
    **{(name, "sign_consistency"): "null-beside-or-witness-v1" for name in ("lime", "lime_unpenalised")},
    **{(name, "sign_consistency"): "linear-v1" for name in ("lrp_alpha1_beta0", "lrp_alpha2_beta1")},
    ("deepshap", "sign_consistency"): "monotonicity-witness-v1",
    ("deepshap", "proportionality"): "unanimity-v1",
    **{(name, "proportionality"): "proportionality-witness-v1" for name in ("shapley", "kernel_shap")},
    **{(name, "proportionality"): SMALL_SCOPE for name in ("lrp_alpha1_beta0", "lrp_alpha2_beta1")},
    **{(name, "demand_monotonicity"): SMALL_SCOPE for name in ("expected_gradients", "deepshap")},
    ("rise_players", "saturation"): SMALL_SCOPE,
    ("rise_players", "sensitivity_a"): "unanimity-v1",
    ("rise_players", "input_shift_invariance_fixed"): "invariance-witness-v1",
    ("rise_players", "sign_consistency"): "guided-sign-witness-v1",
    ("rise_players", "additive_recovery"): "sign-witness-v1",
    # shown on drawn networks, in the tests, for want of an environment or a small network that shows it
    **{(name, "linearity"): None for name in ("lrp_epsilon", "lrp_alpha1_beta0", "lrp_alpha2_beta1", "guided_backprop", "deconvnet")},
    **{(name, "proportionality"): None for name in ("deeplift", "deeplift_rescale")},
    **{(name, "continuity"): None for name in ("expected_gradients", "deepshap", "lrp_alpha1_beta0", "lrp_alpha2_beta1")},
    ("guided_backprop", "demand_monotonicity"): None,
    **{(name, "additive_recovery"): "sign-witness-v1" for name in (*MASKS, *PATHWAYS)},
    **{(name, "linearity"): "dummy-witness-v1" for name in MASKS},
    **{(name, "input_shift_invariance_fixed"): "symmetry-witness-v1" for name in MASKS},
    **{(name, axiom): "monotonicity-witness-v1" for name in MASKS[1:] for axiom in ("input_shift_invariance", "affine_scale_invariance")},
    **{(name, "output_scaling_negative"): "symmetry-witness-v1" for name in MASKS},
    **{(name, "output_scaling_negative"): "colour-count-v1" for name in BOTTLENECKS},
    **{(name, "additive_recovery"): "colour-count-v1" for name in BOTTLENECKS},
    **{(name, axiom): "bag-of-instances-sum-v1" for name in OF_BAGS for axiom in ("output_scaling_negative", "additive_recovery")},
    **{(name, "linearity"): None for name in PATHWAYS},
    **{(name, "continuity"): None for name in PATHWAYS},
    **{(name, "sign_consistency"): None for name in PATHWAYS},
    **{(name, "affine_scale_invariance"): "sum-witness-v1" for name in PATHWAYS},
    **{(name, "demand_monotonicity"): "saturation-witness-v1" for name in PATHWAYS},
    **{(name, "lattice_dummy"): "additive-v1" for name in PATHWAYS},
    ("igos", "lattice_dummy"): "colour-count-v1",
}
"""Where another environment, or the search of all small networks, shows a violation."""

TOLERANCE = {"captum_integrated_gradients": 1e-6, "integrated_gradients": 1e-6}


def register(method: Method) -> Method:
    """Register a method of the laboratory's own, with what theory says of it."""
    return register_method(with_theory(method))


def with_theory(method: Method) -> Method:
    """The method, with the cells of its row of the table among its claims where it does not claim the axiom itself."""
    if method.name not in TABLE:
        return method
    kind, cells = TABLE[method.name]
    own = {claim.axiom for claim in method.claims}
    added = [
        claim
        for axiom, cell in zip(COLUMNS, cells.split(), strict=True)
        if axiom not in own
        for claim in _claims(method.name, kind, axiom, cell)
    ]
    return replace(method, claims=(*method.claims, *added))


def _claims(name: str, kind: str, axiom: str, cell: str) -> list[Claim]:
    reasons = BECAUSE[axiom]
    tolerance = TOLERANCE.get(name, FLOAT64)
    if cell in ("+", *CONDITIONS):
        because = reasons.get(f"+{kind}", reasons["+"])
        return [holds(axiom, because=because, given=CONDITIONS.get(cell, ()), tolerance=tolerance)]
    witness = OTHER_WITNESSES.get((name, axiom), WITNESSES.get(axiom))
    if cell == "." or witness is None:
        return []
    return [violates(axiom, because=reasons.get(f"-{kind}", reasons["-"]), witness=witness, tolerance=tolerance)]
