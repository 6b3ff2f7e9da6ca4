"""Rows of a case carry everything that is known of them, and their seeds, wherever they go."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from attrlab.case import Case
from attrlab.method import OFFERED


def case(rows=4, **known):
    inputs = torch.arange(3.0 * rows).view(rows, 3)
    return Case(
        name="by-hand",
        formula="f(x) = x1",
        model=nn.Identity(),
        inputs=inputs,
        target=torch.arange(rows),
        baseline=-inputs,
        feature_mask=torch.arange(3).repeat(rows, 1) + torch.arange(rows)[:, None] % 2,
        players=4,
        **known,
    )


KNOWN = {
    "independent": torch.eye(4, dtype=torch.bool),
    "orbit": torch.arange(16).view(4, 4),
    "truth": torch.arange(16.0).view(4, 4),
}


@pytest.mark.parametrize("index", [[2], [3, 1, 1], []], ids=str)
def test_chosen_rows_keep_all_that_is_known_of_them(index):
    subject = case(**KNOWN)
    chosen = subject.rows(torch.tensor(index, dtype=torch.int64))
    assert len(chosen) == len(index)
    for name in ("inputs", "target", "baseline", "feature_mask", *KNOWN):
        before, after = getattr(subject, name), getattr(chosen, name)
        assert after.shape == (len(index), *before.shape[1:])
        assert all(torch.equal(after[place], before[row]) for place, row in enumerate(index))


def test_what_is_not_known_stays_unknown():
    chosen = case().rows(torch.tensor([0]))
    assert (chosen.independent, chosen.orbit, chosen.truth) == (None, None, None)


def test_seeds_travel_with_their_rows_through_any_number_of_choices():
    chosen = case().rows(torch.tensor([3, 1, 2])).rows(torch.tensor([2, 0]))
    assert chosen.seeds.tolist() == [2, 3]
    assert case(seeds=torch.tensor([7, 8, 9, 10])).rows(torch.tensor([3, 0])).seeds.tolist() == [10, 7]
    assert torch.equal(chosen.offers(5)["seeds"], case().offers(5)["seeds"][[2, 3]])


def test_offers_are_those_announced_and_are_the_method_s_own():
    subject = case(**KNOWN)
    offers = subject.offers(0)
    assert set(offers) == set(OFFERED)
    for name in ("target", "baseline", "feature_mask", "seeds", "truth"):
        offers[name].zero_()
    assert torch.equal(subject.target, case().target)
    assert torch.equal(subject.baseline, case().baseline)
    assert torch.equal(subject.feature_mask, case().feature_mask)
    assert torch.equal(subject.truth, KNOWN["truth"])
    assert subject.offers(0)["seeds"].tolist() == [0, 1, 2, 3]


def test_no_two_rows_of_two_seeds_share_a_row_seed():
    seeds = [seed for run in range(5) for seed in case(1000).offers(run)["seeds"].tolist()]
    assert len(set(seeds)) == 5000
