"""A network that went through JSON computes what it computed, and nothing that a file says is run."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from attrlab.errors import InvalidInput
from attrlab.networks_as_data import module_as_data, module_of, tensor_as_data, tensor_of
from synthetic import environment_ids, make_environment


def through_json(module):
    return module_of(json.loads(json.dumps(module_as_data(module))))


@pytest.mark.parametrize("id", [id for id in environment_ids() if "witness" in id or id.endswith(("modulo-v1", "count-v1", "gate-v1"))])
def test_the_network_of_a_world_computes_the_same_after_json(id):
    world = make_environment(id)
    rows = world.sample(5, torch.Generator().manual_seed(0)).inputs
    assert torch.equal(through_json(world.model)(rows), world.model(rows))


def test_a_network_comes_back_in_eval_mode_without_gradients():
    found = through_json(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.ReLU()).double().train())
    assert not found.training
    assert not any(parameter.requires_grad for parameter in found.parameters())


@pytest.mark.parametrize("value", [torch.tensor([0.1, -1e300]), torch.tensor([[1, 2]]), torch.tensor([True, False]), torch.zeros(0, 3)])
def test_tensors_are_read_back_exactly(value):
    found = tensor_of(json.loads(json.dumps(tensor_as_data(value))))
    assert found.dtype == value.dtype
    assert torch.equal(found, value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"class": "os:system"}, "only layers of torch and of this laboratory"),
        ({"class": "torch.nn.modules.linear:nowhere"}, "AttributeError"),
        ({"class": "synthetic.environment:Environment", "attributes": {}}, "is no network layer"),
        ({"class": "torch.nn.modules.linear:Linear"}, "KeyError"),
        ({}, "KeyError"),
        (3, "TypeError"),
    ],
)
def test_what_is_no_network_is_refused(data, said):
    with pytest.raises(InvalidInput, match=said):
        module_of(data)


def test_a_layer_that_holds_a_function_is_refused_when_it_is_written():
    layer = nn.ReLU()
    layer.hidden = lambda x: x
    with pytest.raises(InvalidInput, match=r"numbers, texts, lists and tensors only \(got function in .*ReLU\.hidden\)"):
        module_as_data(layer)


@pytest.mark.parametrize("data", [{"dtype": "nowhere", "values": [], "shape": [0]}, {"dtype": "float64", "values": [1], "shape": [2]}, 3])
def test_what_is_no_tensor_is_refused(data):
    with pytest.raises(InvalidInput, match="this is no tensor as data"):
        tensor_of(data)
