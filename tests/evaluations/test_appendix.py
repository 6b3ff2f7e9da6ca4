"""The appendix says of every method and axiom what an exhaustive search found, as one table that can be read."""

from __future__ import annotations

import pytest

from attrlab.axioms import AXIOMS
from attrlab.errors import NotApplicable
from attrlab.registry import find_method
from evaluations.appendix import HEAD, appendix, main
from evaluations.small_cases import can_enumerate

ENUMERABLE = [name for name, axiom in AXIOMS.items() if can_enumerate(axiom)]


def table(*arguments: str, capsys: pytest.CaptureFixture[str]) -> dict[tuple[str, str], list[str]]:
    """The rows that a command prints, by method and axiom."""
    assert main(["--scope", "tiny", *arguments]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]
    assert cells[0] == list(HEAD)
    return {(row[0], row[1]): row[2:] for row in cells[2:]}


def test_a_refuted_cell_has_its_smallest_counterexample_and_another_its_proof(capsys):
    found = table("--methods", "gradient", "shapley", "--axioms", "completeness", "linearity", capsys=capsys)
    assert found["gradient", "completeness"] == [
        "x1", "(-1)", "(0)", "(1)", "the scores must sum to f(x) - f(x') = -1; they sum to 1"
    ]  # fmt: skip
    # 9 + 27 linear functions and 36 + 144 of one unit
    assert found["shapley", "completeness"][0].startswith(f"**holds** on all {9 + 27 + 36 + 144} networks, ")
    assert set(found) == {(method, axiom) for method in ("gradient", "shapley") for axiom in ("completeness", "linearity")}


def test_every_axiom_that_can_be_enumerated_has_its_row(capsys):
    assert [axiom for _, axiom in table("--methods", "gradient", capsys=capsys)] == ENUMERABLE


def test_only_networks_with_a_row_that_the_axiom_is_about_are_counted(capsys):
    found = table("--methods", "shapley", "--axioms", "saturation", capsys=capsys)
    proof = found["shapley", "saturation"][0]
    networks, rows = (int(part.split()[0].replace(",", "")) for part in proof.removeprefix("**holds** on all ").split(", "))
    assert 0 < networks <= rows


def test_what_is_not_finished_is_no_proof():
    lines = list(appendix([find_method("shapley")], [AXIOMS["completeness"]], scope="small", limit_s=0.0))
    assert "no counterexample among the first" in lines[-1]
    assert "**holds**" not in lines[-1]


def test_an_axiom_that_cannot_be_enumerated_is_refused():
    with pytest.raises(NotApplicable, match="not known of enumerated networks"):
        list(appendix([find_method("gradient")], [AXIOMS["continuity"]], scope="tiny", limit_s=1.0))


def test_a_method_that_does_not_exist_is_one_line_and_status_2(capsys):
    assert main(["--methods", "gradent"]) == 2
    assert "gradient" in capsys.readouterr().err
