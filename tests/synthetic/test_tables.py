"""Every table is its specification on the whole lattice, and its truth has two derivations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synthetic import environment_ids, knobs_of, make_environment
from synthetic.gadgets import MARGIN, least_preactivation
from synthetic.oracles import coalition_table, moebius, path_integral, shapley_from_moebius

TABLES = [id for id in environment_ids() if make_environment(id).modality == "table"]
VARIANTS = [
    *((id, {}) for id in TABLES),
    ("additive-v1", {"columns": 4}),
    ("additive-v1", {"columns": 5, "null_columns": 2}),
    ("additive-v1", {"columns": 3, "null_columns": 0}),
    ("unanimity-v1", {"columns": 4, "order": 2}),
    ("unanimity-v1", {"columns": 8, "order": 5}),
    ("saturated-or-v1", {"columns": 2, "null_columns": 0}),
    ("saturated-or-v1", {"columns": 8, "null_columns": 3}),
    ("linear-v1", {"columns": 3, "null_columns": 0, "resolution": 1}),
    ("boolean-v1", {"formula": "(a xor b xor c) and not (a and d)", "null_columns": 2}),
    ("boolean-v1", {"formula": "a", "null_columns": 0}),
    ("boolean-v1", {"formula": "not ((a or b) and (c or d)) or e"}),
    ("parity-v1", {"columns": 8, "null_columns": 0}),
    ("threshold-v1", {"columns": 4, "null_columns": 1, "t": 3}),
    ("modulo-v1", {"columns": 8, "m": 2}),
    ("product-v1", {"weight": -2.5, "reach": 2, "null_columns": 0}),
    ("redundant-evidence-v1", {"copies": 1}),
    ("redundant-evidence-v1", {"copies": 7}),
    ("interacting-v1", {"pairs": 1, "reach": 8, "on_weight": -2.5}),
    ("nested-gates-v1", {"depth": 1}),
    ("nested-gates-v1", {"depth": 4, "reach": 2}),
    ("pertinent-negative-table-v1", {"baseline": 0}),
    ("pertinent-negative-table-v1", {"negatives": 5, "positives": 1}),
    ("uncertainty-aware-v1", {"classes": 3, "per_class": 1, "shared": 1}),
    ("shattered-gradient-v1", {"columns": 3, "teeth": 1}),
    ("shattered-gradient-v1", {"columns": 2, "teeth": 7}),
    ("known-kinks-v1", {"kinks": (0.25, 3.75)}),
    ("random-dense-v1", {"seed": 1, "inputs": 2, "hidden": 2, "depth": 1, "equal_columns": 0, "null_columns": 0}),
    ("random-dense-v1", {"seed": 2, "inputs": 4, "hidden": 3, "depth": 3, "equal_columns": 3}),
    ("random-dense-v1", {"seed": 3, "inputs": 4, "bias": False}),
    ("random-monotone-v1", {"seed": 4, "inputs": 4, "depth": 1}),
    ("random-homogeneous-v1", {"seed": 5, "inputs": 3, "depth": 1}),
    ("cancellation-v1", {"pairs": 1, "reach": 8, "weight": 0.5}),
    ("cancellation-v1", {"pairs": 2, "reach": 2, "weight": 1.25, "closing": 40.0}),
]
BUILT = [(id, knobs, make_environment(id, **knobs)) for id, knobs in VARIANTS]
BOXES = [(id, knobs) for id, knobs, world in BUILT if world.lattice and not world.traits & {"witness", "positively_homogeneous"}]
variants = pytest.mark.parametrize(("id", "knobs"), VARIANTS, ids=[f"{id} {knobs}" for id, knobs in VARIANTS])
ROUNDING = 1e-9  # float64 sums of a few hundred terms of size 10


def drawn(environment, n=24, seed=0):
    return environment.sample(n, torch.Generator().manual_seed(seed))


def points_of(environment):
    """The lattice, or ten thousand rows and as many coalitions of them where there is none."""
    if environment.lattice is not None:
        return environment.lattice()
    generator = torch.Generator().manual_seed(6)
    batch = environment.sample(10_000, generator)
    kept = torch.rand(batch.inputs.shape, generator=generator) < 0.5
    return torch.cat([batch.inputs, torch.where(kept, batch.inputs, batch.baseline)])


def relu_layers_of(model):
    """Weights between ReLUs: two linear layers in a row are one."""
    layers, pending = [], False
    for module in model:
        if isinstance(module, torch.nn.Linear):
            weight, bias = module.weight.numpy(), module.bias.numpy()
            if pending:
                before, shift = layers.pop()
                weight, bias = weight @ before, weight @ shift + bias
            layers.append((weight, bias))
        pending = isinstance(module, torch.nn.Linear)
    return layers


def gradient(model, inputs, target=None):
    """The gradient of each row's target, output 0 where none is given."""
    inputs = inputs.clone().requires_grad_()
    target = torch.zeros(len(inputs), dtype=torch.int64) if target is None else target
    return torch.autograd.grad(chosen(model, inputs, target).sum(), inputs)[0]


