"""The motif networks on every graph there is: all 1 252 of one to seven nodes up to isomorphism, and each of their nodes as a root."""

import networkx as nx
import numpy as np
import pytest
import torch

from synthetic import make_environment
from synthetic.gadgets import least_preactivation

SIZE = 7
WIDE = {"nodes": (7, 7), "edges": 21, "degree": 6}


@pytest.fixture(scope="module")
def atlas():
    """Graphs, their adjacencies and which places are nodes."""
    graphs = [graph for graph in nx.graph_atlas_g() if len(graph)]
    adjacency = np.zeros((len(graphs), SIZE, SIZE))
    for block, graph in zip(adjacency, graphs, strict=True):
        block[: len(graph), : len(graph)] = nx.to_numpy_array(graph)
    present = np.array([[node < len(graph) for node in range(SIZE)] for graph in graphs], dtype=float)
    return graphs, torch.from_numpy(adjacency), torch.from_numpy(present)


def four_cycles(graph, root=None):
    """Pairs of opposite nodes and of their common neighbours, each cycle met twice; or those of which the root is an end."""
    pairs = [(u, v) for u in graph for v in graph if u < v and root in (None, u, v)]
    return sum(n * (n - 1) / 2 for n in (len(set(graph[u]) & set(graph[v])) for u, v in pairs)) / (2 if root is None else 1)


COUNTS = {
    "triangle-count-v1": lambda graph: sum(nx.triangles(graph).values()) / 3,
    "four-cycle-v1": four_cycles,
}
ROOTED = {"marked-triangle-smooth-v1": nx.triangles, "marked-four-cycle-smooth-v1": four_cycles}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("id", COUNTS)
def test_numbered_networks_count_on_every_graph_of_at_most_seven_nodes(atlas, id, dtype):
    graphs, adjacency, present = atlas
    rows = torch.cat([adjacency, torch.diag_embed(present)], 2)
    world = make_environment(id, **WIDE)
    expected = torch.tensor([[COUNTS[id](graph)] for graph in graphs], dtype=dtype)
    assert len(graphs) == 1252
    # dyadic weights and one exact division of a multiple, so == is meant
    assert torch.equal(world.model.to(dtype)(rows.to(dtype)), expected)
    assert torch.equal(torch.from_numpy(world.specification(rows.numpy())).to(dtype), expected)
    assert least_preactivation(world.model, rows.to(dtype)) >= 0.25


@pytest.mark.parametrize("id", ROOTED)
def test_marked_networks_count_at_every_node_of_every_graph_of_at_most_seven_nodes(atlas, id):
    graphs, adjacency, present = atlas
    graph, root = present.nonzero().T
    mark = torch.nn.functional.one_hot(root, SIZE).double().unsqueeze(2)
    rows = torch.cat([adjacency[graph], present[graph].unsqueeze(2), mark], 2)
    world = make_environment(id, **WIDE)
    expected = torch.tensor([[float(ROOTED[id](graphs[g], r))] for g, r in zip(graph.tolist(), root.tolist(), strict=True)])
    assert len(rows) == 8475
    assert torch.equal(world.model.float()(rows.float()), expected)
    assert torch.equal(torch.from_numpy(world.specification(rows.numpy())).float(), expected)
