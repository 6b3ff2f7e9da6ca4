"""A study as a whole: what it finds on worlds whose truth is known, what it refuses, and that a kill costs nothing but the open chunk."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from attrlab.errors import InvalidInput, MethodError, NotApplicable, UnknownName
from attrlab.method import Method
from attrlab.registry import find_method
from attrlab.retraining import KAR, ROAR, Data, Protocol, Retraining, Settings, Training, arrays, retrain, romie_and_rolie, world
from attrlab.retraining.data import Split
from attrlab.retraining.layout import lay_out
from tests.attrlab.retraining import small_studies as small

SMALL = Path(small.__file__)


def table_of(study: Retraining) -> list[object]:
    return json.loads(study.to_json())["cells"]


def some_data(rows: int = 60, *, classes: int = 2) -> Data:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(rows, 4, generator=generator)
    return arrays("drawn", inputs, torch.arange(rows) % classes, modality="table")


# --- a kill -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Retraining:
    return small.small_study(tmp_path_factory.mktemp("whole"))


def test_a_killed_run_continues_where_it_was_and_ends_with_the_same_table(tmp_path: Path, uninterrupted: Retraining):
    running = subprocess.Popen([sys.executable, str(SMALL), str(tmp_path)])
    chunks = tmp_path / "chunks"
    deadline = time.monotonic() + 60
    while len(list(chunks.glob("*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    finished = {key for path in chunks.glob("*.json") for key in json.loads(path.read_text())}
    continued = small.small_study(tmp_path)
    assert 0 < len(finished) < continued.networks
    assert continued.trained == continued.networks - len(finished)
    assert table_of(continued) == table_of(uninterrupted)


def test_a_finished_study_trains_nothing_again_and_asks_no_method_again(tmp_path: Path):
    asked = []

    def counted(model: nn.Module, inputs: Tensor) -> Tensor:
        asked.append(len(inputs))
        return inputs

    method = Method(name="counted", attribute=counted)
    first, again = (
        retrain(small.small_data(), [method], settings=small.small_settings(), folder=tmp_path, controls=("random",)) for _ in range(2)
    )
    assert sum(asked) == 128
    assert (first.trained, again.trained) == (first.networks, 0)
    assert table_of(again) == table_of(first)


def test_a_method_whose_function_was_changed_is_asked_again(tmp_path: Path):
    def up(model: nn.Module, inputs: Tensor) -> Tensor:
        return torch.arange(inputs.shape[1]).expand_as(inputs).to(inputs)

    def down(model: nn.Module, inputs: Tensor) -> Tensor:
        return -torch.arange(inputs.shape[1]).expand_as(inputs).to(inputs) + inputs.shape[1]

    found = []
    for attribute in (up, down):
        method = Method(name="edited", attribute=attribute)
        layout = lay_out(small.small_data(), [method], small.small_settings(), folder=tmp_path)
        found.append(layout.scored["edited"].scores[0])
    assert not torch.equal(*found)


def test_several_processes_find_what_one_finds(tmp_path: Path, uninterrupted: Retraining):
    found = retrain(small.small_data(), (), settings=small.small_settings(workers=2), folder=tmp_path, controls=small.METHODS)
    assert table_of(found) == table_of(uninterrupted)


def test_a_study_is_read_back_from_its_file(uninterrupted: Retraining):
    assert Retraining.from_json(uninterrupted.to_json()).to_json() == uninterrupted.to_json()


# --- what is planned --------------------------------------------------------------------------------------------------


def test_equal_jobs_are_trained_once():
    data = small.small_data()
    same = [Method(name=name, attribute=find_method("truth").attribute) for name in ("one", "other")]
    layout = lay_out(data, same, Settings(protocols=(ROAR, KAR), fractions=(0.0, 0.25, 0.75, 1.0), seeds=2, leakage_seeds=0))
    # 2 methods x 2 protocols x 4 fractions x 2 seeds; the methods agree, both protocols share their ends, and those are the anchors
    assert len(layout.rows) == 32
    assert len(set(layout.rows.values())) == 2 * (2 + 2 + 2)
    assert {layout.rows[job] for job in layout.rows if job.fraction == 0 and job.protocol == ROAR} == set(layout.full)


def test_keeping_the_top_is_removing_the_least_relevant_rest():
    layout = lay_out(
        small.small_data(),
        [find_method("truth")],
        Settings(protocols=(KAR, Protocol(measure="roar", order="lerf")), fractions=(0.25, 0.75), seeds=1, leakage_seeds=0),
    )
    by = {(job.protocol.measure, job.fraction): key for job, key in layout.rows.items()}
    assert by["kar", 0.25] == by["roar", 0.75]
    assert by["kar", 0.75] == by["roar", 0.25]


def test_chunks_hold_no_more_than_memory_grants():
    data, methods = small.small_data(), [find_method(name) for name in small.METHODS]
    wide = lay_out(data, methods, small.small_settings(chunk=None))
    narrow = lay_out(data, methods, small.small_settings(chunk=None, memory=200_000))
    assert max(map(len, narrow.chunks)) < max(map(len, wide.chunks))
    assert {unit.key for chunk in narrow.chunks for unit in chunk} == {unit.key for chunk in wide.chunks for unit in chunk}


def test_the_two_by_two_of_graphs_is_eight_protocols_all_different():
    assert len(set(romie_and_rolie())) == 8


# --- what is found ----------------------------------------------------------------------------------------------------


def test_a_method_that_fails_is_left_out_with_its_reason_and_the_others_go_on():
    def not_a_number(model: nn.Module, inputs: Tensor) -> Tensor:
        scores = torch.ones_like(inputs)
        scores[3] = torch.nan
        return scores

    def raises(model: nn.Module, inputs: Tensor) -> Tensor:
        raise ZeroDivisionError("by nought")

    broken = [Method(name="not_a_number", attribute=not_a_number), Method(name="raises", attribute=raises)]
    found = retrain(small.small_data(), broken, settings=small.small_settings(), controls=("random", "blurred_random"))
    reasons = dict(found.refused)
    assert "NaN or infinite, first in row 3 of 64" in reasons["not_a_number"]
    assert "by nought" in reasons["raises"]
    assert "image" in reasons["blurred_random"]
    assert {cell.method for cell in found.cells} == {"random"}


def test_a_network_at_chance_before_removal_is_refused():
    with pytest.raises(NotApplicable, match="does not beat chance on drawn before anything is removed"):
        retrain(some_data(), [], settings=small.small_settings(), controls=("random",))


def test_networks_that_diverge_are_counted_and_left_out_of_the_mean():
    settings = small.small_settings()
    layout = lay_out(small.small_data(), [find_method("random")], settings)
    from attrlab.retraining.retrain import _cells

    results = {key: {"modified": 0.75, "original": 0.75} for key in layout.rows.values()}
    lost = next(key for job, key in layout.rows.items() if job.fraction == 0.3 and job.seed == 0)
    results[lost] = {"modified": None, "original": None}
    results |= {key: {"modified": 0.5, "original": 0.5} for key in layout.masks.values()}
    cell = next(cell for cell in _cells(layout, results) if cell.fraction == 0.3)
    assert cell.mean == pytest.approx(0.75)
    assert "1 of 2 networks went to infinity" in cell.notes[0]


def test_a_graph_without_an_edge_left_is_noted_and_the_study_goes_on():
    data = world("edge-type-or-v1", train=128, test=96)
    settings = Settings(protocols=(ROAR,), fractions=(0.3, 0.95), seeds=1, training=Training(epochs=20), leakage_seeds=0)
    found = retrain(data, [], settings=settings, controls=("random", "truth"))
    bare = next(cell for cell in found.cells if cell.fraction == 0.95)
    assert any("128 of 128 training rows have no edge left" in note for note in bare.notes)
    assert any("class 0, 1 is empty after removal" in note for note in bare.notes)
    assert all(math.isfinite(cell.mean) for cell in found.cells)


@pytest.mark.parametrize("fraction", [-0.1, 30, float("nan")])
def test_a_fraction_outside_of_the_unit_interval_is_refused(fraction: float):
    with pytest.raises(InvalidInput, match=r"write 0\.3 for 30 %"):
        Settings(fractions=(0.1, fraction))


@pytest.mark.parametrize(
    "wrong", [{"seeds": 0}, {"memory": 0}, {"workers": 0}, {"ranking": "by size"}, {"fractions": ()}, {"device": "abacus"}]
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object]):
    with pytest.raises(InvalidInput):
        Settings(**wrong)  # type: ignore[arg-type]


def test_an_unknown_imputer_is_refused_with_the_nearest():
    with pytest.raises(UnknownName, match="'noisy_linear'"):
        lay_out(small.small_data(), [find_method("random")], Settings(imputer="noisy_liner"))


def test_a_class_without_rows_is_refused_by_name():
    data = some_data()
    alone = Split(**{**vars(data.train), "labels": torch.zeros_like(data.train.labels)})
    with pytest.raises(InvalidInput, match="no training row of class 1"):
        replace(data, train=alone)


def test_words_that_are_no_protocol_are_refused():
    with pytest.raises(InvalidInput, match="'morf' or 'lerf'"):
        Protocol(order="best")  # type: ignore[arg-type]


def test_scores_of_another_shape_are_refused_by_name():
    wrong = Method(name="flat", attribute=lambda model, inputs: inputs[:, 0])
    with pytest.raises((NotApplicable, MethodError), match="shaped like"):
        retrain(small.small_data(), [wrong], settings=small.small_settings(), controls=())
