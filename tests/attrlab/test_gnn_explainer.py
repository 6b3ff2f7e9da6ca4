"""GNNExplainer in a batch: what the masks are, that each graph stands alone, and that torch-geometric's loop finds the same."""

import pytest
import torch
from torch import nn

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.methods.graph_masks import Penalties, gnn_explainer, lay_masks, optimise
from attrlab.methods.graph_rows import graph_players, present_nodes
from synthetic import make_environment
from tests.reference_graphs import geometric_gnn_explainer, gnn_explainer_of_one

PAPER = Penalties(edge_size=0.005, edge_entropy=1.0, feature_size=1.0, feature_entropy=0.1)


def drawn(id, n=6, seed=0, **knobs):
    environment = make_environment(id, **knobs)
    return environment, environment.sample(n, torch.Generator().manual_seed(seed))


def explain(environment, batch, seeds=None, **parameters):
    return gnn_explainer(
        environment.model,
        batch.inputs,
        target=batch.target,
        baseline=batch.baseline,
        feature_mask=batch.feature_mask,
        seeds=torch.arange(len(batch)) if seeds is None else seeds,
        **parameters,
    )


def started(batch, *, symmetric, seed=1):
    masks = lay_masks(batch.feature_mask, symmetric=symmetric)
    return masks, torch.randn(len(masks.row), generator=torch.Generator().manual_seed(seed)).double() * 0.5


EDGES = ["edge-types-v1", "edge-types-gate-v1", "edge-type-or-v1", "triangle-count-v1", "walk-count-v1", "attention-decoy-v1"]


@pytest.mark.parametrize("id", EDGES)
def test_edge_masks_equal_those_of_torch_geometric_run_graph_by_graph(id):
    environment, batch = drawn(id)
    masks, start = started(batch, symmetric=False)
    ours = optimise(environment.model, batch.inputs, batch.baseline, batch.target, masks, start, PAPER, epochs=100, lr=0.01)
    begin, end = (
        torch.zeros(batch.inputs.numel(), dtype=torch.float64).index_copy(0, masks.entries, v).view(batch.inputs.shape)
        for v in (start, ours)
    )
    for row in range(len(batch)):
        module, to_data = environment.twin()
        data = to_data(batch.inputs[row])
        source, receiver = data.position[data.edge_index]
        theirs = geometric_gnn_explainer(module, data, 0, edge=begin[row, receiver, source])
        # float64 and Adam's 1 / sqrt(v): rounding grows over 100 steps and stays far below the 1e-6 that is asked for
        torch.testing.assert_close(end[row, receiver, source], theirs, atol=1e-6, rtol=0)


@pytest.mark.parametrize("id", ["edge-types-features-v1", "colour-nodes-features-v1", "colour-sum-modulo-v1"])
def test_feature_masks_equal_those_of_torch_geometric_run_graph_by_graph(id):
    environment, batch = drawn(id)
    masks, start = started(batch, symmetric=False)
    ours = optimise(environment.model, batch.inputs, batch.baseline, batch.target, masks, start, PAPER, epochs=100, lr=0.01)
    size = batch.inputs.shape[1]
    begin, end = (
        torch.zeros(batch.inputs.numel(), dtype=torch.float64).index_copy(0, masks.entries, v).view(batch.inputs.shape)
        for v in (start, ours)
    )
    for row in range(len(batch)):
        module, to_data = environment.twin()
        data = to_data(batch.inputs[row])
        begin_here, end_here = (value[row, data.position, size:] for value in (begin, end))
        theirs = geometric_gnn_explainer(module, data, int(batch.target[row]), node=begin_here, outputs=environment.outputs)
        torch.testing.assert_close(end_here, theirs, atol=1e-6, rtol=0)


@pytest.mark.parametrize("id", ["edge-types-v1", "house-v1", "edge-types-features-v1", "neighbour-count-nodes-v1", "relation-count-v1"])
def test_shared_masks_equal_the_definition_run_graph_by_graph(id):
    environment, batch = drawn(id, 3)
    masks, start = started(batch, symmetric=True)
    ours = optimise(environment.model, batch.inputs, batch.baseline, batch.target, masks, start, PAPER, epochs=30, lr=0.01)
    for row in range(len(batch)):
        here = masks.row == row
        first = dict(zip(masks.number[here].tolist(), start[here].tolist(), strict=True))
        slow = gnn_explainer_of_one(
            environment.model,
            batch.inputs[row],
            batch.baseline[row],
            batch.feature_mask[row],
            int(batch.target[row]),
            first,
            epochs=30,
            edge=bool(masks.edge[here][0]),
        )
        wanted = torch.tensor([slow[number] for number in masks.number[here].tolist()], dtype=torch.float64)
        torch.testing.assert_close(
            ours[here], wanted, atol=1e-6, rtol=0
        )  # Adam divides rounding by its own size where a gradient is nearly 0


class OneEdge(nn.Module):
    """f = 3 A_01 + 3 A_10: nothing else matters."""

    def forward(self, rows):
        return 3 * (rows[:, 0, 1] + rows[:, 1, 0]).unsqueeze(1)


