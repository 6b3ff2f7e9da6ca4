"""Every world with classes can be learnt anew, real data come from packages and files, and what has no classes says so."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from attrlab.errors import InvalidInput, NotApplicable, UnknownName
from attrlab.retraining import Data, find_data, world
from attrlab.retraining.files import from_folder, from_npz
from attrlab.retraining.jobs import ROAR, Protocol, Scored, Unit, jobs_of
from attrlab.retraining.layout import stand_of
from attrlab.retraining.networks import fresh
from attrlab.retraining.settings import Settings, mask_network_for, network_for
from attrlab.retraining.views import view_of, whole
from synthetic import environment_ids

CANDIDATES = tuple(id for id in environment_ids() if not id.endswith("witness-v1"))


@functools.cache
def learnt(id: str) -> Data | str:
    """A world's rows, or why it has none."""
    try:
        return world(id, train=24, test=24)
    except (NotApplicable, InvalidInput) as reason:
        return str(reason)


@pytest.mark.parametrize("id", CANDIDATES)
def test_a_world_has_classes_that_its_network_tells_apart_or_says_why_not(id: str):
    data = learnt(id)
    if isinstance(data, str):
        assert any(words in data for words in ("has one class", "too few rows", "row of class"))
        return
    with torch.no_grad():
        outputs = data.model(data.train.inputs)
    if outputs.shape[1] > 1:
        assert torch.equal(data.train.labels, outputs.argmax(1))
        assert torch.equal(data.train.labels, data.train.target)
    else:
        assert outputs[data.train.labels == 1].min() > outputs[data.train.labels == 0].max()
    assert (len(data.train), len(data.test)) == (24, 24)
    rows = whole(stand_of(data, Settings()), 0)(torch.arange(5))
    assert fresh(network_for(data, None), 0)(rows[0]).shape == (5, data.classes)


def test_most_worlds_of_the_catalogue_can_be_retrained_on():
    assert sum(isinstance(learnt(id), Data) for id in CANDIDATES) >= 0.75 * len(CANDIDATES)


def test_a_world_of_one_answer_is_refused():
    with pytest.raises(NotApplicable, match="colour-or-v1 has one class"):
        world("colour-or-v1", train=20, test=20)


def test_an_unknown_world_is_refused_with_the_nearest():
    with pytest.raises(UnknownName, match="majority-v1"):
        find_data("majorty-v1")


@pytest.mark.parametrize(("name", "shape", "classes"), [("digits", (1, 8, 8), 10), ("breast-cancer", (30,), 2)])
def test_data_that_ship_with_scikit_learn_are_split_apart(name: str, shape: tuple[int, ...], classes: int):
    pytest.importorskip("sklearn")
    data = find_data(name)
    assert tuple(data.train.inputs.shape[1:]) == shape
    assert data.classes == classes
    assert data.chance < 0.65
    together = torch.cat([data.train.inputs, data.test.inputs]).flatten(1)
    assert len(together) == len(data.train) + len(data.test)


def test_without_scikit_learn_the_reason_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in sys.modules if name.startswith("sklearn")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(NotApplicable, match="pip install scikit-learn"):
        find_data("digits")


def test_a_file_is_read_with_its_own_baseline_and_players(tmp_path: Path):
    inputs, labels = np.arange(40.0).reshape(10, 4), np.arange(10) % 2
    np.savez(tmp_path / "own.npz", inputs=inputs, labels=labels, baseline=np.full(4, 7.0), feature_mask=np.array([0, 0, 1, -1]))
    data = from_npz(tmp_path / "own.npz")
    assert (data.name, data.players, data.modality) == ("own", 2, "table")
    assert torch.equal(data.train.baseline, torch.full_like(data.train.inputs, 7.0))
    assert data.train.feature_mask[0].tolist() == [0, 0, 1, -1]


def test_a_file_with_a_pickle_in_it_is_not_opened(tmp_path: Path):
    np.savez(tmp_path / "own.npz", inputs=np.array([{"a": 1}], dtype=object), labels=np.array([0]))
    with pytest.raises(InvalidInput, match="without pickles"):
        from_npz(tmp_path / "own.npz")


