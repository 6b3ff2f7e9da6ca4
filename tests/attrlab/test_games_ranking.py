"""An order is read off scores the same way by digits and by comparison, and ties are broken by fixed keys."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attrlab.games import rank
from attrlab.games import ranking as rankings
from attrlab.games.value import worth
from attrlab.metrics.orders import SEED, seeded_ranks


def drawn(seed: int, rows: int = 5, players: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores with ties, both zeros and large magnitudes, and who is present."""
    generator = torch.Generator().manual_seed(seed)
    whole = torch.randint(-3, 4, (rows, players), generator=generator) * 1e30 ** torch.randint(0, 2, (rows, players), generator=generator)
    return torch.where(whole == 0, whole * -1.0, whole).float(), torch.rand(rows, players, generator=generator) < 0.8


@given(seed=st.integers(0, 10**6), descending=st.booleans(), dtype=st.sampled_from([torch.float32, torch.float64]))
@settings(max_examples=60)
def test_digits_and_comparisons_give_the_same_ranking(seed, descending, dtype):
    scores, present = drawn(seed)
    scores = scores.to(dtype) / 3  # digits that a float32 does not have
    compared = rank(scores, present, descending=descending)
    before, rankings.BY_DIGITS = rankings.BY_DIGITS, 1
    try:
        by_digits = rank(scores, present, descending=descending)
    finally:
        rankings.BY_DIGITS = before
    for one, other in zip(vars(compared).values(), vars(by_digits).values(), strict=True):
        assert torch.equal(one, other)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30)
def test_seeded_ranks_sort_by_block_and_within_it_by_the_key(seed):
    scores, present = drawn(seed)
    ranked = rank(scores, present)
    keys = torch.rand(2, scores.shape[1], generator=torch.Generator().manual_seed(SEED), dtype=torch.float64)
    found = seeded_ranks(ranked, orders=2)
    for place, key in enumerate([*keys.tolist(), *(1 - keys).tolist()]):
        for row in range(len(scores)):
            count, first = int(ranked.count[row]), ranked.first[row].tolist()
            block = {int(player): first[position] for position, player in enumerate(ranked.order[row, :count])}
            wanted = sorted(block, key=lambda player, block=block, key=key: (block[player], key[player]))
            assert found[place, row, wanted].tolist() == list(range(count))


@given(seed=st.integers(0, 10**6), outputs=st.integers(2, 7), scale=st.sampled_from([1.0, 1e3]))
@settings(max_examples=30)
def test_a_probability_is_the_softmax_of_its_output(seed, outputs, scale):
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(6, outputs, generator=generator, dtype=torch.float64)
    target = torch.randint(0, outputs, (6,), generator=generator)
    wanted = torch.softmax(logits, 1)[torch.arange(6), target]
    torch.testing.assert_close(worth(logits, target, value="probability"), wanted, atol=1e-15, rtol=1e-14)  # a few roundings of 1e-16
