"""What the laboratory cannot see it cannot claim to check: every planted fault is caught, and what is right is left in peace."""

from __future__ import annotations

import pytest

from attrlab.axioms import AXIOMS
from attrlab.contract import RULES
from attrlab.games import Policy
from tests.liars import ON_CUDA, Liar, right
from tests.mutants import Mutant
from tests.power import CORRECT, false_alarms, faults, is_caught, proved

LEAST = 40


def named(fault: Mutant | Liar) -> str:
    return f"{fault.method.__name__}-{fault.caught_by}"


def test_there_are_enough_faults_and_one_for_every_rule_and_axiom():
    assert len({fault.method for fault in faults()}) >= LEAST
    assert {fault.caught_by for fault in faults()} == set(AXIOMS) | {rule.name for rule in RULES}


def test_a_method_without_a_fault_is_not_caught():
    assert not is_caught(Mutant(method=right, caught_by="scores_are_finite", message=""))
    assert not is_caught(Liar(method=right, caught_by="affine_scale_invariance", message=""))


@pytest.mark.slow
def test_the_share_of_caught_faults_is_printed_and_is_all(capsys: pytest.CaptureFixture[str]):
    missed = [named(fault) for fault in faults() if not is_caught(fault)]
    with capsys.disabled():
        print(f"\npower: {len(faults()) - len(missed)} of {len(faults())} planted faults are caught by what is meant for them")
    assert missed == []


@pytest.mark.cuda
@pytest.mark.parametrize("fault", ON_CUDA, ids=named)
def test_a_fault_on_a_cuda_device_is_caught_there_and_not_here(fault: Liar):
    assert is_caught(fault, policy=Policy(device="cuda"))
    assert not is_caught(fault)


@pytest.mark.slow
@pytest.mark.parametrize("name", CORRECT)
def test_no_correct_method_is_refuted_in_any_of_twenty_seeds(name: str):
    found = [entry for entry in false_alarms(range(20), examples=8, among=(name,)) if entry[3]]
    assert found == []


def test_what_is_searched_for_false_alarms_is_what_theory_proves():
    assert set(proved("shapley")) > {"completeness", "dummy", "lattice_dummy", "symmetry", "linearity"}
    assert "completeness" not in proved("gradient")
