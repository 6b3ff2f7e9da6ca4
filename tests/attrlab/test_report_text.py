"""Both forms of a report, the table and the page, show every failure in full, and neither can be steered by what it shows."""

from __future__ import annotations

import html
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from attrlab.record import Run, Score, Verdict
from attrlab.report.page import render_page, write_page
from attrlab.report.pictures import Picture
from attrlab.report.table import tables_as_text

METHODS = (
    "gradient",
    "<script>alert(1)</script>",
    "[red]m[/red]",
    "ctrl\x1b[2J\u202eevil",
    "a_method_whose_name_is_longer_than_any_column_could_hold",
    "random",
    "truth",
)
ENVIRONMENTS = tuple(f"a-rather-long-environment-id-{number}-v1" for number in range(16))
PIXEL = b"\x89PNG\r\n\x1a\n"


def failure(index, outcome):
    return Verdict(
        method=METHODS[index % 4],
        evaluation="contract" if index % 3 == 0 else "axioms",
        axiom=("completeness", "implementation_invariance")[index % 2],
        environment=ENVIRONMENTS[index],
        claim="completeness holds",
        outcome=outcome,
        measured=0.125 + index,
        bound=1e-7 * (index + 1),
        cases=17,
        counterexample=f"f(x) = relu(x1 - {index}*x2) & x1 < x2\nx = (1, 1)",
        reason=f"the sum is off, number {index}",
    )


def sample_run():
    failures = [failure(index, outcome) for index, outcome in enumerate(["failed", "xpassed", "error", "failed", "failed"])]
    fine = [
        Verdict(method=m, evaluation="axioms", axiom="symmetry", environment="e-v1", claim="symmetry holds", outcome="passed", cases=1100)
        for m in METHODS
    ]
    known = [
        Verdict(
            method="gradient",
            evaluation="axioms",
            axiom="dummy",
            environment="e-v1",
            claim="dummy violates",
            outcome="xfailed",
            measured=0.5,
            bound=1e-7,
            counterexample="g(x) = x1",
        ),
        Verdict(
            method="gradient",
            evaluation="axioms",
            axiom="dummy",
            environment="e-v1",
            claim="dummy holds",
            outcome="skipped",
            reason="the world states no dummies",
        ),
        Verdict(method="truth", evaluation="instruments", axiom="truth_beats_random", environment="e-v1", claim="", outcome="passed"),
    ]
    scores = [
        Score(
            method=m,
            environment=e,
            evaluation=metric,
            value=value,
            interval=(value, value),
            floor=0.5,
            ceiling=1.0,
            rows=4,
            direction=direction,
            seed=0,
        )
        for metric, direction in (("support_auroc", "higher"), ("deletion", "lower"))
        for e in ENVIRONMENTS
        for m, value in zip(METHODS, (0.75, math.nan, -1e-9, 12345.0, 0.875, 0.5, 1.0), strict=True)
    ]
    return Run(
        verdicts=(*failures, *fine, *known),
        scores=tuple(scores),
        policy={"device": "cpu", "shapes": ("a", "b")},
        versions={"torch": "2"},
        seconds=61.0,
    )


RUN = sample_run()
FAILED = RUN.verdicts[:5]


