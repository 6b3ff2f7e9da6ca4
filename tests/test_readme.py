"""The README is run: every block of Python and of shell in it, in the order in which a reader meets them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from attrlab.method import Method
from attrlab.registry import find_method, method_names
from synthetic import environment_ids, make_environment

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


MODALITIES = {"image": "Images", "table": "Tables", "graph": "Graphs", "sequence": "Sequences", "set": "Sets"}
AXIOM_COLUMNS = ("completeness", "dummy", "implementation_invariance", "symmetry")


def worlds_table() -> str:
    """The README's catalogue of worlds, as it must read."""
    worlds = [make_environment(id) for id in environment_ids()]
    parts = []
    for modality, title in MODALITIES.items():
        lines = [f"| `{world.id}` | {_cell(world.isolates)} |" for world in worlds if world.modality == modality]
        if lines:
            parts.append("\n".join([f"**{title}**", "", "| world | what it isolates |", "| --- | --- |", *lines]))
    return "\n\n".join(parts)


def methods_table() -> str:
    """The README's table of methods and claims, as it must read."""
    lines = ["| method | " + " | ".join(name.replace("_", " ") for name in AXIOM_COLUMNS) + " |", "| --- |" + " --- |" * len(AXIOM_COLUMNS)]
    for method in map(find_method, method_names()):
        if not method.control:
            lines.append(f"| `{method.name}` | " + " | ".join(_claims(method, axiom) for axiom in AXIOM_COLUMNS) + " |")
    return "\n".join(lines)


def _claims(method: Method, axiom: str) -> str:
    said = [claim for claim in method.claims if claim.axiom == axiom]
    given = ["holds if " + " and ".join(sorted(claim.given)).replace("_", " ") if claim.given else claim.expected for claim in said]
    return _cell("; ".join(sorted(given, reverse=True)) or "–")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


@pytest.mark.parametrize("table", [worlds_table, methods_table], ids=lambda table: table.__name__)
def test_table_is_what_is_registered(table):
    assert table() in README, f"run `python {Path(__file__).name}` in tests/ and put its tables into the README"


def test_controls_are_named():
    controls = set(re.findall(r"`(\w+)`", README.split("Controls in every run:")[1].split("The claims stand")[0]))
    assert controls == {name for name in method_names() if find_method(name).control}


if __name__ == "__main__":
    print(worlds_table(), methods_table(), sep="\n\n")