def chosen(model, inputs, target):
    return model(inputs).gather(1, target[:, None])[:, 0]


@variants
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_the_network_is_its_specification_on_the_whole_lattice(id, knobs, dtype):
    environment = make_environment(id, **knobs)
    lattice = points_of(environment)
    outputs = environment.model.to(dtype)(lattice.to(dtype)).double()
    # Exact equality: the weights are dyadic and the values small.
    assert torch.equal(outputs, torch.from_numpy(environment.specification(lattice.numpy())).double())


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device to compare the CPU with")
@variants
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_the_network_is_its_specification_on_a_cuda_device_too(id, knobs, dtype):
    environment = make_environment(id, **knobs)
    lattice = points_of(environment)
    outputs = environment.model.to("cuda", dtype)(lattice.to("cuda", dtype)).double().cpu()
    # Exact equality: dyadic weights and small values, and matrix products outside of TF32, which is off for them by default.
    assert torch.equal(outputs, torch.from_numpy(environment.specification(lattice.numpy())).double())


@variants
def test_the_lattice_keeps_a_quarter_from_every_kink(id, knobs):
    environment = make_environment(id, **knobs)
    assert least_preactivation(environment.model, points_of(environment)) >= MARGIN


@variants
def test_rows_are_drawn_from_the_lattice(id, knobs):
    environment = make_environment(id, **knobs)
    if environment.lattice is None:
        pytest.skip("its lattice is too large to be listed; the bounds of its rows are a test of its own")
    lattice = {tuple(row) for row in environment.lattice().tolist()}
    assert {tuple(row) for row in drawn(environment).inputs.tolist()} <= lattice


@pytest.mark.parametrize(("id", "knobs"), BOXES, ids=[f"{id} {knobs}" for id, knobs in BOXES])
def test_the_lattice_of_a_table_that_is_no_witness_holds_every_coalition_of_its_rows(id, knobs):
    environment = make_environment(id, **knobs)
    baseline = drawn(environment, 1).baseline
    assert (environment.lattice() == baseline).all(1).any()  # lattices are boxes, so mixtures of a row with it are points too
    lattice = environment.lattice()
    assert len(lattice) == np.prod([len(column.unique()) for column in lattice.T])


@variants
def test_the_shapley_truth_is_the_share_of_the_dividends_of_the_network(id, knobs):
    environment = make_environment(id, **knobs)
    batch = drawn(environment, 12)

    def network(rows):
        return environment.model(torch.from_numpy(rows)).numpy()

    for row in range(len(batch)):
        parts = (t[row].numpy() for t in (batch.inputs, batch.baseline, batch.feature_mask))
        live, values = coalition_table(network, *parts, int(batch.target[row]))
        expected = np.zeros(batch.players)
        expected[live] = shapley_from_moebius(moebius(values))
        np.testing.assert_allclose(batch.truth.attributions["shapley"][row].numpy(), expected, atol=ROUNDING)


