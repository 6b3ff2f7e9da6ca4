"""Student's distribution with whole degrees of freedom, against scipy and against its own definition."""

from __future__ import annotations

import math

import pytest
import torch

from attrlab.metrics.student import central_probability, mean_and_half_width, p_value, quantile


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 8, 29, 30])
@pytest.mark.parametrize("t", [0.0, 0.3, 1.0, 2.5, 40.0])
def test_the_central_probability_is_scipys(t: float, freedom: int):
    stats = pytest.importorskip("scipy.stats")
    # finite sums of at most 15 terms of order 1
    assert central_probability(t, freedom) == pytest.approx(1 - 2 * stats.t.sf(t, freedom), abs=1e-12)


def test_quantiles_are_those_of_the_tables():
    # Student's table of two-sided 95 % points
    for freedom, point in ((1, 12.706), (2, 4.303), (4, 2.776), (30, 2.042)):
        assert quantile(0.95, freedom) == pytest.approx(point, abs=5e-4)


def test_p_of_paired_differences_is_scipys(generator: torch.Generator):
    stats = pytest.importorskip("scipy.stats")
    drawn = torch.randn(7, generator=generator, dtype=torch.float64) + 0.5
    assert p_value(drawn.tolist()) == pytest.approx(stats.ttest_1samp(drawn.numpy(), 0.0).pvalue, abs=1e-12)


def test_intervals_cover_the_mean_as_often_as_they_say(generator: torch.Generator):
    samples = torch.randn(2000, 3, generator=generator, dtype=torch.float64)
    covered = sum(abs(mean) <= half for mean, half in (mean_and_half_width(sample.tolist()) for sample in samples))
    # 2000 draws of probability 0.95 have a standard deviation of 0.0049; 0.02 is four of them
    assert covered / 2000 == pytest.approx(0.95, abs=0.02)


def test_one_seed_has_no_interval_and_no_test():
    assert math.isnan(mean_and_half_width([0.5])[1])
    assert math.isnan(p_value([0.5]))


def test_equal_differences_are_certain_and_none_is_no_difference():
    assert [p_value([0.1, 0.1]), p_value([0.0, 0.0])] == [0.0, 1.0]
