"""The table of evaluations: counts are those of settled words, intervals those of seeds, and disagreement of seeds is said."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from attrlab.record import Run
from attrlab.report.reliability import section
from attrlab.report.reliability_table import agreement_of_seeds, contradicted, markdown_of, tau_over_seeds
from tests.attrlab.judgements import TRUSTED as ONE

OTHER = replace(ONE, seed=1, kendall=0.7)
BLIND = replace(ONE, environment="parity-v1", truth_gain=(-0.1, 0.1), kendall=0.1)
UNSURE = replace(BLIND, seed=1, truth_gain=(0.1, 0.2), kendall=0.3)
CLOSE = 1e-12  # means of two numbers of order one


def line_of(text, name):
    """The cells of the line that begins with this name."""
    return next([cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith(f"| {name}"))


def test_the_order_of_methods_is_a_mean_over_worlds_with_students_interval_over_seeds():
    mean, half = tau_over_seeds([ONE, OTHER, BLIND, UNSURE])
    assert mean == pytest.approx(0.5, abs=CLOSE)  # both seeds: (0.9 + 0.1) / 2 and (0.7 + 0.3) / 2
    assert half == pytest.approx(0, abs=1e-9)
    mean, half = tau_over_seeds([ONE, OTHER])
    assert half == pytest.approx(12.7062 * 0.1, abs=1e-4)  # t of one degree of freedom, times the standard error 0.2 / sqrt(2) / sqrt(2)
    assert math.isnan(tau_over_seeds([ONE])[1])
    assert math.isnan(tau_over_seeds([replace(ONE, kendall=math.nan)])[0])


def test_counts_are_those_of_words_that_all_seeds_agree_on():
    text = markdown_of(Run(verdicts=(), scores=(), judgements=(ONE, OTHER, BLIND, UNSURE), policy={"rows": 12}))
    head, row = line_of(text, "evaluation"), line_of(text, "`deletion`")
    found = dict(zip(head, row, strict=True))
    assert (found["worlds"], found["trusted"], found["unsettled"], found["blind"]) == ("2", "1", "1", "")
    assert found["trusted at (0.6, 0.3)"] == "1"
    assert found["trusted at (0.9, 0.7)"] == "1"
    assert found["τ of methods"] == "+0.50 ± 0.00"


def test_every_world_stands_with_the_letter_of_its_word_and_a_gap_where_nothing_was_asked():
    other = [replace(one, evaluation="road", imputer="own") for one in (ONE, OTHER)]
    text = markdown_of(Run(verdicts=(), scores=(), judgements=(ONE, OTHER, BLIND, UNSURE, *other)))
    assert line_of(text, "world") == ["world", "kind", "`deletion`", "`road`"]
    assert line_of(text, "`linear-v1`") == ["`linear-v1`", "additive", "**T**", "**T**"]
    assert line_of(text, "`parity-v1`") == ["`parity-v1`", "additive", "?", ""]


def test_how_often_seeds_agree_is_said_over_pairs_and_over_halves():
    assert agreement_of_seeds([ONE, OTHER, BLIND, UNSURE]) == (0.5, 2)
    four = [replace(one, seed=seed) for seed, one in enumerate((ONE, ONE, BLIND, BLIND))]
    assert agreement_of_seeds([replace(one, environment="e") for one in four]) == (2 / 6, 6)  # two of six pairs
    assert contradicted([replace(one, environment="e") for one in four], (0, 1)) == (1, 1)
    assert contradicted([ONE, OTHER, BLIND, UNSURE], (0,)) == (1, 2)
    text = markdown_of(Run(verdicts=(), scores=(), judgements=(ONE,)))
    assert "its words are not settled" in text


def test_under_another_imputer_trust_is_kept_unsettled_or_lost():
    blurred = [replace(one, imputer="blur 5", unseen=0.5, truth_gain=(-0.2, -0.1)) for one in (ONE, OTHER)]
    text = markdown_of(Run(verdicts=(), scores=(), judgements=(ONE, OTHER, *blurred)))
    assert line_of(text, "blur 5") == ["blur 5", "1", "50%", "1", "0", "0", "1"]


def test_a_page_of_several_seeds_counts_settled_worlds_and_shows_the_words_of_each():
    found = section([ONE, OTHER, BLIND, UNSURE])
    assert found["seeds"] == 2
    cell = found["groups"][0]["rows"][0][1][0]
    assert cell["text"] == "~ 1 of 2"
    assert "unsettled on 1" in cell["title"]
    rows = found["worlds"][0]["rows"]
    assert [row["word"] for row in rows] == ["trusted", "unsettled"]
    assert rows[1]["title"] == "coarse on 1 seed, blind on 1 seed"
    assert rows[0]["numbers"][3] == "0.80"
    assert "unsettled" not in [word for word, _, _ in section([ONE])["legend"]]
