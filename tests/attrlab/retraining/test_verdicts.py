"""What a study says in sentences is what its numbers are: differences by seed, Student's interval, leaks, and what is too good."""

from __future__ import annotations

import math

import pytest

from attrlab.retraining import Cell, Retraining
from attrlab.retraining.verdicts import areas, differences, leaking, sentence, sentences, separated, telling


def cell(method: str, *accuracies: float, fraction: float = 0.3, measure: str = "roar", leakage: float = 0.5, **more: str) -> Cell:
    words = {"order": "morf", "evaluated": "modified", "isolated": "kept", **more}
    return Cell(method=method, measure=measure, fraction=fraction, accuracies=accuracies, leakage=leakage, **words)


def study(*cells: Cell, full: tuple[float, ...] = (0.9, 0.9, 0.9)) -> Retraining:
    return Retraining(
        data="drawn",
        modality="table",
        rule="labels of the data",
        classes=2,
        rows=(10, 10),
        chance=0.5,
        full=full,
        nothing=(0.5, 0.5, 0.5),
        cells=cells,
        network="mlp",
        settings={"ranking": "absolute", "imputer": "baseline"},
    )


RANDOM = cell("random", 0.80, 0.82, 0.84)


def test_a_cell_is_told_with_its_cost_interval_test_seeds_and_leak():
    own = cell("X", 0.56, 0.58, 0.60, leakage=0.53)
    # differences 0.24, 0.24, 0.24: no spread at all
    assert sentence(study(RANDOM, own), own) == (
        "at 30 % removed, X costs 24 ± 0 points more than random (p < 0.001, 3 seeds); mask leakage 3 points"
    )


def test_the_interval_is_students():
    own = cell("X", 0.60, 0.60, 0.60)
    # differences 0.20, 0.22, 0.24: deviation 0.02, times 4.303 / sqrt(3) is 0.0497
    assert "costs 22 ± 5 points" in sentence(study(RANDOM, own), own)


def test_keeping_is_told_as_keeping_and_a_worse_method_as_less():
    floor, own = cell("random", 0.7, 0.7, measure="kar"), cell("X", 0.6, 0.6, measure="kar")
    assert sentence(study(floor, own), own).startswith("at 30 % kept, X keeps 10 ± 0 points less than random")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"order": "lerf"}, "least relevant first"),
        ({"evaluated": "original"}, "tested on original rows"),
        ({"isolated": "dropped"}, "isolated nodes dropped"),
    ],
)
def test_what_is_unusual_about_a_protocol_is_said(more: dict[str, str], words: str):
    own = cell("X", 0.6, 0.6, **more)
    assert words in sentence(study(own), own)


def test_cells_are_compared_under_the_same_protocol_and_fraction_only():
    own = cell("X", 0.6, 0.6, 0.6)
    others = (cell("random", 0.9, 0.9, 0.9, fraction=0.5), cell("random", 0.9, 0.9, 0.9, evaluated="original"))
    assert differences(study(*others, own), own) == []


def test_seeds_that_did_not_finish_are_compared_with_nothing():
    own = cell("X", math.nan, 0.6, 0.6)
    assert differences(study(RANDOM, own), own) == pytest.approx([0.22, 0.24])


def test_a_difference_within_its_interval_does_not_separate():
    near, far = cell("X", 0.80, 0.84, 0.80), cell("Y", 0.60, 0.61, 0.62)
    assert [separated(study(RANDOM, own), own) for own in (near, far)] == [False, True]


def test_what_a_mask_gives_away_is_told_worst_first():
    cells = (cell("X", 0.6, leakage=0.7), cell("Y", 0.6, leakage=0.9), cell("Z", 0.6, leakage=0.52))
    assert [found.method for found in leaking(study(*cells))] == ["Y", "X"]
    assert any(told.startswith("Y leaks: a network that sees only its mask reaches 90.0 %") for told in sentences(study(*cells)))


def test_networks_that_see_less_and_know_more_are_told():
    best = cell("X", 1.0, 1.0, 1.0, measure="kar")
    assert telling(study(best)) == [best]
    assert any("tells the label by what it keeps" in told for told in sentences(study(best)))
    assert telling(study(cell("X", 0.91, 0.91, 0.91))) == []


def test_the_area_is_the_mean_height_between_the_curves():
    floor = [cell("random", 0.9, fraction=share) for share in (0.1, 0.3, 0.9)]
    own = [cell("X", 0.9 - share, fraction=share) for share in (0.1, 0.3, 0.9)]
    # the height is the fraction itself, whose mean over [0.1, 0.9] is 0.5
    assert areas(study(*floor, *own), "X") == pytest.approx([0.5])


def test_one_fraction_has_no_area():
    assert areas(study(RANDOM, cell("X", 0.6, 0.6, 0.6)), "X") == []


def test_the_first_sentence_states_data_anchors_chance_ranking_and_imputer():
    first = next(iter(sentences(study(RANDOM))))
    for words in (
        "drawn",
        "90.0 % with nothing",
        "50.0 % with everything removed",
        "chance 50.0 %",
        "absolute ranking",
        "imputer baseline",
    ):
        assert words in first
