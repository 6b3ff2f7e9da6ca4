"""Drawn graphs keep their bounds, are ragged, hold something to find, and their numbering tells nothing."""

import time

import networkx as nx
import pytest
import torch

from synthetic import make_environment
from synthetic.graphs.block import block_of, graphs_of
from synthetic.graphs.chance import chance_of
from synthetic.graphs.hosts import Hosts, draw_hosts, edge_numbers

HOSTS = ["erdos-renyi", "barabasi-albert", "tree", "grid", "regular"]
SIZE = 7


def hosts(n, seed, **bounds):
    """Drawn graphs as networkx sees them."""
    adjacency, nodes = draw_hosts(chance_of(n, torch.Generator().manual_seed(seed)), Hosts(**bounds))
    return [nx.from_numpy_array(a[:k, :k].numpy()) for a, k in zip(adjacency, nodes.tolist(), strict=True)]


def painted(n, seed, **knobs):
    """Rows of the a-b edge world as coloured graphs."""
    return graphs_of(make_environment("edge-types-v1", **knobs).sample(n, torch.Generator().manual_seed(seed)).inputs.numpy())


@pytest.mark.parametrize("host", HOSTS)
def test_hosts_are_simple_graphs_that_keep_their_bounds_and_reach_them(host):
    graphs = hosts(150, 0, host=host, degree=3)
    assert {len(graph) for graph in graphs} == ({4, 6} if host == "grid" else {4, 5, 6, 7})
    assert max(degree for graph in graphs for _, degree in graph.degree) == 3
    assert all(len(graph) - 1 <= graph.number_of_edges() <= 10 for graph in graphs)
    assert not any(nx.number_of_selfloops(graph) for graph in graphs)


def test_hosts_are_what_their_kind_says():
    kinds = {host: hosts(100, 1, host=host, nodes=(4, 9), edges=14) for host in HOSTS}
    assert all(nx.is_tree(graph) for graph in kinds["tree"])
    assert all(nx.is_connected(graph) for host in ("barabasi-albert", "tree", "grid", "regular") for graph in kinds[host])
    assert all({degree for _, degree in graph.degree} <= {2, 3} for graph in kinds["regular"])
    grids = [nx.grid_2d_graph(r, c) for r, c in ((2, 2), (2, 3), (2, 4), (3, 3))]
    assert all(any(nx.is_isomorphic(graph, grid) for grid in grids) for graph in kinds["grid"])
    attached = {graph.number_of_edges() - (len(graph) - 1) for graph in kinds["barabasi-albert"] if len(graph) == 8}
    assert min(attached) == 0
    assert max(attached) == 6  # two edges per node after the second


def test_all_labelled_trees_of_four_nodes_are_drawn_alike():
    """Cayley: 4^2 = 16 labelled trees; 4 of them are stars, which an attachment process would draw more often."""
    trees = hosts(4000, 2, host="tree", nodes=(4, 4))
    stars = sum(max(degree for _, degree in graph.degree) == 3 for graph in trees)
    assert len({frozenset(map(frozenset, graph.edges)) for graph in trees}) == 16
    # five standard errors of a proportion of 1/4 in 4000 draws
    assert abs(stars / 4000 - 1 / 4) < 5 * (3 / 16 / 4000) ** 0.5


def test_edges_are_numbered_from_zero_in_random_order():
    adjacency, _ = draw_hosts(chance_of(200, torch.Generator().manual_seed(3)), Hosts())
    numbers = edge_numbers(chance_of(200, torch.Generator().manual_seed(4)), adjacency)
    assert torch.equal(numbers, numbers.mT)
    assert torch.equal(numbers >= 0, adjacency > 0)
    for row in numbers.triu(1):
        assert sorted(set(row[row > 0].tolist()) | {0}) == list(range(int(row.max()) + 1))
    first = torch.tensor([float((row == 0).nonzero().min()) for row in numbers])
    assert first.mean() > 1  # in the order of places, edge 0 would nearly always touch node 0


@pytest.mark.parametrize("host", HOSTS)
def test_most_graphs_have_a_relevant_and_an_irrelevant_edge_and_some_have_none(host):
    graphs = painted(300, 1, host=host)
    ends = [[sorted((graph.nodes[u]["colour"], graph.nodes[v]["colour"])) for u, v in graph.edges] for graph in graphs]
    relevant = [[0, 1] in pairs for pairs in ends]
    irrelevant = [any(pair != [0, 1] for pair in pairs) for pairs in ends]
    assert sum(r and i for r, i in zip(relevant, irrelevant, strict=True)) > 0.75 * len(graphs)
    assert not all(relevant)


def test_the_number_of_a_node_tells_nothing_of_its_degree():
    """In order of growth, the first node of a preferential attachment tree has about twice the mean degree of the last."""
    graphs = hosts(400, 2, nodes=(7, 7), host="barabasi-albert", degree=6, edges=11)
    difference = torch.tensor([float(graph.degree[0] - graph.degree[6]) for graph in graphs])
    # five standard errors of a mean of 400 differences
    assert difference.mean().abs() < 5 * difference.std() / 20


