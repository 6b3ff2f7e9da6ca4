"""PGExplainer: trained on the reference alone, the same predictor as torch-geometric's loop trains, and forgotten between calls."""

import pytest
import torch
from torch import nn
from torch_geometric.explain import Explainer, PGExplainer

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.method import players_of
from attrlab.methods.edge_predictor import Predictor, embeddings, logits_of, pg_explainer, train
from synthetic import make_environment


def drawn(id, n=5, seed=0):
    environment = make_environment(id)
    return environment, environment.sample(n, torch.Generator().manual_seed(seed))


def explain(environment, batch, *, reference=None, seed=3, **parameters):
    drawn_apart = environment.sample(6, torch.Generator().manual_seed(99)).inputs
    return pg_explainer(
        environment.model,
        batch.inputs,
        feature_mask=batch.feature_mask,
        reference=drawn_apart if reference is None else reference,
        generator=torch.Generator().manual_seed(seed),
        **{"epochs": 3, **parameters},
    )


class Given(PGExplainer):
    """torch-geometric's PGExplainer with the embeddings that are handed to it; nothing else differs."""

    def _get_embeddings(self, model, x, edge_index, **kwargs):
        del model, x, edge_index, kwargs
        return self.given


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad:UserWarning")  # the library's own float(loss)
def test_the_trained_predictor_equals_that_of_torch_geometric():
    environment, batch = drawn("reach-v1", 4)
    rows, epochs = batch.inputs, 5
    embedded = embeddings(environment.model, rows)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = Given(epochs=epochs, lr=0.01, bias=0.5)  # u = 1/2: no noise
        theirs.coeffs["bias"] = 0.5
        theirs.mlp(torch.zeros(1, 2 * embedded.shape[2]))
        theirs = theirs.double()
    PGExplainer.coeffs["bias"] = 0.01  # the library keeps a coefficient for all instances
    theirs.coeffs = {**PGExplainer.coeffs, "bias": 0.5}
    layers = [layer for layer in theirs.mlp if hasattr(layer, "weight")]
    ours = Predictor(*(value.detach().clone().requires_grad_() for layer in layers for value in (layer.weight, layer.bias)))
    theirs.optimizer = torch.optim.Adam(theirs.mlp.parameters(), lr=0.01)
    train(
        environment.model,
        rows,
        embedded,
        ours,
        torch.Generator(),
        epochs=epochs,
        lr=0.01,
        batch_size=1,
        penalties=(0.05, 1.0),
        temperature=(5.0, 2.0),
        bias=0.5,
    )
    config = {"mode": "regression", "task_level": "graph", "return_type": "raw"}
    for epoch in range(epochs):
        for row, inner in zip(rows, embedded, strict=True):
            module, to_data = environment.twin()
            data = to_data(row)
            Explainer(module, theirs, explanation_type="phenomenon", edge_mask_type="object", model_config=config)
            theirs.given = inner[data.position]
            wanted = module(data.x, data.edge_index, data.edge_weight).detach()
            theirs.train(epoch, module, data.x, data.edge_index, target=wanted, edge_weight=data.edge_weight)
    for mine, layer in ((ours[0], layers[0].weight), (ours[1], layers[0].bias), (ours[2], layers[1].weight), (ours[3], layers[1].bias)):
        torch.testing.assert_close(mine.detach(), layer.detach(), atol=1e-6, rtol=0)  # Adam divides rounding by itself where slopes vanish


def test_the_logit_of_a_pair_is_the_network_on_its_two_embeddings():
    generator = torch.Generator().manual_seed(0)
    predictor = Predictor(*(torch.randn(*shape, generator=generator) for shape in ((64, 4), (64,), (1, 64), (1,))))
    embedded = torch.randn(2, 3, 2, generator=generator)
    found = logits_of(predictor, embedded)
    for row in range(2):
        for i in range(3):
            for j in range(3):
                pair = torch.cat([embedded[row, j], embedded[row, i]])  # from j to i
                wanted = predictor.second @ torch.relu(predictor.first @ pair + predictor.first_bias) + predictor.second_bias
                torch.testing.assert_close(found[row, i, j], wanted[0])


class Coloured(nn.Module):
    """f = Σ_ij A_ij x_i x_j: edges between nodes of colour 1 alone matter, and embeddings show the colour."""

    def forward(self, rows):
        n = rows.shape[1]
        x = rows[..., n:] * 1.0
        return (x * (rows[..., :n] @ x)).sum((1, 2)).unsqueeze(1)


