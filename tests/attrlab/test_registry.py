"""A method is found by registered name, module:object or file.py:object, and what cannot be found is told in one line."""

from __future__ import annotations

import sys
import textwrap
from importlib import metadata

import pytest
import torch

from attrlab import registry
from attrlab.errors import AttrlabError, InvalidInput, UnknownName, Unloadable
from attrlab.method import Method
from attrlab.methods.gradients import gradient
from attrlab.methods.paths import integrated_gradients
from attrlab.registry import as_method, find_method, method_names, register_method

SCORES = "def scores(model, inputs, *, factor=2):\n    'Twice the input.'\n    return factor * inputs\n"


@pytest.fixture(autouse=True)
def own_tables(monkeypatch):
    """Each test has tables of its own, as if no other package had been looked for yet."""
    method_names()
    monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))
    monkeypatch.setattr(registry, "_BROKEN", {})


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a file below the test's folder and return its path; what it makes importable is forgotten afterwards."""
    before = set(sys.modules)

    def written(name, text=SCORES):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    yield written
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", None)):
            del sys.modules[name]


def value(method):
    """What a method makes of the input 1."""
    return method.attribute(None, torch.ones(1)).item()


def test_a_registered_name_finds_the_method():
    assert find_method("gradient").attribute is gradient
    assert find_method(" gradient ").name == "gradient"


def test_a_module_and_an_object_in_it_find_a_plain_function():
    found = find_method("attrlab.methods.gradients:gradient")
    assert (found.attribute, found.name) == (gradient, "gradient")


def test_controls_are_named_last():
    kinds = [find_method(name).control for name in method_names()]
    assert kinds == sorted(kinds)
    assert any(kinds)


def test_a_file_and_an_object_in_it_find_a_plain_function(write):
    found = find_method(f"{write('paper.py')}:scores")
    assert value(found) == 2
    assert (found.name, found.reference) == ("scores", "Twice the input.")


def test_a_path_may_be_relative_and_may_have_blanks_and_brackets(write, tmp_path, monkeypatch):
    write("of mine (copy)/paper v2.py")
    monkeypatch.chdir(tmp_path)
    assert value(find_method("of mine (copy)/paper v2.py:scores")) == 2
    assert value(find_method("of mine (copy)/paper v2.py:scores(factor=5)")) == 5


def test_a_module_beside_the_file_is_importable_and_the_search_path_is_left_as_it_was(write):
    write("helper_of_paper.py", "FACTOR = 3")
    path = write("paper.py", "from helper_of_paper import FACTOR\ndef scores(model, inputs):\n    return FACTOR * inputs\n")
    before = list(sys.path)
    assert value(find_method(f"{path}:scores")) == 3
    assert sys.path == before


def test_a_file_that_is_named_twice_is_one_module(write, tmp_path, monkeypatch):
    path = write("paper.py", SCORES + "\nclass Holder:\n    inner = staticmethod(scores)\n")
    monkeypatch.chdir(tmp_path)
    first, second = find_method(f"{path}:scores"), find_method("./paper.py:Holder.inner")
    assert first.attribute is second.attribute


def test_two_files_of_one_name_are_two_modules(write):
    one, two = write("a/paper.py"), write("b/paper.py", SCORES.replace("factor=2", "factor=4"))
    assert (value(find_method(f"{one}:scores")), value(find_method(f"{two}:scores"))) == (2, 4)


@pytest.mark.parametrize("beside", ["model_of_paper.py", "model_of_paper/__init__.py"], ids=["module", "package"])
def test_two_folders_may_each_have_a_module_of_one_name_beside_the_file(beside, write):
    paths = []
    for folder, factor in (("a", 3), ("b", 4)):
        write(f"{folder}/{beside}", f"FACTOR = {factor}")
        paper = "from model_of_paper import FACTOR\ndef scores(model, inputs):\n    return FACTOR * inputs\n"
        paths.append(write(f"{folder}/paper.py", paper))
        write(f"{folder}/other.py", "import model_of_paper\ndef scores(model, inputs):\n    return model_of_paper.FACTOR * inputs\n")
    assert [value(find_method(f"{path}:scores")) for path in paths] == [3, 4]
    assert [value(find_method(f"{path.parent / 'other.py'}:scores")) for path in paths] == [3, 4]
    assert [value(find_method(f"{path}:scores")) for path in paths] == [3, 4]


def test_a_dataclass_in_a_file_finds_its_own_module(write):
    """Postponed annotations of a dataclass are looked up in `sys.modules`."""
    path = write(
        "paper.py",
        """
        from __future__ import annotations
        import dataclasses, typing
        @dataclasses.dataclass
        class Options:
            kind: typing.ClassVar[int] = 1
            factor: float = 7
        def scores(model, inputs):
            return Options().factor * inputs
        """,
    )
    assert value(find_method(f"{path}:scores")) == 7


