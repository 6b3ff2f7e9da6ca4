"""Players leave in the order of their scores, ties in a drawn order, and what a network sees is what masking by hand gives."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from attrlab.errors import InvalidInput
from attrlab.games.imputers import constant, keep_baseline
from attrlab.games.imputers_images import noisy_linear
from attrlab.retraining.removal import STAYS, fills_each_entry_alone, of_entries, positions, remove, removed_counts

EVERYONE = torch.ones(1, 4, dtype=torch.bool)


def test_the_most_relevant_leave_first_and_the_rest_in_reverse_if_not_descending():
    scores = torch.tensor([[0.3, -1.0, 2.0, 0.0]])
    assert positions(scores, EVERYONE, seed=0, descending=True).tolist() == [[1, 3, 0, 2]]
    assert positions(scores, EVERYONE, seed=0, descending=False).tolist() == [[2, 0, 3, 1]]


def test_players_that_are_not_there_never_leave():
    present = torch.tensor([[True, False, True, False]])
    place = positions(torch.tensor([[1.0, 9.0, 2.0, 9.0]]), present, seed=0, descending=True)
    assert place.tolist() == [[1, STAYS, 0, STAYS]]


def test_ties_are_broken_by_seed_and_row_and_never_by_index():
    scores, present = torch.zeros(2000, 4), torch.ones(2000, 4, dtype=torch.bool)
    place = positions(scores, present, seed=3, descending=True)
    assert torch.equal(place, positions(scores, present, seed=3, descending=True))
    assert not torch.equal(place, positions(scores, present, seed=4, descending=True))
    first = (place == 0).double().mean(0)
    # 2000 draws of probability 1/4 have a standard deviation of 0.0097; 0.05 is five of them
    torch.testing.assert_close(first, torch.full((4,), 0.25, dtype=torch.float64), rtol=0, atol=0.05)


def test_scores_that_differ_by_rounding_are_tied():
    scores = torch.tensor([0.1 + 0.2, 0.3], dtype=torch.float64).expand(200, 2)
    place = positions(scores, torch.ones(200, 2, dtype=torch.bool), seed=0, descending=True)
    assert 0 < int((place[:, 0] == 0).sum()) < 200


@given(st.lists(st.integers(-2, 2), min_size=1, max_size=6), st.floats(0, 1))
def test_keeping_a_fraction_is_removing_all_but_it(values: list[int], fraction: float):
    scores = torch.tensor([values], dtype=torch.float64)
    present = torch.ones_like(scores, dtype=torch.bool)
    gone = positions(scores, present, seed=1, descending=True) < removed_counts(present, fraction)
    left = positions(scores, present, seed=1, descending=False) >= removed_counts(present, fraction, keep=True)
    assert torch.equal(gone, left)


@pytest.mark.parametrize(("fraction", "removed"), [(0.0, 0), (0.1, 1), (0.3, 2), (0.5, 3), (0.9, 5), (1.0, 5)])
def test_a_fraction_of_five_players_is_rounded_to_the_nearest(fraction: float, removed: int):
    present = torch.ones(1, 5, dtype=torch.bool)
    assert removed_counts(present, fraction).tolist() == [removed]


@pytest.mark.parametrize("fraction", [-0.1, 1.5, float("nan")])
def test_a_fraction_that_is_none_is_refused_with_what_to_write(fraction: float):
    with pytest.raises(InvalidInput, match=r"write 0\.3 for 30 %"):
        removed_counts(EVERYONE, fraction)


def test_entries_of_no_player_stay_and_channels_share_their_table():
    place = torch.tensor([[1, 0]], dtype=torch.int16)
    mask = torch.tensor([[[[0, 1, -1]], [[0, 1, -1]]]])
    assert of_entries(place, mask).tolist() == [[[[1, 0, STAYS]]]]
    apart = torch.tensor([[[[0, 1, -1]], [[1, 0, -1]]]])
    assert of_entries(place, apart).tolist() == [[[[1, 0, STAYS]], [[0, 1, STAYS]]]]


@pytest.mark.parametrize("imputer", [keep_baseline, constant(5.0), noisy_linear()], ids=lambda one: one.name)
@pytest.mark.parametrize("shared", [True, False])
def test_what_a_job_sees_is_the_row_imputed_by_hand(imputer, shared: bool, generator: torch.Generator):
    inputs = torch.randn(6, 2, 3, 4, generator=generator, dtype=torch.float64)
    baseline = torch.randn(6, 2, 3, 4, generator=generator, dtype=torch.float64)
    mask = torch.arange(12).view(1, 1, 3, 4).expand(6, 2, 3, 4)
    scores = torch.randn(3, 6, 12, generator=generator)
    present = torch.ones(6, 12, dtype=torch.bool)
    places = [positions(one, present, seed=0, descending=True) for one in scores]
    counts = torch.stack([removed_counts(present, fraction) for fraction in (0.25, 0.5, 0.75)])
    tables = torch.stack([of_entries(place, mask) for place in places])
    removal = remove(inputs, baseline, imputer, tables=tables, table=torch.tensor([2, 0, 1]), counts=counts)
    index = torch.tensor([4, 1]) if shared else torch.tensor([[4, 1], [0, 5], [3, 3]])
    found = removal.rows(index)
    for job, table in enumerate((2, 0, 1)):
        rows = index if shared else index[job]
        expected = by_hand(inputs, baseline, imputer, scores[table], (3, 6, 9)[job])[rows]
        assert torch.equal(found[job], expected)


def by_hand(inputs: Tensor, baseline: Tensor, imputer, scores: Tensor, removed: int) -> Tensor:
    """Every row by a plain sort of its players."""
    kept = torch.ones(len(inputs), 12, dtype=torch.bool)
    for row, own in enumerate(scores):
        for player in sorted(range(12), key=lambda p: -float(own[p]))[:removed]:
            kept[row, player] = False
    entries = kept.view(-1, 1, 3, 4).expand_as(inputs)
    return imputer.impute(inputs, baseline, entries, torch.arange(len(inputs)))


def test_only_imputers_that_look_at_neighbours_are_asked_for_every_job(generator: torch.Generator):
    rows = torch.randn(8, 1, 4, 4, generator=generator)
    alone = [fills_each_entry_alone(imputer, rows, torch.zeros_like(rows)) for imputer in (keep_baseline, constant(1.0), noisy_linear())]
    assert alone == [True, True, False]
