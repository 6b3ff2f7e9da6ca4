"""Worlds are found by versioned ids and built with knobs; what is not found is answered with what is."""

from __future__ import annotations

import re

import pytest

import synthetic
from synthetic import registry
from synthetic.registry import UnknownEnvironment
from synthetic.traits import TRAITS

TABLES = ("additive-v1", "unanimity-v1", "saturated-or-v1", "cancellation-v1")


@pytest.fixture
def scratch(monkeypatch):
    """A copy of the registry that a test may write to."""
    monkeypatch.setattr(registry, "_BUILDERS", dict(registry._BUILDERS))


def test_ids_are_unique_kebab_case_and_versioned():
    ids = synthetic.environment_ids()
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*-v[0-9]+", id) for id in ids)
    assert set(TABLES) <= set(ids)


def test_ids_come_room_by_room():
    rooms = [registry._BUILDERS[id][0].__module__.split(".")[1] for id in synthetic.environment_ids()]
    assert rooms == sorted(rooms, key=["images", "tables", "graphs", "sequences", "sets"].index)


@pytest.mark.parametrize("id", TABLES)
def test_an_environment_has_the_id_it_was_asked_for_and_says_what_it_is(id):
    environment = synthetic.make_environment(id)
    assert environment.id == id
    assert all(len(text) > 10 for text in (environment.formula, environment.domain, environment.isolates, environment.reference))


def test_a_knob_replaces_its_default():
    assert synthetic.knobs_of("additive-v1") == {"columns": 6, "null_columns": 1}
    assert synthetic.make_environment("additive-v1", columns=9).knobs["columns"] == 9


def test_an_unknown_id_is_answered_with_the_nearest():
    with pytest.raises(UnknownEnvironment, match=r"no environment 'aditive-v1'\. Did you mean 'additive-v1'"):
        synthetic.make_environment("aditive-v1")


def test_an_id_like_no_other_is_answered_with_all_of_them():
    with pytest.raises(UnknownEnvironment, match=r"The ids are .*additive-v1"):
        synthetic.knobs_of("@@@")


def test_an_unknown_knob_is_answered_with_the_nearest_and_all():
    with pytest.raises(ValueError, match=r"no knob 'colums'; did you mean 'columns'\? Its knobs are columns, null_columns"):
        synthetic.make_environment("additive-v1", colums=3)
    with pytest.raises(ValueError, match=r"no knob 'zzz'\. Its knobs are none"):
        synthetic.make_environment("or-witness-v1", zzz=3)


def test_an_id_is_registered_once(scratch):
    with pytest.raises(ValueError, match=r"'additive-v1' is registered already; raise its version"):
        synthetic.register("additive-v1")(synthetic.tables.additive.additive)


@pytest.mark.parametrize("id", ["Additive-v1", "additive", "additive_v1", "-v1", "additive-v"])
def test_an_id_without_form_is_refused(scratch, id):
    with pytest.raises(ValueError, match=rf"kebab-case and ends in its version.*got '{id}'"):
        synthetic.register(id)


def test_siblings_share_a_builder_and_differ_in_their_fixed_knobs(scratch):
    def build(*, id, size=1, colour="red"):
        return (id, size, colour)

    synthetic.register("small-v1")(build)
    synthetic.register("large-v1", size=9)(build)
    assert synthetic.make_environment("small-v1") == ("small-v1", 1, "red")
    assert synthetic.make_environment("large-v1", colour="blue") == ("large-v1", 9, "blue")
    assert synthetic.make_environment("large-v1", size=3) == ("large-v1", 3, "red")
    assert synthetic.knobs_of("large-v1") == {"size": 9, "colour": "red"}


@pytest.mark.parametrize("id", synthetic.environment_ids())
def test_every_trait_is_in_the_list_with_what_it_says(id: str):
    assert synthetic.make_environment(id).traits <= TRAITS.keys()
