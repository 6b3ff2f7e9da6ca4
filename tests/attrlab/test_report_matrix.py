"""What a report says of a run: the worst verdict speaks, nothing is lost, and a place on the scale does not depend on its unit."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attrlab.record import Run, Score, Verdict
from attrlab.report.matrix import closing_line, failures_of, matrix, methods_of, reason_of, status_of, tally
from attrlab.report.scoreboard import overview, position, scoreboards
from attrlab.report.terminal import blocks
from attrlab.report.wording import hundredths, plain, precise, printable, short

OUTCOMES = ("passed", "failed", "xfailed", "xpassed", "skipped", "error")


def verdict(outcome="passed", **changes):
    fields = {"method": "m", "evaluation": "axioms", "axiom": "dummy", "environment": "additive-v1", "claim": "dummy holds"}
    return Verdict(**{**fields, "outcome": outcome, **changes})


def score(value, *, floor=0.5, ceiling=1.0, **changes):
    fields = {"method": "m", "environment": "e-v1", "evaluation": "auroc", "rows": 8, "direction": "higher", "seed": 0}
    return Score(**{**fields, "value": value, "interval": (value, value), "floor": floor, "ceiling": ceiling, **changes})


def run(*verdicts, scores=()):
    return Run(verdicts=tuple(verdicts), scores=tuple(scores))


VERDICTS = st.builds(
    verdict,
    st.sampled_from(OUTCOMES),
    method=st.sampled_from(["a", "b", "random"]),
    evaluation=st.sampled_from(["contract", "axioms", "instruments"]),
    axiom=st.sampled_from(["dummy", "symmetry"]),
    claim=st.sampled_from(["dummy holds", "unclaimed"]),
    measured=st.sampled_from([0.0, 1.0, math.nan]),
    bound=st.sampled_from([0.5, math.nan]),
    reason=st.sampled_from(["", "inconclusive: within 100 x tolerance"]),
)


@given(st.lists(VERDICTS, max_size=30))
def test_the_counts_of_the_closing_line_add_up_to_all_verdicts(verdicts):
    line = closing_line(run(*verdicts))
    total, counts = re.match(r"(\d+) verdicts?: (.*); 0 scores; ", line).groups()
    assert int(total) == len(verdicts) == sum(int(part.split()[0]) for part in counts.split(", "))


@given(st.lists(VERDICTS, max_size=30))
def test_a_run_has_failures_exactly_where_pytest_would_be_red(verdicts):
    red = [v for v in verdicts if v.outcome in ("failed", "xpassed", "error")]
    assert list(failures_of(run(*verdicts))) == red


@given(st.lists(VERDICTS, max_size=30))
def test_every_axiom_verdict_is_in_exactly_one_part_of_its_cell(verdicts):
    cells = matrix(run(*verdicts))
    for (method, axiom), cell in cells.items():
        inside = sorted(id(v) for part in cell.parts for v in part.verdicts)
        assert inside == sorted(id(v) for v in verdicts if (v.method, v.axiom, v.evaluation) == (method, axiom, "axioms"))


@given(st.lists(VERDICTS, max_size=30))
def test_a_tally_counts_every_verdict_once(verdicts):
    counts = tally(verdicts)
    assert counts.judged == len(verdicts)
    assert counts.failed == sum(v.outcome in ("failed", "xpassed", "error") for v in verdicts)


def test_one_refutation_among_many_speaks_for_the_cell_and_hides_what_holds():
    cell = matrix(run(verdict(), verdict("failed"), verdict(), verdict("skipped")))["m", "dummy"]
    assert cell.status == "refuted"
    assert [part.status for part in cell.shown] == ["refuted"]
    assert cell.total == 4


def test_a_conditional_claim_and_a_violation_claimed_elsewhere_stand_side_by_side():
    cell = matrix(run(verdict(cases=300), verdict("xfailed", cases=1), verdict("skipped")))["m", "dummy"]
    assert [(part.status, part.cases) for part in cell.shown] == [("violated", 1), ("holds", 300)]


@pytest.mark.parametrize(
    ("judged", "status"),
    [
        (verdict("skipped", reason="inconclusive: 3e-8 lies between"), "inconclusive"),
        (verdict("skipped", summary="Inconclusive"), "inconclusive"),
        (verdict("skipped", reason="no orbit is stated"), "inapplicable"),
        (verdict("skipped", claim="unclaimed", measured=1.0, bound=0.5), "explored_violated"),
        (verdict("passed", claim="unclaimed", measured=0.0, bound=0.5), "explored"),
        (verdict("skipped", claim="unclaimed"), "inapplicable"),
        (verdict("passed", claim="unclaimed", measured=1.0, bound=0.5), "explored_violated"),
        (verdict("passed", claim="unclaimed", measured=0.0, bound=0.5, summary="inconclusive"), "explored_unsure"),
        (verdict("passed", claim="unclaimed", evaluation="contract"), "holds"),
        (verdict("skipped", claim="unclaimed", evaluation="instruments"), "inapplicable"),
        (verdict("failed", claim="unclaimed"), "refuted"),
        (verdict("xpassed"), "modest"),
        (verdict("error"), "error"),
    ],
)
def test_a_verdict_says(judged, status):
    assert status_of(judged) == status


def test_methods_come_in_order_of_appearance_and_controls_last():
    order = methods_of(run(verdict(method="truth"), verdict(method="b"), scores=[score(0.5, method="random"), score(0.5, method="a")]))
    assert order == ("b", "a", "random", "truth")


@given(
    st.floats(-2, 2),
    st.floats(0.1, 4),
    st.sampled_from([-3.0, 0.25, 7.0]),
    st.floats(-5, 5),
)
def test_a_place_between_floor_and_ceiling_does_not_depend_on_unit_or_direction(value, span, factor, shift):
    before = position(score(value, floor=0.0, ceiling=span))
    after = position(score(factor * value + shift, floor=shift, ceiling=factor * span + shift))
    # Both are one subtraction and one division of numbers below 40; a span of 0.025 magnifies rounding (1e-14) to 1e-12.
    assert math.isclose(before, after, rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.parametrize("bad", [{"floor": 1.0}, {"floor": math.nan}, {"ceiling": math.nan}, {"value": math.nan}, {"ceiling": math.inf}])
def test_a_place_is_undefined_where_floor_and_ceiling_say_nothing(bad):
    assert math.isnan(position(score(**{"value": 0.7, **bad})))


def test_the_overview_is_the_median_over_the_environments_where_it_is_defined():
    values = {"a-v1": 0.5, "b-v1": 0.75, "c-v1": 1.0, "d-v1": math.nan}
    median, count = overview(run(scores=[score(v, environment=e) for e, v in values.items()]))["m", "auroc"]
    assert (median, count) == (pytest.approx(0.5), 3)


def test_seeds_are_never_averaged_into_one_table():
    boards = scoreboards(run(scores=[score(0.6, seed=0), score(0.7, seed=1)]))
    assert [(board.seed, board.scores["m", "e-v1"].value) for board in boards] == [(0, 0.6), (1, 0.7)]


def test_a_floor_on_which_methods_differ_is_not_stated_as_one():
    board = scoreboards(run(scores=[score(0.6, method="a"), score(0.6, method="b", floor=0.4)]))[0]
    assert board.ends("e-v1") == (None, 1.0)


@given(st.lists(st.integers(), unique=True), st.integers(-3, 9))
def test_blocks_keep_every_column_once_and_in_order(names, width):
    cut = blocks(names, width)
    assert [name for block in cut for name in block] == names
    assert all(1 <= len(block) <= max(width, 1) for block in cut)


@pytest.mark.parametrize(
    ("value", "narrow", "exact"),
    [
        (0.5, "0.50", "0.5"),
        (-0.0, "0.00", "-0"),
        (3e-17, "3e-17", "3e-17"),
        (1234.5, "1234", "1234.5"),
        (1e7, "1e7", "1e7"),
        (math.nan, "undefined", "undefined"),
        (-math.inf, "undefined", "undefined"),
    ],
)
def test_a_number_is_spelt(value, narrow, exact):
    assert (short(value), precise(value)) == (narrow, exact)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_precise_number_reads_back_to_six_digits(value):
    assert math.isclose(float(precise(value)), value, rel_tol=5.1e-6)


def test_a_place_just_below_zero_is_not_written_as_minus_zero():
    assert hundredths(-1e-17) == "0.00"


@given(st.text(max_size=12))
def test_printable_text_holds_nothing_that_steers_a_terminal(text):
    clean = printable(text)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]", clean)
    clean.encode("utf-8")


def test_a_policy_is_written_in_words():
    assert plain({"tf32": False, "environments": ["a", "b"], "limit": None}) == "tf32: no, environments: a, b, limit: none"


def test_a_reason_that_quotes_the_counterexample_does_not_repeat_it():
    quoted = verdict("failed", counterexample="f(x) = x1\n", reason="dummy is refuted (bound 1e-7):\nf(x) = x1")
    assert reason_of(quoted) == "dummy is refuted (bound 1e-7)"