def test_claims_and_whole_methods_are_read_from_a_file(write):
    whole = "from attrlab.method import Method\nM = Method(name='m', attribute=scores, claims=['symmetry'])\n"
    path = write("paper.py", SCORES + "scores.claims = 'dummy'\n" + whole)
    assert [str(claim) for claim in find_method(f"{path}:scores").claims] == ["dummy holds"]
    whole = find_method(f"{path}:M", claims=["dummy"])
    assert (whole.name, [str(claim) for claim in whole.claims]) == ("m", ["symmetry holds", "dummy holds"])


def test_a_claim_asked_for_replaces_what_the_method_says_of_that_axiom():
    found = find_method("gradient", claims=["completeness"])
    assert [claim.expected for claim in found.claims if claim.axiom == "completeness"] == ["holds"]
    assert {claim.axiom for claim in found.claims} == {claim.axiom for claim in find_method("gradient").claims}


BROKEN = {
    "raises": ("raise ValueError('first line\\n\\n   second line')", "ValueError: first line second line"),
    "does not parse": ("def scores(:\n", "SyntaxError: "),
    "imports what is missing": ("import no_such_module_anywhere", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
    "exits": ("import sys\nsys.exit(3)", "SystemExit: 3"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_that_does_not_import_is_told_in_one_line_and_forgotten(kind, write):
    text, reason = BROKEN[kind]
    path = write("paper.py", text)
    before = (set(sys.modules), list(sys.path))
    with pytest.raises(Unloadable, match=r"paper\.py does not import: ") as error:
        find_method(f"{path}:scores")
    assert reason in str(error.value)
    assert "\n" not in str(error.value)
    assert not {name for name in set(sys.modules) - before[0] if "paper" in name}
    assert sys.path == before[1]
    write("paper.py")
    assert value(find_method(f"{path}:scores")) == 2  # once it is repaired


@pytest.mark.parametrize("text", ["raise ValueError('a\\nb')", "raise SystemExit(3)"])
def test_a_module_that_does_not_import_is_told_in_one_line(text, write, tmp_path, monkeypatch):
    write("broken_module_of_mine.py", text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Unloadable, match="broken_module_of_mine does not import: ") as error:
        find_method("broken_module_of_mine:scores")
    assert "\n" not in str(error.value)


def test_a_file_interrupted_while_it_is_imported_interrupts(write):
    path = write("paper.py", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        find_method(f"{path}:scores")
    assert not [name for name in sys.modules if name.startswith("attrlab_file_paper")]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing/paper.py:scores", "there is no file 'missing/paper.py', from "),
        ("no_such_module_anywhere:scores", "is its package installed?.*python -m pytest.*path/file.py:object"),
        ("attrlab.methods.paths:integrated_gradient", "has no object 'integrated_gradient'; did you mean 'integrated_gradients'"),
        ("attrlab.methods:", "has no object ''"),
        (":scores", "does not import: ValueError"),
        ("..methods:scores", "does not import: TypeError"),
    ],
)
def test_what_does_not_exist_is_said_with_what_to_write(name, message):
    with pytest.raises(Unloadable, match=message):
        find_method(name)


def test_a_folder_in_place_of_a_file_does_not_exist(tmp_path):
    (tmp_path / "paper.py").mkdir()
    with pytest.raises(Unloadable, match="there is no file"):
        find_method(f"{tmp_path}/paper.py:scores")


@pytest.mark.parametrize(("text", "kind"), [("class scores: pass", "type"), ("scores = 3", "int"), ("import math as scores", "module")])
def test_what_is_not_a_function_is_refused_by_its_kind(text, kind, write):
    with pytest.raises(InvalidInput, match=rf"a method is a function attribute\(model, inputs.*\(got {kind} for 'scores'\)"):
        find_method(f"{write('paper.py', text)}:scores")


@pytest.mark.parametrize(
    ("name", "near"), [("integrated_gradient", "integrated_gradients"), ("shaply", "shapley"), ("deep_lift", "deeplift")]
)
def test_an_unknown_name_suggests_the_nearest(name, near):
    with pytest.raises(UnknownName, match=rf"there is no method '{name}'\. Did you mean .*'{near}'"):
        find_method(name)


@pytest.mark.parametrize("name", ["zzzzzz", ""])
def test_a_name_near_to_nothing_says_where_the_methods_are_listed(name):
    with pytest.raises(UnknownName, match=rf"`attrlab list methods` lists the {len(method_names())} there are\..* path/file\.py:object"):
        find_method(name)


def test_parameters_follow_in_brackets_and_become_part_of_the_name():
    found = find_method("integrated_gradients(n_steps=500)")
    assert (found.name, found.parameters) == ("integrated_gradients(n_steps=500)", {"n_steps": 500})
    assert found.attribute.func is integrated_gradients


@pytest.mark.parametrize("text", ["(factor=-2.5)", "( factor = -2.5 )", "(factor=-2.5,)", "(\nfactor=-2.5\n)"])
def test_parameters_are_plain_values_in_python_s_own_notation(text, write):
    assert value(find_method(f"{write('paper.py')}:scores{text}")) == -2.5


def test_a_text_parameter_may_hold_brackets_and_colons(write):
    path = write("paper.py", "def scores(model, inputs, *, mode=''):\n    return inputs * len(mode)\n")
    assert value(find_method(f"{path}:scores(mode='a:b(c)')")) == 6


def test_empty_brackets_are_no_parameters():
    assert find_method("gradient()").name == "gradient"


@pytest.mark.parametrize(
    "parameters",
    [
        "(500)",
        "(n_steps=)",
        "(n_steps=500",
        "(n_steps=1, n_steps=2)",
        "(n_steps=1)(n_steps=2)",
        "(n_steps=1) or f(n_steps=2)",
        "(n_steps=1).x(n_steps=2)",
        "(**{'n_steps': 3})",
        "(n_steps=print('x'))",
        "(n_steps={[]: 1})",
        "(n_steps=steps)",
    ],
)
def test_what_is_not_a_list_of_plain_named_values_is_refused(parameters):
    with pytest.raises((InvalidInput, UnknownName)) as error:
        find_method(f"integrated_gradients{parameters}")
    assert "integrated_gradients(n_steps=500)" in str(error.value) or parameters == "(n_steps=500"


def test_a_parameter_the_method_does_not_have_is_refused_with_those_it_has():
    with pytest.raises(InvalidInput, match="integrated_gradients has no parameter 'steps'; its parameters are n_steps"):
        find_method("integrated_gradients(steps=500)")


def test_a_name_is_registered_once():
    mine = Method(name="mine", attribute=gradient)
    assert register_method(mine) is mine
    assert find_method("mine") == mine
    with pytest.raises(InvalidInput, match="a method named 'mine' is registered already; choose another name"):
        register_method(Method(name="mine", attribute=gradient))


def test_only_a_method_is_registered():
    with pytest.raises(InvalidInput, match=r"register_method takes a Method; write Method\(name=..., attribute=.*\(got function\)"):
        register_method(gradient)


def test_a_function_that_is_read_as_a_method_keeps_its_name_and_claims():
    def mine(model, inputs):
        return inputs

    mine.claims = ("dummy",)
    read = as_method(mine, name="as named")
    assert (read.name, read.reference, [claim.axiom for claim in read.claims]) == ("as named", "", ["dummy"])


@pytest.fixture
def other_packages(write, tmp_path, monkeypatch):
    """Other packages with one right entry point, one whole Method, and some that are broken in different ways."""
    write("their_package.py", SCORES + "from attrlab.method import Method\nWHOLE = Method(name='inner', attribute=scores)\nNUMBER = 3\n")
    write("their_broken_package.py", "raise RuntimeError('needs a\\nlicence')")
    monkeypatch.syspath_prepend(tmp_path)
    named = {
        "theirs": "their_package:scores",
        "whole": "their_package:WHOLE",
        "number": "their_package:NUMBER",
        "broken": "their_broken_package:scores",
        "absent": "no_such_module_anywhere:scores",
        "gradient": "their_package:scores",
    }
    points = [metadata.EntryPoint(name=name, value=place, group="attrlab.methods") for name, place in named.items()]

    def entry_points(*, group):
        assert group == "attrlab.methods"
        return points

    monkeypatch.setattr(metadata, "entry_points", entry_points)
    monkeypatch.setattr(registry, "_loaded_entry_points", False)


def test_methods_of_other_packages_are_known_under_their_entry_points(other_packages):
    assert {"theirs", "whole"} <= set(method_names())
    assert value(find_method("theirs(factor=3)")) == 3
    assert find_method("whole").name == "whole"


REASONS = {"number": "InvalidInput: a method is", "broken": "RuntimeError: needs a licence", "absent": "ModuleNotFoundError: "}


@pytest.mark.parametrize(("name", "reason"), REASONS.items())
def test_a_broken_entry_point_harms_no_other_and_says_why_when_it_is_asked_for(other_packages, name, reason):
    assert name not in method_names()
    with pytest.raises(Unloadable, match=rf"the entry point '{name}' \(.*\) does not load: {reason}") as error:
        find_method(name)
    assert "\n" not in str(error.value)


def test_an_entry_point_cannot_take_the_name_of_a_method_of_the_laboratory(other_packages):
    assert find_method("gradient").attribute is gradient


def test_every_refusal_is_an_error_of_the_laboratory():
    for name in ("nothing", "x.py:f", "gradient(5)"):
        with pytest.raises(AttrlabError):
            find_method(name)
