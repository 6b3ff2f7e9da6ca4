"""An evaluation that reads the truth is reliable, one that reads nothing is not, and Kendall's correlation is scipy's."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from attrlab.errors import InvalidInput
from attrlab.metrics import METRICS
from attrlab.metrics.reliability import RUNGS, inverted, kendall, ladder, noise_like, reliability
from attrlab.registry import find_method
from attrlab.study import judge_of_metric, prepare

CLOSE = 1e-12  # one division of small integers


def truth_of(seed=0):
    return torch.randn(6, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def judged(measure, **options):
    options = {"direction": "higher", "truth": truth_of(), "generator": torch.Generator().manual_seed(0), **options}
    return reliability(measure, **options)


@given(values=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=9))
@settings(max_examples=40, deadline=None)
def test_kendall_is_scipys_tau_b(values):
    first, second = zip(*values, strict=True)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert math.isnan(kendall(first, second))
    else:
        assert kendall(first, second) == pytest.approx(kendalltau(first, second).statistic, abs=CLOSE)
        assert kendall((*first, math.nan), (*second, 9)) == pytest.approx(kendall(first, second), abs=CLOSE)


def test_a_metric_that_reads_the_truth_is_reliable_in_either_direction():
    truth = truth_of()
    methods = [(truth + w * noise_like(truth, 7), -w) for w in (0.0, 0.3, 1.0, 5.0)]
    for direction, sign in (("higher", -1), ("lower", 1)):
        found = judged(lambda s, sign=sign: sign * (s - truth).square().sum(1), direction=direction, methods=methods)
        assert found.truth_above_random.interval[0] > 0
        assert found.random_above_inverted.interval[0] > 0
        assert found.kendall == pytest.approx(1, abs=CLOSE)
        assert found.ladder == pytest.approx(1, abs=CLOSE)


def test_a_metric_that_reads_nothing_separates_nothing():
    found = judged(lambda s: torch.zeros(len(s), dtype=torch.float64))
    assert found.truth_above_random.interval == (0.0, 0.0)
    assert math.isnan(found.ladder)
    assert math.isnan(found.kendall)


def test_a_metric_that_reads_the_opposite_is_found_out():
    found = judged(lambda s: (s - truth_of()).square().sum(1))
    assert found.truth_above_random.interval[1] < 0
    assert found.ladder == pytest.approx(-1, abs=CLOSE)


def test_by_magnitudes_the_inverted_truth_turns_the_order_of_sizes():
    truth = truth_of()
    order = truth.abs().argsort(1)
    assert torch.equal(inverted(truth, magnitudes=True).argsort(1), order.flip(1))
    assert torch.equal(inverted(truth), -truth)


def test_the_ladder_leads_from_the_truth_to_noise_of_its_size():
    truth = truth_of()
    rungs = ladder(truth)
    assert len(rungs) == len(RUNGS)
    assert torch.equal(rungs[0], truth)
    assert (rungs[-1].abs() <= truth.abs().amax(1, keepdim=True)).all()
    errors = [float((rung - truth).norm()) for rung in rungs]
    assert errors == sorted(errors)


def test_a_row_has_the_same_noise_whatever_its_batch():
    truth = truth_of()
    assert torch.equal(noise_like(truth, 2)[:3], noise_like(truth[:3], 2))


def test_an_unknown_direction_is_refused():
    with pytest.raises(InvalidInput, match="'higher' or 'lower'"):
        judged(lambda s: s.sum(1), direction="up")


def test_on_a_linear_world_deletion_is_reliable_and_on_parity_it_is_less_so():
    metric = METRICS["deletion"]
    methods = [find_method(name) for name in ("occlusion", "random", "constant", "gradient")]
    found = judge_of_metric(metric, prepare("linear-v1", rows=6), methods=methods)
    assert found.truth_above_random.interval[0] > 0
    assert found.ladder > 0.8
    assert found.kendall > 0
    parity = judge_of_metric(metric, prepare("parity-v1", rows=6))
    assert parity.truth_above_random.mean < found.truth_above_random.mean


def test_metrics_that_call_the_method_again_are_not_functions_of_scores():
    with pytest.raises(InvalidInput, match="not a function of scores alone"):
        judge_of_metric(METRICS["max_sensitivity"], prepare("linear-v1", rows=2))
