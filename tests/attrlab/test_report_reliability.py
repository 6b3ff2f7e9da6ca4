"""Pages of judgements, biases and curves: counts that add up, areas that are the scores, families that fold, ranks that tie."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from attrlab.metrics import METRICS
from attrlab.metrics.perturbation import mean_over_rows
from attrlab.record import MeanCurve, Run, Score
from attrlab.registry import find_method
from attrlab.report.biases import bias_section
from attrlab.report.curves import SHOWN, area, chosen, curve_section
from attrlab.report.families import MANY, family_of, grouped
from attrlab.report.lines import Line, lines
from attrlab.report.page import render_page
from attrlab.report.reliability import section
from attrlab.report.scoreboard import ranks_of, scoreboards
from attrlab.study import curves, measure, prepare
from tests.attrlab.judgements import TRUSTED as ONE
from tests.attrlab.judgements import WRITTEN_OFF

CLOSE = 1e-9  # sums of a few dozen float64 terms of order 1

BLIND = replace(ONE, environment="other-v1", truth_gain=(-0.1, 0.1), kendall=0.1)
CURVE = MeanCurve(method="m", environment="e", mode="deletion", fractions=(0.0, 0.5, 1.0), values=(1.0, 0.5, 0.0))


def scored(method, values, direction="higher"):
    mean = sum(values) / len(values)
    ends = {"floor": 0.0, "ceiling": 1.0, "interval": (mean, mean), "rows": len(values), "seed": 0}
    return Score(method=method, environment="e", evaluation="x", value=mean, direction=direction, values=tuple(values), **ends)


@pytest.mark.parametrize("mode", ["deletion", "insertion"])
@pytest.mark.parametrize("id", ["linear-v1", "house-v1", "bag-of-instances-v1"])
def test_the_area_of_the_curve_that_is_drawn_is_the_score(id, mode):
    stage = prepare(id, rows=5)
    scores = stage.scores_of(find_method("input_x_gradient"))[0]
    fraction, value = mean_over_rows(stage.answers, scores, mode=mode)
    drawn = MeanCurve(method="m", environment=id, mode=mode, fractions=tuple(fraction.tolist()), values=tuple(value.tolist()))
    assert area(drawn) == pytest.approx(float(measure(METRICS[mode], stage, scores).nanmean()), abs=CLOSE)


def test_a_curve_comes_with_floor_and_ceiling_in_both_modes():
    found = curves(find_method("occlusion"), prepare("linear-v1", rows=3))
    expected = {(name, mode) for name in ("occlusion", "floor", "ceiling") for mode in ("deletion", "insertion")}
    assert {(one.method, one.mode) for one in found} == expected


def test_a_chart_of_many_methods_shows_the_least_and_the_largest_area_and_both_ends():
    many = [replace(CURVE, method=f"m{number}", values=(1.0, number / 20, 0.0)) for number in range(20)]
    shown = chosen([*many, replace(CURVE, method="floor"), replace(CURVE, method="truth")])
    names = [one.method for one in shown]
    assert (names[0], *names[-2:]) == ("m0", "m19", "floor")
    assert len(shown) == SHOWN + 1
    assert "m19, area" in str(curve_section(many)[0]["charts"][0]["legend"])


def test_a_method_has_one_colour_in_both_charts_of_a_world_and_the_ceiling_lies_beneath():
    areas = {"deletion": {"a": 0.2, "b": 0.4}, "insertion": {"a": 0.9, "b": 0.3}}
    found = [replace(CURVE, method=m, mode=mode, values=(1.0, v, 0.0)) for mode, by in areas.items() for m, v in by.items()]
    found += [replace(CURVE, method="ceiling", mode=mode) for mode in areas]
    (world,) = curve_section(found)
    swatches = [{name.partition(",")[0]: str(swatch) for name, swatch in chart["legend"]} for chart in world["charts"]]
    assert swatches[0] == swatches[1]
    assert len(set(swatches[0].values())) == 3
    assert [name.partition(",")[0] for name, _ in world["charts"][1]["legend"]] == ["b", "a", "ceiling: truth"]  # in order of area
    picture = str(world["charts"][0]["picture"])
    assert picture.index("<title>ceiling: truth") < min(picture.index(f"<title>{name}") for name in "ab")


def test_worlds_beyond_the_second_are_folded_into_one():
    page = render_page(Run(verdicts=(), scores=(), curves=tuple(replace(CURVE, environment=f"e{n}-v1") for n in range(5))))
    assert "3 other worlds" in page
    assert page.count("<polyline") == 5


def test_a_cell_counts_the_worlds_that_are_trusted_and_a_tone_is_never_alone():
    found = section([ONE, BLIND])
    cells = found["groups"][0]["rows"][0][1]
    assert cells[0]["text"] == "~ 1 of 2"
    assert cells[0]["order"] == "τ +0.50"
    assert section([ONE])["groups"][0]["rows"][0][1][0]["text"] == "✓ 1 of 1"
    assert section([BLIND])["groups"][0]["rows"][0][1][0]["text"] == "✕ 0 of 1"
    assert section([]) == {}


def test_imputers_are_compared_where_there_are_several_and_worlds_by_their_weight():
    pairs = [(knob, name) for knob in ("", " redundant=0") for name in ("baseline", "blur 5")]
    places = [replace(ONE, environment=f"unseen-colour-v1{knob}", imputer=name) for knob, name in pairs]
    found = section(places)
    assert [name for name, _ in found["imputers"]["heads"]] == ["baseline", "blur 5"]
    assert found["unseen"]["places"] == ["as it is", "redundant=0"]
    assert section([ONE])["imputers"] == {}


def test_the_page_of_judgements_escapes_what_strangers_name():
    page = render_page(Run(verdicts=(), scores=(), judgements=(replace(ONE, environment="<script>x", evaluation="<b>d"),)))
    assert "Which evaluation can be trusted for what" in page
    assert "<script>" not in page
    assert "<b>d" not in page


def test_the_page_of_biases_says_what_is_written_off_and_the_page_of_curves_draws_them():
    bias = WRITTEN_OFF
    assert "writes off 0.40 in the median" in bias_section([bias])["sentence"]
    page = render_page(Run(verdicts=(), scores=(), biases=(bias,), curves=(CURVE,)))
    assert "-0.40" in page
    assert page.count("<polyline") == 2
    assert bias_section([]) == {}


def test_an_undefined_bias_is_a_dash():
    bias = replace(
        WRITTEN_OFF, performance="effect", estimate=math.nan, exact=math.nan, bias=math.nan, interval=(math.nan, math.nan), rows=0
    )
    assert bias_section([bias])["criteria"]["rows"][0][2][0]["text"] == "–"


def test_lines_of_one_height_are_drawn():
    drawn = lines([Line(name="m", points=((0.0, 1.0, 1.0, 1.0),))], x="x", y="y", ticks=((0.0, "0"),))
    assert "nan" not in str(drawn)


def test_methods_that_differ_by_chance_share_a_rank_and_controls_have_none():
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(12, generator=generator, dtype=torch.float64)
    good, same, bad = (noise + 1).tolist(), (noise + 1).tolist(), noise.tolist()
    run = Run(verdicts=(), scores=tuple(scored(name, values) for name, values in (("a", good), ("b", same), ("c", bad), ("random", bad))))
    (board,) = scoreboards(run)
    assert ranks_of(board, "e") == {"a": (1, 2), "b": (1, 2), "c": (3, 1)}
    lower = Run(verdicts=(), scores=tuple(scored(name, values, "lower") for name, values in (("a", good), ("c", bad))))
    assert ranks_of(scoreboards(lower)[0], "e") == {"a": (2, 1), "c": (1, 1)}
    assert "<i>1=</i>" in render_page(run)


def test_long_tables_are_cut_into_families_and_short_ones_are_not():
    assert grouped(["gradient", "random"], str) == [("", ["gradient", "random"])]
    long = [*(f"gradient(n={number})" for number in range(MANY)), "random", "stranger"]
    assert [name for name, _ in grouped(long, str)] == ["gradients", "controls", "others"]
    assert family_of("integrated_gradients(n_steps=5)") == "paths"
