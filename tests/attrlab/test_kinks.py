"""The pieces of a segment tile it, and the network is linear on each of them, as sampling shows."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attrlab.errors import NotApplicable
from attrlab.methods import kinks
from attrlab.methods.kinks import Pieces, linear_pieces
from synthetic.gadgets import relu_network

SEARCH = settings(max_examples=50, deadline=None)  # machines differ in speed, and speed is not the claim


def drawn(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def random_network(generator, *widths):
    layers = [(drawn(generator, out, into) / into**0.5, drawn(generator, out).tolist()) for into, out in itertools.pairwise(widths)]
    return relu_network(layers).requires_grad_(False)


def assert_tiled(pieces: Pieces, rows: int):
    """Bit for bit: each piece begins where the one before it ends."""
    for row in range(rows):
        start, end = pieces.start[pieces.row == row].tolist(), pieces.end[pieces.row == row].tolist()
        assert start[0] == 0
        assert end[-1] == 1
        assert start[1:] == end[:-1]
        assert all(a < b for a, b in zip(start, end, strict=True))


def bend(model, inputs, baseline, pieces, at):
    """How far the output at the part `at` of each piece is from the chord between its ends."""

    def f(a):
        return model(baseline[pieces.row] + a[:, None] * (inputs - baseline)[pieces.row])[:, 0]

    inside = f(pieces.start + at * (pieces.end - pieces.start))
    return float((inside - (f(pieces.start) + at * (f(pieces.end) - f(pieces.start)))).abs().max())


@pytest.mark.parametrize("widths", [(3, 1), (4, 8, 1), (4, 16, 16, 1), (10, 64, 64, 32, 1)], ids=str)
def test_pieces_tile_the_segment_and_the_network_is_linear_on_each(widths, generator):
    model = random_network(generator, *widths)
    inputs, baseline = drawn(generator, 6, widths[0]), drawn(generator, 6, widths[0])
    pieces = linear_pieces(model, inputs, baseline, torch.zeros(6, dtype=torch.int64))
    assert_tiled(pieces, 6)
    for at in torch.rand(5, generator=generator, dtype=torch.float64).tolist():
        assert bend(model, inputs, baseline, pieces, at) <= 1e-11  # rounding of outputs of order 10, over closed cuts of 256 eps


@given(
    weights=st.lists(st.lists(st.integers(-2, 2), min_size=2, max_size=2), min_size=1, max_size=4),
    biases=st.lists(st.integers(-2, 2), min_size=4, max_size=4),
    ends=st.lists(st.integers(-3, 3), min_size=4, max_size=4),
)
@SEARCH
def test_pieces_tile_also_where_kinks_coincide_or_lie_at_the_ends(weights, biases, ends):
    """Small integers make units share their kinks, start on them, and be zero all along."""
    width = len(weights)
    model = relu_network([(weights, biases[:width]), ([[1.0] * width, [-1.0] * width], [-1, 1]), ([[1.0, 1.0]], [0])]).requires_grad_(False)
    inputs, baseline = torch.tensor([ends[:2]], dtype=torch.float64), torch.tensor([ends[2:]], dtype=torch.float64)
    pieces = linear_pieces(model, inputs, baseline, torch.zeros(1, dtype=torch.int64))
    assert_tiled(pieces, 1)
    for at in (0.25, 0.7):
        assert bend(model, inputs, baseline, pieces, at) <= 1e-11  # rounding, as above


def test_the_pieces_of_three_kinks_worked_out_by_hand():
    """Pre-activations 4a - 1, 4a - 2 and, of the layer above, relu(4a - 1) - 2 = 4a - 3: kinks at 1/4, 1/2 and 3/4."""
    model = relu_network([([[4.0], [4.0]], [-1, -2]), ([[1.0, 0.0], [0.0, 1.0]], [-2, 0]), ([[1.0, 1.0]], [0])]).requires_grad_(False)
    one = torch.ones(1, 1, dtype=torch.float64)
    pieces = linear_pieces(model, one, 0 * one, torch.tensor([0]))
    assert pieces.end.tolist() == pytest.approx([0.25, 0.5, 0.75, 1.0], abs=1e-15)


@pytest.mark.parametrize("model", [nn.Linear(2, 1).double(), nn.Sequential(nn.ReLU(), nn.Linear(2, 1)).double()], ids=["linear", "no kink"])
def test_a_segment_without_kinks_is_one_piece(model):
    inputs = torch.tensor([[1.0, 2.0], [3.0, 1.0]], dtype=torch.float64)
    pieces = linear_pieces(model.requires_grad_(False), inputs, torch.full_like(inputs, 0.5), torch.zeros(2, dtype=torch.int64))
    assert (pieces.row.tolist(), pieces.start.tolist(), pieces.end.tolist()) == ([0, 1], [0, 0], [1, 1])


def test_rows_are_cut_where_they_are_cut_alone(generator):
    model = random_network(generator, 4, 16, 8, 1)
    inputs, baseline = drawn(generator, 5, 4), drawn(generator, 5, 4)
    together = linear_pieces(model, inputs, baseline, torch.zeros(5, dtype=torch.int64))
    for row in range(5):
        alone = linear_pieces(model, inputs[[row]], baseline[[row]], torch.tensor([0]))
        assert together.end[together.row == row].tolist() == pytest.approx(alone.end.tolist(), abs=1e-12)  # products in another order


def test_in_float32_the_pieces_tile_the_segment(generator):
    model = random_network(generator, 8, 64, 64, 1).float()
    inputs, baseline = drawn(generator, 4, 8).float(), drawn(generator, 4, 8).float()
    pieces = linear_pieces(model, inputs, baseline, torch.zeros(4, dtype=torch.int64))
    assert pieces.start.dtype == torch.float32
    assert_tiled(pieces, 4)


def test_running_out_of_rounds_is_said_and_not_hidden(generator, monkeypatch):
    monkeypatch.setattr(kinks, "ROUNDS", 1)
    model = random_network(generator, 4, 16, 16, 1)
    with pytest.raises(NotApplicable, match="still has kinks after 1 rounds"):
        linear_pieces(model, drawn(generator, 2, 4), drawn(generator, 2, 4), torch.zeros(2, dtype=torch.int64))


def test_an_activation_across_the_batch_is_refused():
    class Across(nn.Module):
        def forward(self, inputs):
            return torch.relu(inputs.t()).t()

    inputs = torch.ones(3, 2, dtype=torch.float64)
    with pytest.raises(NotApplicable, match=r"whose first dimension is not the batch of 1 \(got \(2, 1\)\)"):
        linear_pieces(Across(), inputs, -inputs, torch.zeros(3, dtype=torch.int64))
