"""Every set world is its specification on bags and coalitions, its truth is enumerated twice, and no sum over a bag tells its label."""

from __future__ import annotations

import copy
from itertools import combinations

import numpy as np
import pytest
import torch

from synthetic import make_environment
from synthetic.gadgets import MARGIN, least_preactivation
from synthetic.oracles import coalition_table, moebius, null_players, removal_from_table, shapley_from_moebius

INSTANCES, PATCHES = "bag-of-instances-v1", "bag-of-patches-v1"
VARIANTS = [
    (INSTANCES, {}),
    (INSTANCES, {"instances": 5, "players": "features"}),
    (INSTANCES, {"kinds": 1, "witnesses": 3}),
    (INSTANCES, {"kinds": 3, "instances": 6}),
    (INSTANCES, {"pooling": "sum", "witnesses": 2}),
    (INSTANCES, {"pooling": "sum", "players": "features", "instances": 5}),
    (PATCHES, {"instances": 3}),
    (PATCHES, {"players": "instances", "instances": 6, "witnesses": 2}),
    (PATCHES, {"pooling": "sum", "instances": 3}),
    (PATCHES, {"pooling": "sum", "players": "instances", "witnesses": 2}),
]
variants = pytest.mark.parametrize(("id", "knobs"), VARIANTS, ids=[f"{id} {knobs}" for id, knobs in VARIANTS])
DRAWS = 10_000
ROUNDING = 1e-9  # sums of 2^10 float64 terms of size 1


def drawn(environment, n=24, seed=0):
    return environment.sample(n, torch.Generator().manual_seed(seed))


def mixtures(batch, seed=1):
    """Each row with a coalition of its own, of three quarters of its players."""
    keep = torch.rand(len(batch), batch.players + 1, generator=torch.Generator().manual_seed(seed)) < 0.75
    owner = torch.where(batch.feature_mask < 0, batch.players, batch.feature_mask)
    kept = keep.gather(1, owner.flatten(1)).view_as(owner)
    return torch.where(kept, batch.inputs, batch.baseline)


