"""Biases as tables and as a drawing: means and ranges over worlds, worlds that differ in number, and names that stay text."""

from __future__ import annotations

import math
from dataclasses import replace
from xml.etree import ElementTree

from attrlab.record import Judgement, Run
from attrlab.reliability.command import write_tables
from attrlab.report.bias_table import bias_figure, bias_markdown
from tests.attrlab.judgements import WRITTEN_OFF as ONE

OTHER = replace(ONE, environment="b-v1", bias=-0.2, interval=(-0.3, -0.1))
HIGHER = [replace(one, threshold=0.1, bias=one.bias - 0.1) for one in (ONE, OTHER)]


def test_a_cell_is_the_mean_over_worlds_with_the_least_and_the_largest():
    text = bias_markdown([ONE, OTHER, *HIGHER])
    assert "| attribution | 0.01 | 0.1 |" in text
    assert "| truth | -0.30 (-0.40 to -0.20) | -0.40 (-0.50 to -0.30) |" in text
    assert "| `b-v1` | -0.20 (-0.30 to -0.10) |" in text
    assert bias_markdown([]) == ""


def test_settings_that_were_asked_of_fewer_worlds_say_of_how_many():
    text = bias_markdown([ONE, OTHER, replace(ONE, imputer="blur 5", bias=0.004)])
    assert "| attribution | baseline, 2 worlds | blur 5, 1 worlds |" in text
    assert "| truth | -0.30 (-0.40 to -0.20) | 0.00 (0.00 to 0.00) |" in text


def test_what_is_not_defined_is_a_dash():
    text = bias_markdown([replace(ONE, bias=math.nan, interval=(math.nan, math.nan))])
    assert "| truth | – |" in text
    assert "| `a-v1` | – |" in text


def test_the_figure_is_an_svg_that_stands_alone_with_a_chart_for_every_world():
    drawn = ElementTree.fromstring(bias_figure([ONE, OTHER, *HIGHER, replace(ONE, environment="<b>&")]))
    assert drawn.tag.endswith("svg")
    texts = [element.text for element in drawn.iter() if element.tag.endswith("text")]
    assert {"a-v1", "b-v1", "<b>&", "truth"} <= set(texts)
    assert len([element for element in drawn.iter() if element.tag.endswith("polyline")]) == 3


def test_tables_and_figure_are_written_beside_each_other(tmp_path):
    judgement = Judgement(evaluation="deletion", question="game", environment="a-v1", modality="table", kind="additive", imputer="baseline")
    write_tables(Run(verdicts=(), scores=(), judgements=(judgement,), biases=(ONE,)), tmp_path / "r.md")
    assert "](r.svg)" in (tmp_path / "r.md").read_text()
    assert (tmp_path / "r.svg").read_text().startswith("<svg")
