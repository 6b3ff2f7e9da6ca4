"""The command line conducts a study, says what it found, writes its files, and continues in its folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from attrlab.cli import app
from attrlab.errors import InvalidInput, NotApplicable

SMALL = ["--rows", "64", "--seeds", "2", "--epochs", "12", "--fraction", "0.3"]


def test_a_study_is_told_in_sentences_and_its_folder_is_continued(tmp_path: Path):
    options = ["retrain", "integrated_gradients", "--on", "majority-v1", *SMALL, "--folder", str(tmp_path / "kept")]
    ran = CliRunner().invoke(app, [*options, "--html", str(tmp_path / "page.html")], catch_exceptions=False)
    assert ran.exit_code == 0
    assert "at 30 % removed, integrated_gradients costs" in ran.output
    assert "blurred_random left out" in ran.output
    assert "ROAR: fraction removed, most relevant first" in (tmp_path / "page.html").read_text()
    again = CliRunner().invoke(app, [*options, "--json", str(tmp_path / "points.json")], catch_exceptions=False)
    assert ", 0 of them trained now" in again.output
    assert {cell["method"] for cell in json.loads((tmp_path / "points.json").read_text())["cells"]} >= {"random", "truth", "constant"}


def test_what_cannot_be_is_refused_before_anything_is_trained():
    with pytest.raises(InvalidInput, match=r"write 0\.3 for 30 %"):
        CliRunner().invoke(app, ["retrain", "gradient", "--on", "majority-v1", "--fraction", "30"], catch_exceptions=False)
    with pytest.raises(NotApplicable, match="has one class"):
        CliRunner().invoke(app, ["retrain", "gradient", "--on", "colour-or-v1"], catch_exceptions=False)
