"""Attention on edges: coefficients are found wherever they are computed, and say where a network looks, not what it uses."""

import math

import pytest
import torch
from torch import nn

from attrlab.errors import NotApplicable
from attrlab.method import players_of
from attrlab.methods.attention_readout import attention_readout
from synthetic import make_environment


def drawn(id, n=6, **knobs):
    environment = make_environment(id, **knobs)
    return environment, environment.sample(n, torch.Generator().manual_seed(0))


class Heads(nn.Module):
    """Two heads of softmax attention over all nodes, with scores given by hand; f = Σ α x."""

    def __init__(self, scores):  # (heads, nodes, nodes)
        super().__init__()
        self.scores = nn.Parameter(scores, requires_grad=False)

    def forward(self, rows):
        nodes = rows.shape[1]
        alpha = torch.softmax(self.scores + 0 * rows[:, None, :, :nodes], -1)
        return (alpha @ rows[:, None, :, nodes:]).sum((1, 2, 3)).unsqueeze(1)


def all_edges(n):
    rows = torch.ones(2, n, n + 1, dtype=torch.float64)
    owner = torch.full(rows.shape, -1)
    owner[:, :, :n] = torch.arange(n * n).view(n, n)
    return rows, owner


def test_of_a_softmax_it_is_the_maximum_over_heads():
    scores = torch.tensor([[[0.0, 2, 0], [1, 0, 0], [0, 0, 3]], [[1.0, 0, 0], [0, 0, 4], [0, 0, 0]]], dtype=torch.float64)
    rows, owner = all_edges(3)
    wanted = scores.softmax(-1).amax(0)
    torch.testing.assert_close(attention_readout(Heads(scores), rows, feature_mask=owner)[0, :, :3], wanted)


def test_layers_are_averaged():
    one, two = torch.zeros(1, 3, 3, dtype=torch.float64), torch.eye(3, dtype=torch.float64).unsqueeze(0) * 5
    first, second = Heads(one), Heads(two)
    rows, owner = all_edges(3)
    wanted = (one.softmax(-1)[0] + two.softmax(-1)[0]) / 2
    found = attention_readout(lambda r: first(r) + second(r), rows, feature_mask=owner)
    torch.testing.assert_close(found[0, :, :3], wanted)


def test_of_an_attention_that_is_spelt_out_it_is_the_coefficient_of_its_formula():
    environment, batch = drawn("attention-decoy-v1")
    beta, nodes = environment.knobs["beta"], batch.inputs.shape[1]
    found = attention_readout(environment.model, batch.inputs, feature_mask=batch.feature_mask)
    for row in range(len(batch)):
        adjacency, decoy = batch.inputs[row, :, :nodes], batch.inputs[row, :, nodes + 1]
        for i in range(nodes):
            total = 1 + sum(float(adjacency[i, j]) * math.exp(beta * float(decoy[j])) for j in range(nodes))
            for j in range(nodes):
                wanted = float(adjacency[i, j]) * math.exp(beta * float(decoy[j])) / total / 2  # two entries share an edge
                assert float(found[row, i, j]) == pytest.approx(wanted, abs=1e-12)


def test_attention_lies_on_decoys_which_the_answer_does_not_use():
    environment, batch = drawn("attention-decoy-v1", 40)
    found = players_of(
        attention_readout(environment.model, batch.inputs, feature_mask=batch.feature_mask), batch.feature_mask, batch.players
    )
    support = batch.truth.support
    used, unused = found[support].mean(), found[~support & (found > 0)].mean()
    assert float(used) < float(unused)


def test_a_node_is_given_the_attention_that_it_receives():
    environment, edges = drawn("attention-decoy-v1")
    _, nodes = drawn("attention-decoy-features-v1")
    assert torch.equal(edges.inputs, nodes.inputs)  # the same graphs, drawn from the same stream
    n = edges.inputs.shape[1]
    over_edges = attention_readout(environment.model, edges.inputs, feature_mask=edges.feature_mask)[..., :n] * 2
    received = attention_readout(environment.model, nodes.inputs, feature_mask=nodes.feature_mask)
    torch.testing.assert_close(players_of(received, nodes.feature_mask, nodes.players)[:, :n], over_edges.sum(1))


def test_it_does_not_depend_on_the_batch():
    environment, batch = drawn("attention-decoy-v1")
    whole = attention_readout(environment.model, batch.inputs, feature_mask=batch.feature_mask)
    order = torch.tensor([4, 0, 2])
    part = batch.rows(order)
    torch.testing.assert_close(
        attention_readout(environment.model, part.inputs, feature_mask=part.feature_mask), whole[order], atol=1e-12, rtol=0
    )


def test_a_network_without_attention_is_refused():
    environment, batch = drawn("edge-types-v1")
    with pytest.raises(NotApplicable, match="no attention"):
        attention_readout(environment.model, batch.inputs, feature_mask=batch.feature_mask)
