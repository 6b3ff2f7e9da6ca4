"""Formulas and functions of a count: certificates as a logician states them, balanced rows, truth at sizes beyond enumeration."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from synthetic import make_environment
from synthetic.certificates import certificates
from synthetic.oracles import count_game_shapley, game_truth

COUNTING = ("parity-v1", "majority-v1", "threshold-v1", "modulo-v1")
ROUNDING = 1e-9  # float64 sums of a few terms of size 1


def drawn(environment, n=24, seed=0):
    return environment.sample(n, torch.Generator().manual_seed(seed))


def certified(formula, row):
    environment = make_environment("boolean-v1", formula=formula, null_columns=0)
    batch = drawn(environment, 400)
    (found,) = (batch.inputs == torch.tensor(row, dtype=torch.float64)).all(1).nonzero()[0]
    return certificates(environment.specification, batch, int(found))


def sets(*members):
    return frozenset(frozenset(m) for m in members)


def test_of_a_conjunction_every_part_is_necessary_and_only_all_of_them_suffice():
    found = certified("a and b and c", (1, 1, 1))
    assert found.necessary == {0, 1, 2}
    assert found.sufficient == sets({0, 1, 2})
    assert found.order == 3


def test_of_a_disjunction_no_part_is_necessary_and_each_suffices():
    found = certified("a or b or c", (1, 1, 0))
    assert found.necessary == set()
    assert found.sufficient == sets({0}, {1})


def test_what_holds_at_the_baseline_can_be_kept_by_a_part_that_is_present():
    """(a and b) or not c at (1, 1, 1): c, which makes it fail, is undone by a and b together; nothing alone suffices but they or no c."""
    found = certified("(a and b) or not c", (1, 1, 1))
    assert found.relevant == {0, 1, 2}
    assert found.necessary == {0, 1}
    assert found.sufficient == sets({0, 1})


def test_of_an_exclusive_or_every_player_that_is_present_is_necessary():
    found = certified("a xor b xor c", (1, 1, 0))
    assert found.necessary == {0, 1}
    assert found.sufficient == sets({0, 1})


@pytest.mark.parametrize(
    "id", ["boolean-v1", "boolean-and-v1", "boolean-or-v1", "boolean-not-v1", "parity-v1", "majority-v1", "threshold-v1"]
)
def test_true_and_false_rows_are_equally_frequent(id):
    environment = make_environment(id)
    rows = drawn(environment, 4000).inputs
    share = float(environment.model(rows).mean())
    assert abs(share - 0.5) < 5 * math.sqrt(0.25 / 4000)  # five standard deviations of a fair coin


@pytest.mark.parametrize("id", COUNTING)
def test_counted_bits_are_alike_in_the_data_and_null_bits_say_nothing(id):
    environment = make_environment(id)
    rows = drawn(environment, 4000).inputs
    null = environment.knobs["null_columns"]
    means = rows.mean(0)
    assert (means[:-null] - means[:-null].mean()).abs().max() < 5 * math.sqrt(0.25 / 4000)  # five standard deviations
    outputs = environment.model(rows)[:, 0]
    for column in range(rows.shape[1] - null, rows.shape[1]):
        assert abs(float(torch.corrcoef(torch.stack([rows[:, column], outputs]))[0, 1])) < 5 / math.sqrt(4000)


@pytest.mark.parametrize("id", COUNTING)
def test_an_equal_share_of_the_count_is_the_truth_that_enumeration_finds(id):
    environment = make_environment(id)
    batch = drawn(environment, 60)
    parts = (batch.inputs, batch.baseline, batch.feature_mask, batch.target)
    enumerated = game_truth(environment.specification, *parts, players=batch.players)
    assert torch.equal(batch.truth.support, enumerated.support)
    for convention in ("shapley", "removal"):
        found, expected = batch.truth.attributions[convention], enumerated.attributions[convention]
        torch.testing.assert_close(found, expected, atol=ROUNDING, rtol=0)


@pytest.mark.parametrize(
    ("id", "value"), [("parity-v1", lambda n: n % 2), ("majority-v1", lambda n: int(n > 30)), ("modulo-v1", lambda n: n % 3)]
)
def test_the_truth_of_sixty_counted_columns_is_that_of_the_count_game(id, value):
    environment = make_environment(id, columns=61, null_columns=1)
    batch = drawn(environment, 12)
    counts = batch.inputs[:, :60].sum(1).long().tolist()
    for row, count in enumerate(counts):
        if count:
            (share,) = count_game_shapley(lambda present: value(present[0]), [count])
            present = batch.inputs[row] * (torch.arange(61) < 60)
            torch.testing.assert_close(batch.truth.attributions["shapley"][row], present * share, atol=ROUNDING, rtol=0)


def test_a_threshold_goes_from_or_to_and():
    lattice = make_environment("threshold-v1").lattice()
    bits = lattice[:, :-1]
    for t, expected in ((1, bits.any(1)), (5, bits.all(1))):
        outputs = make_environment("threshold-v1", t=t).model(lattice)[:, 0]
        assert torch.equal(outputs, expected.double())


def test_the_gradient_of_a_remainder_is_one_at_every_counted_bit_while_its_truth_is_not():
    environment = make_environment("modulo-v1")
    batch = drawn(environment, 60)
    inputs = batch.inputs.clone().requires_grad_()
    (slope,) = torch.autograd.grad(environment.model(inputs).sum(), inputs)
    assert (slope[:, :-1] == 1).all()  # exact: a single unit is active, the steps are flat
    shares = np.unique(batch.truth.attributions["shapley"].numpy())
    np.testing.assert_allclose(shares, [0, 1 / 4, 2 / 5, 1], atol=ROUNDING)  # (N mod 3) / N of N = 1 ... 6
