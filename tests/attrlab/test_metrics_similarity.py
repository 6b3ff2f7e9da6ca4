"""Similarities of maps equal scipy and window-by-window twins, are 1 for equal maps, and do not depend on the batch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from attrlab.errors import NotApplicable
from attrlab.metrics.similarity import histograms, hog_similarity, signed_as, spearman, ssim
from tests import reference_metrics

CLOSE = 1e-9  # sums of up to 100 float64 products of order one, divided by variances of order 0.1


def maps(seed, rows=3, side=9):
    return torch.randn(rows, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_ssim_is_the_mean_over_windows(seed):
    one, two = maps(seed), maps(seed + 1)
    expected = [reference_metrics.ssim(a.numpy(), b.numpy()) for a, b in zip(one, two, strict=True)]
    assert ssim(one, two).tolist() == pytest.approx(expected, abs=CLOSE)


@pytest.mark.parametrize("alike", [ssim, hog_similarity])
def test_equal_maps_are_alike_up_to_a_positive_unit_and_mirrored_together(alike):
    one, two = maps(0), maps(1)
    assert alike(one, 4 * one).tolist() == pytest.approx([1] * 3, abs=CLOSE)
    torch.testing.assert_close(alike(one.flip(2), two.flip(2)), alike(one, two), atol=CLOSE, rtol=0)
    torch.testing.assert_close(torch.cat([alike(a[None], b[None]) for a, b in zip(one, two, strict=True)]), alike(one, two))
    assert (alike(one, two) < 0.9).all()


@pytest.mark.parametrize("alike", [ssim, hog_similarity])
def test_maps_of_zeros_or_of_what_is_not_finite_have_no_similarity(alike):
    one = maps(0)
    one[0], one[1, 0, 0] = 0, torch.nan
    assert alike(one, maps(1)).isnan().tolist() == [True, True, False]


def test_maps_smaller_than_a_window_are_refused():
    with pytest.raises(NotApplicable, match="5 x 5"):
        ssim(maps(0, side=4), maps(1, side=4))
    with pytest.raises(NotApplicable, match="4 x 4"):
        hog_similarity(maps(0, side=3), maps(1, side=3), cell=4)


def test_a_ramp_votes_for_one_orientation():
    ramp = torch.arange(9.0, dtype=torch.float64).expand(1, 9, 9)  # rises to the right: angle 0, the first of nine bins
    found = histograms(ramp, 3).view(9, 9)  # nine bins, nine cells of one block
    assert (found[1:] == 0).all()
    assert (found[0] > 0).all()


@given(seed=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_spearman_is_scipys_over_present_players(seed):
    generator = torch.Generator().manual_seed(seed)
    one, two = (torch.randint(-3, 4, (3, 7), generator=generator).double() for _ in range(2))
    present = torch.arange(7) < torch.tensor([[7], [5], [4]])
    for sign in ("signed", "positive", "absolute"):
        found = spearman(one, two, present, sign=sign)
        for row in range(3):
            a, b = (signed_as(s[row][present[row]], sign) for s in (one, two))
            if len(set(a.tolist())) < 2 or len(set(b.tolist())) < 2:
                assert found[row].isnan()
            else:
                assert found[row].item() == pytest.approx(spearmanr(a.numpy(), b.numpy()).statistic, abs=CLOSE)
