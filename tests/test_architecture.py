"""The packages point one way, and every file sits in the room its import lines say."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import attrlab

ROOT = Path(__file__).parent.parent
COMPOSITION = {"stage", "study", "instruments", "verification", "catalogue", "report", "cli"}
"""The rooms of `attrlab` that may know `synthetic`."""


def sources(*packages: str) -> list[Path]:
    return [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports(path: Path) -> set[str]:
    """The modules a file names in its import statements, lazy ones included; those for type checking alone are not imports."""
    tree = tree_of(path)
    checking = {node for branch in ast.walk(tree) if _is_for_type_checking(branch) for node in ast.walk(branch)}
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in checking:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _is_for_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def names(package: str, path: Path) -> bool:
    return any(module.split(".")[0] == package for module in imports(path))


def that_name(package: str, paths: list[Path]) -> list[str]:
    return [str(path) for path in paths if names(package, path)]


def test_synthetic_knows_nobody():
    assert that_name("attrlab", sources("synthetic")) == []
    assert that_name("evaluations", sources("synthetic")) == []


def test_attrlab_does_not_import_evaluations_and_only_its_composition_layer_knows_synthetic():
    assert that_name("evaluations", sources("attrlab")) == []
    rooms = {path: path.relative_to(ROOT / "attrlab").parts[0].removesuffix(".py") for path in sources("attrlab")}
    assert that_name("synthetic", [path for path, room in rooms.items() if room not in COMPOSITION]) == []


def test_nothing_imports_torchvision():
    assert that_name("torchvision", sources("attrlab", "synthetic", "evaluations", "tests")) == []


@pytest.mark.parametrize("path", sources("examples"), ids=str)
def test_examples_use_public_names_only(path: Path):
    for module in imports(path):
        package, *rest = module.split(".")
        if package in ("attrlab", "synthetic"):
            assert len(rest) <= 1, f"{module} is not a public name"
            if rest:
                public = set(attrlab.__all__) if package == "attrlab" else set(__import__("synthetic").__all__)
                assert rest[0] in public, f"{module} is not a public name"


@pytest.mark.parametrize("path", sources("examples"), ids=lambda path: path.name)
def test_example_runs(path: Path, tmp_path: Path):
    ran = subprocess.run([sys.executable, str(path)], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip()


def test_every_public_name_is_found_and_documented():
    assert set(attrlab.__all__) == set(attrlab._HOMES)
    for name in attrlab.__all__:
        value = getattr(attrlab, name)
        assert name.isupper() or (value.__doc__ or "").strip(), f"{name} has no docstring"


def test_an_unknown_public_name_says_which_there_are():
    with pytest.raises(AttributeError, match="its names are AXIOMS"):
        attrlab.nothing  # noqa: B018


def test_every_file_begins_with_a_sentence_and_stays_readable():
    for path in sources("attrlab", "synthetic", "evaluations"):
        text = path.read_text(encoding="utf-8")
        if text.strip():
            doc = ast.get_docstring(tree_of(path))
            assert doc, f"{path} has no docstring"
            assert doc.splitlines()[0].rstrip().endswith((".", ":", ";")) or "\n" in doc, path
        assert len(text.splitlines()) <= 400, path


def test_functions_fit_on_a_screen():
    for path in sources("attrlab", "synthetic", "evaluations"):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                length = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
                assert length <= 50, f"{path}:{node.name} has {length} lines"