@pytest.mark.parametrize("host", HOSTS)
def test_ten_thousand_graphs_of_twenty_nodes_are_drawn_in_seconds(host):
    environment = make_environment("edge-types-v1", nodes=(20, 20), edges=40, degree=8, host=host)
    environment.sample(10, torch.Generator().manual_seed(0))
    start = time.process_time()
    batch = environment.sample(1000, torch.Generator().manual_seed(0))
    # a tenth of 10 000 graphs in a second on one core, with room for a machine three times as slow
    assert time.process_time() - start < 0.3
    assert batch.inputs.shape == (1000, 20, 23)


def test_truth_is_stated_at_sizes_that_no_one_enumerates():
    batch = make_environment("edge-types-v1", nodes=(20, 20), edges=40, degree=8).sample(4, torch.Generator().manual_seed(0))
    assert torch.equal(batch.truth.attributions["shapley"].sum(1), make_environment("edge-types-v1").model(batch.inputs).squeeze(1))


def test_same_generator_state_gives_the_same_batch_and_rows_do_not_depend_on_those_that_follow():
    environment = make_environment("edge-types-v1")
    long, again, short = (environment.sample(n, torch.Generator().manual_seed(9)) for n in (8, 8, 3))
    for name in ("inputs", "baseline", "feature_mask"):
        assert torch.equal(getattr(long, name), getattr(again, name))
        assert torch.equal(getattr(long, name)[:3], getattr(short, name))
    assert not torch.equal(long.inputs, environment.sample(8, torch.Generator().manual_seed(10)).inputs)


def test_message_and_gate_worlds_draw_the_same_rows():
    worlds = [make_environment(id) for id in ("edge-types-features-v1", "edge-types-gate-v1")]
    message, gate = (world.sample(4, torch.Generator().manual_seed(3)).inputs for world in worlds)
    assert torch.equal(message, gate)


def test_sampling_leaves_the_global_generators_alone():
    import random

    import numpy as np

    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    make_environment("edge-types-gate-v1", host="barabasi-albert", edges=10).sample(4, torch.Generator().manual_seed(0))
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()
    assert (before[2] == np.random.get_state()[1]).all()


def test_rows_are_read_back_as_the_graphs_that_were_written():
    graphs = painted(50, 4)
    for graph, read in zip(graphs, graphs_of(block_of(graphs, size=SIZE, colours=3).numpy()), strict=True):
        assert {frozenset(edge) for edge in read.edges} == {frozenset(edge) for edge in graph.edges}
        assert dict(read.nodes(data="colour")) == dict(graph.nodes(data="colour"))


@pytest.mark.parametrize("id", ["edge-types-v1", "colour-nodes-v1"])
def test_an_edge_player_owns_both_directions_and_nothing_else_moves(id):
    batch = make_environment(id).sample(8, torch.Generator().manual_seed(5))
    owner = batch.feature_mask[..., :SIZE]
    assert torch.equal(owner, owner.transpose(1, 2))
    assert torch.equal(owner >= 0, batch.inputs[..., :SIZE] != 0)
    assert (batch.feature_mask[..., SIZE:] == -1).all()
    assert torch.equal(batch.baseline != batch.inputs, batch.feature_mask >= 0)


@pytest.mark.parametrize("id", ["edge-types-gate-features-v1", "colour-nodes-features-v1"])
def test_a_node_player_owns_its_features_and_padding_belongs_to_no_one(id):
    batch = make_environment(id).sample(16, torch.Generator().manual_seed(5))
    features, owner = batch.inputs[..., SIZE:], batch.feature_mask[..., SIZE:]
    real = features.any(-1)
    assert not real.all()
    assert torch.equal(owner, torch.where(real, torch.arange(SIZE), -1).unsqueeze(-1).expand_as(owner))
    assert torch.equal(batch.baseline[..., :SIZE], batch.inputs[..., :SIZE])
    assert not batch.baseline[..., SIZE:].any()


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"implementation": "gat"}, r"'message', 'gate' \(got 'gat'\)"),
        ({"players": "paths"}, r"'edges' or 'features' or 'nodes' \(got 'paths'\)"),
        ({"nodes": (7, 4)}, r"3 <= least <= largest, such as \(4, 7\) \(got \(7, 4\)\)"),
        ({"edges": 5}, r"write edges=6 or more \(got edges=5\)"),
        ({"degree": 1}, r"write degree=2 or more \(got degree=1\)"),
        ({"host": "smallworld"}, r"'tree', 'grid', 'regular' \(got 'smallworld'\)"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_knob_out_of_range_is_refused_with_what_to_write(knobs, message):
    with pytest.raises(ValueError, match=message):
        make_environment("edge-types-v1", **knobs)


def test_bounds_that_no_graph_meets_are_reported_with_both_of_them():
    environment = make_environment("edge-types-v1", nodes=(12, 12), edges=16, degree=2, host="tree")
    with pytest.raises(ValueError, match=r"raise degree or lower nodes \(got degree=2, nodes=\(12, 12\)\)"):
        environment.sample(8, torch.Generator().manual_seed(0))


def test_a_grid_that_no_shape_fits_is_refused():
    environment = make_environment("edge-types-v1", nodes=(7, 7), host="grid")
    with pytest.raises(ValueError, match=r"no grid has 7 to 7 nodes"):
        environment.sample(1, torch.Generator().manual_seed(0))


def test_colours_without_weights_are_refused():
    with pytest.raises(ValueError, match=r"one number per colour"):
        make_environment("colour-nodes-v1", weights=())
