"""Every sequence world is its specification on tokens and on coalitions of them, and its truth has two derivations."""

from __future__ import annotations

import copy
from itertools import product

import numpy as np
import pytest
import torch

from attrlab.errors import NotApplicable
from attrlab.method import players_of
from attrlab.methods.paths import exact_integrated_gradients
from synthetic import make_environment
from synthetic.gadgets import MARGIN, least_preactivation
from synthetic.oracles import coalition_table, count_game_shapley, moebius, shapley_from_moebius
from synthetic.sequences.rows import decode, encode

VARIANTS = [
    ("copy-induction-v1", {}),
    ("copy-induction-v1", {"occurrences": 1, "attention": "softmax"}),
    ("copy-induction-v1", {"length": 8, "occurrences": 3}),
    ("lookup-v1", {}),
    ("lookup-v1", {"attention": "hard", "copies": 3}),
    ("lookup-v1", {"length": 3}),
    ("lookup-gates-v1", {"copies": 2}),
    ("copy-induction-v1", {"attention": "gates"}),
    ("two-hop-recall-v1", {"attention": "gates"}),
    ("two-hop-recall-v1", {}),
    ("two-hop-recall-v1", {"layer": 0, "routes": 1}),
    ("two-hop-recall-v1", {"layer": 2, "facts": 2, "routes": 1, "attention": "softmax"}),
    ("two-hop-recall-v1", {"attention": "softmax"}),
    ("token-majority-v1", {}),
    ("token-majority-v1", {"length": 5, "lead": 3}),
    ("decoy-head-v1", {}),
    ("decoy-head-v1", {"length": 8, "strength": 256.0, "occurrences": 1}),
]
variants = pytest.mark.parametrize(("id", "knobs"), VARIANTS, ids=[f"{id} {knobs}" for id, knobs in VARIANTS])
DRAWS = 10_000
ROUNDING = 1e-9  # sums of 2^8 float64 terms of size 1


def drawn(environment, n=24, seed=0):
    return environment.sample(n, torch.Generator().manual_seed(seed))


