"""Means over rows, and how far they can be trusted."""

from __future__ import annotations

import math

import pytest
import torch

from attrlab.errors import InvalidInput
from attrlab.metrics.statistics import mean_and_interval, means_and_intervals, paired_difference, ranks


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


def test_a_paired_difference_is_certain_where_unpaired_means_are_not():
    hard = torch.linspace(0, 10, 12, dtype=torch.float64)
    better, worse = hard + 0.1, hard
    alone = [mean_and_interval(values, generator=seeded()) for values in (better, worse)]
    assert alone[0].interval[0] < alone[1].interval[1]
    found = paired_difference(better, worse, generator=seeded())
    assert found.interval == pytest.approx((0.1, 0.1), abs=1e-12)  # twelve equal differences in float64
    with pytest.raises(InvalidInput, match="same rows"):
        paired_difference(better, worse[:3], generator=seeded())


def test_ranks_are_shared_where_a_difference_could_be_chance():
    noise = torch.randn(2, 12, generator=seeded(1), dtype=torch.float64)
    base = torch.linspace(0, 10, 12, dtype=torch.float64)
    values = torch.stack([base, base + 1, base + noise[0] * 0.1 - noise[0].mean() * 0.1, torch.full_like(base, math.nan)])
    found = ranks(values, direction="higher", generator=seeded())
    assert found[:3].tolist() == [2, 1, 2]
    assert math.isnan(found[3])
    assert ranks(values[:3], direction="lower", generator=seeded()).tolist() == [1, 3, 1]


def test_equal_methods_share_the_first_rank_and_order_of_methods_does_not_count():
    values = torch.rand(5, 9, generator=seeded(2), dtype=torch.float64)
    values[3] = values[1]
    found = ranks(values, direction="higher", generator=seeded())
    assert found[3] == found[1]
    order = torch.tensor([4, 2, 0, 1, 3])
    assert ranks(values[order], direction="higher", generator=seeded()).tolist() == found[order].tolist()


def test_rows_undefined_for_one_method_are_left_out_of_its_pairs_only():
    values = torch.tensor([[1.0, 2.0, math.nan, math.nan], [0.5, 1.5, 9.0, 9.0], [0.0, 1.0, 8.0, 8.0]], dtype=torch.float64)
    assert ranks(values, direction="higher", generator=seeded()).tolist() == [1, 2, 3]


def test_bad_shapes_and_directions_are_refused():
    for values, direction in ((torch.zeros(3), "higher"), (torch.zeros(2, 3), "up")):
        with pytest.raises(InvalidInput, match="values must be"):
            ranks(values, direction=direction, generator=seeded())


def test_many_series_are_summarised_as_each_would_be_alone():
    values = torch.rand(6, 10, generator=seeded(3), dtype=torch.float64)
    values[1, 2:], values[2, 4], values[4, 4], values[5] = math.nan, math.nan, math.nan, math.nan
    for series, found in zip(values, means_and_intervals(values, seed=5), strict=True):
        alone = mean_and_interval(series, generator=seeded(5))
        assert found.rows == alone.rows
        assert (found.mean, *found.interval) == pytest.approx((alone.mean, *alone.interval), abs=1e-12, nan_ok=True)  # the same sums
    assert means_and_intervals(torch.zeros(0, 4), seed=0) == []
    with pytest.raises(InvalidInput, match="series, rows"):
        means_and_intervals(torch.zeros(4), seed=0)
