"""Every cell of the table of theory, methods against axioms, is what the laboratory finds: what holds is not refuted, what does not is.

A cell is asked on a fixed pool of networks drawn for the axiom. What is violated on none of them by chance is shown on a witness of the
literature, or on a case made by hand here. A conditional cell is asked inside of its condition, where it holds, and outside.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from attrlab.axioms import AXIOMS
from attrlab.case import Case
from attrlab.errors import NotApplicable
from attrlab.games import Policy
from attrlab.judge import Examination, examine
from attrlab.registry import find_method, method_names
from attrlab.study import prepare
from evaluations.strategies import cases, modality_of, stated
from synthetic.families import dense, difference_of_equals, disguised, minimum, symmetric_threshold

pytestmark = pytest.mark.slow  # `tests/attrlab/test_theory_claims.py` holds the claims to the same table, and evaluations/ judges them

COLUMNS = (
    "completeness",
    "sensitivity_a",
    "structural_dummy",
    "dummy",
    "implementation_invariance",
    "linearity",
    "symmetry",
    "input_shift_invariance_fixed",
    "input_shift_invariance",
    "affine_scale_invariance",
    "output_scaling_negative",
    "demand_monotonicity",
    "sign_consistency",
    "proportionality",
    "saturation",
    "continuity",
    "additive_recovery",
    "lattice_dummy",
)

TABLE = {
    # method                     A1 A2 3s 3f A4 A5 A6 7a 7b A8 A9 10 10'11 12 13 14 3x
    "gradient": "                 -  -  +  +  +  +  +  +  +  -  +  -  +  -  -  -  -  -",
    "absolute_gradient": "        -  -  +  +  +  -  +  +  +  -  -  -  +  -  -  -  -  -",
    "input_x_gradient": "         h  -  +  +  +  +  +  -  -  +  +  -  n  +  -  -  h  -",
    "gradient_x_difference": "    h  -  +  +  +  +  +  -  +  +  +  -  +  +  -  -  h  -",
    "smoothgrad": "               -  -  +  +  +  +  .  -  -  -  +  -  +  -  -  .  -  -",
    "integrated_gradients": "     +  +  +  +  +  +  +  -  +  +  +  -  +  +  +  -  +  -",
    "exact_integrated_gradients": "+ +  +  +  +  +  +  -  +  +  +  -  +  +  +  -  +  -",
    "expected_gradients": "       .  .  +  +  .  +  .  -  +  +  +  -  +  +  +  -  .  -",
    "deeplift": "                 +  +  +  -  -  +  -  -  +  +  +  -  -  -  +  -  -  -",
    "deeplift_rescale": "         +  +  +  -  -  +  -  -  +  +  +  -  -  -  +  -  -  -",
    "deepshap": "                 +  .  +  -  -  +  -  -  +  +  +  -  -  -  +  -  -  -",
    "lrp_0": "                    h  -  +  +  +  +  +  -  -  +  +  -  n  +  -  -  h  -",
    "lrp_epsilon": "              -  -  +  -  -  -  -  -  -  +  +  -  .  .  -  -  -  -",
    "lrp_alpha1_beta0": "         -  -  +  -  -  -  -  -  -  +  -  .  -  -  -  -  -  -",
    "lrp_alpha2_beta1": "         -  -  +  -  -  -  -  -  -  +  -  .  -  -  -  -  -  -",
    "guided_backprop": "          -  -  +  -  -  -  -  +  +  -  -  -  -  -  -  -  -  -",
    "deconvnet": "                -  -  +  -  -  -  -  +  +  -  -  +  -  -  -  +  -  -",
    "occlusion": "                a  +  +  +  +  +  +  -  +  +  +  +  +  -  -  +  +  +",
    "shapley": "                  +  +  +  +  +  +  +  -  +  +  +  +  +  -  +  +  +  +",
    "kernel_shap": "              +  +  +  +  +  +  +  -  +  +  +  +  +  -  +  +  +  +",
    "lime_unpenalised": "         -  +  -  -  +  +  +  -  +  +  +  .  -  -  +  +  +  -",
    "lime": "                     -  +  -  -  +  +  +  -  +  +  +  .  -  -  .  +  .  -",
    "lime_lasso": "               -  -  -  .  +  -  +  -  +  +  +  .  .  -  .  +  -  .",
    "rise_players": "             -  -  -  -  +  +  +  -  +  +  +  +  -  -  -  +  -  -",
    "mask": "                     -  -  +  -  +  -  .  -  -  -  -  -  +  -  -  .  -  -",
    "extremal_perturbation": "    -  .  -  -  .  -  .  -  .  .  -  .  +  -  .  .  -  -",
    "igos": "                     -  -  +  .  +  -  .  -  -  -  -  .  +  .  .  .  -  -",
    "igos_naive_insertion": "     -  .  +  -  +  -  .  -  -  -  -  .  +  -  .  .  -  -",
    "igos_plus_plus": "           -  .  +  -  +  -  .  -  -  -  -  .  +  -  .  .  -  -",
    "iba": "                      -  .  .  .  .  .  .  .  .  .  -  .  .  .  .  .  -  .",
    "regression_iba": "           -  .  .  .  .  .  .  .  .  .  -  .  +  .  .  .  -  .",
    "inverse_iba": "              -  .  .  .  .  .  .  .  .  .  -  .  +  .  .  .  -  .",
    "multilayer_iba": "           -  .  .  .  .  .  .  .  .  .  -  .  +  .  .  .  -  .",
    "readout_iba": "              -  .  .  .  .  .  .  .  .  .  -  .  +  .  .  .  -  .",
    "input_iba": "                -  .  .  .  .  .  .  .  .  .  -  .  +  .  .  .  -  .",
    "input_iba_lite": "           -  .  .  .  .  .  .  .  .  .  -  .  +  .  .  .  -  .",
    "pathway_gradient": "         -  -  +  -  -  -  .  +  +  -  +  -  -  -  -  -  -  -",
    "pathway_gradient_integrated": "-  -  +  -  -  -  .  +  +  -  +  -  -  -  -  -  -  -",
    "prune_gradient": "           -  -  +  -  -  -  .  +  +  -  +  -  -  -  -  -  -  -",
    "cdrp_gradient": "            -  -  +  -  -  -  .  +  +  -  +  -  -  -  -  -  -  -",
    "instance_regression_iba": "  -  .  .  .  .  .  .  .  .  .  -  .  .  .  .  .  -  .",
    "instance_inverse_iba": "     -  .  .  .  .  .  .  .  .  .  -  .  .  .  .  .  -  .",
    "instance_input_iba": "       -  .  .  .  .  .  .  .  .  .  -  .  .  .  .  .  -  .",
}
"""Whether an axiom holds (+), is violated (-), holds under a condition only (h, a, n), or is left undecided (.)."""

CONDITIONS = {
    "h": frozenset({"positively_homogeneous"}),  # and x' = 0
    "a": frozenset({"additive"}),
    "n": frozenset({"nonnegative_inputs"}),  # x >= 0 = x'
}

POOL = 25
"""How many networks are drawn for an axiom, in every run the same."""

WITNESSES = {
    "completeness": ("saturation-witness-v1", "or-witness-v1", "colour-count-v1", "bag-of-patches-v1"),
    "sensitivity_a": ("saturation-witness-v1",),
    "dummy": ("dummy-witness-v1", "null-beside-and-witness-v1", "positions-witness-v1"),
    "structural_dummy": ("null-beside-and-witness-v1",),
    "implementation_invariance": ("invariance-witness-v1", "monotonicity-witness-v1", "sign-witness-v1"),
    "input_shift_invariance": ("monotonicity-witness-v1",),
    "affine_scale_invariance": ("monotonicity-witness-v1",),
    "output_scaling_negative": ("symmetry-witness-v1", "colour-count-v1", "bag-of-instances-sum-v1"),
    "additive_recovery": ("sign-witness-v1", "colour-count-v1", "bag-of-instances-sum-v1"),
    "symmetry": ("symmetry-witness-v1",),
    "demand_monotonicity": ("monotonicity-witness-v1",),
    "sign_consistency": ("sign-witness-v1", "guided-sign-witness-v1", "small-rise-witness-v1", "null-beside-or-witness-v1"),
    "proportionality": ("sum-witness-v1", "proportionality-witness-v1"),
    "saturation": ("or-witness-v1",),
    "continuity": ("continuity-witness-v1",),
    "lattice_dummy": ("off-lattice-witness-v1", "null-beside-and-witness-v1", "interacting-v1", "additive-v1"),
}


def hand_made() -> dict[str, tuple[Case, ...]]:
    """Cases that no pool holds and no world stores: function, rows and baseline, with what is known of them by a line of algebra."""
    uneven = dense([([[1, 0], [0, 1], [0, 1]], [0, 0, 0]), ([[1, 2, -1]], [0])])  # relu(x1) + 2 relu(x2) - relu(x2)
    below = dense([([[-1]], [1]), ([[-2]], [0])])  # -2 relu(1 - x), rises and is below 0
    sunk = dense([([[1]], [0]), ([[1]], [-5])])  # relu(x) - 5
    # relu(relu(x) - 2 relu(x - 1)) + relu(x - 1): x up to 1, then 1, then from 2 on x - 1
    fading = dense([([[1], [1], [1]], [0, -1, -1]), ([[1, -2, 0], [0, 0, 1]], [0, 0]), ([[1, 1]], [0])])
    total = [([[1, 1], [-1, -1]], [0, 0]), ([[1, -1], [-1, 1]], [1, -1]), ([[1, -1]], [-1])]  # x1 + x2
    dressed = disguised(total, ([1, 0], 0), 1, [(1, ([0, 1], 0))])
    eighth = disguised([*total[:2], ([[0.125, -0.125]], [-0.125])], ([1, 0], 0), 1, [(1, ([0, 1], 0))])
    deep = difference_of_equals([([[1]], [0]), ([[1]], [0]), ([[1]], [0])], ([1, 0], 0), 1, [(1, ([0, 1], 0))])
    flat = difference_of_equals([([[1]], [0]), ([[1]], [0])], ([1, 0], 1), 2)
    turned = symmetric_threshold(([1, 0], 0), 1, [(0.5, ([0, 1], 0))])
    outvoted = dense([([[2], [2], [3]], [0, 0, 0]), ([[1, 1, -1]], [0])])  # 4 relu(x) - 3 relu(x): the largest neuron speaks against
    gone = dense([([[-1]], [1]), ([[1]], [0])])  # relu(1 - x): 1 at the baseline and 0 at 2
    either = dense([([[1, 0], [0, 1]], [0, 0]), ([[-1, -1]], [1]), ([[-1]], [0])])  # -relu(1 - relu(x1) - relu(x2)): 0 with either
    split = world("invariance-witness-v1")
    policy = Policy()
    return {
        "dummy": (stated(deep, [[1, 3, 1]], [0, 0, 0], policy), stated(flat, [[2, 3, 1]], [0, 0, 0], policy)),
        "symmetry": (stated(replace(uneven, orbit=(0, 0)), [[1, 1]], [0, 0], policy), stated(turned, [[3, 3]], [0, 0], policy)),
        "structural_dummy": (stated(dense([([[0, 2, 1]], [2]), ([[2]], [0])]), [[0, -1, -2]], [0, 0, 0], policy),),
        "saturation": (stated(replace(either, redundant=(True, True)), [[1, 1]], [0, 0], policy),),
        "implementation_invariance": (replace(split, reference=split.baseline),),  # data apart from the explained row
        "sensitivity_a": (stated(gone, [[2]], [0], policy),),
        "sign_consistency": (
            stated(replace(outvoted, monotone=(True,)), [[1]], [0], policy),
            stated(below, [[-1]], [-2], policy),
            stated(sunk, [[1]], [0], policy),
            stated(eighth, [[3, 1]], [0, 0], policy),
        ),
        "demand_monotonicity": (
            stated(replace(fading, monotone=(True,)), [[1.5], [3]], [0], policy),
            stated(minimum(([1, 0], 0), ([0, 1], 0)), [[1, 2], [3, 2]], [0, 0], policy),
        ),
        "proportionality": (
            stated(dressed, [[3, 1]], [0, 0], policy),
            stated(dense([([[1, 1]], [0]), ([[1]], [0])]), [[3, -1]], [0, 0], policy),
        ),
        "continuity": (stated(sunk, [[-(2.0**-13)], [2.0**-13]], [0], policy),),
        "additive_recovery": (stated(dressed, [[3, 1]], [0, 0], policy, traits=frozenset({"additive"})),),
    }


@cache
def pool(axiom: str, condition: frozenset[str], modality: str = "table") -> tuple[Case, ...]:
    """The drawn cases of an axiom, networks of one condition; images for what takes no tables."""
    found: list[Case] = []

    @settings(
        derandomize=True, max_examples=POOL, deadline=None, database=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck)
    )
    @given(case=cases(axiom=AXIOMS[axiom], given=condition, policy=Policy(), modality=modality))
    def collect(case: Case) -> None:
        found.append(case)

    collect()
    return tuple(found)


@cache
def world(id: str) -> Case:
    return prepare(id, rows=8, seed=0, policy=Policy()).case


@cache
def by_hand() -> dict[str, tuple[Case, ...]]:
    return hand_made()


def judged(method: str, axiom: str, case: Case, *, light: bool = False) -> Examination | None:
    """One examination; None where method or axiom says nothing of the case. What optimises can be asked in its light setting."""
    found = find_method(method)
    if light and found.cost_class == "optimisation":
        found = found.with_parameters(**found.light)
    try:
        return examine(found, AXIOMS[axiom], case, tolerance=1e-6 if found.budget else 1e-9)
    except NotApplicable:
        return None


def counterexamples(method: str, axiom: str) -> bool:
    """Whether the pool, a witness or a case by hand refutes the axiom; the first is enough."""
    drawn = iter(pool(axiom, frozenset()))
    stored = (world(id) for id in WITNESSES.get(axiom, ()))
    for source in (iter(by_hand().get(axiom, ())), stored, drawn):
        for case in source:
            if AXIOMS[axiom].applies_to(case):
                found = judged(method, axiom, case)
                if found is not None and found.judgement == "refuted":
                    return True
    return False


def refutations(method: str, axiom: str, condition: frozenset[str]) -> list[str]:
    """Everything that refutes the axiom in the pool of a condition, and how many cases could be asked, at least five."""
    drawn = pool(axiom, condition, modality_of(AXIOMS[axiom], find_method(method)))
    asked = [found for case in drawn if (found := judged(method, axiom, case, light=True)) is not None]
    assert len(asked) >= 5, f"only {len(asked)} cases could be asked"
    return [found.counterexample for found in asked if found.judgement not in ("not refuted", "approximation error")]


CELLS = [(method, axiom, row.split()[at]) for method, row in TABLE.items() for at, axiom in enumerate(COLUMNS)]


def named(sign: str) -> list[tuple[str, str]]:
    return [(method, axiom) for method, axiom, cell in CELLS if cell == sign and method in method_names()]


@pytest.mark.parametrize(("method", "axiom"), named("+"))
def test_what_theory_proves_is_not_refuted(method: str, axiom: str):
    assert refutations(method, axiom, frozenset()) == []


@pytest.mark.parametrize(("method", "axiom"), named("-"))
def test_what_theory_disproves_is_refuted(method: str, axiom: str):
    assert counterexamples(method, axiom)


@pytest.mark.parametrize(("method", "axiom", "cell"), [entry for entry in CELLS if entry[2] in CONDITIONS and entry[0] in method_names()])
def test_what_holds_under_a_condition_holds_there_and_not_elsewhere(method: str, axiom: str, cell: str):
    condition = CONDITIONS[cell] | (frozenset({"additive"}) if axiom == "additive_recovery" else frozenset())
    assert refutations(method, axiom, condition) == []
    assert counterexamples(method, axiom)


def test_every_row_of_the_table_has_every_column():
    assert {len(row.split()) for row in TABLE.values()} == {len(COLUMNS)}
    assert {cell for _, _, cell in CELLS} <= {"+", "-", ".", *CONDITIONS}