def a_path():
    """0 - 1 - 2 - 3, one colour, edges as players."""
    row = torch.zeros(1, 4, 5, dtype=torch.float64)
    owner = torch.full((1, 4, 5), -1)
    for player, (i, j) in enumerate([(0, 1), (1, 2), (2, 3)]):
        row[0, i, j] = row[0, j, i] = 1
        owner[0, i, j] = owner[0, j, i] = player
    row[0, :, 4] = 1
    return row, owner, torch.where(owner < 0, row, 0.0)


def test_the_mask_goes_to_the_only_edge_that_matters_and_the_others_get_exactly_nothing():
    row, owner, absent = a_path()
    scores = gnn_explainer(
        OneEdge(), row, target=torch.tensor([0]), baseline=absent, feature_mask=owner, seeds=torch.tensor([3]), epochs=2000
    )
    assert 2 * float(scores[0, 0, 1]) > 0.99  # the optimum has a small size penalty left
    assert scores[0, 0, 1] == scores[0, 1, 0]
    assert int((scores != 0).sum()) == 2


def test_a_mask_of_its_own_per_direction_gives_an_undirected_edge_two_scores():
    row, owner, absent = a_path()
    scores = gnn_explainer(
        OneEdge(), row, target=torch.tensor([0]), baseline=absent, feature_mask=owner, seeds=torch.tensor([3]), symmetric=False
    )
    assert float((scores[0, 0, 1] - scores[0, 1, 0]).abs()) > 1e-3  # the noise of the start, not yet forgotten


@pytest.mark.parametrize("id", ["edge-types-v1", "colour-sum-modulo-v1", "reach-nodes-v1", "relation-count-v1"])
@pytest.mark.parametrize("symmetric", [True, False])
def test_a_graph_is_explained_alike_alone_in_a_batch_and_in_another_order(id, symmetric):
    environment, batch = drawn(id, 5)
    whole = explain(environment, batch, symmetric=symmetric, epochs=20)
    order = torch.tensor([3, 0, 4, 2, 1])
    torch.testing.assert_close(
        explain(environment, batch.rows(order), seeds=order, symmetric=symmetric, epochs=20), whole[order], atol=1e-9, rtol=0
    )
    for row in range(5):
        alone = explain(environment, batch.rows(slice(row, row + 1)), seeds=torch.tensor([row]), symmetric=symmetric, epochs=20)
        torch.testing.assert_close(alone, whole[row : row + 1], atol=1e-9, rtol=0)


def test_edges_that_are_never_read_get_zero():
    environment, batch = drawn("colour-nodes-v1")
    assert int((explain(environment, batch) != 0).sum()) == 0


def test_masks_that_start_at_one_half_find_a_lone_cause_and_saturate_an_or_of_two():
    environment, batch = drawn("edge-type-or-v1", 24)
    causes = batch.truth.support.sum(1)
    found = (explain(environment, batch) != 0).flatten(1).any(1)
    assert int((causes == 2).sum()) >= 2
    assert not found[causes == 2].any()  # 1/2 + 1/2 is a full cause: the output is flat, and every first gradient 0
    assert float(found[causes == 1].double().mean()) > 0.5


def test_scores_keep_float32_and_an_empty_batch_is_explained():
    environment, batch = drawn("edge-types-v1", 3)
    model, single = environment.model.float(), batch.to(dtype=torch.float32)
    scores = gnn_explainer(
        model,
        single.inputs,
        target=single.target,
        baseline=single.baseline,
        feature_mask=single.feature_mask,
        seeds=torch.arange(3),
        epochs=3,
    )
    assert scores.dtype == torch.float32
    environment.model.double()
    none = batch.rows(slice(0, 0))
    assert explain(environment, none, epochs=2).shape == none.inputs.shape


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"epochs": 1.5}, {"lr": 0.0}])
def test_a_setting_out_of_range_is_named(wrong):
    environment, batch = drawn("edge-types-v1", 1)
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        explain(environment, batch, **wrong)


def test_rows_that_are_no_graphs_are_refused():
    with pytest.raises(NotApplicable, match=r"blocks \[A \| X\]"):
        graph_players(torch.zeros(2, 3, dtype=torch.int64))


def test_who_is_an_edge_and_what_it_touches_is_read_off_the_players():
    _, batch = drawn("relation-count-v1", 2)
    players, n = graph_players(batch.feature_mask), batch.inputs.shape[1]
    for row, player in players.entries.nonzero().tolist():
        places = (batch.feature_mask[row] == player).nonzero()
        assert players.edges[row, player]
        assert set(players.touches[row, player].nonzero().flatten().tolist()) == set((places % n).flatten().tolist())
    _, nodes = drawn("edge-types-features-v1", 2)
    assert not graph_players(nodes.feature_mask).edges.any()
    assert torch.equal(present_nodes(nodes.inputs), (nodes.feature_mask >= 0).any(2))
