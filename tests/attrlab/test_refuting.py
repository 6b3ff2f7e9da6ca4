"""`attrlab refute` and `attrlab replay` end with the status that says what was found, and print it as mathematics."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from attrlab.refuting import CouldNotRun, run

QUICK = ("--scope", "tiny", "--examples", "5", "--environment", "linear-v1")

OWN = """
from attrlab import NotApplicable

def shy(model, inputs):
    raise NotApplicable("it wants an image")

def broken(model, inputs):
    raise RuntimeError("out of luck")
"""


def attrlab(*arguments, cwd):
    return subprocess.run([sys.executable, "-m", "attrlab", *map(str, arguments)], capture_output=True, text=True, cwd=cwd, check=False)


def test_a_refutation_is_printed_written_and_stands_when_it_is_replayed(tmp_path):
    found = attrlab("refute", "gradient", "--axiom", "completeness", "--json", "found.json", *QUICK, cwd=tmp_path)
    assert found.returncode == 1, found.stderr
    assert "completeness: refuted on small-scope" in found.stdout
    assert "f(x) = x1" in found.stdout
    again = attrlab("replay", "found.json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "the violation stands: gradient, completeness" in again.stdout
    data = json.loads((tmp_path / "found.json").read_text())
    (tmp_path / "edited.json").write_text(json.dumps([{**data[0], "seed": 7}]))
    edited = attrlab("replay", "edited.json", cwd=tmp_path)
    assert edited.returncode == 2
    assert "was changed after it was written" in edited.stderr


@pytest.mark.slow
def test_a_method_of_one_s_own_is_found_again_when_it_is_replayed(tmp_path):
    (tmp_path / "own.py").write_text("def mine(model, inputs):\n    return inputs\n")
    found = attrlab("refute", "own.py:mine", "--axiom", "completeness", "--json", "found.json", *QUICK, cwd=tmp_path)
    assert found.returncode == 1, found.stderr
    assert attrlab("replay", "found.json", cwd=tmp_path).returncode == 0
    (tmp_path / "own.py").rename(tmp_path / "moved.py")
    lost = attrlab("replay", "found.json", cwd=tmp_path)
    assert (lost.returncode, "there is no file 'own.py'" in lost.stderr) == (2, True)
    assert attrlab("replay", "found.json", "--method", "moved.py:mine", cwd=tmp_path).returncode == 0


def test_what_is_not_refuted_says_in_how_many_cases(tmp_path):
    found = attrlab("refute", "shapley", "--axiom", "completeness", *QUICK, cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert "completeness: not refuted; holds on all 216 networks" in found.stdout
    assert "networks drawn at random" in found.stdout
    assert "; 1 environments" in found.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "axiom", "said"),
    [
        ("own.py:shy", "completeness", "it wants an image"),
        ("own.py:broken", "completeness", "broken raised RuntimeError: out of luck"),
        ("gradint", "completeness", "Did you mean 'gradient'"),
        ("gradient", "completness", "Did you mean 'completeness'"),
    ],
)
def test_what_could_not_be_run_ends_with_two_and_the_reason(method, axiom, said, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    found = attrlab("refute", method, "--axiom", axiom, *QUICK, cwd=tmp_path)
    assert found.returncode == 2
    assert said in found.stdout + found.stderr
    assert "Traceback" not in found.stdout + found.stderr


def test_how_far_a_long_search_is_is_shown_and_is_not_taken_for_its_complaint(capfd):
    script = "import sys; print('searching dummy: 9 networks', file=sys.stderr); print('ERROR: it broke', file=sys.stderr); sys.exit(3)"
    with pytest.raises(CouldNotRun, match=r"^it broke$"):
        run([], [sys.executable, "-c", script])
    assert capfd.readouterr().err == "searching dummy: 9 networks\n"