def test_a_file_that_lacks_labels_says_what_it_has(tmp_path: Path):
    np.savez(tmp_path / "own.npz", inputs=np.zeros((3, 2)), targets=np.zeros(3))
    with pytest.raises(InvalidInput, match=r"'labels' \(got inputs, targets\)"):
        from_npz(tmp_path / "own.npz")


def test_a_folder_has_one_folder_per_class(tmp_path: Path):
    for number, name in enumerate(("cat", "dog")):
        (tmp_path / name).mkdir()
        for row in range(6):
            np.save(tmp_path / name / f"{row}.npy", np.full((1, 2, 3), number + row / 10))
    data = from_folder(tmp_path)
    assert (data.modality, data.classes, data.players) == ("image", 2, 6)
    assert torch.equal(data.train.labels, (data.train.inputs[:, 0, 0, 0] >= 1).long())


def test_a_folder_without_classes_is_refused(tmp_path: Path):
    with pytest.raises(InvalidInput, match=r"a folder per class.*\(got 0 folders"):
        from_folder(tmp_path)


# --- what networks of graphs are shown --------------------------------------------------------------------------------


def graph_view(protocol: Protocol, *, id: str, scores: float, fraction: float, question: str = "rows"):
    """The first rows of a world of graphs when players leave."""
    data = world(id, train=16, test=16)
    stand = stand_of(data, Settings())
    ones = tuple(torch.full((16, data.players), scores, dtype=torch.float64) for _ in range(2))
    present = (data.train.present(data.players), data.test.present(data.players))
    scored = Scored(scores=(ones[0], ones[1]), present=present, live=present)
    job = jobs_of(["all alike"], [protocol], [fraction], 1)[0]
    unit = Unit(key="", question=question, job=job)  # type: ignore[arg-type]
    return data, view_of(stand, [unit], {"all alike": scored}, 0)(torch.arange(16))[0]


def left_of(data: Data, fraction: float) -> list[float]:
    """Entries of A that are left: both directions of each edge, of as many edges as the row has, less those removed, halves rounded up."""
    edges = [int((row[:, :8] != 0).sum()) // 2 for row in data.train.inputs]
    return [2.0 * (count - int(fraction * count + 0.5)) for count in edges]


def test_a_graph_keeps_its_isolated_nodes_or_loses_them_as_the_protocol_says():
    nodes = 8
    for isolated in ("kept", "dropped"):
        data, rows = graph_view(Protocol(isolated=isolated), id="edge-type-or-v1", scores=1.0, fraction=0.75)  # type: ignore[arg-type]
        edges, there = rows[..., :nodes], rows[..., -1]
        was = (data.train.inputs != 0).any(2)
        joined = edges.sum(2) > 0
        assert torch.equal(there == 1, was if isolated == "kept" else joined)
        assert torch.equal(edges, edges.mT)
        assert edges.sum((1, 2)).tolist() == left_of(data, 0.75)
        if isolated == "dropped":
            assert rows[..., nodes:][~joined].abs().sum() == 0


def test_a_node_that_leaves_takes_its_edges_and_colours_with_it():
    _, rows = graph_view(ROAR, id="neighbour-count-nodes-v1", scores=1.0, fraction=0.5)
    nodes = 7
    gone = rows[..., -1] == 0
    assert bool(gone.any())
    assert rows[gone].abs().sum() == 0
    assert rows[..., :nodes].mT[gone].abs().sum() == 0


def test_a_mask_shows_which_players_are_left_and_nothing_of_the_rows():
    data, rows = graph_view(ROAR, id="edge-type-or-v1", scores=1.0, fraction=0.5, question="mask")
    nodes = 8
    assert rows[..., nodes:-1].abs().sum() == 0
    assert rows[..., :nodes].sum((1, 2)).tolist() == left_of(data, 0.5)
    assert bool((rows[..., :nodes] <= data.train.inputs[..., :nodes]).all())


def test_masks_of_graphs_are_seen_by_shape_and_by_place():
    data = world("edge-type-or-v1", train=16, test=16)
    name = mask_network_for(data, network_for(data, None)).name
    assert "gin" in name
    assert "mlp" in name