def mixtures(batch, seed=1):
    """Each row with a coalition of its own, half of the tokens being pads."""
    keep = torch.rand(len(batch), batch.players + 1, generator=torch.Generator().manual_seed(seed)) < 0.5
    keep[: len(batch) // 2] |= torch.rand(len(batch) // 2, 1, generator=torch.Generator().manual_seed(seed + 1)) < 0.3
    owner = torch.where(batch.feature_mask < 0, batch.players, batch.feature_mask)
    kept = keep.gather(1, owner.flatten(1)).view_as(owner)
    return torch.where(kept, batch.inputs, batch.baseline)


def any_tokens(environment, n, seed=2):
    """Rows of tokens drawn without any plan; with at most one decoy, the last word of its vocabulary, where that is the domain."""
    batch = drawn(environment, 200)
    columns = batch.inputs.shape[2] - batch.inputs.shape[1]
    words = torch.cat([batch.inputs, batch.baseline])[..., :columns].flatten(0, 1).unique(dim=0)
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(len(words), (n, batch.players), generator=generator)
    if environment.id.startswith("decoy"):
        decoy = int(words[:, -1].argmax())
        tokens = torch.where(tokens == decoy, (decoy + 1) % len(words), tokens)
        tokens[::2, 1] = decoy
    return encode(tokens, words.numpy())


@variants
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_the_network_is_its_specification_on_rows_and_on_their_coalitions(id, knobs, dtype):
    environment = make_environment(id, **knobs)
    batch = drawn(environment, DRAWS // 2)
    rows = torch.cat([batch.inputs, mixtures(batch)])
    network = copy.deepcopy(environment.model).to(dtype)
    outputs = torch.cat([network(part) for part in rows.to(dtype).split(256)]).double()  # parts that stay in the cache
    # Exact equality: what a softmax rounds is cut off by the snap behind it.
    assert torch.equal(outputs, torch.from_numpy(environment.specification(rows.numpy())))


@variants
def test_the_network_is_its_specification_on_tokens_in_no_order_at_all(id, knobs):
    environment = make_environment(id, **knobs)
    rows = any_tokens(environment, 2000)
    outputs = environment.model(rows)
    assert torch.equal(outputs, torch.from_numpy(environment.specification(rows.numpy())))
    assert 0 < outputs.mean() < 1  # both answers occur, so equality says something


@variants
def test_rows_and_coalitions_keep_a_quarter_from_every_kink(id, knobs):
    environment = make_environment(id, **knobs)
    batch = drawn(environment, 500)
    assert least_preactivation(environment.model, torch.cat([batch.inputs, batch.baseline, mixtures(batch)])) >= MARGIN


def test_the_majority_is_its_specification_on_the_whole_lattice():
    environment = make_environment("token-majority-v1", length=6, lead=2)
    lattice = environment.lattice()
    assert len(lattice) == 4**6
    assert torch.equal(environment.model(lattice), torch.from_numpy(environment.specification(lattice.numpy())))


@variants
def test_the_shapley_truth_is_the_share_of_the_dividends_of_the_network(id, knobs):
    environment = make_environment(id, **knobs)
    batch = drawn(environment, 8)

    def network(rows):
        return environment.model(torch.from_numpy(rows)).numpy()

    for row in range(len(batch)):
        parts = (t[row].numpy() for t in (batch.inputs, batch.baseline, batch.feature_mask))
        live, values = coalition_table(network, *parts, int(batch.target[row]))
        expected = np.zeros(batch.players)
        expected[live] = shapley_from_moebius(moebius(values))
        np.testing.assert_allclose(batch.truth.attributions["shapley"][row].numpy(), expected, atol=ROUNDING)


@variants
def test_the_truth_is_complete_and_the_drawn_answer_is_right(id, knobs):
    environment = make_environment(id, **knobs)
    batch = drawn(environment, 60)
    at_input, at_baseline = (environment.model(part).gather(1, batch.target[:, None]).squeeze(1) for part in (batch.inputs, batch.baseline))
    assert not at_baseline.any()
    assert at_input.all() or id == "token-majority-v1"  # there, either candidate is asked about
    for scores in batch.truth.attributions.values():
        if scores is not batch.truth.attributions["removal"]:
            np.testing.assert_allclose(scores.sum(1), at_input - at_baseline, atol=ROUNDING)


@variants
def test_answers_are_balanced(id, knobs):
    environment = make_environment(id, **knobs)
    target = drawn(environment, DRAWS).target
    share = torch.bincount(target, minlength=environment.outputs) / DRAWS
    # Five standard deviations of a share of DRAWS draws.
    assert (share - 1 / environment.outputs).abs().max() < 5 * 0.5 / DRAWS**0.5


@variants
def test_tokens_stand_in_no_place_that_gives_the_answer_away(id, knobs):
    environment = make_environment(id, **knobs)
    batch = drawn(environment, DRAWS)
    columns = batch.inputs.shape[2] - batch.inputs.shape[1]
    words = (batch.inputs[..., :columns] @ torch.arange(1, columns + 1).double() ** 2).long()  # distinct numbers of distinct tokens
    for place in words.T[:-1]:
        for word in place.unique():
            where = place == word
            if where.sum() > 500:
                assert (torch.bincount(batch.target[where]) / where.sum()).max() < 0.95


@variants
def test_equal_seeds_give_equal_rows(id, knobs):
    environment = make_environment(id, **knobs)
    drawn(environment, 7, seed=3)
    assert torch.equal(drawn(environment, 50, seed=4).inputs, drawn(environment, 50, seed=4).inputs)


@variants
def test_tokens_of_one_orbit_can_change_places(id, knobs):
    environment = make_environment(id, **knobs)
    batch = drawn(environment, 100)
    inside = torch.rand(batch.inputs.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)  # off the lattice, too
    columns = batch.inputs.shape[2] - batch.inputs.shape[1]
    rows = torch.where(batch.feature_mask < 0, batch.inputs, inside)
    for row, orbit in zip(rows, batch.truth.orbit.tolist(), strict=True):
        pairs = [(i, j) for i, j in product(range(len(orbit)), repeat=2) if i < j and orbit[i] == orbit[j] >= 0]
        for i, j in pairs[:2]:
            swapped = row.clone()
            swapped[i, :columns], swapped[j, :columns] = row[j, :columns], row[i, :columns]
            torch.testing.assert_close(environment.model(swapped[None]), environment.model(row[None]), rtol=0, atol=1e-10)


@variants
def test_equal_networks_are_equal_off_the_lattice(id, knobs):
    environment = make_environment(id, **knobs)
    batch = drawn(environment, 200)
    share = torch.rand(200, 1, 1, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    points = torch.lerp(batch.baseline, mixtures(batch), share)
    for other in environment.equals.values():
        torch.testing.assert_close(other(points), environment.model(points), rtol=0, atol=1e-9)  # rounding, through slopes up to 1000


def test_what_the_current_token_needs_is_itself_its_predecessor_and_the_answer():
    batch = drawn(make_environment("copy-induction-v1", occurrences=1), 200)
    scores = batch.truth.attributions["shapley"]
    expected = batch.truth.support.double() / 3
    torch.testing.assert_close(scores, expected, rtol=0, atol=ROUNDING)
    assert (batch.truth.support.sum(1) == 3).all()
    assert batch.truth.support[:, -1].all()


@pytest.mark.parametrize(("id", "knobs"), [("copy-induction-v1", {"occurrences": 2}), ("two-hop-recall-v1", {"routes": 2})])
def test_of_two_pairs_behind_one_question_each_token_has_two_fifteenths(id, knobs):
    batch = drawn(make_environment(id, **knobs), 50)
    scores, support = batch.truth.attributions["shapley"], batch.truth.support
    # v = q (a b + c d - a b c d): q has 1/3 + 1/3 - 1/5 = 7/15, each other 1/3 - 1/5 = 2/15.
    torch.testing.assert_close(scores[:, -1], torch.full((50,), 7 / 15, dtype=torch.float64), rtol=0, atol=ROUNDING)
    torch.testing.assert_close(scores[:, :-1], support[:, :-1].double() * 2 / 15, rtol=0, atol=ROUNDING)
    assert (support.sum(1) == 5).all()


def test_with_k_copies_the_query_has_k_of_k_plus_1_shares():
    for copies in (1, 2, 3):
        batch = drawn(make_environment("lookup-v1", copies=copies), 20)
        # v = q and (p_1 or ... or p_k): the query arrives last of itself and the first pair in k of k + 1 orders.
        torch.testing.assert_close(batch.truth.attributions["shapley"][:, -1], torch.full((20,), copies / (copies + 1)).double())


def test_the_votes_have_the_shares_of_a_count_game():
    environment = make_environment("token-majority-v1", length=6, lead=2)
    batch = drawn(environment, 30)
    tokens = decode(batch.inputs.numpy(), np.eye(4))
    for row, target, scores in zip(tokens, batch.target.tolist(), batch.truth.attributions["shapley"].numpy(), strict=True):
        mine, other = int((row == 1 + target).sum()), int((row == 2 - target).sum())
        shares = count_game_shapley(lambda n: float(n[0] - n[1] >= 2), (mine, other))
        for candidate, share in ((1 + target, shares[0]), (2 - target, shares[1])):
            np.testing.assert_allclose(scores[row == candidate], share, atol=ROUNDING)


def test_the_path_integral_of_the_majority_is_the_limit_of_quadrature():
    environment = make_environment("token-majority-v1")
    batch = drawn(environment, 20)
    steps = 1000
    t = (torch.arange(steps, dtype=torch.float64)[:, None, None, None] + 0.5) / steps
    points = torch.lerp(batch.baseline, batch.inputs, t).flatten(0, 1).requires_grad_()
    picked = environment.model(points).gather(1, batch.target.repeat(steps)[:, None]).sum()
    slopes = torch.autograd.grad(picked, points)[0].view(steps, *batch.inputs.shape).mean(0)
    quadrature = (slopes * (batch.inputs - batch.baseline)).sum(2)
    # A midpoint errs in the cells of the two kinks only: slope 2, once each.
    torch.testing.assert_close(batch.truth.attributions["integrated_gradients"], quadrature, rtol=0, atol=4 / steps)


def test_the_decoy_is_attended_to_most_and_is_null():
    environment = make_environment("decoy-head-v1")
    batch = drawn(environment, 100)
    decoy = batch.inputs[:, :, 5] == 1
    pattern = environment.model.pattern(environment.model.key(batch.inputs)).squeeze(1)
    assert (pattern[decoy] > 0.8).all()
    assert not batch.truth.support[decoy].any()


@pytest.mark.parametrize(
    ("id", "knobs", "message"),
    [
        ("copy-induction-v1", {"occurrences": 4}, "2 occurrences"),
        ("copy-induction-v1", {"attention": "linear"}, "'softmax' or 'gates'"),
        ("lookup-v1", {"copies": 5}, "some pair is not asked for"),
        ("lookup-v1", {"length": 9}, "length <= 8"),
        ("two-hop-recall-v1", {"layer": 3}, "one after the first hop"),
        ("two-hop-recall-v1", {"facts": 2}, "given away"),
        ("token-majority-v1", {"lead": 7}, "votes to spare"),
        ("decoy-head-v1", {"strength": 0.5}, "attracts nothing"),
        ("decoy-head-v1", {"occurrences": 6}, "another letter"),
    ],
)
def test_knobs_out_of_range_are_refused_with_the_bound(id, knobs, message):
    with pytest.raises(ValueError, match=message):
        make_environment(id, **knobs)


def test_a_row_that_is_no_row_of_tokens_is_refused():
    environment = make_environment("lookup-v1")
    batch = drawn(environment, 1)
    with pytest.raises(ValueError, match="none of the vocabulary"):
        environment.specification((batch.inputs / 2 + batch.baseline / 2).numpy())
    with pytest.raises(ValueError, match="one-hot positions"):
        environment.specification(batch.inputs.flip(1).numpy())


def path_scores(environment, batch):
    scores = exact_integrated_gradients(environment.model, batch.inputs, target=batch.target, baseline=batch.baseline)
    return players_of(scores, batch.feature_mask, batch.players)


@pytest.mark.parametrize("id", ["copy-induction-v1", "lookup-v1", "two-hop-recall-v1"])
def test_gates_make_the_same_game_of_a_piecewise_linear_network(id):
    gates, hard = (make_environment(id, attention=attention) for attention in ("gates", "hard"))
    batch = drawn(gates, 6)
    assert torch.equal(batch.inputs, drawn(hard, 6).inputs)
    assert torch.equal(batch.truth.attributions["shapley"], drawn(hard, 6).truth.attributions["shapley"])
    assert "piecewise_linear" in gates.traits
    torch.testing.assert_close(path_scores(gates, batch).sum(1), torch.ones(6).double(), rtol=0, atol=ROUNDING)
    with pytest.raises(NotApplicable, match="product"):
        path_scores(hard, batch)


@pytest.mark.parametrize("id", sorted({id for id, _ in VARIANTS} | {"bag-of-instances-v1", "bag-of-patches-v1"}))
def test_no_transition_is_so_steep_that_fifty_nodes_miss_it(id):
    environment = make_environment(id)
    batch = drawn(environment, 16)
    nodes, weights = np.polynomial.legendre.leggauss(50)
    total = torch.zeros(16, dtype=torch.float64)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        point = torch.lerp(batch.baseline, batch.inputs, node).requires_grad_()
        slope = torch.autograd.grad(environment.model(point).gather(1, batch.target[:, None]).sum(), point)[0]
        total += weight * (slope * (batch.inputs - batch.baseline)).flatten(1).sum(1)
    change = (environment.model(batch.inputs) - environment.model(batch.baseline)).gather(1, batch.target[:, None]).squeeze(1)
    assert change.any()
    assert (total - change).abs().max() < 0.5  # a step from 0 to 1 that is missed is wrong by 1; one that is seen by half a node's worth
