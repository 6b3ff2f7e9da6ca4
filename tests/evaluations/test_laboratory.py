"""The options of a run are read before anything runs, and what is wrong with one is said in one sentence."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from attrlab.errors import AttrlabError
from attrlab.registry import method_names
from evaluations.cells import claimed_to_hold
from evaluations.laboratory import SHOWN, Laboratory
from synthetic import environment_ids

DEFAULTS = {
    "method": [],
    "claim": [],
    "environment": [],
    "device": "cpu",
    "rows": 4,
    "examples": 5,
    "seed": 0,
    "seeds": None,
    "json": None,
    "html": None,
    "unclaimed": False,
    "everywhere": False,
    "refute": [],
    "scope": "default",
    "scope_seconds": 60.0,
}


def laboratory(**changed: object) -> Laboratory:
    return Laboratory.from_options(Namespace(**{f"attrlab_{name}": value for name, value in {**DEFAULTS, **changed}.items()}))


def test_without_options_every_method_meets_every_environment():
    opened = laboratory(everywhere=True)
    assert tuple(method.name for method in opened.methods) == method_names()
    assert opened.environments == environment_ids()


def test_what_other_libraries_implement_is_left_out_of_the_catalogue_unless_asked_for():
    found = {method.name for method in laboratory().methods}
    assert found == set(method_names(peers=False))
    assert set(method_names()) - found == {name for name in method_names() if name.startswith(("pyg_", "captum_"))}
    assert laboratory(method=["pyg_saliency"]).methods[0].name == "pyg_saliency"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"method": ["integated_gradients"]}, "Did you mean 'integrated_gradients'"),
        ({"method": ["nowhere.py:f"]}, "there is no file 'nowhere.py'"),
        ({"method": ["no_such_module:f"]}, "no_such_module does not import: ModuleNotFoundError"),
        ({"environment": ["colour-cont-v1"]}, "Did you mean 'colour-count-v1'"),
        ({"claim": ["completness"]}, "Did you mean 'completeness'"),
        ({"html": "no/such/folder.html"}, "needs an existing folder"),
        ({"json": "."}, "names a file that can be written"),
        ({"device": "gpu"}, "there is no device 'gpu': write 'cpu'"),
        ({"rows": 1}, "--attrlab-rows is at least 2 (got 1)"),
        ({"examples": 0}, "--attrlab-examples is at least 1 (got 0)"),
        ({"scope": "huge"}, "--attrlab-scope is one of none, tiny, small, default, large (got 'huge')"),
        ({"seeds": 0}, "--attrlab-seeds is at least 1 (got 0)"),
        ({"seed": -1}, "--attrlab-seed is at least 0 (got -1)"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_an_unusable_option_is_refused_with_what_to_write(changed: dict[str, object], said: str):
    with pytest.raises(AttrlabError) as refused:
        laboratory(**changed)
    assert said in str(refused.value)


def test_two_methods_of_one_name_are_numbered(tmp_path: Path):
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text("def mine(model, inputs):\n    return inputs\n")
    opened = laboratory(method=[f"{tmp_path}/one.py:mine", f"{tmp_path}/two.py:mine"])
    assert [method.name for method in opened.methods] == ["mine", "mine#2"]


def test_a_stage_is_prepared_once_and_depends_on_the_seed():
    first, second = laboratory(seed=1), laboratory(seed=2)
    assert first.stage("additive-v1") is first.stage("additive-v1")
    assert not first.stage("additive-v1").batch.inputs.equal(second.stage("additive-v1").batch.inputs)
    assert first.stage("additive-v1").batch.inputs.equal(laboratory(seed=1).stage("additive-v1").batch.inputs)


def test_a_stochastic_method_has_three_seeds_where_it_is_named_one_in_the_catalogue_and_as_many_as_are_asked_for():
    asked = ({"method": ["smoothgrad"]}, {}, {"method": ["smoothgrad"], "seeds": 5}, {"seeds": 2})
    assert [laboratory(**options).seeds for options in asked] == [3, 1, 5, 2]


def test_evaluations_are_judged_by_the_truth_unless_the_run_is_about_named_methods_on_named_worlds():
    method, world = {"method": ["gradient"]}, {"environment": ["parity-v1"]}
    found = [laboratory(**options).judging(otherwise=["additive-v1"]) for options in ({}, method, world, method | world)]
    assert found == [("additive-v1",), ("additive-v1",), ("parity-v1",), ()]


def test_witnesses_are_not_scored():
    opened = laboratory(everywhere=True)
    assert set(opened.environments) - set(opened.scored()) == {id for id in environment_ids() if "witness" in id}


def test_the_contract_is_asked_on_some_worlds_of_every_modality_and_on_all_that_are_named():
    opened = laboratory(everywhere=True)
    chosen = opened.representatives()
    kinds = [opened.stage(id).environment.modality for id in opened.scored()]
    assert set(chosen) <= set(opened.scored())
    for kind in set(kinds):
        shown = [id for id in chosen if opened.stage(id).environment.modality == kind]
        assert len(shown) == min(SHOWN, kinds.count(kind)) or 1 < len(shown) <= SHOWN
    everything = tuple(id for id in environment_ids() if id.startswith("colour-"))
    assert laboratory(environment=list(everything)).representatives() == everything


def test_the_whole_catalogue_is_scored_on_some_worlds_of_every_modality_and_a_named_method_on_all():
    catalogue, named = laboratory(), laboratory(method=["gradient"])
    assert set(catalogue.representatives()) < set(catalogue.scored())
    assert set(catalogue.scored()) < set(named.scored())
    assert named.scored() == laboratory(everywhere=True).scored()


def test_claims_of_the_whole_catalogue_are_asked_on_some_worlds_of_every_modality_and_on_drawn_networks():
    def places(opened: Laboratory) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for cell in claimed_to_hold(opened):
            if cell.method.name == "shapley":
                found.setdefault(cell.subject, set()).add(cell.environment)
        return found

    some, everywhere = places(laboratory()), places(laboratory(method=["shapley"]))
    assert some.keys() == everywhere.keys()
    for axiom in some:
        assert some[axiom] <= everywhere[axiom]
        assert len(some[axiom]) <= 5 * SHOWN + 1  # five modalities and the drawn networks
    assert len(everywhere["completeness"]) == len(environment_ids()) + 1


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ('"completness"', "there is no such axiom, did you mean 'completeness'? (got 'completness')"),
        ('violates("dummy", witness="dumy-witness-v1", because="x")', "did you mean 'dummy-witness-v1'? (got 'dumy-witness-v1')"),
        ('holds("completeness", given=["aditive"], because="x")', "there is no such trait, did you mean 'additive'?"),
        ('Claim(axiom="dummy", expected="violates", because="x")', "write witness='or-witness-v1' (got None)"),
    ],
    ids=["axiom", "witness", "trait", "no witness"],
)
def test_a_claim_that_could_never_be_tested_is_refused(claim: str, said: str, tmp_path: Path):
    text = f"from attrlab import Claim, holds, violates\n\ndef mine(model, inputs):\n    return inputs\n\nmine.claims = [{claim}]\n"
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(AttrlabError) as refused:
        laboratory(method=[f"{tmp_path}/mine.py:mine"])
    assert said in str(refused.value)
