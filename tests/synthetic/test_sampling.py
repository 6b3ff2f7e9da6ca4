"""What is drawn depends on the seed and on nothing else, in every world."""

from __future__ import annotations

import pytest
import torch

from synthetic import environment_ids, make_environment


def drawn(id: str, n: int, seed: int = 3):
    return make_environment(id).sample(n, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("id", environment_ids())
def test_the_first_rows_are_the_same_however_many_follow(id: str):
    few, many = drawn(id, 5), drawn(id, 64)
    for name in ("inputs", "target", "baseline", "feature_mask"):
        assert torch.equal(getattr(few, name), getattr(many, name)[:5]), name


@pytest.mark.parametrize("id", environment_ids())
def test_rows_are_what_the_types_say(id: str):
    world, batch = make_environment(id), drawn(id, 16)
    assert len(batch) == 16
    assert batch.inputs.dtype == batch.baseline.dtype == torch.float64
    assert batch.inputs.shape == batch.baseline.shape == batch.feature_mask.shape
    assert int(batch.target.min()) >= 0
    assert int(batch.target.max()) < world.outputs
    assert int(batch.feature_mask.max()) < batch.players
    nobody = batch.feature_mask < 0
    assert torch.equal(batch.inputs[nobody], batch.baseline[nobody])  # what is not a player cannot be removed
    assert not any(parameter.requires_grad for parameter in world.model.parameters())
    assert not world.model.training


@pytest.mark.parametrize("id", [id for id in environment_ids() if "witness" not in id])
def test_another_seed_draws_other_rows(id: str):
    assert not torch.equal(drawn(id, 64).inputs, drawn(id, 64, seed=4).inputs)


@pytest.mark.parametrize("id", environment_ids())
def test_drawing_leaves_the_global_generator_alone(id: str):
    before = torch.get_rng_state()
    drawn(id, 4).truth  # noqa: B018 - deriving the truth may draw nothing either
    assert torch.equal(before, torch.get_rng_state())
