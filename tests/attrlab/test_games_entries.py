"""Shares written over entries are the kept sets of players, entry by entry, however entries are owned."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attrlab.games import AllSubsets, Levels, Masks, Policy, Without, concatenate, evaluate, make_game
from attrlab.games.entries import Entries, writer
from attrlab.games.rows import lay_out
from attrlab.methods.rise import Grids, _enlarged

PLAYERS, ROWS = 6, 3


def owners(kind: str, generator: torch.Generator) -> Entries:
    """Entries that stand in order, are shuffled alike in all rows, or differ from row to row and belong to nobody here and there."""
    if kind == "in order":
        return Entries(owner=torch.arange(PLAYERS).repeat_interleave(3).unsqueeze(0), repeats=3, players=PLAYERS, dtype=torch.float32)
    rows = 1 if kind == "alike" else ROWS
    owner = torch.randint(0, PLAYERS + 1, (rows, 11), generator=generator)
    return Entries(owner=owner, repeats=0, players=PLAYERS, dtype=torch.float64 if kind == "alike" else torch.float32)


def plans(generator: torch.Generator) -> dict[str, object]:
    rank = torch.randint(0, PLAYERS, (ROWS, PLAYERS), generator=generator)
    threshold = torch.randint(0, PLAYERS + 2, (ROWS, 4), generator=generator)
    members = torch.stack([torch.randperm(PLAYERS, generator=generator)[:3] for _ in range(ROWS)])
    sample = torch.randint(0, ROWS, (7,), generator=generator)
    found = {
        "deletion": Levels(rank=rank, threshold=threshold),
        "insertion": Levels(rank=rank, threshold=threshold, mode="insertion"),
        "subsets": AllSubsets(rows=torch.tensor([2, 0]), members=members[:2], players=PLAYERS),
        "subsets of the same": AllSubsets(rows=torch.tensor([2, 0]), members=members[:1].expand(2, -1), players=PLAYERS),
        "without": Without(sample=sample, player=torch.randint(-1, PLAYERS, (7,), generator=generator), players=PLAYERS),
        "masks": Masks(sample=sample, mask=torch.rand(7, PLAYERS, generator=generator) < 0.5),
    }
    return {**found, "joined": concatenate(*found.values()), "joined twice": concatenate(found["masks"], concatenate(*found.values()))}


@pytest.mark.parametrize("kind", ["in order", "alike", "ragged"])
@given(seed=st.integers(0, 10**6), picked=st.floats(0.1, 1))
@settings(max_examples=20)
def test_the_shares_of_an_entry_are_whether_its_player_is_kept(kind, seed, picked):
    generator = torch.Generator().manual_seed(seed)
    entries = owners(kind, generator)
    for name, jobs in plans(generator).items():
        selection = (torch.rand(len(jobs), generator=generator) < picked).nonzero().squeeze(1)
        sample, kept = jobs.sample[selection], jobs.keep(selection)
        out = torch.full((len(selection), entries.owner.shape[1]), torch.nan, dtype=entries.dtype)
        writer(jobs, entries, selection)(0, len(selection), sample, out)
        for place, row in enumerate(sample.tolist()):
            owner = entries.owner[row if len(entries.owner) > 1 else 0].tolist()
            wanted = [player == PLAYERS or bool(kept[place, player]) for player in owner]
            assert out[place].tolist() == wanted, name  # shares are exactly 0 or 1


def test_ranks_that_a_number_type_cannot_hold_are_compared_as_integers():
    rank = torch.tensor([[2**24, 2**24 + 1]])
    entries = Entries(owner=torch.tensor([[0, 1]]), repeats=1, players=2, dtype=torch.float32)
    jobs = Levels(rank=rank, threshold=torch.tensor([[2**24 + 1]]))
    out = torch.empty(1, 2)
    writer(jobs, entries, torch.tensor([0]))(0, 1, torch.tensor([0]), out)
    assert out.tolist() == [[0, 1]]


@given(seed=st.integers(0, 10**6), far=st.sampled_from([0, 1, 10**6]), mode=st.sampled_from(["deletion", "insertion"]))
@settings(max_examples=40)
def test_keys_of_nested_sets_are_sums_over_who_is_kept_wherever_ranks_lie(seed, far, mode):
    generator = torch.Generator().manual_seed(seed)
    rank = torch.randint(0, PLAYERS, (ROWS, PLAYERS), generator=generator) * (far + 1) - far
    jobs = Levels(rank=rank, threshold=torch.randint(-2, 8, (ROWS, 5), generator=generator) * (far + 1), mode=mode)
    numbers = torch.randint(-(2**62), 2**62, (ROWS, PLAYERS), generator=generator)
    wanted = torch.where(jobs.keep(torch.arange(len(jobs))), numbers[jobs.sample], 0).sum(1)
    assert torch.equal(jobs.keys(numbers), wanted)


@pytest.mark.parametrize("channels", [1, 3])
def test_grids_enlarged_over_entries_are_grids_enlarged_over_pixels(channels):
    generator = torch.Generator().manual_seed(0)
    matrix = _enlarged(8, 3, torch.zeros(1))
    coins = torch.rand(5, 3, 3, generator=generator) < 0.5
    down, across = (torch.randint(0, len(matrix), (5,), generator=generator) for _ in range(2))
    grids = Grids(rows=torch.tensor([0]), coins=coins, down=down, across=across, tall=matrix, wide=matrix.transpose(1, 2).contiguous())
    owner = torch.arange(64).repeat_interleave(channels).unsqueeze(0)
    entries, out = Entries(owner=owner, repeats=channels, players=64, dtype=torch.float32), torch.empty(5, 64 * channels)
    writer(grids, entries, torch.arange(5))(0, 5, torch.zeros(5, dtype=torch.int64), out)
    wanted = grids.keep(torch.arange(5)).repeat_interleave(channels, 1)
    torch.testing.assert_close(out, wanted, atol=1e-6, rtol=0)  # float32: sums of nine products of order 1


def test_a_model_may_change_and_keep_the_inputs_it_is_given():
    given_rows = []

    def model(x: torch.Tensor) -> torch.Tensor:
        given_rows.append(x)
        return x.mul_(2).sum(1, keepdim=True)

    inputs = torch.arange(1.0, 7.0).view(2, 3)
    game = make_game(
        model,
        inputs,
        target=torch.zeros(2, dtype=torch.int64),
        baseline=torch.zeros(2, 3),
        feature_mask=torch.arange(3).expand(2, 3),
        policy=Policy(dtype=torch.float32, chunk_bytes=1),
    )
    jobs = AllSubsets(rows=torch.tensor([0, 1] * 3), members=torch.arange(3).expand(6, 3), players=3, distinct=True)
    kept = jobs.keep(torch.arange(len(jobs)))
    wanted = 2 * (kept * inputs[jobs.sample])
    assert torch.equal(evaluate(game, jobs).logits, wanted.sum(1, keepdim=True))  # small integers
    assert torch.equal(torch.cat(given_rows), wanted)
    assert torch.equal(lay_out(game).inputs, torch.arange(1.0, 7.0).view(2, 3))
