"""What each graph world is known for, in numbers: the sentence of its `isolates`, measured."""

from itertools import combinations

import networkx as nx
import numpy as np
import pytest
import torch

from synthetic import make_environment

EXACT = 1e-12  # float64 sums of at most some hundred dyadic terms of size at most 100


def sampled(id, n, seed, **knobs):
    world = make_environment(id, **knobs)
    return world, world.sample(n, torch.Generator().manual_seed(seed))


def players_by_edge(batch, row):
    owner, size = batch.feature_mask[row], batch.inputs.shape[1]
    return {int(owner[u, v]): (u, v) for u, v in combinations(range(size), 2) if owner[u, v] >= 0}


def test_an_edge_of_the_smooth_world_has_a_third_of_each_triangle_by_two_conventions():
    batch = sampled("marked-triangle-smooth-v1", 20, seed=15)[1]
    truth = batch.truth.attributions
    assert torch.equal(truth["shapley"], truth["integrated_gradients"])
    torch.testing.assert_close(truth["removal"], 3 * truth["shapley"], rtol=0, atol=EXACT)


def test_triangles_at_all_roots_are_three_times_the_triangles():
    smooth = make_environment("marked-triangle-smooth-v1").model
    hard, batch = sampled("triangle-count-v1", 30, seed=16)
    size = batch.inputs.shape[1]
    marks = torch.eye(size, dtype=torch.float64)
    roots = [
        torch.cat([batch.inputs[..., :size], torch.ones(30, size, 1), marks[root].expand(30, -1).unsqueeze(2)], 2) for root in range(size)
    ]
    assert torch.equal(sum(smooth(rows.double()) for rows in roots), 3 * hard.model(batch.inputs))


def test_the_shortcut_is_a_perfect_detector_of_cycles_and_every_edge_has_the_same_share():
    world, batch = sampled("shortcut-cycle-v1", 200, seed=17)
    graphs = [nx.from_numpy_array(row[:, : len(row)].numpy()).subgraph(np.flatnonzero(row[:, len(row)])) for row in batch.inputs]
    assert all(nx.is_connected(graph) for graph in graphs)
    cyclic = [not nx.is_tree(graph) for graph in graphs]
    assert ((world.model(batch.inputs) >= 0).squeeze(1) == torch.tensor(cyclic)).all()
    assert 0.2 < sum(cyclic) / len(cyclic) < 0.8
    live = torch.stack([(batch.feature_mask == player).flatten(1).any(1) for player in range(batch.players)], 1)
    assert torch.equal(batch.truth.attributions["shapley"], live.double())


@pytest.mark.parametrize("w", [0.0, 0.5, 2.0])
def test_removal_effects_err_by_exactly_w_for_each_node_that_becomes_isolated(w):
    world, batch = sampled("isolated-node-v1", 30, seed=18, w=w)
    believed = sampled("isolated-node-v1", 30, seed=18, w=0.0)[1]
    assert torch.equal(batch.inputs, believed.inputs)
    assert torch.equal(world.model(batch.inputs), make_environment("isolated-node-v1", w=0.0).model(batch.inputs))
    error = believed.truth.attributions["removal"] - batch.truth.attributions["removal"]
    degree = batch.inputs[..., : batch.inputs.shape[1]].sum(2)
    expected = torch.zeros_like(error)
    for row in range(len(batch)):
        for player, (u, v) in players_by_edge(batch, row).items():
            expected[row, player] = w * float((degree[row, u] == 1) + (degree[row, v] == 1).float())
    torch.testing.assert_close(error, expected, rtol=0, atol=EXACT)
    assert expected.any() == (w > 0)


def test_beyond_one_edge_no_edge_is_missed_and_the_credit_is_shared():
    batch = sampled("edge-type-or-v1", 100, seed=19)[1]
    truth, many = batch.truth, batch.truth.support.sum(1)
    assert not truth.attributions["removal"][many >= 2].any()
    shares = truth.support.double() / many.clamp(min=1).unsqueeze(1)
    torch.testing.assert_close(truth.attributions["shapley"], shares, rtol=0, atol=EXACT)
    assert (many >= 2).any()


def test_two_red_neighbours_are_necessary_and_worth_nothing():
    batch = sampled("neighbour-parity-v1", 100, seed=20)[1]
    two = batch.truth.support.sum(1) == 2
    assert two.any()
    assert not batch.truth.attributions["shapley"][two].any()
    assert torch.equal(batch.truth.necessary[two], batch.truth.support[two])


