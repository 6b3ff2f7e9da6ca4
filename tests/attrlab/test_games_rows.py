"""However a plan's inputs are made, by the plan itself, in stretches or gathered, they are the same numbers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attrlab.games import AllSubsets, Game, Jobs, Levels, Masks, Without, concatenate, make_game, subsets
from attrlab.games import rows as making
from attrlab.games.plan import Selected
from attrlab.games.rows import Maker, Stretches, lay_out, maker

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
    times = torch.arange(ROWS).repeat_interleave(4)  # cut in two within a row, so that a stretch reaches over the cut
    drawn = [Masks(sample=part, mask=torch.rand(len(part), PLAYERS, generator=generator) < 0.5) for part in times.split([6, 4 * ROWS - 6])]
    return [*levels, without, masks, concatenate(*levels, masks, without), concatenate(*drawn)]


@pytest.mark.parametrize("long", [1, 10**9], ids=["in stretches", "gathered"])
@given(seed=st.integers(0, 10**6), alike=st.booleans(), share=st.sampled_from([0.8, 1.0]))
@settings(max_examples=30)
def test_inputs_are_the_kept_entries_over_the_baseline_in_stretches_and_gathered(long, seed, alike, share):
    generator = torch.Generator().manual_seed(seed)
    game = drawn_game(generator, alike=alike)
    before, making.LONG = making.LONG, long
    try:
        for jobs in drawn_plans(generator):
            chosen = (torch.rand(len(jobs), generator=generator) < share).nonzero().squeeze(1)
            make = maker(lay_out(game), jobs, chosen, jobs.sample[chosen])
            cut = 1 + seed % (len(chosen) - 1)
            made = torch.cat([make(0, cut), make(cut, len(chosen))])
            assert torch.equal(made, imputed(game, jobs, chosen))  # weights 0 and 1 interpolate exactly
    finally:
        making.LONG = before


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


@given(kinds=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=4), data=st.data())
def test_stretches_between_two_jobs_cover_them_in_order_each_row_as_often_as_the_next(kinds, data):
    """A kind is (rows that follow each other, how often each is asked about); a row is left out between two kinds."""
    rows, start, first = [], [], []
    for count, times in kinds:
        start.append(len(rows))
        first.append(rows[-1] + 2 if rows else 0)
        rows += [first[-1] + place for place in range(count) for _ in range(times)]
    stretches = Stretches(start=start, times=[times for _, times in kinds], row=first)
    begin = data.draw(st.integers(0, len(rows) - 1), label="begin")
    end = data.draw(st.integers(begin + 1, len(rows)), label="end")
    found = stretches.within(begin, end)
    assert [row for at, behind, asked in found for row in asked for _ in range((behind - at) // len(asked))] == rows[begin:end]
    assert all((behind - at) % len(asked) == 0 for at, behind, asked in found)
    assert [at for at, _, _ in found] == [begin, *(behind for _, behind, _ in found)][:-1]
    assert len(found) <= 3 * len(kinds)
    before, _ = stretches.row_before(end)
    assert before in (0, len(rows)) or rows[before - 1] != rows[before]


@pytest.mark.parametrize(
    ("limit", "chunks"),
    [(82, [(0, 65), (65, 130), (130, 195)]), (42, [(0, 42), (42, 84), (84, 126), (126, 168)]), (200, [(0, 195)])],
    ids=["one row", "less than a row", "three rows"],
)
def test_chunks_end_with_a_row_where_they_hold_one(limit, chunks):
    made = Maker(make=torch.zeros, stretches=Stretches(start=[0], times=[65], row=[0]))
    assert [(begin, made.until(begin, begin + limit)) for begin, _ in chunks] == chunks
