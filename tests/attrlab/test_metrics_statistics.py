"""Means over rows, and how far they can be trusted."""

from __future__ import annotations

import math

import pytest
import torch

from attrlab.errors import InvalidInput
from attrlab.metrics.statistics import mean_and_interval


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_rows_without_a_value_are_left_out_and_counted():
    found = mean_and_interval(torch.tensor([1.0, math.nan, 3.0, math.nan]), generator=seeded())
    assert found.mean == pytest.approx(2.0, abs=1e-12)  # one sum and one division in float64
    assert found.rows == 2


def test_no_row_gives_nan():
    found = mean_and_interval(torch.full((3,), math.nan), generator=seeded())
    assert found.rows == 0
    assert math.isnan(found.mean)
    assert all(math.isnan(end) for end in found.interval)


def test_equal_rows_have_an_interval_of_no_width():
    found = mean_and_interval(torch.full((9,), 0.25), generator=seeded())
    assert found.interval == pytest.approx((0.25, 0.25), abs=1e-12)  # a mean of equal numbers in float64


def test_the_same_seed_gives_the_same_interval_and_the_global_generator_stays():
    values, state = torch.rand(50, generator=seeded(1)), torch.get_rng_state()
    assert mean_and_interval(values, generator=seeded()) == mean_and_interval(values, generator=seeded())
    assert torch.equal(torch.get_rng_state(), state)


def test_both_ends_stand_where_the_normal_theory_of_large_samples_says():
    values = torch.randn(400, generator=seeded(2), dtype=torch.float64)
    found = mean_and_interval(values, generator=seeded(3), draws=10_000)
    error = values.std().item() / math.sqrt(400)
    low, high = ((end - found.mean) / error for end in found.interval)
    # a 2.5 % quantile of 10,000 draws has a standard error of 0.03; the 5 % quantile would be 0.3 away
    assert low == pytest.approx(-1.96, abs=0.12)
    assert high == pytest.approx(1.96, abs=0.12)


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says():
    draws = torch.randn(300, 40, generator=seeded(4), dtype=torch.float64)
    hits = sum(low <= 0 <= high for low, high in (mean_and_interval(row, generator=seeded(5), draws=200).interval for row in draws))
    assert 0.89 < hits / 300 < 0.98  # 0.94 for 40 rows, with a binomial standard error of 0.014


@pytest.mark.parametrize(("values", "draws"), [(torch.zeros(2, 2), 10), (torch.zeros(2), 0)], ids=["two dimensions", "no draws"])
def test_what_cannot_be_averaged_is_refused(values, draws):
    with pytest.raises(InvalidInput, match=r"values must be \(rows,\) and draws positive"):
        mean_and_interval(values, generator=seeded(), draws=draws)
