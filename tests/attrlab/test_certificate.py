"""A certificate is checked again from its numbers alone; one that was changed, is stale, or states what is not true is told apart."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from attrlab.axioms import AXIOMS
from attrlab.case import Case
from attrlab.certificate import certificate, read, replay, write
from attrlab.errors import InvalidInput
from attrlab.judge import examine
from attrlab.registry import find_method
from attrlab.study import prepare
from synthetic.families import dense, symmetric, threshold_pair

GRADIENT = find_method("gradient")


def case_of(network, inputs, baseline, **known):
    rows = torch.tensor(inputs, dtype=torch.float64)
    return Case(
        name="by-hand",
        formula=network.formula,
        model=network.model,
        inputs=rows,
        target=torch.zeros(len(rows), dtype=torch.int64),
        baseline=torch.tensor(baseline, dtype=torch.float64).expand_as(rows),
        feature_mask=torch.arange(rows.shape[1]).expand_as(rows),
        players=rows.shape[1],
        **known,
    )


SATURATED = case_of(dense([([[-1]], [1]), ([[-1]], [1])]), [[2.0], [0.5]], [0.0])  # 1 - relu(1 - x)


def written(case, axiom, method=GRADIENT, **stage):
    found = examine(method, AXIOMS[axiom], case, tolerance=1e-9)
    assert found.judgement == "refuted"
    return certificate(method, axiom, case, found, seed=0, **stage)


def saved(tmp_path, text):
    (tmp_path / "found.json").write_text(text)
    return read(tmp_path / "found.json")


def resealed(data):
    """A certificate whose digest was made to fit after it was changed."""
    body = {key: value for key, value in data.items() if key != "digest"}
    return json.dumps({**body, "digest": hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()})


def test_a_violation_stands_when_it_is_measured_again(tmp_path):
    write(tmp_path / "all.json", [written(SATURATED, "completeness")])
    (found,) = read(tmp_path / "all.json")
    again = replay(found, GRADIENT)
    assert again.stands
    assert again.measured == again.recorded == 1.0
    assert again.sentence.startswith("the violation stands: gradient, completeness: 1, recorded 1")


def test_a_violation_does_not_stand_once_the_method_is_repaired(tmp_path):
    (found,) = saved(tmp_path, written(SATURATED, "completeness"))
    again = replay(found, find_method("exact_integrated_gradients"))
    assert not again.stands
    assert "the violation does not stand" in again.sentence


@pytest.mark.parametrize("name", ["deeplift", "deeplift_rescale"])
def test_two_networks_travel_with_a_refutation_of_implementation_invariance(name, tmp_path):
    pair = threshold_pair(([1, 0], 0), 1, [(1, ([0, 1], 0))])
    method = find_method(name)
    text = written(case_of(pair, [[3.0, 1.0]], [0.0, 0.0], others=pair.equal), "implementation_invariance", method)
    (found,) = saved(tmp_path, text)
    assert replay(found, method).stands


def test_a_refutation_on_a_named_world_is_drawn_again(tmp_path):
    stage = prepare("saturation-witness-v1", rows=4, seed=3)
    text = written(stage.case, "completeness", stage=("saturation-witness-v1", 4, 3))
    assert replay(*saved(tmp_path, text), GRADIENT).stands
    assert "network" not in json.loads(text)["case"]


@pytest.mark.parametrize("change", [{"axiom": "symmetry"}, {"measured": 5.0}, {"tolerance": 1e-3}, {"digest": "0"}])
def test_a_certificate_that_was_changed_is_told_from_a_genuine_one(change, tmp_path):
    data = {**json.loads(written(SATURATED, "completeness")), **change}
    with pytest.raises(InvalidInput, match="was changed after it was written: its digest is not that of its content"):
        saved(tmp_path, json.dumps(data))


def test_what_was_changed_and_sealed_again_is_measured_and_not_believed(tmp_path):
    data = json.loads(written(SATURATED, "completeness"))
    rows = data["case"]["tensors"]
    rows["inputs"]["values"], rows["baseline"]["values"] = [0.5, 0.25], [-0.5, -0.75]  # f rises by 1 there, and so says its slope of 1
    (found,) = saved(tmp_path, resealed(data))
    assert not replay(found, GRADIENT).stands


def test_a_world_that_no_longer_draws_these_rows_makes_a_certificate_stale(tmp_path):
    stage = prepare("saturation-witness-v1", rows=4, seed=3)
    data = json.loads(written(stage.case, "completeness", stage=("saturation-witness-v1", 4, 3)))
    data["case"]["inputs"]["values"][0] += 1.0
    (found,) = saved(tmp_path, resealed(data))
    with pytest.raises(InvalidInput, match="stale: saturation-witness-v1 no longer draws the rows"):
        replay(found, GRADIENT)


def test_networks_that_are_not_equal_do_not_refute_implementation_invariance(tmp_path):
    pair = threshold_pair(([1, 0], 0), 1, [(1, ([0, 1], 0))])
    other = dense([([[1, 0]], [0]), ([[2]], [0])]).model
    text = written(case_of(pair, [[3.0, 1.0]], [0.0, 0.0], others={"another": other}), "implementation_invariance")
    (found,) = saved(tmp_path, text)
    with pytest.raises(InvalidInput, match="states what is not true: another computes the same function"):
        replay(found, GRADIENT)


def test_a_function_that_is_not_symmetric_does_not_refute_symmetry(tmp_path):
    lopsided = dense([([[1, 2]], [0]), ([[1]], [0])])
    case = case_of(lopsided, [[1.0, 1.0]], [0.0, 0.0], orbit=torch.tensor([[0, 0]]))
    (found,) = saved(tmp_path, written(case, "symmetry"))
    with pytest.raises(InvalidInput, match="the function is symmetric in the players of an orbit"):
        replay(found, GRADIENT)
    fair = symmetric([([[1, 2]], [0]), ([[1]], [0])])
    assert examine(GRADIENT, AXIOMS["symmetry"], case_of(fair, [[1.0, 1.0]], [0.0, 0.0], orbit=case.orbit), tolerance=1e-9).measured == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not a certificate: it is no JSON"),
        ("[]", "holds no certificate"),
        ("{}", r"its format must be 'attrlab certificate 1' \(got None\)"),
        ("[3]", r"its format must be 'attrlab certificate 1' \(got 'int'\)"),
    ],
)
def test_what_is_no_certificate_is_refused(text, said, tmp_path):
    with pytest.raises(InvalidInput, match=said):
        saved(tmp_path, text)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="cannot be read: No such file"):
        read(tmp_path / "nowhere.json")


def test_a_certificate_without_its_rows_is_incomplete(tmp_path):
    data = json.loads(written(SATURATED, "completeness"))
    del data["case"]["tensors"]["inputs"]
    (found,) = saved(tmp_path, resealed(data))
    with pytest.raises(InvalidInput, match="the certificate is incomplete"):
        replay(found, GRADIENT)


def test_a_network_of_a_foreign_class_is_not_written_as_data():
    class Foreign(nn.Module):
        def forward(self, inputs):
            return inputs.sum(1, keepdim=True).clamp(max=1)

    with pytest.raises(InvalidInput, match="only layers of torch and of this laboratory"):
        written(replace(SATURATED, model=Foreign()), "completeness")