@variants
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_the_network_is_its_specification_on_bags_and_on_their_coalitions(id, knobs, dtype):
    environment = make_environment(id, **knobs)
    batch = drawn(environment, DRAWS // 2)
    rows = torch.cat([batch.inputs, mixtures(batch)])
    outputs = copy.deepcopy(environment.model).to(dtype)(rows.to(dtype)).double()
    # Exact equality: what a softmax rounds is cut off by the snap behind it.
    assert torch.equal(outputs, torch.from_numpy(environment.specification(rows.numpy())))


@variants
def test_the_network_is_its_specification_on_any_bits(id, knobs):
    environment = make_environment(id, **knobs)
    shape = (4000, *drawn(environment, 2).inputs.shape[1:])
    rows = (torch.rand(shape, generator=torch.Generator().manual_seed(2)) < 0.5).double()
    if id == PATCHES:
        rows[:2000, 0] = torch.eye(3)
    outputs = environment.model(rows)
    assert torch.equal(outputs, torch.from_numpy(environment.specification(rows.numpy())))
    assert len(outputs.unique()) > 1  # different answers occur, so equality says something


@variants
def test_bags_and_coalitions_keep_a_quarter_from_every_kink(id, knobs):
    environment = make_environment(id, **knobs)
    batch = drawn(environment, 500)
    assert least_preactivation(environment.model, torch.cat([batch.inputs, batch.baseline, mixtures(batch)])) >= MARGIN


@variants
def test_the_truth_is_that_of_all_coalitions_of_all_players_through_the_network(id, knobs):
    environment = make_environment(id, **knobs)
    batch = drawn(environment, 6)

    def network(rows):
        return environment.model(torch.from_numpy(rows)).numpy()

    for row in range(len(batch)):
        live, values = coalition_table(network, *(t[row].numpy() for t in (batch.inputs, batch.baseline, batch.feature_mask)), 0)
        expected, removal = np.zeros((2, batch.players))
        expected[live], removal[live] = shapley_from_moebius(moebius(values)), removal_from_table(values)
        np.testing.assert_allclose(batch.truth.attributions["shapley"][row].numpy(), expected, atol=ROUNDING)
        np.testing.assert_allclose(batch.truth.attributions["removal"][row].numpy(), removal, atol=ROUNDING)
        support = np.zeros(batch.players, dtype=bool)
        support[live] = ~null_players(values)
        assert (batch.truth.support[row].numpy() == support).all()


@variants
def test_half_of_the_bags_have_all_that_is_asked_for(id, knobs):
    environment = make_environment(id, **knobs)
    outputs = environment.model(drawn(environment, DRAWS).inputs).squeeze(1)
    # Five standard deviations of a share of DRAWS draws.
    assert abs((outputs == outputs.max()).double().mean() - 0.5) < 5 * 0.5 / DRAWS**0.5


@variants
def test_a_linear_probe_on_sums_over_the_bag_stays_at_chance(id, knobs):
    environment = make_environment(id, **knobs)
    batch = drawn(environment, DRAWS)
    sums = batch.inputs.sum(1).flatten(1)
    size = (batch.inputs.flatten(2).sum(2) > 0).sum(1, keepdim=True)
    features = torch.cat([sums, size, torch.ones(DRAWS, 1)], 1).double()
    outputs = environment.model(batch.inputs).squeeze(1)
    labels = (outputs == outputs.max()).double() - 0.5
    half = DRAWS // 2
    weights = torch.linalg.pinv(features[:half]) @ labels[:half]
    accuracy = ((features[half:] @ weights > 0) == (labels[half:] > 0)).double().mean()
    assert abs(accuracy - 0.5) < 5 * 0.5 / half**0.5  # five standard deviations


@variants
def test_an_empty_slot_is_no_player_and_bags_have_different_sizes(id, knobs):
    batch = drawn(make_environment(id, **knobs), 200)
    empty = batch.inputs.flatten(2).sum(2) == 0
    assert (batch.feature_mask.flatten(2)[empty] == -1).all()
    sizes = (~empty).sum(1).unique()
    room = batch.inputs.shape[1] - 2 * knobs.get("kinds", 2 if id == INSTANCES else 1) * knobs.get("witnesses", 1)
    assert (len(sizes) > 1) == (room > 0)


@variants
def test_equal_seeds_give_equal_bags(id, knobs):
    environment = make_environment(id, **knobs)
    drawn(environment, 7, seed=3)
    assert torch.equal(drawn(environment, 50, seed=4).inputs, drawn(environment, 50, seed=4).inputs)


@variants
def test_players_of_one_orbit_can_change_places_off_the_lattice_too(id, knobs):
    environment = make_environment(id, **knobs)
    batch = drawn(environment, 30)
    inside = torch.rand(batch.inputs.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    for row, owner, orbit in zip(inside, batch.feature_mask, batch.truth.orbit.tolist(), strict=True):
        pairs = [pair for pair in combinations(range(len(orbit)), 2) if orbit[pair[0]] == orbit[pair[1]] >= 0]
        for i, j in pairs[:3]:
            swapped = row.clone()
            swapped[owner == i], swapped[owner == j] = row[owner == j], row[owner == i]
            torch.testing.assert_close(environment.model(swapped[None]), environment.model(row[None]), rtol=0, atol=1e-10)


@variants
def test_equal_networks_are_equal_off_the_lattice(id, knobs):
    environment = make_environment(id, **knobs)
    batch = drawn(environment, 200)
    points = torch.rand(batch.inputs.shape, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    for other in environment.equals.values():
        torch.testing.assert_close(other(points), environment.model(points), rtol=0, atol=1e-9)  # rounding, through slopes up to 100


@variants
def test_patching_a_component_changes_the_output_by_what_the_circuit_says(id, knobs):
    environment = make_environment(id, **knobs)
    batch = drawn(environment, 40)
    modules = dict(environment.model.named_modules())
    clean = environment.model(batch.inputs)
    for name, effect in environment.components(batch).items():
        kept = []
        handle = modules[name].register_forward_hook(lambda module, given, output, kept=kept: kept.append(output))
        environment.model(batch.baseline)
        handle.remove()
        handle = modules[name].register_forward_hook(lambda module, given, output, kept=kept: kept[0])
        patched = environment.model(batch.inputs)
        handle.remove()
        assert torch.equal((patched - clean).squeeze(1), effect), name  # exact: outputs are small integers
        assert effect.any()


def test_an_instance_that_suffices_is_worth_one_and_its_pixels_a_third_each():
    for players, share in (("instances", 1.0), ("pixels", 1 / 3)):
        truth = drawn(make_environment(PATCHES, players=players), 60).truth
        torch.testing.assert_close(truth.attributions["shapley"], truth.support.double() * share, rtol=0, atol=ROUNDING)
    assert drawn(make_environment(PATCHES), 60).truth.support.sum(1).unique().tolist() == [0, 3]


def test_the_two_levels_of_truth_sum_to_each_other():
    fine, coarse = (drawn(make_environment(PATCHES, players=players), 60) for players in ("pixels", "instances"))
    assert torch.equal(fine.inputs, coarse.inputs)
    by_patch = fine.truth.attributions["shapley"].view(60, -1, 9).sum(2)
    torch.testing.assert_close(by_patch, coarse.truth.attributions["shapley"], rtol=0, atol=ROUNDING)


def test_attention_divides_what_the_sum_gives_to_each():
    attention, counted = (drawn(make_environment(INSTANCES, kinds=1, witnesses=3, pooling=p), 60) for p in ("attention", "sum"))
    assert torch.equal(attention.inputs, counted.inputs)
    assert torch.equal(attention.truth.support, counted.truth.support)
    torch.testing.assert_close(
        3 * attention.truth.attributions["shapley"], counted.truth.attributions["shapley"], rtol=0, atol=3 * ROUNDING
    )
    assert not attention.truth.necessary.any()
    assert torch.equal(counted.truth.necessary, counted.truth.support)


@pytest.mark.parametrize(
    ("id", "players"), [(INSTANCES, "features"), (INSTANCES, "instances"), (PATCHES, "pixels"), (PATCHES, "instances")]
)
def test_the_path_integral_of_the_sum_is_the_limit_of_quadrature(id, players):
    environment = make_environment(id, pooling="sum", players=players)
    batch = drawn(environment, 20)
    steps = 1000
    t = (torch.arange(steps, dtype=torch.float64).view(-1, *[1] * batch.inputs.dim()) + 0.5) / steps
    points = torch.lerp(batch.baseline, batch.inputs, t).flatten(0, 1).requires_grad_()
    slopes = torch.autograd.grad(environment.model(points).sum(), points)[0].view(steps, *batch.inputs.shape).mean(0)
    entries = (slopes * (batch.inputs - batch.baseline)).flatten(1)
    owner = batch.feature_mask.flatten(1)
    quadrature = torch.stack([(entries * (owner == player)).sum(1) for player in range(batch.players)], 1)
    # A midpoint errs in the cells of kinks only: two for each instance, of slope 2 in up to three entries.
    torch.testing.assert_close(batch.truth.attributions["integrated_gradients"], quadrature, rtol=0, atol=12 / steps)


def test_a_bit_that_no_detector_reads_is_independent_and_its_weight_is_zero():
    environment = make_environment(INSTANCES, players="features", instances=5)
    batch = drawn(environment, 20)
    truth = batch.truth
    other = batch.inputs.clone()
    other[..., -2] = 1 - other[..., -2]
    assert torch.equal(environment.model(other), environment.model(batch.inputs))
    occupied = batch.feature_mask[..., -2] >= 0
    assert truth.independent[torch.arange(20)[:, None].expand_as(occupied)[occupied], batch.feature_mask[..., -2][occupied]].all()


@pytest.mark.parametrize(
    ("id", "knobs", "message"),
    [
        (INSTANCES, {"kinds": 3, "witnesses": 2}, "counterpart for each witness"),
        (INSTANCES, {"players": "features", "instances": 9}, "n <= 16"),
        (INSTANCES, {"pooling": "mean"}, "'attention' or 'sum'"),
        (INSTANCES, {"players": "pixels"}, "'instances' or 'features'"),
        (PATCHES, {"witnesses": 3}, "counterpart for each"),
        (PATCHES, {"instances": 6}, "n <= 16"),
        (PATCHES, {"players": "patches"}, "'pixels' or 'instances'"),
    ],
)
def test_knobs_out_of_range_are_refused_with_the_bound(id, knobs, message):
    with pytest.raises(ValueError, match=message):
        make_environment(id, **knobs)


@pytest.mark.parametrize("id", [INSTANCES, PATCHES])
def test_what_is_no_bag_of_bits_is_refused(id):
    environment = make_environment(id)
    with pytest.raises(ValueError, match="reads bits"):
        environment.specification((drawn(environment, 3).inputs / 2).numpy())
