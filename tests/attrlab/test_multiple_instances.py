"""Multiple instances: positions are instances, attention names the patch, and methods through the pooled network name its pixels."""

from __future__ import annotations

import doctest

import pytest
import torch

import attrlab.methods.multiple_instances
from attrlab.errors import NotApplicable
from attrlab.method import players_of
from attrlab.methods.attention import raw_attention
from attrlab.methods.bottlenecks import regression_iba
from attrlab.methods.class_activation import grad_cam
from attrlab.methods.igos import igos_plus_plus
from attrlab.methods.multiple_instances import over_instances
from synthetic import make_environment


def slides(rows=12):
    world = make_environment("bag-of-patches-v1")
    batch = world.sample(rows, torch.Generator().manual_seed(0))
    positive = batch.truth.support.any(1)
    known = world.sample(64, torch.Generator().manual_seed(1)).inputs
    return world.model, batch, positive, known


def hits(scores, batch, positive):
    """The share of positive slides in which the highest score is that of a player with an effect."""
    players = players_of(scores, batch.feature_mask, batch.truth.support.shape[1])[positive]
    return float(batch.truth.support[positive].gather(1, players.argmax(1, keepdim=True)).double().mean())


def test_on_rows_that_are_bags_of_rows_already_nothing_changes():
    world = make_environment("bag-of-instances-v1")
    batch = world.sample(4, torch.Generator().manual_seed(0))
    offers = {"target": batch.target, "feature_mask": batch.feature_mask}
    wrapped = over_instances(grad_cam)(world.model, batch.inputs, **offers)
    torch.testing.assert_close(wrapped, grad_cam(world.model, batch.inputs, **offers), atol=0, rtol=0)


def test_a_bottleneck_before_the_pool_has_its_bits_in_the_patch_that_shows_the_shape():
    model, batch, positive, known = slides()
    offers = {"target": batch.target, "feature_mask": batch.feature_mask, "seeds": torch.arange(12), "reference": known}
    bits = over_instances(regression_iba)(model, batch.inputs, **offers, beta=0.1).flatten(2).sum(2)[positive]
    patch = batch.truth.support.view(12, 4, 9).any(2)[positive]
    assert float(patch.gather(1, bits.argmax(1, keepdim=True)).double().mean()) == 1.0


def test_attention_names_the_patch_and_a_mask_through_the_pool_names_its_pixels():
    model, batch, positive, _ = slides()
    attention = raw_attention(model, batch.inputs, feature_mask=batch.feature_mask)
    inside = attention[positive].flatten(2)
    assert float((inside.amax(2) - inside.amin(2)).max()) == pytest.approx(0)  # one weight for all pixels of a patch
    offers = {"target": batch.target, "baseline": batch.baseline, "feature_mask": batch.feature_mask, "seeds": torch.arange(12)}
    assert hits(igos_plus_plus(model, batch.inputs, **offers), batch, positive) == 1.0


def test_a_module_of_the_network_is_called_by_its_own_path():
    model, batch, _, known = slides(3)
    offers = {"target": batch.target, "feature_mask": batch.feature_mask, "seeds": torch.arange(3), "reference": known}
    found = over_instances(regression_iba)(model, batch.inputs, **offers, layer="detector", steps=1)
    assert found.shape == batch.inputs.shape


def test_a_row_that_is_no_bag_is_refused():
    with pytest.raises(NotApplicable, match="instances"):
        over_instances(grad_cam)(lambda x: x, torch.ones(2, 3), target=torch.zeros(2).long(), feature_mask=None)


def test_examples_run():
    assert doctest.testmod(attrlab.methods.multiple_instances).failed == 0
