"""The small graphs are all there are, each once up to its numbering, and the small networks compute what their dense twins do."""

from __future__ import annotations

import itertools

import networkx as nx
import pytest
import torch

from synthetic.small_graphs import graphs_up_to_isomorphism, labelled_graphs, small_message_passing, steps_from_the_first


def as_networkx(adjacency, features, *, rooted=False):
    graph = nx.from_numpy_array(adjacency.numpy())
    nx.set_node_attributes(graph, {node: (value, rooted and node == 0) for node, value in enumerate(features.tolist())}, "mark")
    return graph


@pytest.mark.parametrize("rooted", [False, True])
@pytest.mark.parametrize("nodes", [1, 2, 3])
def test_every_labelled_graph_is_isomorphic_to_exactly_one_that_is_kept(nodes, rooted):
    kept = [as_networkx(*graph, rooted=rooted) for graph in zip(*graphs_up_to_isomorphism(nodes, rooted=rooted), strict=True)]
    for graph in zip(*labelled_graphs(nodes), strict=True):
        alike = [
            nx.is_isomorphic(as_networkx(*graph, rooted=rooted), other, node_match=lambda one, two: one["mark"] == two["mark"])
            for other in kept
        ]
        assert sum(alike) == 1


@pytest.mark.parametrize(("nodes", "graphs"), [(1, 1), (2, 2), (3, 4), (4, 11)])
def test_there_are_as_many_graphs_up_to_isomorphism_as_the_atlas_has(nodes, graphs):
    adjacency, features = graphs_up_to_isomorphism(nodes)
    plain = (features == features[:, :1]).all(1) & (features[:, 0] > 0)  # one feature for all nodes: the graph alone
    assert int(plain.sum()) == graphs == sum(graph.number_of_nodes() == nodes for graph in nx.graph_atlas_g())
    assert (adjacency == adjacency.transpose(1, 2)).all()


def test_graphs_come_with_few_edges_first():
    adjacency, _ = labelled_graphs(4)
    assert len(adjacency) == 2**6 * 2**4
    assert (adjacency.sum((1, 2)).diff() >= 0).all()


@pytest.mark.parametrize("rounds", [1, 2])
def test_networks_are_all_there_are_the_smallest_first(rounds):
    networks = small_message_passing(rounds)
    table = torch.cat([networks.numbers.flatten(1), networks.head.unsqueeze(1)], 1)
    found = {tuple(row) for row in table.tolist()}
    one_round = [numbers for numbers in itertools.product((-1, 0, 1), repeat=3) if numbers[:2] != (0, 0)]
    assert found == {(*itertools.chain(*chosen), head) for chosen in itertools.product(one_round, repeat=rounds) for head in (-1, 1)}
    assert len(found) == len(networks)
    assert ((table != 0).sum(1).diff() >= 0).all()


@pytest.mark.parametrize("rounds", [1, 2])
def test_states_and_their_distance_from_a_kink_are_those_of_a_loop_over_nodes(rounds):
    networks = small_message_passing(rounds)
    adjacency, features = labelled_graphs(3)
    states, least = networks.states(adjacency, features)
    for network, graph in itertools.product(range(0, len(networks), 101), range(0, len(features), 9)):
        state, margins = features[graph].tolist(), []
        for own, heard, bias in networks.numbers[network].tolist():
            before = [
                own * state[i] + heard * sum(a * h for a, h in zip(adjacency[graph, i].tolist(), state, strict=True)) + bias
                for i in range(3)
            ]
            margins += map(abs, before)
            state = [max(value, 0.0) for value in before]
        assert states[network, graph].tolist() == state  # small integers
        assert float(least[network, graph]) == min(margins)


def test_steps_are_those_that_networkx_counts():
    adjacency, features = graphs_up_to_isomorphism(4, rooted=True)
    for graph, steps in enumerate(steps_from_the_first(adjacency).tolist()):
        lengths = nx.single_source_shortest_path_length(as_networkx(adjacency[graph], features[graph]), 0)
        assert steps == [lengths.get(node, 4) for node in range(4)]


def test_a_network_without_rounds_and_a_graph_without_nodes_are_refused():
    with pytest.raises(ValueError, match=r"at least one round \(got 0\)"):
        small_message_passing(0)
    with pytest.raises(ValueError, match=r"at least one node \(got 0\)"):
        labelled_graphs(0)
