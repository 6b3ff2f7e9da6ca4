"""The truth of the graph worlds has two derivations each: enumeration against closed forms, closed forms against quadrature."""

from itertools import pairwise

import pytest
import torch

from synthetic import make_environment
from synthetic.graphs.edge_types_truth import integral_through_gate, integral_through_message

EDGE_GAMES = ["edge-types-v1", "edge-types-gate-v1"]
FEATURE_GAMES = ["edge-types-features-v1", "edge-types-gate-features-v1"]
IDS = [*EDGE_GAMES, *FEATURE_GAMES, "colour-nodes-v1", "colour-nodes-features-v1"]
SIZE = 7
ENUMERATION = 1e-12  # float64 sums of at most 2^10 terms of size at most 10


@pytest.fixture(scope="module")
def drawn():
    """Each world with 12 rows and their truth."""
    worlds = {id: make_environment(id) for id in IDS}
    return {id: (world, world.sample(12, torch.Generator().manual_seed(11))) for id, world in worlds.items()}


def per_player(batch, scores):
    """Sum of the entries of each player."""
    return torch.stack([(scores * (batch.feature_mask == player)).flatten(1).sum(1) for player in range(batch.players)], 1)


def edge_ends(batch, row):
    """The ends (u, v) of each edge player, read off the mask."""
    owner = batch.feature_mask[row]
    return {int(owner[u, v]): (int(u), int(v)) for u, v in (owner >= 0).nonzero() if u < v < SIZE}


def colour(batch, row, node):
    return int(batch.inputs[row, node, SIZE:].argmax())


def is_relevant(batch, row, ends):
    return sorted(colour(batch, row, node) for node in ends) == [0, 1]


@pytest.mark.parametrize("id", EDGE_GAMES)
def test_each_a_b_edge_is_worth_one_by_every_convention(drawn, id):
    batch = drawn[id][1]
    expected = torch.zeros(len(batch), batch.players, dtype=torch.float64)
    for row in range(len(batch)):
        for player, ends in edge_ends(batch, row).items():
            expected[row, player] = is_relevant(batch, row, ends)
    for name in ("shapley", "integrated_gradients", "removal"):
        torch.testing.assert_close(batch.truth.attributions[name], expected, rtol=0, atol=ENUMERATION)
    assert torch.equal(batch.truth.support, expected.bool())
    assert torch.equal(batch.truth.sign, expected.to(torch.int8))


@pytest.mark.parametrize("id", FEATURE_GAMES)
def test_a_node_is_worth_half_its_a_b_edges_and_its_removal_all_of_them(drawn, id):
    batch = drawn[id][1]
    expected = torch.zeros(len(batch), batch.players, dtype=torch.float64)
    for row in range(len(batch)):
        for u, v in batch.inputs[row, :, :SIZE].triu().nonzero().tolist():
            if is_relevant(batch, row, (u, v)):
                expected[row, [u, v]] += 1
    torch.testing.assert_close(batch.truth.attributions["shapley"], expected / 2, rtol=0, atol=ENUMERATION)
    torch.testing.assert_close(batch.truth.attributions["removal"], expected, rtol=0, atol=ENUMERATION)
    assert torch.equal(batch.truth.support, expected > 0)


def test_a_coloured_node_is_worth_the_weight_of_its_colour_by_every_convention(drawn):
    batch = drawn["colour-nodes-features-v1"][1]
    expected = (batch.inputs[..., SIZE:] * torch.tensor([2.0, -1.0, 0.0], dtype=torch.float64)).sum(-1)
    for name, scores in batch.truth.attributions.items():
        torch.testing.assert_close(scores, expected, rtol=0, atol=ENUMERATION, msg=lambda text, name=name: f"{name}: {text}")
    assert torch.equal(batch.truth.sign, expected.sign().to(torch.int8))


def test_no_edge_matters_where_nodes_are_coloured(drawn):
    batch = drawn["colour-nodes-v1"][1]
    assert not batch.truth.support.any()
    assert all(not scores.any() for scores in batch.truth.attributions.values())
    live = torch.stack([(batch.feature_mask == player).flatten(1).any(1) for player in range(batch.players)], 1)
    assert torch.equal(batch.truth.independent, live)


