"""What the methods claim is what the answer sheet of theory says, cell by cell, and each claimed violation has something that shows it."""

from __future__ import annotations

import pytest

from attrlab.axioms import AXIOMS
from attrlab.claims import SMALL_SCOPE
from attrlab.methods.registered.theory import BECAUSE, COLUMNS, OTHER_WITNESSES, TABLE
from attrlab.registry import find_method, method_names
from synthetic import environment_ids
from tests import test_truth_table as answers

WEAKER = {
    # a claim is about named worlds as well, where noise leaves the box in which they are monotone
    ("smoothgrad", "sign_consistency"),
    # and where products are halved with a stabiliser
    ("lrp_epsilon", "output_scaling_negative"),
    # there the reference is the world's own data, not the baseline
    *((name, axiom) for name in ("expected_gradients", "deepshap") for axiom in COLUMNS),
    # and a surrogate is sampled where players are many
    ("kernel_shap", "demand_monotonicity"),
    ("kernel_shap", "sign_consistency"),
    # and a search of what takes hundreds of steps a call would take minutes; the slow table asks it in a light setting
    *((name, "sign_consistency") for name in ("mask", "extremal_perturbation", "input_iba")),
    ("mask", "structural_dummy"),
    *(("cdrp_gradient", axiom) for axiom in ("structural_dummy", "output_scaling_negative")),
    *(("cdrp_gradient", axiom) for axiom in ("input_shift_invariance", "input_shift_invariance_fixed")),
}
SIGNS = {"+": "holds", "-": "violates"}
SHARED = [(name, axiom) for name in TABLE if name in answers.TABLE for axiom in COLUMNS]


def sheet(name: str, axiom: str) -> str:
    return answers.TABLE[name].split()[answers.COLUMNS.index(axiom)]


@pytest.mark.parametrize(("name", "axiom"), [cell for cell in SHARED if cell not in WEAKER])
def test_a_claim_says_what_the_answer_sheet_says(name, axiom):
    cell = sheet(name, axiom)
    found = [claim for claim in find_method(name).claims if claim.axiom == axiom]
    if cell in SIGNS and not (cell == "-" and (name, axiom) in OTHER_WITNESSES and OTHER_WITNESSES[name, axiom] is None):
        assert {claim.expected for claim in found} == {SIGNS[cell]}
    elif cell in ("h", "a", "n"):
        assert any(claim.expected == "holds" and claim.given for claim in found)
    else:
        assert found == []


def test_every_method_of_the_answer_sheet_has_its_row():
    assert set(answers.TABLE) <= set(TABLE) <= set(method_names())
    assert {len(cells.split()) for _, cells in TABLE.values()} == {len(COLUMNS)}
    assert set(COLUMNS) == set(BECAUSE) <= set(AXIOMS)


def test_every_other_witness_is_of_a_violated_cell_and_exists():
    for (name, axiom), witness in OTHER_WITNESSES.items():
        kind, cells = TABLE[name]
        assert cells.split()[COLUMNS.index(axiom)] == "-", (name, axiom, kind)
        assert witness in (None, SMALL_SCOPE, *environment_ids())
