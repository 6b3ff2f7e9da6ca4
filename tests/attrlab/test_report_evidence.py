"""Over every cell of the matrix stands what it rests on, and a cell that was violated leads to its counterexample."""

from __future__ import annotations

import math
import re
from html import unescape

import pytest

from attrlab.record import Run, Verdict
from attrlab.report.evidence import anchors, evidence
from attrlab.report.matrix import axioms_of, cell_of, matrix
from attrlab.report.page import render_page


def verdict(outcome="passed", **changes):
    fields = {"method": "m", "evaluation": "axioms", "axiom": "dummy", "environment": "additive-v1", "claim": "dummy holds"}
    return Verdict(**{**fields, "outcome": outcome, "measured": 1e-12, "bound": 1e-7, "cases": 4, **changes})


def titles(page):
    return [unescape(title) for title in re.findall(r'<td class="[a-z_]+" title="([^"]*)"', page)]


def test_cases_networks_worst_violation_tolerance_and_places_are_told():
    drawn = verdict(environment="drawn-networks", cases=20, networks=20, measured=3e-10)
    said = evidence("m", "dummy", cell_of([verdict(), drawn])).splitlines()
    # one environment is one network; the tolerance is a hundredth of the bound
    assert said == ["m, dummy", "holds: 24 cases on 21 networks; worst violation 3e-10, tolerance 1e-9; on additive-v1, drawn-networks"]


def test_the_scope_of_enumerated_networks_is_told():
    found = verdict("xfailed", environment="small-scope", scope="scope default", networks=7, cases=90, counterexample="f(x) = x1")
    assert "90 cases on 7 networks" in evidence("m", "dummy", cell_of([found]))
    assert "on small-scope (scope default)\nf(x) = x1" in evidence("m", "dummy", cell_of([found]))


@pytest.mark.parametrize(
    ("outcome", "claim", "measured"), [("failed", "dummy holds", 1.0), ("xfailed", "dummy violates", 1.0), ("passed", "unclaimed", 1.0)]
)
def test_the_shortest_counterexample_stands_behind_a_violated_cell(outcome, claim, measured):
    found = [verdict(outcome, claim=claim, measured=measured, counterexample=text) for text in ("f(x) = relu(x1)", "f(x) = x1")]
    said = evidence("m", "dummy", cell_of(found))
    assert said.endswith("\nf(x) = x1")
    assert "worst violation 1, tolerance 1e-9" in said


def test_a_long_counterexample_is_cut_over_the_cell():
    assert len(evidence("m", "dummy", cell_of([verdict("failed", counterexample="x" * 9000)]))) < 1000


def test_why_nothing_could_be_asked_stands_over_its_cell_and_silence_is_said():
    assert evidence("m", "dummy", cell_of([verdict("skipped", measured=math.nan, cases=0, reason="it wants an image")])).endswith(
        "n/a: on additive-v1\nit wants an image"
    )
    assert evidence("m", "dummy", cell_of([])) == "m, dummy: not asked"


def test_more_places_than_can_be_read_are_counted():
    found = [verdict(environment=f"e{k}-v1") for k in range(9)]
    assert "on e0-v1, e1-v1, e2-v1 and 6 more" in evidence("m", "dummy", cell_of(found))


def test_combinations_of_claims_are_a_column_after_the_axioms():
    run = Run(verdicts=(verdict(evaluation="combinations", axiom="uniqueness"), verdict()), scores=())
    assert axioms_of(run) == ("dummy", "uniqueness")
    assert matrix(run)["m", "uniqueness"].status == "holds"


def test_every_cell_of_the_page_has_its_evidence_and_what_is_unclaimed_is_among_them():
    run = Run(verdicts=(verdict(), verdict(axiom="symmetry", claim="unclaimed", measured=1.0, counterexample="f(x) = x1 - x2")), scores=())
    said = titles(render_page(run))
    assert any(title.startswith("m, dummy\nholds: 4 cases on 1 network; ") for title in said)
    assert any(title.startswith("m, symmetry\n(violated): ") and title.endswith("f(x) = x1 - x2") for title in said)


def test_a_violated_cell_leads_to_its_counterexample_and_one_that_holds_does_not():
    violated = verdict("xfailed", axiom="symmetry", claim="symmetry violates", measured=1.0, counterexample="f(x) = x1 - x2")
    page = render_page(Run(verdicts=(verdict(), violated), scores=()))
    assert re.findall(r'class="lead" href="#([^"]*)"', page) == re.findall(r'<a id="(counterexample-[0-9]+)"></a>', page)
    assert re.search(r'<a id="counterexample-0"></a>\s*<pre>f\(x\) = x1 - x2</pre>', page)


def test_every_anchor_is_the_shortest_of_its_method_and_axiom():
    found = [verdict("failed", counterexample=text) for text in ("long one", "short")] + [verdict(method="other")]
    assert {key: one.counterexample for key, one in anchors(found).items()} == {("m", "dummy"): "short"}


def test_markup_in_a_counterexample_does_not_leave_its_title():
    page = render_page(Run(verdicts=(verdict("failed", counterexample='"><script>alert(1)</script>'),), scores=()))
    assert "<script>" not in page
