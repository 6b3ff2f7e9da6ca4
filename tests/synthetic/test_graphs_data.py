"""Drawn graphs keep their bounds, are ragged, hold something to find, and their numbering tells nothing."""

import pytest
import torch

from synthetic import make_environment
from synthetic.graphs.block import block_of, graphs_of
from synthetic.graphs.hosts import Hosts, draw_hosts
from synthetic.graphs.paint import paint_an_edge

HOSTS = ["erdos-renyi", "barabasi-albert", "tree"]
SIZE = 7


def drawn(n, seed, **bounds):
    hosts = Hosts(**{"nodes": (4, 7), "edges": 10, "degree": 4, "host": "erdos-renyi", **bounds})
    return draw_hosts(n, torch.Generator().manual_seed(seed), hosts, paint_an_edge)


@pytest.mark.parametrize("host", HOSTS)
def test_hosts_keep_their_bounds_and_reach_them(host):
    graphs = drawn(150, 0, host=host, degree=3)
    assert {len(graph) for graph in graphs} == {4, 5, 6, 7}
    assert max(degree for graph in graphs for _, degree in graph.degree) == 3
    assert all(len(graph) - 1 <= graph.number_of_edges() <= 10 for graph in graphs)
    assert all(sorted(player for *_, player in graph.edges(data="player")) == list(range(graph.number_of_edges())) for graph in graphs)


@pytest.mark.parametrize("host", HOSTS)
def test_most_graphs_have_a_relevant_and_an_irrelevant_edge_and_some_have_none(host):
    graphs = drawn(150, 1, host=host)
    ends = [[sorted((graph.nodes[u]["colour"], graph.nodes[v]["colour"])) for u, v in graph.edges] for graph in graphs]
    relevant = [[0, 1] in pairs for pairs in ends]
    irrelevant = [any(pair != [0, 1] for pair in pairs) for pairs in ends]
    assert sum(r and i for r, i in zip(relevant, irrelevant, strict=True)) > 0.75 * len(graphs)
    assert not all(relevant)


def test_the_number_of_a_node_tells_nothing_of_its_degree():
    """In order of growth, the first node of a preferential attachment tree has about twice the mean degree of the last."""
    graphs = drawn(400, 2, nodes=(7, 7), host="barabasi-albert", degree=6, edges=11)
    difference = torch.tensor([float(graph.degree[0] - graph.degree[6]) for graph in graphs])
    # five standard errors of a mean of 400 differences
    assert difference.mean().abs() < 5 * difference.std() / 20


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
    graphs = drawn(50, 4)
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
        ({"players": "nodes"}, r"'edges' or 'features' \(got 'nodes'\)"),
        ({"nodes": (7, 4)}, r"3 <= least <= largest, such as \(4, 7\) \(got \(7, 4\)\)"),
        ({"edges": 5}, r"write edges=6 or more \(got edges=5\)"),
        ({"edges": 17}, r"at most 16 edges \(got edges=17\)"),
        ({"degree": 1}, r"write degree=2 or more \(got degree=1\)"),
        ({"host": "smallworld"}, r"'tree' \(got 'smallworld'\)"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_knob_out_of_range_is_refused_with_what_to_write(knobs, message):
    with pytest.raises(ValueError, match=message):
        make_environment("edge-types-v1", **knobs)


def test_bounds_that_no_graph_meets_are_reported_with_both_of_them():
    environment = make_environment("edge-types-v1", nodes=(12, 12), edges=16, degree=2, host="barabasi-albert")
    with pytest.raises(ValueError, match=r"raise degree or lower nodes \(got degree=2, nodes=\(12, 12\)\)"):
        environment.sample(8, torch.Generator().manual_seed(0))


def test_colours_without_weights_are_refused():
    with pytest.raises(ValueError, match=r"one number per colour"):
        make_environment("colour-nodes-v1", weights=())
