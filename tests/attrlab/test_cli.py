"""The command line lists everything that is registered, shows each thing by name, and never breaks a name or a formula."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from attrlab.axioms import AXIOMS
from attrlab.cli import KINDS, app
from attrlab.contract import RULES
from attrlab.errors import UnknownName
from attrlab.metrics import METRICS
from attrlab.registry import find_method, method_names
from synthetic import environment_ids, make_environment


def printed(*arguments: str, width: int = 200) -> str:
    ran = CliRunner().invoke(app, arguments, env={"COLUMNS": str(width)}, catch_exceptions=False)
    assert ran.exit_code == 0
    return ran.output


NAMES = {
    "methods": method_names(),
    "environments": environment_ids(),
    "axioms": tuple(AXIOMS),
    "evaluations": (*METRICS, *(rule.name for rule in RULES)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [60, 200])
def test_list_has_every_name_whole_at_the_start_of_a_line(kind: str, width: int):
    starts = {line.split()[0] for line in printed("list", kind, width=width).splitlines() if line and not line.startswith(" ")}
    assert set(NAMES[kind]) <= starts


@pytest.mark.parametrize("id", environment_ids())
def test_show_of_an_environment_has_its_formula_its_traits_and_its_truth(id: str):
    world, text = make_environment(id), " ".join(printed("show", id).split())
    assert " ".join(world.formula.split()) in text
    assert " ".join(world.domain.split()) in text
    assert all(trait in text for trait in world.traits)
    assert "its shapley" in text


@pytest.mark.parametrize("name", method_names())
def test_show_of_a_method_has_its_claims_with_their_reasons(name: str):
    text = " ".join(printed("show", name).split())
    for claim in find_method(name).claims:
        assert str(claim) in text
        assert " ".join(claim.because.split()) in text
        assert claim.witness is None or claim.witness in text


@pytest.mark.parametrize("name", [*AXIOMS, *METRICS])
def test_show_of_an_axiom_or_a_metric_has_its_mathematics(name: str):
    statement = AXIOMS[name].statement if name in AXIOMS else METRICS[name].formula
    assert " ".join(statement.split()) in " ".join(printed("show", name).split())


def test_show_of_something_unknown_suggests_the_nearest_of_any_kind():
    for wrong, right in (
        ("colour-orr-v1", "colour-or-v1"),
        ("completness", "completeness"),
        ("delection", "deletion"),
        ("shaply", "shapley"),
    ):
        with pytest.raises(UnknownName, match=f"'{right}'"):
            printed("show", wrong)
