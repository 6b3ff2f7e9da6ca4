"""GNN-LRP: walks are higher-order derivatives, they add up to the output, and their gathered shares are what enumeration gives."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.method import players_of
from attrlab.methods.walks import gnn_lrp, walk_relevance
from synthetic import make_environment
from tests.reference_graphs import lrp_gamma_of_nodes, walk_by_derivatives

NODES, CHANNELS = 4, 3


class TwoLayers(nn.Module):
    """f = Σ relu(A relu(A X W1) W2) of drawn weights, with no bias and no skip."""

    def __init__(self, relu=None):
        super().__init__()
        generator = torch.Generator().manual_seed(2)
        drawn = [torch.randn(3, CHANNELS, generator=generator).double(), torch.randn(2, 3, generator=generator).double()]
        self.maps = nn.ModuleList(nn.Linear(w.shape[1], w.shape[0], bias=False).double() for w in drawn)
        for layer, w in zip(self.maps, drawn, strict=True):
            layer.weight = nn.Parameter(w, requires_grad=False)
        self.relu = relu or torch.relu

    def by_layer(self, layers, features):
        hidden = features
        for adjacency, linear in zip(layers, self.maps, strict=True):
            hidden = self.relu(linear(adjacency @ hidden))
        return hidden.sum()

    def forward(self, rows):
        hidden = rows[..., NODES:]
        for linear in self.maps:
            hidden = self.relu(linear(rows[..., :NODES] @ hidden))
        return hidden.sum((1, 2)).unsqueeze(1)


def graphs(count=2, seed=0):
    """Weighted graphs with all edges but one, each edge a player."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.zeros(count, NODES, NODES + CHANNELS, dtype=torch.float64)
    owner = torch.full(rows.shape, -1)
    pairs = list(itertools.combinations(range(NODES), 2))[:-1]
    for number, (i, j) in enumerate(pairs):
        weight = torch.rand(count, generator=generator).double() + 0.5
        rows[:, i, j] = rows[:, j, i] = weight
        owner[:, i, j] = owner[:, j, i] = number
    rows[..., NODES:] = torch.rand(count, NODES, CHANNELS, generator=generator).double()
    return rows, owner


def gathered(model, rows, owner, **parameters):
    absent = torch.where(owner < 0, rows, 0.0)
    target = torch.zeros(len(rows), dtype=torch.int64)
    return gnn_lrp(model, rows, target=target, baseline=absent, feature_mask=owner, **parameters)


def every_walk():
    return list(itertools.product(range(NODES), repeat=3))


def relevances(model, row, **parameters):
    walks = torch.tensor(every_walk())
    rows = row.expand(len(walks), *row.shape)
    return walk_relevance(model, rows, target=torch.zeros(len(walks), dtype=torch.int64), walks=walks, **parameters)


def test_the_relevance_of_a_walk_is_the_mixed_derivative_by_the_adjacency_of_each_layer():
    model, (rows, _) = TwoLayers(), graphs(1)
    found = relevances(model, rows[0])
    assert int((found.abs() > 1e-3).sum()) > 10
    for walk, value in zip(every_walk(), found.tolist(), strict=True):
        wanted = walk_by_derivatives(model.by_layer, rows[0, :, :NODES], rows[0, :, NODES:], walk)
        assert value == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("gamma", [0.0, 0.3])
def test_walks_add_up_to_the_output(gamma):
    model, (rows, _) = TwoLayers(), graphs(1)
    assert float(relevances(model, rows[0], gamma=gamma).sum()) == pytest.approx(float(model(rows)), abs=1e-10)


@pytest.mark.parametrize("gamma", [0.0, 0.3])
def test_an_edge_is_worth_its_share_of_all_walks_that_take_it(gamma):
    model, (rows, owner) = TwoLayers(), graphs(1)
    share = torch.zeros(5, dtype=torch.float64)
    for walk, value in zip(every_walk(), relevances(model, rows[0], gamma=gamma).tolist(), strict=True):
        for source, receiver in itertools.pairwise(walk):
            if owner[0, receiver, source] >= 0:
                share[owner[0, receiver, source]] += value / 2
    found = players_of(gathered(model, rows, owner, gamma=gamma), owner, 5)
    torch.testing.assert_close(found[0], share, atol=1e-10, rtol=0)


