"""Importing the laboratory imports torch and nothing heavier; importing its pytest plugin does not even import torch."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {"captum", "torch_geometric", "matplotlib", "pandas", "scipy", "rich", "typer", "jinja2", "hypothesis", "sklearn", "pytest"}


def imported_by(statement):
    """The top-level packages that a fresh interpreter holds after one statement."""
    code = f"import sys\nbefore = set(sys.modules)\n{statement}\nprint(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_nothing_heavier_than_torch_is_imported():
    """All at once: what none of them imports, not one of them imports."""
    found = imported_by("import attrlab, attrlab.method, attrlab.registry, attrlab.methods, attrlab.judge, attrlab.record, synthetic")
    assert "torch" in found
    assert not found & HEAVY


def test_the_bare_package_does_not_import_torch():
    assert "torch" not in imported_by("import attrlab")


def test_the_plugin_that_every_pytest_run_imports_is_light():
    found = imported_by("import pytest\nbefore = set(sys.modules)\nimport evaluations.plugin")
    assert "evaluations" in found
    assert not found & (HEAVY | {"torch", "numpy", "networkx", "attrlab", "synthetic"})
