"""However a plan's inputs are made, by the plan itself, run by run or gathered, they are the same numbers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attrlab.games import AllSubsets, Game, Jobs, Levels, Masks, Without, concatenate, make_game, subsets
from attrlab.games import rows as making
from attrlab.games.plan import Selected
from attrlab.games.rows import Runs, lay_out, maker

PLAYERS, ROWS = 6, 4


def drawn_game(generator: torch.Generator, *, alike: bool) -> Game:
    """Rows of 11 entries; who owns them, and the baseline, is the same in all rows or drawn for each."""
    inputs = torch.randn(ROWS, 11, generator=generator)
    mask = torch.randint(-1, PLAYERS, (1 if alike else ROWS, 11), generator=generator).expand(ROWS, -1)
    baseline = torch.randn(1 if alike else ROWS, 11, generator=generator).expand(ROWS, -1)
    return make_game(
        lambda x: x,
        inputs,
        target=torch.zeros(ROWS, dtype=torch.int64),
        baseline=torch.where(mask < 0, inputs, baseline),
        feature_mask=mask,
        players=PLAYERS,
    )


def imputed(game: Game, jobs: Jobs, chosen: torch.Tensor) -> torch.Tensor:
    """What stands where, from the definition."""
    kept, sample = jobs.keep(chosen), jobs.sample[chosen]
    owner = game.feature_mask[sample]
    stays = (owner < 0) | kept.gather(1, owner.clamp(min=0))
    return torch.where(stays, game.inputs[sample], game.baseline[sample])


def drawn_plans(generator: torch.Generator) -> list[Jobs]:
    """One of each kind that has a way of its own."""
    rank = torch.randint(0, PLAYERS, (ROWS, PLAYERS), generator=generator)
    threshold = torch.randint(0, PLAYERS + 1, (ROWS, 5), generator=generator)
    sample = torch.randint(0, ROWS, (9,), generator=generator).sort().values
    without = Without(sample=sample, player=torch.randint(-1, PLAYERS, (9,), generator=generator), players=PLAYERS)
    masks = Masks(sample=sample, mask=torch.rand(9, PLAYERS, generator=generator) < 0.5)
    levels = [Levels(rank=rank, threshold=threshold, mode=mode) for mode in ("deletion", "insertion")]
    return [*levels, without, masks, concatenate(*levels, masks, without)]


@pytest.mark.parametrize("run", [1, 10**9], ids=["run by run", "gathered"])
@given(seed=st.integers(0, 10**6), alike=st.booleans())
@settings(max_examples=15)
def test_inputs_are_the_kept_entries_over_the_baseline_run_by_run_and_gathered(run, seed, alike):
    generator = torch.Generator().manual_seed(seed)
    game = drawn_game(generator, alike=alike)
    before, making.RUN = making.RUN, run
    try:
        for jobs in drawn_plans(generator):
            chosen = (torch.rand(len(jobs), generator=generator) < 0.8).nonzero().squeeze(1)
            make = maker(lay_out(game), jobs, chosen, jobs.sample[chosen])
            cut = len(chosen) // 3
            made = torch.cat([make(0, cut), make(cut, len(chosen))])
            assert torch.equal(made, imputed(game, jobs, chosen))  # weights 0 and 1 interpolate exactly
    finally:
        making.RUN = before


@given(seed=st.integers(0, 10**6), repeated=st.integers(1, 5), begin=st.integers(0, 30), length=st.integers(1, 34))
@settings(max_examples=40)
def test_subsets_that_are_copied_in_blocks_are_the_subsets_of_the_definition(seed, repeated, begin, length):
    generator = torch.Generator().manual_seed(seed)
    game = drawn_game(generator, alike=seed % 2 == 0)
    members = torch.randperm(PLAYERS, generator=generator)[:5].unsqueeze(0)
    jobs = AllSubsets(rows=torch.tensor([seed % ROWS]), members=members, players=PLAYERS, distinct=True)
    index = torch.arange(begin, min(begin + length, len(jobs)))
    before, subsets.REPEATED = subsets.REPEATED, repeated
    try:
        rows, part = lay_out(game), Selected(plan=jobs, index=index)
        chosen = torch.arange(len(index))
        assert callable(part.filler(rows.entries, chosen, rows.inputs, rows.baseline))
        make, cut = maker(rows, part, chosen, part.sample), len(index) // 2
        assert torch.equal(torch.cat([make(0, cut), make(cut, len(index))]), imputed(game, jobs, index))
    finally:
        subsets.REPEATED = before


@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=6), data=st.data())
def test_runs_between_two_jobs_cover_them_in_order_each_of_one_row(lengths, data):
    rows = [place for place, length in enumerate(lengths) for _ in range(length)]
    runs = Runs(start=[rows.index(place) for place in range(len(lengths))], row=list(range(len(lengths))))
    begin = data.draw(st.integers(0, len(rows) - 1), label="begin")
    end = data.draw(st.integers(begin + 1, len(rows)), label="end")
    found = runs.within(begin, end)
    assert [row for first, last, row in found for _ in range(first, last)] == rows[begin:end]
    assert [first for first, _, _ in found] == [begin, *(last for _, last, _ in found)][:-1]
