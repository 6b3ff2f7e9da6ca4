"""Certificates are what their definitions say, set by set, and tell apart what one mask cannot."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from synthetic import make_environment
from synthetic.certificates import certificates, interaction_order, minimal_sufficient


def subsets(n: int) -> list[frozenset[int]]:
    return [frozenset(chosen) for size in range(n + 1) for chosen in combinations(range(n), size)]


def code(players: frozenset[int]) -> int:
    return sum(1 << player for player in players)


def sufficient_by_definition(values: np.ndarray, n: int) -> set[int]:
    """Every superset of S has the value of all; no proper subset of S is such a set."""
    enough = {s for s in subsets(n) if all(values[code(t)] == values[-1] for t in subsets(n) if s <= t)}
    return {code(s) for s in enough if not any(t < s for t in enough)}


@given(st.integers(0, 4).flatmap(lambda n: st.lists(st.integers(0, 2), min_size=1 << n, max_size=1 << n)))
def test_minimal_sufficient_sets_are_those_of_the_definition(table: list[int]):
    values = np.array(table, dtype=float)
    assert set(minimal_sufficient(values)) == sufficient_by_definition(values, len(table).bit_length() - 1)


@pytest.mark.parametrize(
    ("game", "order"),
    [
        (lambda s: 3.0, 0),
        (lambda s: 2.0 * (0 in s) - 1.0 * (2 in s), 1),
        (lambda s: float({0, 1} <= s), 2),
        (lambda s: float(len(s) % 2), 3),
        (lambda s: float(bool(s)), 3),
    ],
    ids=["constant", "additive", "pair", "parity", "or"],
)
def test_interaction_order_of_known_games(game, order: int):
    values = np.zeros(8)
    for s in subsets(3):
        values[code(s)] = game(s)
    assert interaction_order(values) == order


def test_of_an_or_every_player_is_enough_and_none_is_necessary():
    world = make_environment("saturated-or-v1")
    batch = world.sample(32, torch.Generator().manual_seed(0))
    row = int((batch.truth.support.sum(1) >= 2).nonzero()[0])
    found = certificates(world.specification, batch, row)
    assert found.necessary == frozenset()
    assert found.sufficient == {frozenset({player}) for player in found.relevant}


def test_necessary_players_are_those_whose_removal_is_not_zero():
    world = make_environment("unanimity-v1")
    batch = world.sample(16, torch.Generator().manual_seed(1))
    for row in range(16):
        found = certificates(world.specification, batch, row)
        assert found.necessary == frozenset(batch.truth.necessary[row].nonzero().squeeze(1).tolist())
        assert found.relevant == frozenset(batch.truth.support[row].nonzero().squeeze(1).tolist())