class Tags(HTMLParser):
    """The tags and attributes of a page, as a browser would see them, and its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def page():
    return render_page(RUN, pictures=[Picture(environment="e-v1", method=METHODS[1], png=PIXEL)])


@pytest.fixture(scope="module")
def table():
    return tables_as_text(RUN, 100)


def unwrapped(text):
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize("verdict", FAILED, ids=lambda v: v.outcome)
def test_every_failure_is_told_in_full_in_the_table(table, verdict):
    seen = unwrapped(table)
    shown = verdict.method.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
    assert unwrapped(f"{shown}: {verdict.axiom} on {verdict.environment}:") in seen
    assert unwrapped(f"measured: {verdict.measured:g}, bound {verdict.bound:g}".replace("e-0", "e-")) in seen
    assert unwrapped(verdict.counterexample) in seen
    assert unwrapped(verdict.reason) in seen


@pytest.mark.parametrize("verdict", FAILED, ids=lambda v: v.outcome)
def test_every_failure_is_told_in_full_on_the_page(page, verdict):
    articles = [unwrapped("".join(Tags(article).text)) for article in re.findall(r'<article class="failed">.*?</article>', page, re.DOTALL)]
    article = articles[FAILED.index(verdict)]
    shown = verdict.method.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
    assert article.startswith(unwrapped(f"{shown}·{verdict.axiom}on{verdict.environment}:"))
    assert unwrapped(f"measured {verdict.measured:g}, bound {verdict.bound:g}".replace("e-0", "e-")) in article
    assert unwrapped(verdict.counterexample) in article
    assert unwrapped(verdict.reason) in article


def test_failures_come_before_everything_else_on_the_page(page):
    assert page.index('id="failures"') < page.index('id="verdicts"') < page.index('id="scores"') < page.index('id="pictures"')


def test_a_run_without_failures_has_no_section_for_them():
    green = render_page(Run(verdicts=RUN.verdicts[5:], scores=()))
    assert 'id="failures"' not in green
    assert "outcome good" in green


def test_no_name_becomes_markup_on_the_page(page):
    found = Tags(page)
    assert "script" not in found.tags
    assert html.escape(METHODS[1]) in page
    assert METHODS[1] not in page


def test_no_name_becomes_markup_or_a_command_in_the_table(table):
    assert "[red]m[/red]" in table
    assert "\x1b" not in table
    assert "\u202e" not in table


def test_the_page_asks_for_nothing_from_elsewhere(page):
    found = Tags(page)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", page)
    assert all(value.startswith(("data:image/png;base64,", "#")) for name, value in found.attributes if name in ("src", "href"))
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert {"link", "iframe", "object", "base"}.isdisjoint(found.tags)


def test_the_page_is_well_formed(page):
    void = {"meta", "wbr", "img"}
    for tag in set(Tags(page).tags) - void:
        assert len(re.findall(rf"<{tag}[\s>]", page)) == page.count(f"</{tag}>"), tag


@pytest.mark.parametrize("render", [render_page, tables_as_text])
def test_a_report_of_a_run_read_back_from_json_is_the_same(render):
    assert render(Run.from_json(RUN.to_json())) == render(RUN)


def test_what_is_not_a_number_is_undefined_and_draws_no_bar(page):
    cells = re.findall(r"<td title=\"undefined.*?</td>", page)
    assert len(cells) == 2 * len(ENVIRONMENTS)
    assert not any('class="bar' in cell for cell in cells)


@pytest.mark.parametrize(
    ("value", "percent"), [("0.5", 100 / 7), ("0.75", 50.0), ("0.875", 67.9), ("1", 600 / 7), ("12345", 100.0), ("-1e-9", 0.0)]
)
def test_a_bar_places_its_value_between_the_ticks_of_floor_and_ceiling(page, value, percent):
    # Floor 0.5 and ceiling 1.0 are ticked at 1/7 and 6/7 of the track; what lies beyond is drawn at its ends.
    shown = re.search(rf'<td title="{value}, [^>]*--v:([0-9.]+);', page)
    assert float(shown.group(1)) == pytest.approx(percent, abs=0.06)  # printed to one decimal


def test_controls_are_labelled_and_last(page, table):
    rows = re.findall(r'<th scope="row">(.*?)</th>', page[page.index('class="verdicts"') :])
    assert [re.sub("<.*?>", "", row) for row in rows[: len(METHODS)]][-2:] == ["random control", "truth control"]
    assert "random (control)" in table


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_line_is_wider_than_the_terminal_and_no_number_is_cut(width):
    text = tables_as_text(RUN, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text


def test_the_direction_of_a_metric_stands_in_its_title(page):
    few = replace(RUN, scores=tuple(score for score in RUN.scores if score.environment in ENVIRONMENTS[:2]))
    table = tables_as_text(few)
    assert "deletion (lower is better)" in table
    assert "support_auroc (higher is better)" in table
    assert re.search(r"<summary>deletion <span[^>]*>\(lower is better\)", page)


def test_scores_of_many_environments_are_left_to_the_overview(table):
    assert unwrapped("median place over environments") in unwrapped(table)
    assert unwrapped("lower is better") not in unwrapped(table)


def test_one_failure_speaks_for_the_same_failure_elsewhere():
    first, second = (
        replace(failure(1, "failed"), environment=name, counterexample=text) for name, text in (("a-v1", "long " * 9), ("b-v1", "short"))
    )
    run = Run(verdicts=(first, second), scores=())
    for text in (tables_as_text(run), html.unescape(render_page(run))):
        assert "also on: a-v1 (1.125)" in text
        assert "short" in text
        assert "long long" not in text


def test_the_table_ends_with_the_run_in_one_sentence(table):
    assert unwrapped(table).endswith(unwrapped("1 claimed too modestly, 1 not judged for an error; 224 scores; 1 min 1 s"))


def test_a_violation_that_was_claimed_is_shown_with_its_witness(page):
    assert re.search(r'<article class="known">.*?violated as claimed.*?<pre>g\(x\) = x1</pre>', page, re.DOTALL)


def test_why_something_did_not_apply_is_on_the_page(page):
    assert "the world states no dummies" in page


def test_an_empty_run_is_still_a_report():
    empty = Run(verdicts=(), scores=())
    assert tables_as_text(empty).startswith("0 verdicts")
    assert "0 verdicts" in render_page(empty)


def test_a_page_is_written_whole(tmp_path):
    write_page(RUN, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render_page(RUN)


@pytest.mark.parametrize("before", [None, "the page of another run"])
def test_a_page_that_cannot_be_rendered_leaves_the_folder_as_it_was(tmp_path, before):
    target = tmp_path / "report.html"
    if before:
        target.write_text(before, encoding="utf-8")
    with pytest.raises(TypeError):
        write_page(RUN, target, pictures=[Picture(environment="e-v1", method="m", png=None)])
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == [before] * bool(before)


def test_one_cause_is_told_once_with_the_rules_it_breaks():
    def broken(rule, environment):
        return replace(failure(0, "failed"), axiom=rule, environment=environment, counterexample="", reason=f"it raised (on {environment})")

    unplaced = replace(broken("hooks", "a-v1"), reason="it raised")
    run = Run(verdicts=(broken("shape", "a-v1"), broken("dtype", "a-v1"), broken("shape", "b-v1"), unplaced), scores=())
    text = unwrapped(tables_as_text(run))
    assert text.count(unwrapped("it raised")) == 1
    assert unwrapped("also on: dtype on a-v1 (0.125), b-v1 (0.125), hooks on a-v1 (0.125)") in text