@variants
def test_the_path_integral_truth_is_walked_and_is_the_limit_of_quadrature(id, knobs):
    environment = make_environment(id, **knobs)
    batch = drawn(environment, 4)
    steps = 2000
    t = (torch.arange(steps, dtype=torch.float64)[:, None, None] + 0.5) / steps
    points = batch.baseline + t * (batch.inputs - batch.baseline)
    slopes = gradient(environment.model, points.flatten(0, 1), batch.target.repeat(steps)).view_as(points)
    quadrature = (slopes.mean(0) * (batch.inputs - batch.baseline)).numpy()
    scores = batch.truth.attributions["integrated_gradients"].numpy()
    if "piecewise_linear" in environment.traits:
        layers, rows = relu_layers_of(environment.model), zip(batch.inputs, batch.baseline, batch.target, strict=True)
        walked = np.stack([path_integral(layers, x.numpy(), x0.numpy(), output=int(output)) for x, x0, output in rows])
        np.testing.assert_allclose(scores, walked, atol=ROUNDING)
    # A midpoint errs only in the cells of kinks: up to 20 of them, each by at most half a gradient jump (<= 16) times x (<= 8).
    np.testing.assert_allclose(scores, quadrature, atol=20 * 64 / steps)


@variants
@pytest.mark.parametrize("convention", ["shapley", "integrated_gradients"])
def test_the_truth_is_complete(id, knobs, convention):
    environment = make_environment(id, **knobs)
    batch = drawn(environment)
    rise = chosen(environment.model, batch.inputs, batch.target) - chosen(environment.model, batch.baseline, batch.target)
    torch.testing.assert_close(batch.truth.attributions[convention].sum(1), rise, atol=ROUNDING, rtol=0)


@variants
def test_removal_is_the_network_without_the_column(id, knobs):
    environment = make_environment(id, **knobs)
    batch = drawn(environment)
    for column in range(batch.players):
        without = batch.inputs.clone()
        without[:, column] = batch.baseline[:, column]
        fall = chosen(environment.model, batch.inputs, batch.target) - chosen(environment.model, without, batch.target)
        torch.testing.assert_close(batch.truth.attributions["removal"][:, column], fall, atol=ROUNDING, rtol=0)


