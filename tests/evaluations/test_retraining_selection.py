"""Networks are retrained only where that was asked for, by a marker or by an option."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "count"), [((), 0), (("-m", "retraining"), 12), (("--attrlab-retraining", "--attrlab-method", "gradient"), 9)]
)
def test_retraining_is_collected_only_where_asked_for(options: tuple[str, ...], count: int):
    command = [sys.executable, "-m", "pytest", "evaluations/test_retraining.py", "--collect-only", "-q", "-p", "no:cacheprovider"]
    ran = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, check=False)
    assert sum("::" in line for line in ran.stdout.splitlines()) == count, ran.stdout + ran.stderr
