"""The page shows a study of retraining as curves and numbers, escapes every name, and is the same page for the same records."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from attrlab.record import Run
from attrlab.report.page import render_page
from attrlab.report.retraining import merged
from attrlab.retraining import Cell, Retraining


def cells(method: str, height: float, *, leakage: float = 0.5) -> tuple[Cell, ...]:
    return tuple(
        Cell(
            method=method,
            measure=measure,
            order="morf",
            evaluated="modified",
            isolated="kept",
            fraction=fraction,
            accuracies=(height, height - 0.02),
            leakage=leakage,
        )
        for measure in ("roar", "kar")
        for fraction in (0.1, 0.5)
    )


def study(*found: Cell, data: str = "drawn") -> Retraining:
    return Retraining(
        data=data,
        modality="table",
        rule="labels of the data",
        classes=2,
        rows=(10, 10),
        chance=0.5,
        full=(0.9, 0.9),
        nothing=(0.5, 0.5),
        cells=found,
        controls=("random",),
        network="mlp",
        settings={"imputer": "baseline"},
    )


def page(*studies: Retraining) -> str:
    return render_page(Run(verdicts=(), scores=(), studies=tuple(one.to_data() for one in studies)))


class Drawn(HTMLParser):
    """Collects polylines and open tags, so that what was not closed is seen."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.depth = 0

    def handle_starttag(self, tag, attrs):
        if tag == "svg":
            self.depth += 1
        if tag == "polyline":
            self.lines.append(dict(attrs)["points"])

    def handle_endtag(self, tag):
        if tag == "svg":
            self.depth -= 1


def test_there_is_one_curve_per_method_and_protocol_with_a_point_per_fraction():
    drawn = Drawn()
    drawn.feed(page(study(*cells("random", 0.8), *cells("X", 0.6))))
    assert len(drawn.lines) == 8  # for each of two protocols, two methods' accuracies and two methods' masks
    assert all(len(points.split()) == 2 for points in drawn.lines)
    assert drawn.depth == 0


def test_a_higher_accuracy_is_drawn_higher():
    drawn = Drawn()
    drawn.feed(page(study(*cells("random", 0.8), *cells("X", 0.6))))
    heights = [float(points.split()[0].split(",")[1]) for points in drawn.lines]
    by_method = dict(zip(("X", "random"), heights[:2], strict=True))  # methods stand before controls
    assert by_method["random"] < by_method["X"]


def test_the_numbers_of_every_curve_stand_in_a_table_with_what_the_mask_gives_away():
    text = page(study(*cells("random", 0.8), *cells("X", 0.6, leakage=0.75)))
    assert re.search(r"59 ± \d+<small class=\"part\">mask \+25", text)


def test_names_cannot_become_markup():
    text = page(study(*cells("<b>X</b>", 0.6), data="<i>data</i>"))
    assert "<b>X" not in text
    assert "<i>data" not in text


def test_studies_of_the_same_data_are_one_section_and_others_their_own():
    one, other, apart = study(*cells("X", 0.6)), study(*cells("Y", 0.7)), study(*cells("X", 0.6), data="elsewhere")
    found = merged([one, other, apart])
    assert [len(joined.cells) for joined in found] == [8, 4]


def test_a_run_without_studies_has_no_such_section():
    assert 'id="retraining"' not in page()


def test_the_same_records_are_the_same_page_also_after_a_file():
    made = study(*cells("random", 0.8), *cells("X", 0.6))
    run = Run(verdicts=(), scores=(), studies=(made.to_data(),))
    assert render_page(Run.from_json(run.to_json())) == render_page(run)
