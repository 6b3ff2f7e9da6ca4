"""The controls are what they say: noise, a constant, the truth, and the truth upside down."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from attrlab.method import players_of
from attrlab.methods.controls import constant, inverted_truth, random, truth
from attrlab.registry import find_method

MODEL = nn.Identity()
MASK = torch.tensor([[[0, 0], [1, 2]], [[0, -1], [1, -1]]])  # the second row has two players, of one entry each
INPUTS = torch.zeros(2, 2, 2, dtype=torch.float64)
TRUTH = torch.tensor([[4.0, -1.0, 0.0], [0.5, 2.0, 0.0]], dtype=torch.float64)


def test_noise_has_a_row_s_own_stream_and_stays_within_one():
    scores = random(MODEL, torch.zeros(2, 30, 40), seeds=torch.tensor([5, 6]))
    assert scores.shape == (2, 30, 40)
    assert scores.dtype == torch.float32
    assert scores.min() >= -1
    assert scores.max() < 1
    assert abs(float(scores.mean())) < 5 / (3 * 2400) ** 0.5  # five standard errors of a uniform on [-1, 1)
    assert torch.equal(random(MODEL, torch.zeros(1, 30, 40), seeds=torch.tensor([6])), scores[1:])


def test_the_constant_scores_every_entry_alike():
    assert torch.equal(constant(MODEL, INPUTS), torch.ones_like(INPUTS))


def test_the_truth_of_each_player_is_the_sum_over_its_entries():
    scores = truth(MODEL, INPUTS, feature_mask=MASK, truth=TRUTH)
    assert scores[0].tolist() == [[2.0, 2.0], [-1.0, 0.0]]
    assert scores[1].tolist() == [[0.5, 0.0], [2.0, 0.0]]
    assert torch.equal(players_of(scores, MASK, 3), TRUTH)


def test_upside_down_null_players_come_first_and_the_largest_last():
    scores = inverted_truth(MODEL, INPUTS, feature_mask=MASK, truth=TRUTH)
    assert players_of(scores, MASK, 3).tolist() == [[0.0, 3.0, 4.0], [1.5, 0.0, 0.0]]  # the third player of row 1 has no entry


@pytest.mark.parametrize("control", [truth, inverted_truth])
def test_the_truth_takes_the_dtype_of_the_inputs(control):
    assert control(MODEL, INPUTS.float(), feature_mask=MASK, truth=TRUTH).dtype == torch.float32


@pytest.mark.parametrize("name", ["random", "constant", "truth", "inverted_truth"])
def test_controls_are_registered_as_such(name):
    assert find_method(name).control