@pytest.mark.parametrize("gamma", [0.0, 0.5])
def test_walks_that_start_at_a_node_are_its_relevance_by_lrp_gamma(gamma):
    model, (rows, _) = TwoLayers(), graphs(1)
    owner = torch.full(rows.shape, -1)
    owner[..., NODES:] = torch.arange(NODES).view(NODES, 1)
    found = players_of(gathered(model, rows, owner, gamma=gamma), owner, NODES)
    weights = [layer.weight.T for layer in model.maps]
    wanted = lrp_gamma_of_nodes(rows[0, :, :NODES], rows[0, :, NODES:], weights, gamma)
    torch.testing.assert_close(found[0], wanted, atol=1e-10, rtol=0)


@pytest.mark.parametrize(
    "relu",
    [nn.ReLU(), nn.ReLU(inplace=True), functional.relu, lambda z: functional.relu(z, inplace=True), torch.relu_, lambda z: z.relu()],
    ids=["module", "in-place module", "functional", "in-place functional", "underscore", "method"],
)
def test_a_relu_is_a_relu_however_it_is_written(relu):
    rows, owner = graphs()
    torch.testing.assert_close(gathered(TwoLayers(relu), rows, owner), gathered(TwoLayers(), rows, owner), atol=1e-12, rtol=0)


@pytest.mark.parametrize("id", ["triangle-count-v1", "marked-triangle-smooth-v1", "house-smooth-v1", "edge-types-gate-v1"])
def test_closed_walks_and_counted_edges_get_their_shapley_values(id):
    environment = make_environment(id)
    batch = environment.sample(6, torch.Generator().manual_seed(0))
    found = gnn_lrp(environment.model, batch.inputs, target=batch.target, baseline=batch.baseline, feature_mask=batch.feature_mask)
    # each term of these networks takes every edge once, and a term divided among its factors is the Shapley value
    torch.testing.assert_close(players_of(found, batch.feature_mask, batch.players), batch.truth.attributions["shapley"], atol=1e-9, rtol=0)


@pytest.mark.parametrize("id", ["reach-v1", "walk-count-features-v1", "four-cycle-nodes-v1"])
def test_a_graph_is_explained_alike_alone_and_in_another_order(id):
    environment = make_environment(id)
    batch = environment.sample(5, torch.Generator().manual_seed(0))

    def explain(part):
        return gnn_lrp(
            environment.model, part.inputs, target=part.target, baseline=part.baseline, feature_mask=part.feature_mask, gamma=0.2
        )

    whole, order = explain(batch), torch.tensor([3, 0, 4])
    torch.testing.assert_close(explain(batch.rows(order)), whole[order], atol=1e-9, rtol=0)
    torch.testing.assert_close(explain(batch.rows(slice(1, 2))), whole[1:2], atol=1e-9, rtol=0)


def test_the_network_is_left_as_it_was_and_gradients_may_be_off():
    model, (rows, owner) = TwoLayers(nn.ReLU()), graphs()
    before = model(rows).clone()
    with torch.no_grad():
        inside = gathered(model, rows, owner)
    assert torch.equal(inside, gathered(model, rows, owner))
    assert torch.equal(model(rows), before)


def test_an_attention_is_refused_because_it_is_no_sum_over_walks():
    environment = make_environment("attention-decoy-v1")
    batch = environment.sample(2, torch.Generator().manual_seed(0))
    with pytest.raises(NotApplicable, match="'exp'"):
        gnn_lrp(environment.model, batch.inputs, target=batch.target, baseline=batch.baseline, feature_mask=batch.feature_mask)


def test_a_power_of_too_high_a_degree_is_refused_by_its_sum():
    rows, owner = graphs()

    def deep(r):
        power = r[..., :NODES].sum((1, 2)).unsqueeze(1)
        for _ in range(5):
            power = power * power
        return power

    with pytest.raises(NotApplicable, match="factors"):
        gathered(deep, rows, owner)


def test_settings_out_of_range_and_walks_of_another_length_are_named():
    model, (rows, owner) = TwoLayers(), graphs()
    with pytest.raises(InvalidInput, match="gamma"):
        gathered(model, rows, owner, gamma=-0.1)
    with pytest.raises(InvalidInput, match="2 times"):
        walk_relevance(model, rows, target=torch.zeros(2, dtype=torch.int64), walks=torch.zeros(2, 2, dtype=torch.int64))