@variants
def test_equal_networks_are_equal_between_the_baseline_and_the_rows(id, knobs):
    environment = make_environment(id, **knobs)
    batch = drawn(environment, 64)
    share = torch.rand(batch.inputs.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    inside = batch.baseline + share * (batch.inputs - batch.baseline)
    assert environment.equals
    assert "piecewise_linear" not in environment.traits or set(environment.equals) >= {"unit split", "units permuted"}
    for other in environment.equals.values():
        torch.testing.assert_close(other(inside), environment.model(inside), atol=ROUNDING, rtol=0)


@variants
def test_independent_columns_never_move_the_network(id, knobs):
    environment = make_environment(id, **knobs)
    batch = drawn(environment)
    noise = 4 * torch.randn(512, batch.players, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    free = batch.truth.independent[0]
    moved = torch.where(free, -noise.flip(0), noise)
    torch.testing.assert_close(environment.model(moved), environment.model(noise), atol=ROUNDING, rtol=0)
    assert not (batch.truth.support & batch.truth.independent).any()


@variants
def test_columns_of_an_orbit_can_be_exchanged_anywhere(id, knobs):
    environment = make_environment(id, **knobs)
    batch = drawn(environment)
    noise = 4 * torch.randn(256, batch.players, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    for row, orbit in zip(batch.inputs, batch.truth.orbit, strict=True):
        for number in set(orbit.tolist()) - {-1}:
            members = (orbit == number).nonzero().flatten()
            assert len(members) > 1
            assert len(row[members].unique()) == 1
            swapped = noise.clone()
            swapped[:, members] = noise[:, members.roll(1)]
            torch.testing.assert_close(environment.model(swapped), environment.model(noise), atol=ROUNDING, rtol=0)


@variants
def test_the_same_seed_draws_the_same_batch_and_no_global_generator_is_touched(id, knobs):
    environment = make_environment(id, **knobs)
    before = torch.random.get_rng_state()
    first, second = drawn(environment, 16, seed=5), drawn(environment, 16, seed=5)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first.inputs, second.inputs)
    assert torch.equal(first.truth.attributions["shapley"], second.truth.attributions["shapley"])
    assert first.inputs.dtype == torch.float64
    assert len(first) == 16


@variants
def test_the_model_ships_in_eval_mode_without_gradients_and_with_activations_of_its_own(id, knobs):
    environment = make_environment(id, **knobs)
    assert not environment.model.training
    assert not any(parameter.requires_grad for parameter in environment.model.parameters())
    assert {parameter.dtype for parameter in environment.model.parameters()} == {torch.float64}
    assert dict(environment.knobs).keys() == knobs_of(id).keys()


def dividends_of(environment):
    """The dividends of each drawn row's game, by the size of the coalition."""
    batch = drawn(environment)
    for row, baseline, target in zip(batch.inputs.numpy(), batch.baseline.numpy(), batch.target.tolist(), strict=True):
        _, values = coalition_table(environment.specification, row, baseline, np.arange(len(row)), target)
        sizes = np.array([code.bit_count() for code in range(len(values))])
        yield moebius(values), sizes


@variants
def test_traits_say_what_the_game_shows(id, knobs):
    environment = make_environment(id, **knobs)
    interacting = any((abs(dividends[sizes >= 2]) > ROUNDING).any() for dividends, sizes in dividends_of(environment))
    assert ("interacting" in environment.traits) == interacting
    if "additive" in environment.traits:
        assert not interacting


@variants
def test_traits_say_what_the_gradient_shows(id, knobs):
    environment = make_environment(id, **knobs)
    batch = drawn(environment)
    here = gradient(environment.model, batch.inputs, batch.target)
    assert ("flat_gradient" in environment.traits) <= bool((here == 0).all())
    if "saturating" in environment.traits:
        flat = (here == 0) & (batch.truth.attributions["shapley"] > 0)
        assert flat.any(1).all()
    if "redundant" in environment.traits and batch.players > 1:
        nothing = (batch.truth.attributions["removal"] == 0).all(1) & batch.truth.support.any(1)
        assert nothing.any()
    noise = 4 * torch.randn(2000, batch.players, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    everywhere = gradient(environment.model, noise)
    if "monotone" in environment.traits:
        assert (everywhere >= 0).all()
    if "non_monotone" in environment.traits:
        assert (everywhere < 0).any()


@variants
def test_traits_say_what_the_weights_show(id, knobs):
    environment = make_environment(id, **knobs)
    model = environment.model
    biases = [layer.bias for layer in model.modules() if isinstance(layer, torch.nn.Linear) and layer.bias is not None]
    assert ("bias_free" in environment.traits) == all((bias == 0).all() for bias in biases)
    if "positively_homogeneous" in environment.traits:
        x = torch.randn(100, drawn(environment).players, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
        torch.testing.assert_close(model(3 * x), 3 * model(x), atol=ROUNDING, rtol=0)


def test_additive_effects_are_all_three_conventions_at_once():
    batch = drawn(make_environment("additive-v1"), 64)
    scores = list(batch.truth.attributions.values())
    for other in scores[1:]:
        torch.testing.assert_close(other, scores[0], atol=ROUNDING, rtol=0)
    assert (batch.truth.orbit[:, 0] == 0).any()  # the twins meet in some rows
    assert (scores[0] < 0).any()
    assert (scores[0] > 0).any()


def test_unanimity_is_shared_by_the_members_of_its_formula():
    environment = make_environment("unanimity-v1")
    assert environment.formula == "f(x) = 2 x1 - x1 x2 + 3 x2 x3 x4 - x1 x5"
    row = (environment.lattice() == 1).all(1).nonzero().item()
    full = environment.lattice()[row : row + 1].numpy()
    assert environment.specification(full).tolist() == [[3]]
    batch = drawn(environment, 200)
    every = (batch.inputs == 1).all(1).nonzero()[0]
    np.testing.assert_allclose(batch.truth.attributions["shapley"][every][0], [1.0, 0.5, 1.0, 1.0, -0.5, 0.0], atol=ROUNDING)
    np.testing.assert_allclose(batch.truth.attributions["removal"][every][0], [0.0, 2.0, 3.0, 3.0, -1.0, 0.0], atol=ROUNDING)


def test_each_of_n_set_bits_of_an_or_is_owed_one_nth_and_its_removal_nothing():
    batch = drawn(make_environment("saturated-or-v1"), 64)
    causes = batch.inputs.clone()
    causes[:, -1] = 0
    share = causes / causes.sum(1, keepdim=True)
    torch.testing.assert_close(batch.truth.attributions["shapley"], share, atol=ROUNDING, rtol=0)
    torch.testing.assert_close(batch.truth.attributions["integrated_gradients"], share, atol=ROUNDING, rtol=0)
    many = causes.sum(1) >= 2
    assert (batch.truth.attributions["removal"][many] == 0).all()
    torch.testing.assert_close(batch.truth.attributions["removal"][~many], causes[~many], atol=ROUNDING, rtol=0)


@pytest.mark.parametrize("closing", [None, 100.0], ids=["least M", "M = 100"])
def test_a_cancelled_feature_has_half_its_effect_by_shapley_and_nothing_by_the_path(closing):
    batch = drawn(make_environment("cancellation-v1", pairs=1, closing=closing), 64)
    x, c = batch.inputs[:, 0], batch.inputs[:, 1]
    g = 2 * x - x.sign()
    truth = batch.truth.attributions
    closed = c == 1
    torch.testing.assert_close(truth["shapley"][closed, :2], torch.stack([g, -g], 1)[closed] / 2, atol=ROUNDING, rtol=0)
    assert (truth["integrated_gradients"][closed] == 0).all()
    torch.testing.assert_close(truth["removal"][closed, :2], torch.stack([0 * g, -g], 1)[closed], atol=ROUNDING, rtol=0)
    for scores in truth.values():
        torch.testing.assert_close(scores[~closed, 0], g[~closed], atol=ROUNDING, rtol=0)


PUBLISHED = {
    "saturation-witness-v1": ([1.0], [1.0]),
    "invariance-witness-v1": ([1.5, -0.5], [1.5, -0.5]),
    "dummy-witness-v1": ([0.0, 0.0], [0.0, 0.0]),
    "symmetry-witness-v1": ([0.5, 0.5], [0.5, 0.5]),
    "or-witness-v1": ([0.5, 0.5], [0.5, 0.5]),
    "monotonicity-witness-v1": ([0.25, 0.25], [1.5, -1.0]),
    "proportionality-witness-v1": ([1.25, 0.75], [1.2, 0.8]),
    "sign-witness-v1": ([0.375, 0.125], [0.375, 0.125]),
    "guided-sign-witness-v1": ([2.0], [2.0]),
    "continuity-witness-v1": ([0.5, 0.5 + 1 / 1024], [0.0, 1 + 1 / 1024]),
    "sum-witness-v1": ([3.0, 1.0], [3.0, 1.0]),
    "null-beside-and-witness-v1": ([0.0, 0.5, 0.5], [0.0, 0.5, 0.5]),
    "null-beside-or-witness-v1": ([0.0, 0.5, 0.5], [0.0, 0.5, 0.5]),
    "small-rise-witness-v1": ([1 / 64, 0.5, 0.5], [1 / 64, 0.5, 0.5]),
    "off-lattice-witness-v1": ([0.0, 0.0], [0.5, -0.5]),
}


@pytest.mark.parametrize(("id", "published"), PUBLISHED.items(), ids=PUBLISHED)
def test_a_witness_has_its_published_shapley_value_and_path_integral(id, published):
    truth = drawn(make_environment(id), 1).truth.attributions
    np.testing.assert_allclose(truth["shapley"][0], published[0], atol=ROUNDING)
    np.testing.assert_allclose(truth["integrated_gradients"][0], published[1], atol=ROUNDING)


def test_raising_x1_raises_f_and_lowers_its_path_integral():
    environment = make_environment("monotonicity-witness-v1")
    batch = drawn(environment, 2)
    assert environment.model(batch.inputs).flatten().tolist() == [0.5, 1.0]
    assert batch.truth.attributions["integrated_gradients"][:, 0].tolist() == [1.5, 0.0]
    assert batch.truth.attributions["shapley"][:, 0].tolist() == [0.25, 0.5]


def test_a_witness_cycles_through_its_rows_and_draws_nothing():
    environment = make_environment("monotonicity-witness-v1")
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state()
    assert environment.sample(5, generator).inputs[:, 0].tolist() == [1.5, 3.0, 1.5, 3.0, 1.5]
    assert torch.equal(generator.get_state(), state)


def test_a_gate_that_closes_less_than_the_bound_would_leak():
    """The bound is tight: a quarter below it, the largest x is a quarter nearer to the kink than the margin allows."""
    environment = make_environment("cancellation-v1")
    first = next(m for m in environment.model if isinstance(m, torch.nn.Linear))
    first.weight[:, 1::2] += MARGIN
    assert least_preactivation(environment.model, environment.lattice()) == 0
