"""The README is run: every block of Python and of shell in it, in the order in which a reader meets them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from attrlab.registry import method_names
from synthetic import environment_ids

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
SHELL = [text.strip() for kind, text in BLOCKS if kind == "sh"]
BUILDS = ("make evaluate\nmake test", "python3 -m venv .venv")
"""Blocks that build an environment: the first is what the continuous integration runs, the second what make runs under the first."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader's folder, with the files that the README tells to write."""
    place = tmp_path_factory.mktemp("reader")
    for kind, text in BLOCKS:
        named = re.match(r"# (\w+\.py)\n", text)
        if kind == "python" and named:
            (place / named[1]).write_text(text, encoding="utf-8")
    return place


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("block", [block for block in SHELL if not block.startswith(BUILDS)], ids=lambda block: block.split("\n")[0][:50])
def test_shell_block_runs(block: str, folder: Path):
    ran = run(["bash", "-euo", "pipefail", "-c", block], folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("block", [text for kind, text in BLOCKS if kind == "python"], ids=lambda block: block.split("\n")[0])
def test_python_block_runs(block: str, folder: Path):
    ran = run([sys.executable, "-c", block], folder)
    assert ran.returncode == 0, ran.stderr


def test_counterexample_shown_is_the_one_that_is_printed(folder: Path):
    (shown,) = [text for kind, text in BLOCKS if kind == ""]
    ran = run([sys.executable, "-m", "attrlab", "evaluate", "mine.py:my_method", "--claim", "completeness"], folder)
    said = " ".join(ran.stdout.split())
    for line in shown.strip().splitlines():
        assert " ".join(line.split()) in said


def test_first_run_stands_in_the_first_twenty_lines():
    assert "make evaluate" in "\n".join(README.splitlines()[:20])


def test_continuous_integration_runs_the_two_commands_of_the_readme_and_nothing_else():
    lines = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line and not line.startswith("#")]
    assert SHELL[0].splitlines() == lines[2:]
    assert lines[0] == "set -euo pipefail"
    assert lines[1].startswith("cd ")


def test_plain_commands_are_those_of_the_makefile():
    (plain,) = [block for block in SHELL if block.startswith("python3 -m venv")]
    recipe = (ROOT / "Makefile").read_text().replace("$(BIN)", ".venv/bin").replace("$(PYTHON)", "python3")
    for line in plain.splitlines():
        assert f"\t{line}\n" in recipe


def test_tables_name_every_world_and_every_method():
    tables = "\n".join(line for line in README.splitlines() if line.startswith("|"))
    named = set(re.findall(r"`([a-z0-9-]+-v\d+)`", tables))
    assert named == set(environment_ids())
    controls = set(re.findall(r"`(\w+)`", README.split("Controls in every run:")[1].split("The claims stand")[0]))
    methods = set(re.findall(r"^\| `(\w+)`(?: \([^|]*\))? \|", README.split("## The methods")[1], re.MULTILINE))
    assert methods | controls == set(method_names())