def test_a_second_path_makes_every_edge_unnecessary_and_quarters_the_credit():
    """Reach in two steps by two disjoint paths: 1/4 to each of four edges, none of them necessary."""
    world = make_environment("reach-v1", nodes=(4, 4), edges=6, host="grid")
    batch = world.sample(100, torch.Generator().manual_seed(21))
    size = 4
    red, mark = batch.inputs[..., size].argmax(1), batch.inputs[..., -1].argmax(1)
    opposite = (batch.inputs[torch.arange(100), red, mark] == 0) & (red != mark)
    assert opposite.any()
    shapley = batch.truth.attributions["shapley"][opposite]
    torch.testing.assert_close(shapley[:, :4], torch.full_like(shapley[:, :4], 0.25), rtol=0, atol=EXACT)
    assert not batch.truth.necessary[opposite].any()


def test_attention_lies_on_decoys_that_have_no_share():
    batch = sampled("attention-decoy-v1", 200, seed=22)[1]
    size = batch.inputs.shape[1]
    root = batch.inputs[..., -1].argmax(1)
    near = batch.inputs[torch.arange(200), root, :size]
    looks = near * torch.exp(3.0 * batch.inputs[..., size + 1])
    both = (near * batch.inputs[..., size]).any(1) & (near * batch.inputs[..., size + 1]).any(1)
    assert both.any()
    looked_at = looks[both].argmax(1)
    assert (batch.inputs[both][torch.arange(int(both.sum())), looked_at, size + 1] == 1).all()
    for row in both.nonzero().squeeze(1).tolist():
        for player, ends in players_by_edge(batch, row).items():
            other = [node for node in ends if node != root[row]]
            relevant = len(other) == 1 and bool(batch.inputs[row, other[0], size])
            assert bool(batch.truth.support[row, player]) == relevant


@pytest.mark.parametrize("k", [1, 2, 4])
def test_the_length_of_walks_is_a_knob_and_powers_split_path_integrals_from_shapley_values(k):
    world, batch = sampled("walk-count-v1", 30, seed=23, k=k)
    assert world.model(batch.inputs).flatten().tolist() == world.specification(batch.inputs.numpy()).flatten().tolist()
    truth = batch.truth.attributions
    assert bool((truth["shapley"] - truth["integrated_gradients"]).abs().max() > 0.1) == (k > 2)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_distance_is_truncated_behind_k(k):
    world, batch = sampled("truncated-distance-v1", 100, seed=24, k=k)
    assert sorted(set(world.model(batch.inputs).squeeze(1).tolist())) == list(range(k + 2))
    assert (batch.truth.attributions["removal"] <= 0).all()


@pytest.mark.parametrize(
    ("id", "knobs", "message"),
    [
        ("walk-count-v1", {"k": 0}, r"write k=1 or more \(got k=0\)"),
        ("walk-count-v1", {"k": 6, "degree": 8}, r"at most 100 000; lower k or degree \(got k=6, degree=8\)"),
        ("reach-v1", {"k": 0}, r"write k=1 or more \(got k=0\)"),
        ("colour-sum-modulo-v1", {"m": 1}, r"write m=2 or more \(got m=1\)"),
        ("colour-sum-modulo-v1", {"weights": (0.5, 1)}, r"one integer per colour"),
        ("colour-sum-modulo-v1", {"weights": (1000, 0)}, r"at most 4096 of them; lower weights or nodes \(got 7000\)"),
        ("shortcut-cycle-v1", {"host": "erdos-renyi"}, r"write host='barabasi-albert'"),
        ("isolated-node-v1", {"host": "erdos-renyi"}, r"write host='tree'"),
        ("attention-decoy-v1", {"beta": 9.0}, r"write beta=8 or less \(got beta=9.0\)"),
        ("relation-count-v1", {"weights": (1,)}, r"two or more"),
        ("triangle-count-v1", {"players": "features"}, r"'edges' or 'nodes' \(got 'features'\)"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_knob_out_of_range_is_refused_with_what_to_write(id, knobs, message):
    with pytest.raises(ValueError, match=message):
        make_environment(id, **knobs)


def test_where_there_is_no_closed_form_a_large_row_is_refused_by_its_truth_and_not_by_its_drawing():
    batch = sampled("reach-v1", 2, seed=25, nodes=(20, 20), edges=40, degree=6)[1]
    with pytest.raises(ValueError, match="limited to 16 players"):
        batch.truth.map(torch.clone)
