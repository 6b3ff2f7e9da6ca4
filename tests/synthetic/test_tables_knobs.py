"""Each knob of a table turns one property, and the truth follows it as the world's formula says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from synthetic import make_environment
from synthetic.families import dense
from synthetic.oracles import game_truth

ROUNDING = 1e-9  # float64 sums of a few terms of size 10
CLOSED = ("linear-v1", "product-v1", "redundant-evidence-v1", "pertinent-negative-table-v1", "shattered-gradient-v1")


def drawn(environment, n=24, seed=0):
    return environment.sample(n, torch.Generator().manual_seed(seed))


def gradient(model, inputs):
    inputs = inputs.clone().requires_grad_()
    return torch.autograd.grad(model(inputs).sum(), inputs)[0]


def close(found, expected):
    torch.testing.assert_close(found, expected, atol=ROUNDING, rtol=0)


@pytest.mark.parametrize("id", CLOSED)
def test_a_closed_form_is_what_enumeration_finds(id):
    environment = make_environment(id)
    batch = drawn(environment, 40)
    parts = (batch.inputs, batch.baseline, batch.feature_mask, batch.target)
    enumerated = game_truth(environment.specification, *parts, players=batch.players)
    assert torch.equal(batch.truth.support, enumerated.support)
    assert torch.equal(batch.truth.sign, enumerated.sign)
    for convention in ("shapley", "removal"):
        close(batch.truth.attributions[convention], enumerated.attributions[convention])


def test_a_linear_world_is_weight_times_input_in_every_convention_at_any_width():
    environment = make_environment("linear-v1", columns=40, null_columns=4, resolution=64)
    batch = drawn(environment, 200)
    slope = gradient(environment.model, batch.inputs)
    for scores in batch.truth.attributions.values():
        close(scores, slope * batch.inputs)
    assert batch.inputs.abs().max() <= 2
    assert torch.equal(batch.inputs * 64, (batch.inputs * 64).round())


def test_the_multilinear_product_has_one_answer_for_paths_and_orders():
    truth = drawn(make_environment("product-v1", weight=-2.5), 200).truth.attributions
    close(truth["integrated_gradients"], truth["shapley"])
    assert (truth["removal"] - truth["shapley"]).abs().max() > 1


@pytest.mark.parametrize("copies", [1, 2, 5, 10])
def test_each_of_k_copies_is_owed_a_kth_and_missed_only_where_it_is_alone(copies):
    batch = drawn(make_environment("redundant-evidence-v1", copies=copies), 40)
    bit = batch.inputs[:, :1]
    assert (batch.inputs[:, :copies] == bit).all()
    close(batch.truth.attributions["shapley"][:, :copies], (bit * 2 / copies).expand(-1, copies))
    close(batch.truth.attributions["removal"][:, :copies], (bit * (2.0 if copies == 1 else 0.0)).expand(-1, copies))


def test_a_switch_is_owed_half_of_the_difference_it_makes():
    batch = drawn(make_environment("interacting-v1", pairs=1, off_weight=1.0, on_weight=-2.0), 60)
    x, c = batch.inputs[:, 0], batch.inputs[:, 1]
    share = -3 * x * c / 2
    close(batch.truth.attributions["shapley"][:, :2], torch.stack([x + share, share], 1))


def test_open_gates_share_each_value_with_all_gates_before_it():
    batch = drawn(make_environment("nested-gates-v1", depth=3), 60)
    gates, values = batch.inputs[:, :-1:2], batch.inputs[:, 1::2]
    opened = gates.all(1)
    assert 0.3 < opened.double().mean() < 0.7
    shares = values / torch.arange(2, 5)  # of n_j among j gates and itself
    gate = shares.flip(1).cumsum(1).flip(1)
    expected = torch.stack([gate, shares], 2).flatten(1)
    close(batch.truth.attributions["shapley"][opened][:, :-1], expected[opened])


def test_absence_is_owed_what_it_counts_against_presence_and_nothing_against_absence():
    present, absent = (make_environment("pertinent-negative-table-v1", baseline=value) for value in (1, 0))
    rows, others = drawn(present, 60), drawn(absent, 60)
    assert torch.equal(rows.inputs, others.inputs)
    gone = rows.inputs[:, :2] == 0
    worth = torch.tensor([1.0, 2.0], dtype=torch.float64)
    for convention in rows.truth.attributions:
        close(rows.truth.attributions[convention][:, :2], gone * worth)
        close(others.truth.attributions[convention][:, :2], ~gone * -worth)
    assert (gradient(present.model, rows.inputs)[:, :2] == 0).all()  # exact: the detectors are flat there


def test_what_all_classes_share_moves_every_logit_and_no_output():
    environment = make_environment("uncertainty-aware-v1", classes=2)
    batch = drawn(environment, 200)
    *body, contrast = environment.model
    logits = torch.nn.Sequential(*body)
    noise = 4 * torch.randn(200, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    moved = noise.clone()
    moved[:, 4:] += 5
    assert (logits(moved) - logits(noise)).abs().amax(0).min() > 1
    close(contrast(logits(moved)), contrast(logits(noise)))
    assert batch.target.unique().tolist() == [0, 1]
    assert not batch.truth.support[:, 4:].any()


def test_the_truth_of_each_class_is_that_of_its_own_output():
    environment = make_environment("uncertainty-aware-v1", classes=3, per_class=2, shared=1)
    batch = drawn(environment, 60)
    scores = batch.truth.attributions["shapley"]
    own = torch.arange(7)[None] // 2 == batch.target[:, None]
    assert (scores[own] >= 0).all()
    assert (scores[~own] <= 0).all()
    assert (scores < 0).any()


@pytest.mark.parametrize("teeth", [1, 5, 15])
def test_a_gradient_shatters_with_the_teeth_while_the_function_stays(teeth):
    environment, plain = (make_environment("shattered-gradient-v1", teeth=n) for n in (teeth, 1))
    lattice = environment.lattice()
    close(environment.model(lattice), plain.model(lattice))
    weights = torch.tensor([1.0, -1.0, 2.0], dtype=torch.float64)
    slope = gradient(environment.model, lattice)[:, :3] - weights
    assert (slope.abs() == teeth).all()  # exact: 4 a T with a = 1/4
    assert torch.equal(slope < 0, lattice[:, :3] % 1 == 0.5)


def test_of_a_function_of_one_direction_the_path_owes_each_column_its_part_of_it():
    environment = make_environment("known-kinks-v1")
    batch = drawn(environment, 60)
    weights = torch.tensor([1.0, 2.0, -1.0, 1.0, 0.0], dtype=torch.float64)
    z = batch.inputs @ weights
    rise = (environment.model(batch.inputs) - environment.model(batch.baseline))[:, 0]
    slope = torch.where(z == 0, 1.0, rise / z)  # h'(0) = 1, between the kinks at -1/2 and 3/2
    close(batch.truth.attributions["integrated_gradients"], slope[:, None] * weights * batch.inputs)


@pytest.mark.parametrize("id", ["random-dense-v1", "random-monotone-v1", "random-homogeneous-v1"])
@pytest.mark.parametrize("seed", range(6))
def test_a_drawn_network_keeps_its_promises_whatever_the_seed(id, seed):
    environment = make_environment(id, seed=seed, inputs=4, hidden=3, depth=3, equal_columns=2, null_columns=1)
    batch = drawn(environment, 6)
    lattice = environment.lattice()
    assert environment.model(lattice).unique().numel() > 1
    assert batch.truth.independent[:, 3].all()
    assert (batch.truth.orbit[:, 0] == batch.truth.orbit[:, 1])[batch.inputs[:, 0] == batch.inputs[:, 1]].all()
    scores = batch.truth.attributions
    if id == "random-monotone-v1":
        assert all((s >= -ROUNDING).all() for s in scores.values())
    if id == "random-homogeneous-v1":
        close(scores["integrated_gradients"], gradient(environment.model, batch.inputs) * batch.inputs)


def test_the_seed_draws_the_network_and_nothing_else_does():
    one, same, other = (make_environment("random-dense-v1", seed=seed).model[0].weight for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_short_drawn_network_prints_its_numbers():
    environment = make_environment("random-dense-v1", inputs=2, hidden=2, depth=1, equal_columns=0, null_columns=0)
    layers = [(m.weight.tolist(), m.bias.tolist()) for m in environment.model if isinstance(m, torch.nn.Linear)]
    assert environment.formula == dense(layers).formula
    assert make_environment("random-dense-v1").formula == "f(x) = w relu(W2 relu(W1 x + b1) + b2), drawn from seed 0"


def test_redundant_columns_and_fair_bits_are_balanced():
    for id in ("redundant-evidence-v1", "interacting-v1", "pertinent-negative-table-v1"):
        rows = drawn(make_environment(id), 4000).inputs
        binary = rows[:, [set(column.unique().tolist()) == {0.0, 1.0} for column in rows.T]]
        assert binary.shape[1] >= 2
        assert np.abs(binary.mean(0).numpy() - 0.5).max() < 5 * math.sqrt(0.25 / 4000)  # five standard deviations
