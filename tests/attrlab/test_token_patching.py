"""Tokens scored by patching: occlusion at the inputs and at a linear embedding; at a deep layer a position is no longer its token."""

from __future__ import annotations

import pytest
import torch

from attrlab.method import players_of
from attrlab.methods.attention_relevance import relevance_patching_rules
from attrlab.methods.coalitions import occlusion
from attrlab.methods.gradients import gradient
from attrlab.methods.interception import propagate
from attrlab.methods.token_patching import activation_patching, attribution_patching, relp
from tests.attrlab.patched_rows import DIRECTIONS, batch_of, drawn
from tests.reference_sequences import Block

EXACT = {"rtol": 1e-9, "atol": 1e-9}  # float64 rounding over a few hundred terms


@pytest.mark.parametrize("id", ["lookup-v1", "decoy-head-v1", "bag-of-patches-v1"])
def test_at_the_inputs_noising_is_occlusion_and_denoising_adds_one_player(id):
    environment, batch = batch_of(id)
    given = {"target": batch.target, "baseline": batch.baseline, "feature_mask": batch.feature_mask}
    torch.testing.assert_close(
        activation_patching(environment.model, batch.inputs, **given), occlusion(environment.model, batch.inputs, **given), **EXACT
    )
    found = activation_patching(environment.model, batch.inputs, direction="denoising", **given)
    found = players_of(found, batch.feature_mask, batch.players)
    rows = torch.arange(len(batch))
    for player in range(batch.players):
        alone = torch.where(batch.feature_mask == player, batch.inputs, batch.baseline)
        expected = (environment.model(alone) - environment.model(batch.baseline))[rows, batch.target]
        torch.testing.assert_close(found[:, player], expected, **EXACT)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_at_the_inputs_predictions_are_the_difference_times_the_slope_or_the_coefficient(direction, generator):
    model, inputs, baseline = Block(generator), drawn(generator, 4, 5, 3), drawn(generator, 4, 5, 3)
    target, mask = torch.tensor([0, 1, 1, 0]), torch.arange(5).view(1, 5, 1).expand(4, 5, 3)
    given = {"target": target, "baseline": baseline, "feature_mask": mask, "direction": direction}
    into = inputs if direction == "noising" else baseline
    torch.testing.assert_close(
        attribution_patching(model, inputs, **given), (inputs - baseline) * gradient(model, into, target=target), **EXACT
    )
    signal = propagate(model, into, target=target, rules=relevance_patching_rules()).signal
    torch.testing.assert_close(relp(model, inputs, **given), (inputs - baseline) * signal, **EXACT)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_at_a_linear_embedding_tokens_get_what_they_get_at_the_inputs(direction):
    environment, batch = batch_of("copy-induction-v1")
    given = {"target": batch.target, "baseline": batch.baseline, "feature_mask": batch.feature_mask, "direction": direction}
    for method in (activation_patching, attribution_patching, relp):
        here, there = (
            players_of(method(environment.model, batch.inputs, layer=layer, **given), batch.feature_mask, batch.players)
            for layer in (None, "embed")
        )
        torch.testing.assert_close(here, there, **EXACT)


def test_at_a_deep_layer_a_position_no_longer_is_its_token():
    """After the previous-token head the place of the successor holds both tokens, so where the current token stood before is not needed."""
    environment, batch = batch_of("copy-induction-v1", occurrences=1)
    given = {"target": batch.target, "baseline": batch.baseline, "feature_mask": batch.feature_mask}
    token = batch.inputs[..., 1:6].argmax(2)
    stood = token[:, :-1] == token[:, -1:]
    for layer, kept in ((None, 1.0), ("residual", 0.0)):
        found = players_of(activation_patching(environment.model, batch.inputs, layer=layer, **given), batch.feature_mask, 7)
        for place, effect in ((found[:, :-1][stood], kept), (found[:, 1:][stood], 1.0), (found[:, -1], 1.0)):
            torch.testing.assert_close(place, torch.full((30,), effect, dtype=torch.float64), **EXACT)


WORLDS = {
    # what the tokens of the first worlds get by removal (activation patching), and the shares they have (Shapley)
    "lookup-v1": ({}, {1.0: 2}, {0.5: 2}),
    "copy-induction-v1": ({}, {1.0: 1}, {0.4667: 1, 0.1333: 4}),
    "two-hop-recall-v1": ({}, {1.0: 1}, {0.4667: 1, 0.1333: 4}),
    "decoy-head-v1": ({}, {}, {0.5: 2}),
}


@pytest.mark.parametrize("id", WORLDS)
def test_activation_patching_misses_what_is_redundant_and_predictions_miss_everything_on_flat_worlds(id):
    knobs, removed, shares = WORLDS[id]
    environment, batch = batch_of(id, **knobs)
    given = {"target": batch.target, "baseline": batch.baseline, "feature_mask": batch.feature_mask}

    def counted(scores):
        return [{value: row.tolist().count(value) for value in set(row.tolist()) - {0.0}} for row in (scores * 1e4).round() / 1e4]

    found = players_of(activation_patching(environment.model, batch.inputs, **given), batch.feature_mask, batch.players)
    assert counted(found) == [removed] * len(batch)
    assert counted(batch.truth.attributions["shapley"]) == [shares] * len(batch)
    assert not attribution_patching(environment.model, batch.inputs, **given).any()
    assert not relp(environment.model, batch.inputs, **given).any()


# How it behaves.
