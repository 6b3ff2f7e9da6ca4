"""Judgements: what is known to be reliable comes out as such, each way of failing has its name, and tall questions change no answer."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from attrlab.errors import InvalidInput, UnknownName
from attrlab.games import keep_baseline
from attrlab.metrics import METRICS
from attrlab.metrics.answers import Answers
from attrlab.metrics.reliability import candidates
from attrlab.record import MeanCurve, Run
from attrlab.reliability import IMPUTED, Bounds, grade, imputers_of, judge, judged, kind_of, parted, sentence, settled, trial, unseen_share
from attrlab.reliability.command import run, study
from attrlab.reliability.soundness_bias import biases_of
from attrlab.study import CONVENTION, measure, model_free, prepare
from tests.attrlab.judgements import TRUSTED

PANEL = ("random", "constant", "gradient", "occlusion", "integrated_gradients")
CLOSE = 1e-9  # sums of some hundred float64 terms of order 1


@pytest.fixture(scope="module")
def linear():
    return trial(prepare("linear-v1", rows=6), panel=PANEL)


@pytest.mark.parametrize("name", ["deletion", "insertion", "soundness", "sensitivity_n", "infidelity", "pixel_flipping", "support_auroc"])
def test_a_metric_says_the_same_of_tall_rows_as_of_each_candidate_alone(linear, name):
    metric, stage = METRICS[name], linear.stage
    sets = candidates(linear.truth, seed=stage.seed, magnitudes=metric.ranking == "absolute", methods=tuple(linear.panel.values()))
    alone = torch.stack([measure(metric, stage, scores) for scores in sets[::7]])
    scores = sets.flatten(0, 1)
    tall = metric.measure(linear.answers, scores) if metric.question == "game" else measure(metric, linear.tall, scores)
    torch.testing.assert_close(tall.view(len(sets), -1)[::7], alone, atol=CLOSE, rtol=CLOSE, equal_nan=True)


def test_copies_of_a_row_share_their_answers(linear):
    stage = linear.stage
    answers = Answers(linear.tall.game, same=torch.arange(len(stage.case)).repeat(len(linear.tall.game) // len(stage.case)))
    METRICS["deletion"].measure(answers, linear.truth.repeat(len(linear.tall.game) // len(stage.case), 1))
    once = Answers(stage.game)
    METRICS["deletion"].measure(once, linear.truth)
    assert answers.forwards == once.forwards


def test_on_a_linear_world_deletion_is_trusted_and_what_reads_no_sign_is_not(linear):
    assert grade(judged(linear, METRICS["deletion"])) == "trusted"
    assert grade(judged(linear, METRICS["infidelity_scaled"])) == "one-sided"  # the optimal factor turns the inverted truth around
    assert grade(judged(linear, METRICS["monotonicity_arya"])) in ("blind", "coarse", "one-sided")


def test_unseen_values_cost_trust_only_where_the_network_reacts_to_them():
    found = {}
    for place in ("unseen-colour-v1 redundant=0", "unseen-colour-v1 redundant_weight=4"):
        id, knobs = parted(place)
        asked = trial(prepare(id, rows=6, **knobs), place=place, panel=PANEL)
        blurred = next(imputer for imputer in imputers_of(asked.stage) if imputer.name.startswith("blur"))
        found[place] = judged(asked, METRICS["faithfulness_estimate"], imputer=blurred)
    without, within = found.values()
    assert grade(without) == "trusted"
    assert grade(within) != "trusted"
    assert within.truth_wins < without.truth_wins


def test_rows_without_an_order_are_not_judged():
    stage = prepare("colour-count-v1", rows=2)
    flat = replace(trial(stage, panel=()), truth=torch.zeros_like(stage.batch.truth.attributions[CONVENTION]))
    found = judged(flat, METRICS["deletion"])
    assert found.rows == 0
    assert grade(found) == "undefined"


def test_a_stage_is_asked_under_every_imputer_and_the_baseline_first():
    stage = prepare("linear-v1", rows=3)
    found = list(judge(stage, questions=("truth", "game"), panel=("random", "gradient", "occlusion")))
    names = [imputer.name for imputer in imputers_of(stage)]
    assert names[0] == keep_baseline.name
    deletion = [one.imputer for one in found if one.evaluation == "deletion"]
    assert deletion == names
    assert {one.imputer for one in found if one.evaluation not in {metric.name for metric in IMPUTED}} == {"own"}


def test_nothing_is_unseen_where_the_fill_is_a_value_of_the_data():
    stage = prepare("unseen-colour-v1", rows=4)
    share = {imputer.name: unseen_share(stage, imputer) for imputer in imputers_of(stage)}
    assert share["baseline"] == 0
    assert share["unseen colour"] == pytest.approx(0.5, abs=0.06)  # each pixel is absent with probability 1/2


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({}, "trusted"),
        ({"ladder": 0.5}, "coarse"),
        ({"kendall": 0.2}, "coarse"),
        ({"kendall": math.nan}, "trusted"),
        ({"random_gain": (-0.1, 0.2)}, "one-sided"),
        ({"truth_gain": (-0.1, 0.2)}, "blind"),
        ({"truth_gain": (0.0, 0.0)}, "blind"),
        ({"truth_gain": (-0.2, -0.1)}, "misleads"),
        ({"reason": "does not apply"}, "undefined"),
        ({"question": "method", "kendall": 0.6}, "trusted"),
        ({"question": "method", "kendall": -0.6}, "misleads"),
        ({"question": "method", "kendall": 0.1}, "blind"),
    ],
    ids=str,
)
def test_each_way_of_failing_has_a_name(change, word):
    assert grade(replace(TRUSTED, **change)) == word


def test_the_sentence_names_where_it_fails_and_which_imputers_cost_trust():
    fails = replace(TRUSTED, environment="parity-v1", truth_gain=(-0.1, 0.1))
    blurred = replace(TRUSTED, imputer="blur 5", truth_gain=(-0.2, -0.1))
    said = sentence([TRUSTED, fails, blurred])
    assert said == "Trusted on 1 of 2 worlds; blind on parity-v1. Of that, lost to imputers: blur 5 (1 of 1)."
    assert sentence([replace(TRUSTED, reason="no")]) == "Not defined on any of these worlds."


def test_a_word_is_given_only_where_all_seeds_agree():
    coarse = replace(TRUSTED, ladder=0.7, seed=1)
    nowhere = replace(TRUSTED, truth_gain=(math.nan, math.nan), seed=2)
    assert settled([TRUSTED, replace(TRUSTED, seed=1)]) == "trusted"
    assert settled([TRUSTED, coarse]) == "unsettled"
    assert settled([coarse, nowhere]) == "coarse"  # where nothing is defined, nothing is said
    assert settled([nowhere]) == "undefined"
    assert settled([TRUSTED, coarse], bounds=Bounds(ladder=0.6, order=0.3)) == "trusted"
    assert settled([TRUSTED, coarse], bounds=Bounds(ladder=0.9, order=0.95)) == "coarse"
    assert sentence([TRUSTED, coarse]) == "Trusted on 0 of 1 world; unsettled on linear-v1."


def test_seeds_draw_other_rows_and_other_random_scores_and_a_seed_says_the_same_in_any_company():
    both = study(["boolean-or-v1"], rows=3, seed=4, seeds=2, questions=("scores",))
    alone = study(["boolean-or-v1"], rows=3, seed=5, questions=("scores",))
    assert {one.seed for one in both} == {4, 5}
    assert [repr(replace(one, seconds=0.0)) for one in both if one.seed == 5] == [repr(replace(one, seconds=0.0)) for one in alone]
    truth = torch.rand(2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    first, second = (candidates(truth, seed=seed) for seed in (0, 1))
    assert torch.equal(first[:2], second[:2])  # the truth and its inverse
    assert not (first[2:6].unsqueeze(1) == second[2:6].unsqueeze(0)).any()


def test_worlds_that_are_listed_are_drawn_from_given_what_is_kept_and_sequences_from_a_partner():
    stage = prepare("redundant-evidence-v1", rows=6)
    drawn = next(imputer for imputer in imputers_of(stage) if imputer.name.startswith("conditional"))
    data = {tuple(row.tolist()) for row in stage.environment.sample(2000, torch.Generator().manual_seed(7)).inputs}
    lattice = stage.environment.lattice()
    assert len(data) < len(lattice)  # what goes together in the data is fewer than what could be put together
    kept = torch.rand(6, 5, generator=torch.Generator().manual_seed(1)) < 0.5
    made = drawn.impute(stage.batch.inputs, stage.batch.baseline, kept, torch.arange(6))
    assert torch.equal(made[kept], stage.batch.inputs[kept])
    assert {tuple(row.tolist()) for row in made} <= data
    assert unseen_share(stage, drawn) == 0
    words = prepare("lookup-v1", rows=3)
    once, twice = (next(i for i in imputers_of(words, copies=copies) if i.name == "partner") for copies in (1, 2))
    nothing = torch.zeros_like(words.batch.inputs, dtype=torch.bool)
    partners = once.impute(words.batch.inputs, words.batch.baseline, nothing, torch.arange(3))
    assert not torch.equal(partners, words.batch.inputs)
    repeated = twice.impute(words.batch.inputs, words.batch.baseline, nothing, torch.arange(3, 6))
    assert torch.equal(repeated, partners)  # copies of a row have its partner


def test_what_it_costs_to_explain_is_not_judged():
    found = list(judge(prepare("boolean-or-v1", rows=3), questions=("method",), panel=()))
    assert "max_sensitivity" in {one.evaluation for one in found}
    assert not {one.evaluation for one in found} & {"forward_passes", "backward_passes", "seconds_per_row"}


def test_a_place_is_an_id_and_its_knobs():
    assert parted("linear-v1") == ("linear-v1", {})
    assert parted("unseen-colour-v1 redundant=0 redundant_weight=0.5") == ("unseen-colour-v1", {"redundant": 0, "redundant_weight": 0.5})


def test_a_world_is_of_the_kind_that_is_hardest_for_evaluations():
    kinds = {id: kind_of(prepare(id, rows=2).environment) for id in ("linear-v1", "parity-v1", "saturated-or-v1", "unseen-colour-v1")}
    assert kinds == {
        "linear-v1": "additive",
        "parity-v1": "saw-toothed",
        "saturated-or-v1": "redundant or saturating",
        "unseen-colour-v1": "reacts to unseen values",
    }


def test_the_bias_of_soundness_is_the_estimate_less_the_exact_value():
    found = list(biases_of(prepare("saturated-or-v1", rows=6)))
    for one in found:
        if one.rows:
            assert one.bias == pytest.approx(one.estimate - one.exact, abs=CLOSE)
    exact = [one for one in found if one.evaluation == "soundness" and one.attribution in ("truth", "support") and one.rows]
    assert all(one.exact == pytest.approx(1, abs=CLOSE) for one in exact)
    published = [one for one in exact if one.threshold == 0.01 and one.performance == "probability" and one.imputer == "baseline"]
    assert all(one.bias < -0.2 for one in published)  # an OR rises once; what comes after is written off


def test_judgements_biases_and_curves_survive_json():
    curve = MeanCurve(method="m", environment="e", mode="deletion", fractions=(0.0, 1.0), values=(1.0, 0.0))
    bias = next(biases_of(prepare("linear-v1", rows=2)))
    written = Run(verdicts=(), scores=(), judgements=(replace(TRUSTED, kendall=math.nan),), biases=(bias,), curves=(curve,))
    again = Run.from_json(written.to_json())
    assert math.isnan(again.judgements[0].kendall)
    assert replace(again.judgements[0], kendall=0.9, unseen=0.0) == replace(TRUSTED, unseen=0.0)
    assert again.biases == written.biases
    assert again.curves == written.curves


@pytest.mark.slow
def test_one_command_prints_every_evaluation_and_writes_records_and_page(tmp_path, capsys):
    found = run(["boolean-or-v1"], rows=3, seed=0, seeds=2, json=tmp_path / "r.json", html=tmp_path / "r.html", markdown=tmp_path / "r.md")
    said = capsys.readouterr().out
    assert all(one.evaluation in said for one in found)
    again = Run.from_json((tmp_path / "r.json").read_text())
    assert [one.evaluation for one in again.judgements] == [one.evaluation for one in found]
    assert {one.environment for one in again.biases} == {"boolean-or-v1"}
    assert "Which evaluation can be trusted for what" in (tmp_path / "r.html").read_text()
    table = (tmp_path / "r.md").read_text()
    assert "attrlab reliability --rows 3 --seed 0 --seeds 2" in table
    assert "Shapley value of the baseline game" in table


def test_the_same_seed_gives_the_same_judgements():
    once, again = (judge(prepare("boolean-or-v1", rows=3), questions=("game",), panel=PANEL) for _ in range(2))
    assert [repr(replace(one, seconds=0.0)) for one in once] == [repr(replace(one, seconds=0.0)) for one in again]  # NaN equals itself so


def test_an_unknown_world_is_refused_with_its_nearest_name():
    with pytest.raises(UnknownName, match="linear-v1"):
        study(["linera-v1"])
    with pytest.raises(InvalidInput, match="redundant"):
        study(["unseen-colour-v1 redundnat=0"])


def test_graphs_are_scored_without_a_model_and_other_worlds_are_not():
    found = model_free(prepare("house-v1", rows=3))
    assert {one.method for one in found} == {"degree_alone", "bridges_alone", "number_alone"}
    assert {"support_auroc", "deletion"} <= {one.evaluation for one in found}
    assert model_free(prepare("linear-v1", rows=3)) == []
