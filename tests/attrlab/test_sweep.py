"""A sweep says of each method and world whether it ran, why it does not apply, or how it failed; one failure loses no other cell."""

from __future__ import annotations

import json

import torch
from typer.testing import CliRunner

from attrlab.cli import app
from attrlab.errors import NotApplicable
from attrlab.method import Method
from attrlab.registry import find_method
from attrlab.sweep import summary, sweep, write

WORLDS = ("linear-v1", "additive-v1", "colour-single-v1")


def refusing(model, inputs):
    raise NotApplicable(f"it wants an image and misses by {inputs[0, 0] + 0.25:.3f}; give it one (got {tuple(inputs.shape)})")


def breaking(model, inputs):
    raise RuntimeError("out of luck")


def infinite(model, inputs):
    return inputs / 0


METHODS = (
    find_method("gradient"),
    Method(name="refusing", attribute=refusing, modalities=frozenset({"table"})),
    Method(name="breaking", attribute=breaking, modalities=frozenset({"image"})),
    Method(name="infinite", attribute=infinite, modalities=frozenset({"image"})),
)


def test_every_cell_of_a_method_s_modality_has_its_fate_and_no_failure_loses_another():
    found = {(cell.method, cell.environment): cell.fate for cell in sweep(METHODS, WORLDS)}
    assert found == {
        **{("gradient", world): "ok" for world in WORLDS},
        ("refusing", "linear-v1"): "not applicable",
        ("refusing", "additive-v1"): "not applicable",
        ("breaking", "colour-single-v1"): "failed",
        ("infinite", "colour-single-v1"): "failed",
    }


def test_equal_reasons_are_told_once_with_how_often_they_were_given():
    told = {method: (fates, reasons) for method, fates, reasons in summary(sweep(METHODS, WORLDS))}
    assert told["gradient"] == ({"ok": 3, "not applicable": 0, "failed": 0}, [])
    assert told["refusing"] == ({"ok": 0, "not applicable": 2, "failed": 0}, [("it wants an image and misses by ...; give it one", 2)])
    assert told["breaking"][1] == [("breaking raised RuntimeError: out of luck", 1)]


def test_cells_are_written_as_plain_json(tmp_path):
    write(tmp_path / "sweep.json", sweep(METHODS[:1], WORLDS[:1]))
    (cell,) = json.loads((tmp_path / "sweep.json").read_text())
    assert (cell["method"], cell["environment"], cell["fate"]) == ("gradient", "linear-v1", "ok")


def test_the_command_prints_fates_and_ends_with_one_if_something_failed(tmp_path):
    own = tmp_path / "own.py"
    own.write_text("def broken(model, inputs):\n    raise ValueError('no')\n")
    threads = torch.get_num_threads()
    fine = CliRunner().invoke(app, ["sweep", "gradient", "--environment", "linear-v1"])
    broken = CliRunner().invoke(app, ["sweep", f"{own}:broken", "--environment", "linear-v1"])
    torch.set_num_threads(threads)
    assert (fine.exit_code, broken.exit_code) == (0, 1)
    assert "1 methods on 1 environments: 1 ok, 0 not applicable, 0 failed" in fine.output
    assert "broken raised ValueError: no" in broken.output