@pytest.mark.parametrize("id", IDS)
def test_path_integrals_agree_with_quadrature_of_the_gradient(drawn, id):
    world, batch = drawn[id]
    steps, batch = 1000, batch.rows(slice(6))
    t = ((torch.arange(steps, dtype=torch.float64) + 0.5) / steps).view(-1, 1, 1, 1)
    path = (batch.baseline + t * (batch.inputs - batch.baseline)).flatten(0, 1).requires_grad_()
    (gradient,) = torch.autograd.grad(world.model(path).sum(), path)
    scores = gradient.view(steps, *batch.inputs.shape).mean(0) * (batch.inputs - batch.baseline)
    # the gradient is piecewise constant: the midpoint rule errs by at most jump / (2 steps) per kink; a player meets at most four
    # units at most one kink each, and no jump exceeds M + e = 5.25
    bound = 4 * 5.25 / (2 * steps)
    torch.testing.assert_close(per_player(batch, scores), batch.truth.attributions["integrated_gradients"], rtol=0, atol=bound)


@pytest.mark.parametrize("id", IDS)
def test_shapley_values_and_path_integrals_add_up_to_the_output(drawn, id):
    world, batch = drawn[id]
    gain = (world.model(batch.inputs) - world.model(batch.baseline)).squeeze(1)
    for name in ("shapley", "integrated_gradients"):
        torch.testing.assert_close(batch.truth.attributions[name].sum(1), gain, rtol=0, atol=ENUMERATION)


@pytest.mark.parametrize("degree", [2, 3, 4, 6])
def test_a_lone_edge_is_shared_d_to_one_by_the_gate_and_evenly_by_the_message(degree):
    row = torch.zeros(1, SIZE, SIZE + 3, dtype=torch.float64)
    row[0, 0, 1] = row[0, 1, 0] = row[0, 0, SIZE] = row[0, 1, SIZE + 1] = 1
    gate = integral_through_gate(row.numpy(), degree=degree).sum(-1)[0, :2]
    message = integral_through_message(row.numpy()).sum(-1)[0, :2]
    assert gate.tolist() == pytest.approx([degree / (degree + 1), 1 / (degree + 1)], rel=1e-15)
    assert message.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("id", IDS)
def test_the_function_does_not_move_with_its_independent_players_on_the_box_or_near_it(drawn, id):
    world, batch = drawn[id]
    generator = torch.Generator().manual_seed(2)
    owner = batch.feature_mask.clamp(min=0).flatten(1)
    free = batch.truth.independent.gather(1, owner).view(batch.inputs.shape) & (batch.feature_mask >= 0)
    for _ in range(10):
        weight = torch.rand(batch.inputs.shape, generator=generator, dtype=torch.float64)
        point = batch.baseline + weight * (batch.inputs - batch.baseline)
        nearby = torch.rand(batch.inputs.shape, generator=generator, dtype=torch.float64) * 1.02 - 0.01
        inside = batch.baseline + nearby * (batch.inputs - batch.baseline)
        moved = torch.where(free, inside + 0.01 * (nearby - 0.5), point)
        torch.testing.assert_close(world.model(moved), world.model(point), rtol=0, atol=ENUMERATION)


def test_every_null_player_is_independent_but_for_the_gate_of_features(drawn):
    """The gate's slope at each node's a-entry is -e near 0; in the others a player that is null on graphs is null between them."""
    for id, null_but_read in {**dict.fromkeys([*EDGE_GAMES, "edge-types-features-v1"], False), "edge-types-gate-features-v1": True}.items():
        batch = drawn[id][1]
        live = torch.stack([(batch.feature_mask == player).flatten(1).any(1) for player in range(batch.players)], 1)
        null = live & ~batch.truth.support
        assert null.any()
        assert torch.equal(batch.truth.independent, torch.zeros_like(null) if null_but_read else null)


@pytest.mark.parametrize("id", IDS)
def test_exchanging_the_values_of_two_players_of_an_orbit_leaves_the_output(drawn, id):
    world, batch = drawn[id]
    generator = torch.Generator().manual_seed(4)
    pairs = 0
    for row in range(len(batch)):
        values = torch.rand(batch.players, 3, generator=generator, dtype=torch.float64)
        for group in batch.truth.orbit[row].unique():
            members = (batch.truth.orbit[row] == group).nonzero().squeeze(1).tolist() if group >= 0 else []
            for first, second in pairwise(members):
                swapped = values.clone()
                swapped[[first, second]] = values[[second, first]]
                points = torch.stack([filled(batch, row, values), filled(batch, row, swapped)])
                torch.testing.assert_close(*world.model(points), rtol=0, atol=ENUMERATION)
                pairs += 1
    assert pairs > 0 or id == "colour-nodes-v1"


def filled(batch, row, values):
    """The row with player values in place of its own: one number per edge, one feature vector per node."""
    point, owner = batch.inputs[row].clone(), batch.feature_mask[row]
    for player in owner.unique()[owner.unique() >= 0].tolist():
        place = owner == player
        point[place] = values[player, : int(place.sum())] if place[:, SIZE:].any() else values[player, 0]
    return point
