"""A stranger's function in one file, with its claims as a list, is judged by one command, and each claim that is too much is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

MINE = '''
import torch


def first_and_last(model, inputs, *, target, baseline):
    """The mean of what an entry adds first and what it adds last: the Shapley value of two players, and of no more."""
    def value(rows):
        return model(rows).gather(1, target[:, None])

    scores = torch.zeros_like(inputs)
    with torch.no_grad():
        for entry in range(inputs.shape[1]):
            alone, without = baseline.clone(), inputs.clone()
            alone[:, entry], without[:, entry] = inputs[:, entry], baseline[:, entry]
            scores[:, entry : entry + 1] = (value(alone) - value(baseline) + value(inputs) - value(without)) / 2
    return scores


first_and_last.claims = ["completeness", "lattice_dummy", "symmetry", "linearity", "implementation_invariance", "continuity"]
'''

WORLD = "additive-v1"
"""Its function is a sum, on which nothing is wrong with the method; what is wrong shows on networks without a name."""


def test_one_command_tells_which_of_the_claims_is_too_much(tmp_path: Path):
    (tmp_path / "mine.py").write_text(MINE)
    command = [sys.executable, "-c", "from attrlab.cli import main; main()", "evaluate", "mine.py:first_and_last", "--environment", WORLD]
    ran = subprocess.run(
        [*command, "--json", "out.json"],
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    verdicts = json.loads((tmp_path / "out.json").read_text())["verdicts"]
    failed = {(verdict["axiom"], verdict["environment"]) for verdict in verdicts if verdict["outcome"] == "failed"}
    assert failed == {("completeness", "drawn-networks")}
    said = " ".join(ran.stdout.split())
    assert "first_and_last: completeness on drawn-networks: REFUTED" in said
    assert "drawn-networks: f(x) =" in said
    assert "the scores must sum to f(x) - f(x') =" in said