def coloured_rows(count, seed):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.zeros(count, 6, 7, dtype=torch.float64)
    upper = (torch.rand(count, 6, 6, generator=generator) < 0.5).double().triu(1)
    rows[..., :6] = upper + upper.mT
    rows[..., 6] = (torch.rand(count, 6, generator=generator) < 0.5).double()
    owner = torch.full(rows.shape, -1)
    for row in range(count):
        for number, (i, j) in enumerate(upper[row].nonzero().tolist()):
            owner[row, i, j] = owner[row, j, i] = number
    return rows, owner


def test_it_learns_that_edges_between_nodes_of_one_colour_matter():
    rows, owner = coloured_rows(8, seed=1)
    found = pg_explainer(
        Coloured(),
        rows,
        feature_mask=owner,
        reference=coloured_rows(16, seed=2)[0],
        generator=torch.Generator().manual_seed(0),
        epochs=20,
    )
    matters = (rows[..., 6:] * rows[..., 6:].mT) > 0
    edges = owner[..., :6] >= 0
    inside, outside = found[..., :6][edges & matters], found[..., :6][edges & ~matters]
    assert float(inside.mean()) > float(outside.mean()) + 0.1


def test_an_explained_row_does_not_depend_on_its_batch():
    environment, batch = drawn("reach-v1")
    whole = explain(environment, batch)
    order = torch.tensor([4, 1, 0])
    torch.testing.assert_close(explain(environment, batch.rows(order)), whole[order], atol=1e-12, rtol=0)
    torch.testing.assert_close(explain(environment, batch.rows(slice(2, 3))), whole[2:3], atol=1e-12, rtol=0)


def test_nothing_is_remembered_between_calls_and_the_reference_is_all_that_is_learnt_from():
    environment, batch = drawn("reach-v1")
    first = explain(environment, batch)
    other = explain(environment, batch, reference=environment.sample(6, torch.Generator().manual_seed(5)).inputs)
    assert not torch.equal(first, other)
    assert torch.equal(first, explain(environment, batch))


def test_losses_of_a_step_are_summed_so_that_a_reference_given_twice_in_one_step_weighs_twice():
    environment, _ = drawn("reach-v1", 1)
    row = environment.sample(1, torch.Generator().manual_seed(4)).inputs
    slopes = []
    for times in (1, 2):
        rows = row.repeat(times, 1, 1)
        embedded = embeddings(environment.model, rows)
        generator = torch.Generator().manual_seed(0)
        shapes = ((64, 2 * embedded.shape[2]), (64,), (1, 64), (1,))
        ours = Predictor(*(torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes))
        train(
            environment.model, rows, embedded, ours, torch.Generator(),
            epochs=1, lr=1e-3, batch_size=2, penalties=(0.05, 1.0), temperature=(5.0, 2.0), bias=0.5,
        )  # fmt: skip
        slopes.append(ours.second.grad)
    torch.testing.assert_close(slopes[1], 2 * slopes[0])


def test_embeddings_are_the_last_values_per_node():
    environment, batch = drawn("edge-types-v1")
    found = embeddings(environment.model, batch.inputs)
    torch.testing.assert_close(found.sum((1, 2)), environment.model(batch.inputs)[:, 0])  # this network sums its last values


def test_a_network_without_values_per_node_is_refused():
    _, batch = drawn("edge-types-v1", 2)
    with pytest.raises(NotApplicable, match="no embeddings"):
        pg_explainer(
            lambda rows: rows.flatten(1).sum(1, keepdim=True),
            batch.inputs,
            feature_mask=batch.feature_mask,
            reference=batch.inputs,
            generator=torch.Generator(),
        )


@pytest.mark.parametrize("id", ["edge-types-features-v1", "reach-nodes-v1", "relation-count-v1"])
def test_players_other_than_the_edges_of_one_adjacency_are_refused(id):
    environment, batch = drawn(id, 2)
    with pytest.raises(NotApplicable, match="players='edges'"):
        explain(environment, batch)


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"batch_size": 0}, {"lr": -1.0}, {"temperature": (5.0, 0.0)}, {"bias": 0.0}])
def test_a_setting_out_of_range_is_named(wrong):
    environment, batch = drawn("reach-v1", 1)
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        explain(environment, batch, **wrong)


def test_float32_is_kept():
    environment, batch = drawn("reach-v1", 2)
    single = batch.to(dtype=torch.float32)
    reference = single.inputs
    scores = pg_explainer(
        environment.model.float(),
        single.inputs,
        feature_mask=single.feature_mask,
        reference=reference,
        generator=torch.Generator(),
        epochs=1,
    )
    assert scores.dtype == torch.float32
    assert bool(((players_of(scores, single.feature_mask, single.players) > 0).sum(1) > 0).all())
