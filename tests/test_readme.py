"""The README is run: every block of Python and of shell in it, in the order in which a reader meets them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from attrlab.method import COST_CLASSES
from attrlab.registry import find_method, method_names
from synthetic import environment_ids, make_environment

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
SHELL = [text.strip() for kind, text in BLOCKS if kind == "sh"]
SHOWN = {block.strip(): text.strip() for (_, block), (kind, text) in pairwise(BLOCKS) if kind == ""}
"""What the README shows as the output of a block: the block without a language behind it."""
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
def test_shell_block_runs_and_prints_what_is_shown_under_it(block: str, folder: Path):
    ran = run(["bash", "-euo", "pipefail", "-c", block], folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    said = " ".join(ran.stdout.split())
    for line in SHOWN.get(block, "").splitlines():
        assert " ".join(line.split()) in said


def test_an_output_is_shown():
    assert len(SHOWN) == 1
    assert "refuted" in next(iter(SHOWN.values()))


@pytest.mark.parametrize("block", [text for kind, text in BLOCKS if kind == "python"], ids=lambda block: block.split("\n")[0])
def test_python_block_runs(block: str, folder: Path):
    ran = run([sys.executable, "-c", block], folder)
    assert ran.returncode == 0, ran.stderr


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
    """The README's table of methods, as it must read: what each applies to, what it costs, where it is from."""
    lines = ["| method | applies to | cost | from |", "| --- | --- | --- | --- |"]
    for method in map(find_method, method_names()):
        if not method.control and not method.peer:
            where = ", ".join(sorted(method.modalities)) or "everything"
            lines.append(f"| `{method.name}` | {where} | {method.cost_class} | {_cell(method.reference)} |")
    return "\n".join(lines)


def controls_line() -> str:
    """The README's list of controls and of other libraries' implementations, as it must read."""
    found = [find_method(name) for name in method_names()]
    controls, peers = (", ".join(f"`{m.name}`" for m in found if of(m)) for of in (lambda m: m.control and not m.peer, lambda m: m.peer))
    classes = "; ".join(f"*{name}*: {words}" for name, words in COST_CLASSES.items())
    return f"Cost, for each row. {classes}.\n\nControls: {controls}.\n\nOther libraries' own, where they are asked for by name: {peers}."


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


@pytest.mark.parametrize("table", [worlds_table, methods_table, controls_line], ids=lambda table: table.__name__)
def test_table_is_what_is_registered(table):
    assert table() in README, f"run `python {Path(__file__).name}` in tests/ and put its tables into the README"


if __name__ == "__main__":
    print(worlds_table(), methods_table(), controls_line(), sep="\n\n")
