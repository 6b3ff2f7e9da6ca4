"""A game that remembers says what the game says, and pays for each kept set once."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attrlab.games import AllSubsets, Levels, Masks, concatenate, constant, evaluate
from attrlab.metrics import answers as answers_of_games
from attrlab.metrics.answers import Answers
from tests.attrlab.ragged_games import CLOSE, ragged
from tests.attrlab.small_games import additive


def plans(game, seed):
    generator = torch.Generator().manual_seed(seed)
    rows, players = game.present.shape
    rank = torch.stack([torch.randperm(players, generator=generator) for _ in range(rows)])
    levels = torch.arange(players + 1).expand(rows, -1)
    masks = torch.rand(7, players, generator=generator) < 0.5
    return (
        Levels(rank=rank, threshold=levels),
        Masks(sample=torch.randint(rows, (7,), generator=generator), mask=masks),
        AllSubsets(rows=torch.arange(rows), members=torch.arange(3).expand(rows, 3), players=players),
    )


@given(seed=st.integers(0, 10**6))
@settings(max_examples=12, deadline=None)
def test_answers_are_those_of_the_game_whatever_was_asked_before(seed):
    game = ragged(seed)
    known = Answers(game)
    for jobs in (*plans(game, seed), concatenate(*plans(game, seed + 1)), *plans(game, seed)):
        torch.testing.assert_close(known.ask(jobs), evaluate(game, jobs).logits, atol=CLOSE, rtol=0)


def test_a_repeated_question_sends_nothing_through_the_model():
    calls = []
    game = ragged(3)
    watched = ragged(3, model=lambda x: calls.append(len(x)) or game.model(x))
    known = Answers(watched)
    everything = plans(watched, 0)[2]
    known.ask(everything)
    asked = sum(calls)
    assert asked == known.forwards <= len(everything)
    known.ask(everything)
    known.ask(everything)
    assert sum(calls) == asked


@given(seed=st.integers(0, 10**6), asks=st.integers(2, 12))
@settings(max_examples=15, deadline=None)
def test_whatever_was_asked_in_whatever_pieces_is_known_once_and_for_all(seed, asks):
    game = ragged(seed)
    known, generator = Answers(game), torch.Generator().manual_seed(seed)
    everything = plans(game, seed)[2]
    kept, sample = everything.keep(torch.arange(len(everything))), everything.sample
    for _ in range(asks):
        some = torch.randint(len(everything), (3,), generator=generator)
        part = Masks(sample=sample[some], mask=kept[some])
        torch.testing.assert_close(known.ask(part), evaluate(game, part).logits, atol=CLOSE, rtol=0)
    known.ask(everything)
    assert known.forwards == evaluate(game, everything).forwards  # each distinct kept set once, whichever piece brought it


def test_beyond_its_limit_a_game_answers_and_forgets(monkeypatch):
    monkeypatch.setattr(answers_of_games, "LIMIT", 0)
    game = ragged(4)
    known, jobs = Answers(game), plans(game, 1)[0]
    first = known.ask(jobs)
    assert known.forwards > 0
    torch.testing.assert_close(known.ask(jobs), first, atol=CLOSE, rtol=0)


def test_a_plan_without_jobs_has_no_answers():
    known = Answers(additive([[1.0, 2.0]]))
    nothing = Masks(sample=torch.zeros(0, dtype=torch.int64), mask=torch.zeros(0, 2, dtype=torch.bool))
    assert len(known.ask(nothing)) == 0
    assert len(known.worth(nothing)) == 0


def test_another_imputer_is_another_game_and_made_once():
    known = Answers(additive([[1.0, 2.0]]))
    sevens = known.under(constant(7.0))
    assert sevens is known.under(constant(7.0))
    nobody = Masks(sample=torch.tensor([0]), mask=torch.tensor([[False, False]]))
    assert (known.worth(nobody).item(), sevens.worth(nobody).item()) == (0.0, 14.0)  # sums of small integers


def test_what_was_reduced_is_not_given_to_changed_scores():
    known, scores = Answers(additive([[1.0, 2.0]])), torch.tensor([[1.0, 2.0]])
    assert known.reduced(scores, ("sum",), lambda: float(scores.sum())) == 3.0
    scores[0, 0] = 5.0
    assert known.reduced(scores, ("sum",), lambda: float(scores.sum())) == 7.0


def test_only_the_latest_reductions_are_kept():
    known, scores = Answers(additive([[1.0, 2.0]])), torch.ones(1, 2)
    made = []
    for name in [*range(answers_of_games.REDUCED + 1), 0]:
        known.reduced(scores, (name,), lambda name=name: made.append(name))
    assert made == [*range(answers_of_games.REDUCED + 1), 0]
