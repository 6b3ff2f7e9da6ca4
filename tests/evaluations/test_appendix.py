"""The appendix says of every method and axiom what an exhaustive search found, as one table that can be read."""

from __future__ import annotations

import pytest
import torch

from attrlab.axioms import AXIOMS
from attrlab.claims import violates
from attrlab.method import Method
from attrlab.registry import find_method
from evaluations.appendix import HEAD, Extent, appendix, main
from evaluations.beyond import expected
from evaluations.scope import can_be_exhausted

ENUMERABLE = [name for name, axiom in AXIOMS.items() if can_be_exhausted(axiom)]


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
    lines = list(appendix([find_method("shapley")], [AXIOMS["completeness"]], Extent(scope="small", limit_s=0.0)))
    assert "no counterexample among the first" in lines[-1]
    assert "**holds**" not in lines[-1]


def test_a_smaller_scope_that_was_finished_is_a_proof_of_its_own(monkeypatch):
    units = [0]

    def shapley(model, inputs, *, target, baseline, feature_mask):
        units.append(model[0].out_features)
        return find_method("shapley").attribute(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask)

    # 24 networks of two units are the first that are not in the scope `tiny`, and then the time is over
    monkeypatch.setattr("evaluations.scope.time.process_time", lambda: 100.0 if units[-1] > 24 else 0.0)
    method = Method(name="shapley", attribute=shapley)
    line = list(appendix([method], [AXIOMS["completeness"]], Extent(scope="small", limit_s=50.0)))[-1]
    networks = 9 + 27 + 36 + 144
    assert f"**holds** on all {networks} networks" in line
    assert f"no counterexample among the first {networks + 24} networks" in line


def test_a_cell_that_was_found_is_read_again_and_asked_anew_for_another_scope(tmp_path):
    asked = []

    def counting(model, inputs):
        asked.append(len(inputs))
        return torch.zeros_like(inputs)

    def row(scope):
        method = Method(name="counting", attribute=counting)
        return list(appendix([method], [AXIOMS["completeness"]], Extent(scope=scope, limit_s=9.0), store=tmp_path))[-1]

    first = row("tiny")
    calls = len(asked)
    assert row("tiny") == first
    assert len(asked) == calls
    row("small")
    assert len(asked) > calls


def test_what_theory_expects_and_the_scope_does_not_show_is_searched_beyond_it():
    def third(model, inputs):
        return torch.zeros_like(inputs).index_fill(1, torch.arange(2, max(2, inputs.shape[1])), 1.0)

    claim = violates("structural_dummy", because="it credits whatever stands third", witness="house-v1")
    method = Method(name="third", attribute=third, claims=(claim,))
    line = list(appendix([method], [AXIOMS["structural_dummy"]], Extent(scope="tiny", limit_s=9.0, beyond=True)))[-1]
    assert "**holds** on all" in line
    assert "Beyond it, on networks drawn at random: " in line
    assert "and must get 0; it gets 1" in line


@pytest.mark.parametrize(
    ("method", "axiom", "says"),
    [
        ("deeplift", "symmetry", "violated"),
        ("shapley", "symmetry", "holds"),
        ("deeplift", "proportionality", "violated"),
        ("lrp_0", "sign_consistency", "conditional"),
        ("random", "symmetry", ""),
    ],
)
def test_what_theory_says_is_what_is_claimed_or_stands_in_its_table(method, axiom, says):
    assert expected(find_method(method), axiom) == says


def test_an_axiom_that_cannot_be_enumerated_says_what_it_needs():
    line = list(appendix([find_method("shapley")], [AXIOMS["class_sensitivity"]], Extent(scope="tiny", limit_s=1.0)))[-1]
    assert "*not enumerated*: needs two outputs that depend on no player in common" in line


def test_a_method_that_does_not_exist_is_one_line_and_status_2(capsys):
    assert main(["--methods", "gradent"]) == 2
    assert "gradient" in capsys.readouterr().err
