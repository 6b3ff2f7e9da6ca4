"""The witness of positions: one pixel decides, and an equal network holds it at another place of its map."""

import itertools

import pytest
import torch

from synthetic import make_environment


@pytest.fixture
def world():
    return make_environment("positions-witness-v1")


def test_the_network_and_its_equal_are_the_first_pixel_everywhere(world):
    images = torch.tensor(list(itertools.product((-2.0, 0.0, 0.5, 3.0), repeat=2)), dtype=torch.float64).view(-1, 1, 1, 2)
    expected = torch.from_numpy(world.specification(images.numpy()))
    assert torch.equal(expected, images[:, 0, 0, :1])
    for network in (world.model, world.equals["shifted"]):
        assert torch.equal(network(images), expected)  # weights are 0 and 1: exact, no tolerance


def test_the_equal_network_holds_the_first_pixel_at_the_second_position(world):
    image = torch.tensor([[[[5.0, 7.0]]]], dtype=torch.float64)
    assert world.model[0](image).flatten().tolist() == [5.0, 7.0]
    assert world.equals["shifted"][0](image).flatten().tolist() == [0.0, 5.0]


def test_every_convention_gives_the_output_to_the_first_pixel(world):
    batch = world.sample(3, torch.Generator())
    assert batch.inputs.flatten(1).tolist() == [[1.0, 1.0], [3.0, 1.0], [1.0, 1.0]]
    for player in range(2):  # the second derivation: what is lost without the pixel, which for an additive function is all it adds
        without = torch.where(batch.feature_mask == player, batch.baseline, batch.inputs)
        lost = (world.model(batch.inputs) - world.model(without))[:, 0]
        for scores in batch.truth.attributions.values():
            assert torch.equal(scores[:, player], lost)
        assert torch.equal(batch.truth.support[:, player], lost != 0)
        assert bool((batch.truth.independent[:, player] == (lost == 0)).all())
