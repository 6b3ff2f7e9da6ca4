"""A row's noise is SplitMix64 of its own seed, so it depends on nothing else, and it is uniform."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attrlab.randomness import row_uniform
from tests.reference_gradients import mix64, splitmix64, unmix64

GOLDEN = 0x9E3779B97F4A7C15


def signed(value):
    """The 64 bits of an unsigned number, as int64 holds them."""
    return value - 2**64 if value >= 2**63 else value


@given(seed=st.integers(-(2**63), 2**63 - 1))
@settings(deadline=None)  # machines differ in speed, and speed is not the claim
def test_a_stream_is_splitmix64_from_the_mixed_seed(seed):
    found = row_uniform(torch.tensor([seed]), (5,))[0].tolist()
    assert found == [bits / 2**53 for bits in (value >> 11 for value in splitmix64(mix64(seed % 2**64), 5))]  # both exact in float64


def test_the_twin_gives_the_published_outputs_of_splitmix64():
    """State 1234567, as in the reference implementation's commonly quoted test vector."""
    assert splitmix64(1234567, 3) == [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert unmix64(mix64(0xDEADBEEF)) == 0xDEADBEEF


def test_a_row_does_not_depend_on_its_batch_or_its_place():
    seeds = torch.tensor([3, 1, 4, 1, 5, 9])
    whole = row_uniform(seeds, (4, 2))
    assert torch.equal(row_uniform(seeds.flip(0), (4, 2)), whole.flip(0))
    for row, seed in enumerate(seeds.tolist()):
        assert torch.equal(row_uniform(torch.tensor([seed]), (4, 2))[0], whole[row])
    assert torch.equal(whole[1], whole[3])


def test_different_seeds_differ_everywhere():
    draws = row_uniform(torch.arange(1000), (8,))
    assert len(draws.unique()) == draws.numel()  # 8000 draws of 53 bits: a tie has a chance of 4e-9


@pytest.mark.parametrize("first", [0, 1 << 20, -5000])
def test_draws_are_uniform_within_a_stream_and_across_streams(first):
    """Chi-square over 100 cells; 99 degrees of freedom exceed 162 with a chance of 6e-5, and these seeds are fixed."""
    for draws in (row_uniform(torch.tensor([first]), (100_000,)), row_uniform(torch.arange(first, first + 50_000), (2,))):
        counts = np.bincount((draws.flatten().numpy() * 100).astype(int), minlength=100)
        assert ((counts - 1000) ** 2 / 1000).sum() < 162


def test_neighbouring_seeds_and_neighbouring_draws_are_uncorrelated():
    draws = row_uniform(torch.arange(300), (300,)).numpy()
    bound = 5 / 300  # five standard errors of a correlation of 90 000 pairs
    assert abs(np.corrcoef(draws[1:].ravel(), draws[:-1].ravel())[0, 1]) < bound
    assert abs(np.corrcoef(draws[:, 1:].ravel(), draws[:, :-1].ravel())[0, 1]) < bound


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("bits", [2**64 - 1, 0], ids=["all ones", "all zeros"])
def test_the_largest_draw_is_below_one_in_every_precision(dtype, bits):
    """The seed whose first output is all ones, by running the generator backwards."""
    seed = unmix64((unmix64(bits) - GOLDEN) % 2**64)
    assert splitmix64(mix64(seed), 1) == [bits]
    draw = row_uniform(torch.tensor([signed(seed)]), (1,), dtype=dtype)
    assert draw.dtype == dtype
    assert (draw.item() == 0) if bits == 0 else (0.99 < draw.item() < 1)


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3)], ids=str)
def test_draws_have_the_shape_asked_for(shape):
    assert row_uniform(torch.tensor([1, 2]), shape).shape == (2, *shape)


@pytest.mark.cuda
def test_a_device_draws_what_the_cpu_draws():
    seeds = torch.arange(-50, 50) * 987654321
    assert torch.equal(row_uniform(seeds.cuda(), (1000,)).cpu(), row_uniform(seeds, (1000,)))
