"""What is read off a network's weights is true of its function everywhere, and what is said of worlds is true of their rows."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic import make_environment
from synthetic.gadgets import relu_network
from synthetic.readings import known_of, layers_of, lipschitz, monotone, summed, unreachable

SEARCH = settings(max_examples=40, deadline=None)  # machines differ in speed, and speed is not the claim
ROUNDING = 1e-9  # small integers, depth at most 3: values below 10^5 in float64


@st.composite
def networks(draw):
    widths = [draw(st.integers(1, 3)), *draw(st.lists(st.integers(1, 3), max_size=2)), draw(st.integers(1, 2))]
    weights = st.integers(-2, 2)
    return [
        (
            draw(st.lists(st.lists(weights, min_size=into, max_size=into), min_size=out, max_size=out)),
            draw(st.lists(weights, min_size=out, max_size=out)),
        )
        for into, out in itertools.pairwise(widths)
    ]


def points(columns, seed=0, n=300):
    return 3 * torch.randn(n, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def raised(rows, column):
    changed = rows.clone()
    changed[:, column] += rows.abs().sum(1)
    return changed


@SEARCH
@given(layers=networks())
def test_layers_are_read_back_from_the_network_they_build(layers):
    assert layers_of(relu_network(layers)) == [
        ([[float(w) for w in row] for row in weight], [float(b) for b in bias]) for weight, bias in layers
    ]


@pytest.mark.parametrize("network", [torch.nn.Tanh(), torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Tanh(), torch.nn.Linear(1, 1))])
def test_other_networks_are_not_read(network):
    assert layers_of(network) is None


@SEARCH
@given(layers=networks())
def test_unreachable_columns_change_nothing_and_monotone_ones_do_not_lower_their_output(layers):
    network = relu_network(layers)
    columns = len(layers[0][0][0])
    rows = points(columns)
    for output in range(len(layers[-1][0])):
        value = network(rows)[:, output]
        for column, (cut, rises) in enumerate(zip(unreachable(layers, output=output), monotone(layers, output=output), strict=True)):
            change = network(raised(rows, column))[:, output] - value
            assert not cut or change.abs().max() <= ROUNDING
            assert not rises or change.min() >= -ROUNDING


@SEARCH
@given(layers=networks())
def test_the_lipschitz_constant_bounds_every_difference(layers):
    network, columns = relu_network(layers), len(layers[0][0][0])
    one, two = points(columns, seed=1), points(columns, seed=2)
    for output in range(len(layers[-1][0])):
        steepness = (network(one) - network(two))[:, output].abs() / (one - two).abs().amax(1)
        assert steepness.max() <= lipschitz(layers, output=output) + ROUNDING


@SEARCH
@given(layers=networks())
def test_summed_columns_are_seen_through_their_sum(layers):
    network, numbers = relu_network(layers), summed(layers)
    rows = points(len(numbers))
    for number in set(numbers) - {-1}:
        one, two = [column for column, group in enumerate(numbers) if group == number][:2]
        moved = rows.clone()
        moved[:, one] += 2
        moved[:, two] -= 2
        assert (network(moved) - network(rows)).abs().max() <= ROUNDING


@pytest.mark.parametrize(
    ("layers", "output", "rises", "constant"),
    [
        ([([[1, -1]], [0]), ([[1]], [0])], 0, (True, False), 2.0),
        ([([[1, -1]], [0]), ([[-1]], [0])], 0, (False, True), 2.0),
        ([([[-1, 1], [1, 0]], [0, 0]), ([[-2, 1]], [0]), ([[3]], [0])], 0, (True, False), 15.0),
        ([([[1]], [0]), ([[1], [-1]], [0, 0])], 1, (False,), 1.0),
    ],
)
def test_readings_of_small_networks_by_hand(layers, output, rises, constant):
    assert monotone(layers, output=output) == rises
    assert lipschitz(layers, output=output) == pytest.approx(constant)


def known(id, rows=16):
    world = make_environment(id)
    batch = world.sample(rows, torch.Generator().manual_seed(0))
    return world, batch, known_of(world, batch)


@pytest.mark.parametrize("id", ["boolean-or-v1", "saturated-or-v1", "or-witness-v1", "redundant-evidence-v1", "monotonicity-witness-v1"])
def test_monotone_players_of_a_world_do_not_lower_it_between_baseline_and_input(id):
    world, batch, facts = known(id)
    for share in (0.0, 0.3, 0.7):
        point = batch.baseline + share * (batch.inputs - batch.baseline)
        for player in range(batch.players):
            higher = torch.where(batch.feature_mask == player, batch.inputs, point)
            change = (world.model(higher) - world.model(point)).squeeze(1)
            rises = facts["monotone"][:, player] & (batch.inputs >= batch.baseline).all(1)
            assert change[rises].numel() == 0 or change[rises].min() >= -ROUNDING
    assert bool(facts["monotone"].any())


def test_redundant_players_are_those_of_which_one_is_enough():
    _, batch, facts = known("or-witness-v1", rows=1)
    assert facts["redundant"].tolist() == [[True, True]]
    assert facts["summed"].tolist() == [[True, True]]
    _, _, facts = known("proportionality-witness-v1", rows=1)
    assert facts["redundant"].tolist() == [[False, False]]  # min(x1 + x2, 2) at (1.5, 1): together they do more
    assert batch.players == 2


def test_null_players_are_those_outside_of_the_support():
    _, batch, facts = known("additive-v1")
    assert torch.equal(facts["null"], ~batch.truth.support)
