"""What a developer of a method sees, who has only installed the laboratory: one command, from a folder of their own.

The mutants of `tests/mutants.py` and `tests/liars.py` are evaluated in one run, each caught by the evaluation that is meant for it; a right
method is green.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.liars import LIARS
from tests.mutants import OFFENDERS

MUTANTS, FAULTY = Path(__file__).parent.parent / "mutants.py", Path(__file__).parent.parent / "liars.py"

RIGHT = '''
import torch

def my_method(model, inputs, *, target, baseline):
    """Input times gradient, measured from the baseline."""
    point = inputs.detach().clone().requires_grad_()
    with torch.enable_grad():
        total = model(point).gather(1, target[:, None]).sum()
    (slope,) = torch.autograd.grad(total, point)
    return slope * (inputs - baseline)

my_method.claims = ["dummy", "symmetry"]
'''


def attrlab(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line in `folder`, as installed."""
    environment = {**os.environ, "COLUMNS": "100"}
    command = [sys.executable, "-c", "from attrlab.cli import main; main()", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False)


def evaluations(*options: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `pytest --pyargs evaluations` in `folder`, as a stranger types it."""
    command = [sys.executable, "-m", "pytest", "--pyargs", "evaluations", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(RIGHT)
    return tmp_path


def test_a_right_method_is_green_in_one_command(folder: Path):
    ran = attrlab(
        "evaluate", "mine.py:my_method", "--environment", "additive-v1", "--json", "out.json", "--html", "out.html", folder=folder
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    verdicts = json.loads((folder / "out.json").read_text())["verdicts"]
    claimed = {verdict["axiom"] for verdict in verdicts if verdict["evaluation"] == "axioms"}
    assert claimed == {"dummy", "symmetry"}
    assert all(verdict["outcome"] == "passed" for verdict in verdicts)
    assert "my_method" in (folder / "out.html").read_text()
    assert "0 refuted" in ran.stdout


def test_a_claim_asked_for_on_the_command_line_is_refuted_with_the_counterexample(folder: Path):
    ran = attrlab("evaluate", "mine.py:my_method", "--claim", "completeness", "--environment", "or-witness-v1", folder=folder)
    assert ran.returncode == 1
    said = " ".join(ran.stdout.split())
    places = ("or-witness-v1", "drawn-networks")  # whichever is violated more is told, and the other beside it
    told, other = places if f"my_method: completeness on {places[0]}: REFUTED" in said else reversed(places)
    assert f"my_method: completeness on {told}: REFUTED" in said
    assert f"{told}: f(x) = " in said
    assert "the scores must sum to f(x) - f(x') =" in said
    assert f"also on: {other} (" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("evaluate", "integated_gradients"), "Did you mean 'integrated_gradients'"),
        (("evaluate", "broken.py:f"), "broken.py does not import: ZeroDivisionError"),
        (("list", "method"), "Did you mean 'methods'"),
        (("show", "colour-orr-v1"), "Did you mean 'colour-or-v1'"),
    ],
)
def test_what_cannot_be_run_is_one_line_and_status_2(arguments: tuple[str, ...], said: str, folder: Path):
    (folder / "broken.py").write_text("1 / 0\n")
    ran = attrlab(*arguments, folder=folder)
    assert ran.returncode == 2
    assert said in ran.stderr + ran.stdout
    assert "Traceback" not in ran.stderr + ran.stdout


@pytest.mark.slow
def test_every_mutant_is_caught_by_the_evaluation_meant_for_it_and_the_run_goes_on_with_the_others(folder: Path):
    worlds = ("additive-v1", "edge-types-features-v1")
    liars = [liar for liar in LIARS if liar.on in worlds and not liar.method.__name__.startswith("counts_parameters")]
    everyone = [*OFFENDERS, *liars]
    methods = [f"--attrlab-method={MUTANTS}:{mutant.method.__name__}" for mutant in OFFENDERS]
    methods += [f"--attrlab-method={FAULTY}:{liar.method.__name__}" for liar in liars]
    methods += [f"--attrlab-method={MUTANTS}:right", f"--attrlab-method={MUTANTS}:raises"]
    ran = evaluations(
        *methods,
        *(f"--attrlab-environment={world}" for world in worlds),
        "--attrlab-json=out.json",
        "--attrlab-examples=20",
        "-q",
        folder=folder,
    )
    assert ran.returncode == 1
    verdicts = json.loads((folder / "out.json").read_text())["verdicts"]
    failed = {(v["method"], v["axiom"]): v["reason"] for v in verdicts if v["outcome"] == "failed"}
    for mutant in everyone:
        name = mutant.method.__name__
        assert mutant.message in failed[name, mutant.caught_by], name
    by_method = {method for method, _ in failed}
    assert by_method == {mutant.method.__name__ for mutant in everyone} | {"raises"}
    assert "raises raised ZeroDivisionError: planted" in failed["raises", "agreement"]
    assert {v["outcome"] for v in verdicts if v["method"] == "right"} == {"passed"}


def test_a_bad_method_is_one_clean_line_under_pytest(folder: Path):
    ran = evaluations("--attrlab-method=mine.py:nothing", folder=folder)
    assert ran.returncode == 4
    lines = [line for line in (ran.stdout + ran.stderr).splitlines() if line.strip()]
    assert any(line.startswith("ERROR: mine.py has no object 'nothing'") for line in lines)
    assert "Traceback" not in ran.stdout + ran.stderr


def test_records_survive_distribution_over_processes(folder: Path):
    common = ("--attrlab-method=mine.py:my_method", "--attrlab-environment=saturated-or-v1", "-q")
    alone = evaluations(*common, "--attrlab-json=alone.json", folder=folder)
    spread = evaluations(*common, "--attrlab-json=spread.json", "-n", "2", folder=folder)
    assert (alone.returncode, spread.returncode) == (0, 0), spread.stdout + spread.stderr

    def facts(name: str) -> list[tuple[object, ...]]:
        run = json.loads((folder / name).read_text())
        verdicts = [(v["method"], v["axiom"], v["environment"], v["outcome"], v["measured"]) for v in run["verdicts"]]
        scores = [(score["evaluation"], score["value"]) for score in run["scores"] if "seconds" not in score["evaluation"]]
        return sorted(verdicts, key=str) + sorted(scores, key=str)

    assert facts("alone.json") == facts("spread.json")
    assert len(facts("alone.json")) > 30


def test_the_plugin_is_silent_in_other_peoples_runs(folder: Path):
    (folder / "test_theirs.py").write_text("def test_theirs():\n    import sys\n    assert 'torch' not in sys.modules\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_theirs.py"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout
    assert "attrlab:" not in ran.stdout
    assert "VERDICTS" not in ran.stdout


def test_no_partial_report_is_left_when_the_run_is_refused(folder: Path):
    (folder / "out.json").write_text("what stood here before")
    ran = attrlab("evaluate", "mine.py:nothing", "--json", "out.json", folder=folder)
    assert ran.returncode == 2
    assert (folder / "out.json").read_text() == "what stood here before"
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith("__")) == ["mine.py", "out.json"]
