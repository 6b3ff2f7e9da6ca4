"""Records survive JSON, and a file is replaced whole or not at all."""

from __future__ import annotations

import json
import math
import os
import stat
from dataclasses import asdict

import pytest

from attrlab.record import Run, Score, Verdict, versions, write_atomically


def verdict(**changed):
    stated = {"method": "m", "evaluation": "axioms", "axiom": "dummy", "environment": "e-v1", "claim": "dummy holds", "outcome": "failed"}
    return Verdict(**{**stated, **changed})


def score(**changed):
    numbers = {"value": 0.25, "interval": (0.125, 0.5), "floor": 0.0, "ceiling": 1.0, "rows": 12}
    return Score(**{"method": "m", "environment": "e-v1", "evaluation": "deletion", **numbers, "direction": "lower", "seed": 7, **changed})


def back(run):
    return Run.from_json(run.to_json())


def same(one, two):
    """Equal, where NaN equals NaN."""
    return repr(asdict(one)) == repr(asdict(two))


def test_a_run_read_back_is_the_run_that_was_written():
    run = Run(
        verdicts=(verdict(measured=1e-300, bound=0.1, cases=3, counterexample="f(x) = relu(x1)\nx′ ≤ ∞, “Σ”", reason="<b>&"), verdict()),
        scores=(score(), score(value=math.nan, interval=(math.nan, math.nan), floor=math.nan, ceiling=math.nan, rows=0)),
        policy={"device": "cpu", "tf32": False, "limits": [1, 2.5, None]},
        versions={"torch": "2.13"},
        seconds=1.5,
    )
    assert same(back(run), run)
    assert isinstance(back(run).scores[0].interval, tuple)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=str)
def test_what_is_not_finite_is_null_in_json_and_nan_when_read_back(value):
    run = Run(verdicts=(verdict(measured=value, bound=value),), scores=(score(value=value, floor=value, interval=(value, 1.0)),))

    def refuse(constant):
        raise AssertionError(f"JSON has no {constant}")

    written = json.loads(run.to_json(), parse_constant=refuse)
    assert written["verdicts"][0]["measured"] is None
    assert written["scores"][0]["interval"] == [None, 1.0]
    read = back(run)
    assert math.isnan(read.verdicts[0].measured)
    assert math.isnan(read.scores[0].value)
    assert math.isnan(read.scores[0].interval[0])
    assert read.scores[0].interval[1] == 1.0  # a float that JSON holds exactly


def test_an_empty_run_is_a_run():
    assert back(Run(verdicts=(), scores=())) == Run(verdicts=(), scores=())


def test_versions_name_what_a_result_depends_on():
    found = versions()
    assert {"python", "torch", "numpy", "captum", "torch-geometric"} <= found.keys()
    assert found["torch"].startswith("2.")


def test_a_file_is_written_whole_and_readable_by_others(tmp_path):
    path = tmp_path / "report.json"
    write_atomically(path, "Σ\n")
    assert path.read_text(encoding="utf-8") == "Σ\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_without_a_folder_is_in_the_current_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_atomically("report.json", "x")
    assert (tmp_path / "report.json").read_text() == "x"


def fail(*_):
    raise OSError("planted")


@pytest.mark.parametrize(("module", "name"), [(os, "replace"), (os, "fdopen"), (os, "chmod")], ids=["renaming", "opening", "chmod"])
@pytest.mark.parametrize("before", [None, "the old report"])
def test_when_writing_fails_the_old_file_stays_and_no_other(module, name, before, tmp_path, monkeypatch):
    path = tmp_path / "report.json"
    if before:
        path.write_text(before)
    monkeypatch.setattr(module, name, lambda *_, **__: fail())
    with pytest.raises(OSError, match="planted"):
        write_atomically(path, "new")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("report.json", before)] * bool(before)


def test_text_that_cannot_be_encoded_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "half a surrogate pair: \ud800")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]


def test_a_folder_that_does_not_exist_is_an_error_and_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "missing" / "report.json", "x")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_place_of_the_file_is_an_error_and_is_left_alone(tmp_path):
    (tmp_path / "report.json").mkdir()
    with pytest.raises(OSError, match=r"report\.json"):
        write_atomically(tmp_path / "report.json", "x")
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]
