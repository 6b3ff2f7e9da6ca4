"""SubgraphX: rewards are Shapley values of groups, the search finds the subgraph that matters, and each row is searched alone."""

import math

import pytest
import torch

from attrlab.errors import InvalidInput
from attrlab.method import players_of
from attrlab.methods.subgraph_x import subgraph_x
from attrlab.methods.tree_search import Graph, Settings, reward, search
from synthetic import make_environment
from tests.reference_graphs import shapley_of_a_group


def drawn(id, n=6, seed=0):
    environment = make_environment(id)
    return environment, environment.sample(n, torch.Generator().manual_seed(seed))


def explain(environment, batch, seeds=None, **parameters):
    scores = subgraph_x(
        environment.model,
        batch.inputs,
        target=batch.target,
        baseline=batch.baseline,
        feature_mask=batch.feature_mask,
        seeds=torch.arange(len(batch)) if seeds is None else seeds,
        **parameters,
    )
    return players_of(scores, batch.feature_mask, batch.players)


def path(n, f, *, radius=4, samples=4000, min_nodes=1, rollouts=20, keys=None):
    """A path 0 - 1 - ... - n-1 whose nodes are players with feature 1, and the game f(kept features)."""
    row = torch.zeros(n, n + 1, dtype=torch.float64)
    row[:, n] = 1
    for i in range(n - 1):
        row[i, i + 1] = row[i + 1, i] = 1
    owner = torch.full((n, n + 1), n)
    owner[:, n] = torch.arange(n)
    drawn = torch.rand(samples, n + 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Graph(
        model=lambda rows: f(rows[:, :, -1]).unsqueeze(1),
        row=row,
        absent=torch.where(owner < n, 0.0, row),
        owner=owner,
        touches=torch.eye(n, dtype=torch.bool),
        target=torch.zeros(1, dtype=torch.int64),
        softmax=False,
        neighbours={i: frozenset(j for j in (i - 1, i + 1) if 0 <= j < n) for i in range(n)},
        keys=drawn if keys is None else keys,
        settings=Settings(rollouts=rollouts, min_nodes=min_nodes, c_puct=10.0, expansions=14, radius=radius, samples=samples),
    )


def product_of_first_and_last(kept):
    return kept[:, 0] * kept[:, -1]


@pytest.mark.parametrize("group", [{0}, {1}, {0, 1}, {0, 1, 2, 3}, {2, 3}])
def test_the_reward_of_a_subgraph_is_its_shapley_value_as_one_player(group):
    graph = path(4, product_of_first_and_last)
    exact = shapley_of_a_group(lambda kept: float({0, 3} <= kept), range(4), group)
    # 4000 orders of a game in [0, 1]: a standard error of at most 0.008
    assert reward(graph, frozenset(group)) == pytest.approx(exact, abs=0.03)


def test_nodes_beyond_the_radius_stay():
    graph = path(4, product_of_first_and_last, radius=1)
    # node 3 is two steps from node 1 and three from node 0: with it always there, node 0 alone decides
    assert reward(graph, frozenset({0})) == pytest.approx(1.0)
    assert reward(path(4, product_of_first_and_last), frozenset({0})) == pytest.approx(0.5, abs=0.03)


def test_the_search_prunes_a_path_down_to_the_pair_that_matters():
    graph = path(6, lambda kept: kept[:, 2] * kept[:, 3], min_nodes=2, samples=100)
    search(graph)
    small = {nodes: found for nodes, found in graph.rewards.items() if len(nodes) == 2}
    assert max(small, key=small.get) == frozenset({2, 3})
    assert graph.rewards[frozenset({2, 3})] == pytest.approx(1.0)


def test_every_subgraph_that_is_visited_is_connected():
    graph = path(6, product_of_first_and_last, samples=50)
    search(graph)
    for nodes in graph.rewards:
        assert max(nodes) - min(nodes) + 1 == len(nodes)  # on a path, connected means without a gap


def test_no_node_set_is_asked_for_twice():
    asked = []

    def counting(kept):
        asked.extend(tuple(row) for row in kept.tolist())
        return kept[:, 0] * kept[:, -1]

    search(path(5, counting, samples=200))
    assert len(asked) == len(set(asked))
    assert len(asked) <= 2**5


def test_with_a_size_the_answer_is_binary_and_an_edge_stays_with_both_its_ends():
    environment, batch = drawn("edge-types-v1")
    found = explain(environment, batch, size=5)
    assert set(found.unique().tolist()) == {0.0, 1.0}
    n = batch.inputs.shape[1]
    for row in range(len(batch)):
        kept = {tuple(sorted((i, j))) for i, j in (batch.inputs[row, :, :n] != 0).nonzero().tolist()} & {
            tuple(sorted((i, j)))
            for i in range(n)
            for j in range(n)
            if batch.feature_mask[row, i, j] >= 0 and found[row, batch.feature_mask[row, i, j]] > 0
        }
        assert len({node for edge in kept for node in edge}) <= 5


def test_a_node_that_decides_stands_in_the_subgraph_of_every_size():
    environment, batch = drawn("colour-nodes-features-v1", 12)
    found = explain(environment, batch, min_nodes=3)
    positive = batch.truth.attributions["shapley"] > 0
    negative = batch.truth.attributions["shapley"] < 0
    assert float(found[positive].mean()) > float(found[negative].mean()) + 0.2


@pytest.mark.parametrize("id", ["edge-types-v1", "reach-nodes-v1", "colour-sum-modulo-v1", "relation-count-v1"])
def test_a_graph_is_explained_alike_alone_and_in_another_order(id):
    environment, batch = drawn(id, 4)
    whole = explain(environment, batch, samples=16)
    order = torch.tensor([3, 0, 2])
    # searched row by row with the row's own orders: the same to the last bit
    assert torch.equal(explain(environment, batch.rows(order), seeds=order, samples=16), whole[order])


def test_the_value_of_the_paper_is_the_probability():
    graph = path(4, product_of_first_and_last)
    graph.model = lambda rows: torch.stack([3 * rows[:, 0, -1] * rows[:, 3, -1], rows[:, 0, -1] * 0], 1)
    graph.softmax = True
    exact = shapley_of_a_group(lambda kept: 1 / (1 + math.exp(-3.0 * ({0, 3} <= kept))), range(4), {0})
    assert reward(graph, frozenset({0})) == pytest.approx(exact, abs=0.02)  # 4000 orders


@pytest.mark.parametrize(
    "wrong", [{"rollouts": 0}, {"min_nodes": 0}, {"samples": 0}, {"radius": 1.5}, {"c_puct": -1.0}, {"value": "margin"}, {"size": 0}]
)
def test_a_setting_out_of_range_is_named(wrong):
    environment, batch = drawn("edge-types-v1", 1)
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        explain(environment, batch, **wrong)


def test_an_empty_graph_gets_no_score():
    environment, batch = drawn("edge-types-v1", 1)
    empty = subgraph_x(
        environment.model,
        torch.zeros_like(batch.inputs),
        target=batch.target,
        baseline=torch.zeros_like(batch.inputs),
        feature_mask=torch.full_like(batch.feature_mask, -1),
        seeds=torch.tensor([0]),
    )
    assert int((empty != 0).sum()) == 0
