"""Deletion and insertion on designed worlds have closed forms: sorted effects, straight lines down to nothing, and saw teeth."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from attrlab.metrics import METRICS
from attrlab.metrics.orders import mean_curve
from attrlab.study import CONVENTION, prepare

CLOSE = 1e-9  # sums of at most 81 float64 terms of order one
COUNTING = ("colour-count-v1", "edge-types-v1", "neighbour-count-v1", "bag-of-instances-sum-v1")


def asked(id, rows=5):
    stage = prepare(id, rows=rows)
    return stage, stage.batch.truth.attributions[CONVENTION]


def area(values):
    """The trapezoid over equal steps of a curve of 0 to 1."""
    return (values[1:] + values[:-1]).sum() / 2 / (len(values) - 1)


def test_on_the_linear_world_the_curve_is_the_sum_of_the_effects_that_are_left_in_their_order():
    stage, truth = asked("linear-v1")
    effects = stage.batch.inputs.numpy() * np.array([1, -2, 0.5, 1, 3, 0])  # f(x) = x1 - 2 x2 + 0.5 x3 + x4 + 3 x5, of six columns
    for mode, order in (("deletion", "deletion_logit"), ("insertion", "insertion_logit")):
        found, areas = mean_curve(stage.game, truth, mode=mode).value, METRICS[order].measure(stage.game, truth)
        for row in range(len(truth)):
            ranked = np.sort(effects[row])[::-1]
            gone = np.concatenate([[0], ranked.cumsum()])
            expected = effects[row].sum() - gone if mode == "deletion" else gone
            assert found[row].tolist() == pytest.approx(expected.tolist(), abs=CLOSE)
            assert areas[row].item() == pytest.approx(area(expected), abs=CLOSE)


@pytest.mark.parametrize("id", COUNTING)
def test_on_a_counting_world_the_truth_falls_straight_to_nothing_and_its_area_is_half_of_the_share_that_counts(id):
    stage, truth = asked(id)
    count, players = stage.batch.truth.support.sum(1).double(), stage.game.present.sum(1).double()
    assert torch.equal(truth, stage.batch.truth.support.double())  # each of them is worth one
    values = mean_curve(stage.game, truth).value
    for row in range(len(truth)):
        expected = (count[row] - torch.arange(int(players[row]) + 1)).clamp(min=0)
        assert values[row, : len(expected)].tolist() == pytest.approx(expected.tolist(), abs=CLOSE)
    share = count / players / 2
    torch.testing.assert_close(METRICS["deletion"].measure(stage.game, truth), share, atol=CLOSE, rtol=0)
    torch.testing.assert_close(METRICS["insertion"].measure(stage.game, truth), 1 - share, atol=CLOSE, rtol=0)
    flat = torch.ones_like(truth)  # the mean over all orders is a straight line from everything to nothing
    assert METRICS["deletion"].measure(stage.game, flat).tolist() == pytest.approx([0.5] * len(truth), abs=CLOSE)


@pytest.mark.parametrize("id", ["colour-modulo-v1", "modulo-v1"])
def test_on_a_modulo_world_the_curve_is_a_saw(id):
    stage, truth = asked(id, rows=12)
    support = stage.batch.truth.support
    modulus = stage.environment.knobs.get("modulus", stage.environment.knobs.get("m"))
    values, teeth = mean_curve(stage.game, truth).value, 0
    for row in range(len(truth)):
        n = int((truth[row] != 0).sum())
        if n == 0:
            continue  # a multiple of the modulus: every pixel is worth 0, and the truth states no order
        assert n == int(support[row].sum())
        assert truth[row][truth[row] != 0].tolist() == pytest.approx([n % modulus / n] * n, abs=CLOSE)
        expected = [(n - k) % modulus if k < n else 0 for k in range(values.shape[1])]
        assert values[row].tolist() == pytest.approx(expected, abs=CLOSE)
        teeth += sum(a < b for a, b in pairwise(expected))
    assert teeth > 0  # the output rises while what it is made of is taken away
