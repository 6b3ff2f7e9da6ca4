"""Degree, bridges and numbering say on known graphs what a pencil says, and on the drawn ones they find no motif."""

import networkx as nx
import pytest
import torch
from sklearn.metrics import roc_auc_score

from synthetic import Batch, make_environment
from synthetic.graphs.baselines import bridge_scores, degree_scores, index_scores
from synthetic.graphs.block import Layout

SIZE = 6
LOLLIPOP = nx.Graph([(0, 1), (1, 2), (2, 0), (2, 3), (3, 4)])  # a triangle, a tail of two edges, and node 5 alone


def batch_of(graph, players, *, relations=1):
    """One row of the graph in the given game, its edges numbered as networkx lists them."""
    layout = Layout(size=SIZE, colours=1, relations=relations, players=players)
    adjacency, numbers = torch.zeros(1, SIZE, relations * SIZE, dtype=torch.float64), torch.full((1, SIZE, SIZE), -1)
    for player, (u, v) in enumerate(graph.edges):
        block = (player % relations) * SIZE
        adjacency[0, u, block + v] = adjacency[0, v, block + u] = 1
        numbers[0, u, v] = numbers[0, v, u] = player
    inputs = layout.write(adjacency, torch.ones(1, SIZE, 1, dtype=torch.float64), torch.tensor([SIZE]))
    baseline, owner = layout.cut(inputs, numbers, torch.tensor([SIZE]))
    target = torch.zeros(1, dtype=torch.int64)
    widest = graph.number_of_edges() + 2 if players == "edges" else SIZE
    return Batch(inputs=inputs, target=target, baseline=baseline, feature_mask=owner, players=widest, derive=lambda: 1 / 0)


@pytest.mark.parametrize("relations", [1, 2])
def test_edges_of_a_lollipop_are_scored_by_degree_bridge_and_place(relations):
    batch = batch_of(LOLLIPOP, "edges", relations=relations)
    # edges as listed: 0-1, 0-2, 1-2, 2-3, 3-4; two places of padding
    assert list(LOLLIPOP.edges) == [(0, 1), (0, 2), (1, 2), (2, 3), (3, 4)]
    assert degree_scores(batch).tolist() == [[-4, -5, -5, -5, -3, 0, 0]]
    assert bridge_scores(batch).tolist() == [[1, 1, 1, 0, 0, 0, 0]]
    assert index_scores(batch).tolist() == [[1, 2, 3, 5, 7, 0, 0]]


@pytest.mark.parametrize("players", ["features", "nodes"])
def test_nodes_of_a_lollipop_are_scored_by_degree_cyclic_edges_and_place(players):
    batch = batch_of(LOLLIPOP, players)
    assert degree_scores(batch).tolist() == [[2, 2, 3, 2, 1, 0]]
    torch.testing.assert_close(bridge_scores(batch), torch.tensor([[1, 1, 2 / 3, 0, 0, 0]], dtype=torch.float64))
    assert index_scores(batch).tolist() == [[0, 1, 2, 3, 4, 5]]


def area(scores, batch):
    """The area under the curve over the live players of the rows that have both kinds."""
    areas = []
    for row in range(len(batch)):
        live = [p for p in batch.feature_mask[row].unique().tolist() if p >= 0]
        truth = batch.truth.support[row, live]
        if truth.any() and not truth.all():
            areas.append(roc_auc_score(truth, scores[row, live]))
    return sum(areas) / len(areas), 0.5 / len(areas) ** 0.5  # a mean of numbers in [0, 1], and the most its standard error can be


@pytest.mark.parametrize("id", ["edge-types-v1", "neighbour-count-v1", "triangle-count-v1", "marked-triangle-smooth-v1", "four-cycle-v1"])
def test_the_place_of_a_node_finds_nothing(id):
    batch = make_environment(id).sample(150, torch.Generator().manual_seed(0))
    found, error = area(index_scores(batch), batch)
    assert abs(found - 0.5) < 4 * error


def test_no_bridge_is_in_a_triangle_so_that_baseline_must_stand_beside_every_score():
    batch = make_environment("triangle-count-v1").sample(100, torch.Generator().manual_seed(0))
    assert not (batch.truth.support & (bridge_scores(batch) == 0)).any()
    assert area(bridge_scores(batch), batch)[0] > 0.6
