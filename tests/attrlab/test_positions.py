"""A cell's score is shared out so that sums are kept, at any pair of sizes, and edges are given what their end points have."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from attrlab.method import players_of
from attrlab.methods.positions import at_entries, share_out
from tests.reference_class_activation import bilinear

SIDES = st.integers(1, 9)


def cells(height, width):
    return torch.randn(2, height, width, generator=torch.Generator().manual_seed(height * 10 + width), dtype=torch.float64)


@settings(max_examples=60, deadline=None)
@given(height=SIDES, width=SIDES, tall=SIDES, wide=SIDES)
def test_the_entries_of_an_image_sum_to_the_cells_of_its_map(height, width, tall, wide):
    shared = share_out(cells(height, width), torch.zeros(2, 3, tall, wide, dtype=torch.float64), None)
    # 81 terms of order 1 in float64
    torch.testing.assert_close(shared.sum((1, 2, 3)), cells(height, width).sum((1, 2)), atol=1e-13, rtol=0)


@pytest.mark.parametrize("ratio", [1, 2, 3, 5])
def test_at_a_whole_ratio_of_sizes_a_pixel_has_the_bilinear_value_over_its_square(ratio):
    inputs = torch.zeros(2, 3, 4 * ratio, 3 * ratio, dtype=torch.float64)
    expected = functional.interpolate(cells(4, 3)[:, None], scale_factor=ratio, mode="bilinear", align_corners=False) / ratio**2
    torch.testing.assert_close(share_out(cells(4, 3), inputs, None).sum(1, keepdim=True), expected)


@pytest.mark.parametrize("size", [(5, 7), (2, 2), (9, 4)])
def test_a_pixel_has_nothing_of_a_cell_that_its_bilinear_value_does_not_see(size):
    one = torch.zeros(1, 4, 4, dtype=torch.float64)
    one[0, 1, 2] = 1
    inputs = torch.zeros(1, 1, *size, dtype=torch.float64)
    if min(size) >= 4:  # of a finer map every cell is seen by some pixel
        assert torch.equal(share_out(one, inputs, None) != 0, at_entries(one, inputs, None) != 0)
    assert float(share_out(one, inputs, None).min()) >= 0


@pytest.mark.parametrize("size", [(5, 7), (8, 3), (4, 4)])
def test_a_value_at_an_entry_is_the_bilinear_value_at_its_pixel(size):
    values = at_entries(cells(4, 4), torch.zeros(2, 3, *size, dtype=torch.float64), None)
    expected = np.stack([bilinear(row, *size) for row in cells(4, 4).numpy()])
    for channel in range(3):
        np.testing.assert_allclose(values[:, channel].numpy(), expected, atol=1e-14)


def graph_players():
    """[A | X | p] of three nodes and one feature: players: edge 0 - 1, feature of node 2, its presence, edge 0 - 2."""
    mask = torch.full((1, 3, 5), -1)
    mask[0, 0, 1] = mask[0, 1, 0] = 0
    mask[0, 2, 3] = 1
    mask[0, 2, 4] = 2
    mask[0, 0, 2] = mask[0, 2, 0] = 3
    return mask


def test_an_edge_has_the_mean_of_its_end_points_and_a_feature_its_node():
    nodes, mask = torch.tensor([[1.0, 3.0, 10.0]]), graph_players()
    shared = share_out(nodes, torch.zeros(1, 3, 5), mask)
    assert players_of(shared, mask, 4).tolist() == [[2.0, 10.0, 10.0, 5.5]]
    assert torch.count_nonzero(shared[mask < 0]) == 0
    values = at_entries(nodes, torch.zeros(1, 3, 5), mask)
    assert [float(values[mask == player].unique()) for player in range(4)] == [2.0, 10.0, 10.0, 5.5]


def test_without_players_the_entries_of_a_node_share_its_score():
    shared = share_out(torch.tensor([[1.0, 3.0]]), torch.zeros(1, 2, 4), None)
    assert shared.tolist() == [[[0.25] * 4, [0.75] * 4]]
