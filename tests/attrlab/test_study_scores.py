"""Scores of a cell: each method is asked once, ends are measured once, and one metric's failure loses no other."""

from __future__ import annotations

import math

import pytest
import torch

from attrlab.errors import InvalidInput, MethodError
from attrlab.method import Method
from attrlab.metrics import METRICS, cost, stability
from attrlab.record import Run
from attrlab.registry import find_method
from attrlab.report.page import render_page
from attrlab.study import CEILING, FLOOR, measure, metrics_of, prepare, score

STAGE = prepare("linear-v1", rows=4)
CLOSE = 1e-12  # means of a dozen float64 numbers of order one


def counted(calls, *, fails_from=math.inf):
    def attribute(model, inputs, *, baseline):
        calls.append(len(inputs))
        if len(calls) >= fails_from:
            raise ValueError("no more")
        return inputs - baseline

    return Method(name="counted", attribute=attribute)


def test_a_method_is_asked_once_however_many_questions_follow():
    calls = []
    method = counted(calls)
    for question in ("truth", "scores", "game", "truth"):
        score(method, STAGE, question=question)
    assert calls == [4]


def test_neighbours_networks_and_costs_are_asked_for_once_each():
    calls = []
    found = score(counted(calls), STAGE, question="method", among=(*stability.METRICS, *cost.METRICS))
    assert [s.evaluation for s in found] == [m.name for m in (*stability.METRICS, *cost.METRICS)]
    assert calls == [4, 4 * stability.NEIGHBOURS, 4]


def test_a_method_that_fails_when_asked_again_loses_those_scores_only():
    method = counted([], fails_from=2)
    found = {s.evaluation: s for s in score(method, STAGE, question="method")}
    assert math.isnan(found["max_sensitivity"].value)
    assert found["max_sensitivity"].rows == 0
    assert all(s.rows == 4 for s in score(method, STAGE, question="truth") if s.evaluation == "relative_l1")


def test_a_method_that_fails_at_once_has_no_scores():
    with pytest.raises(MethodError, match="no more"):
        score(counted([], fails_from=1), prepare("linear-v1", rows=2), question="truth")


def test_controls_stand_at_their_own_ends():
    stage = prepare("additive-v1", rows=6)
    for method, end in ((FLOOR, "floor"), (CEILING, "ceiling")):
        for found in (*score(method, stage, question="game"), *score(method, stage, question="truth")):
            if not math.isnan(found.value):
                assert found.value == pytest.approx(getattr(found, end), abs=1e-9), found.evaluation  # the same scores, twice


def test_floor_and_ceiling_cost_nothing_the_second_time():
    stage = prepare("additive-v1", rows=4)
    score(find_method("occlusion"), stage, question="game")
    before = stage.answers.forwards
    score(find_method("occlusion"), stage, question="game")
    assert stage.answers.forwards == before


def test_metrics_are_asked_where_they_apply():
    names = {kind: {m.name for m in metrics_of(prepare(id, rows=2).environment, question="game")} for kind, id in KINDS.items()}
    assert "road" in names["image"]
    assert not names["table"] & {"road", "selectivity", "fidelity_plus", "sufficiency"}
    assert "fidelity_plus" in names["graph"]
    assert "sufficiency" in names["sequence"]
    designed = {m.name for m in metrics_of(prepare("null-patch-v1", rows=2).environment, question="method")}
    assert "null_feature" in designed
    assert "repeated_feature" not in designed


KINDS = {"image": "unseen-colour-v1", "table": "linear-v1", "graph": "house-v1", "sequence": "lookup-v1"}


def test_a_metric_that_asks_the_method_again_needs_one():
    with pytest.raises(InvalidInput, match="calls the method again"):
        measure(METRICS["max_sensitivity"], STAGE, STAGE.floor)


def test_an_expensive_method_is_asked_again_in_its_light_setting_and_costed_in_its_own():
    def slow(model, inputs, *, steps=8):
        with torch.no_grad():
            for _ in range(steps):
                model(inputs)
        return inputs

    method = Method(name="slow", attribute=slow, light={"steps": 2})
    found = {s.evaluation: s.value for s in score(method, STAGE, question="method", among=cost.METRICS)}
    assert found["forward_passes"] == 8
    explain, seen = STAGE.explainer_of(method), []
    STAGE.case.model.register_forward_hook(lambda *_: seen.append(1))
    explain(STAGE.case)
    STAGE.case.model._forward_hooks.clear()
    assert len(seen) == 2


@pytest.mark.parametrize("seed", [0, 1])
def test_reference_data_are_drawn_apart_from_the_rows_that_are_explained(seed):
    stage = prepare("linear-v1", rows=6, seed=seed)
    equal = (stage.case.reference.unsqueeze(0) == stage.case.inputs.unsqueeze(1)).all(2)
    assert not equal.diagonal().any()
    assert equal.double().mean() < 0.2  # a lattice of small integers: some rows may agree by chance, never row by row


def noisy(model, inputs, *, baseline, generator):
    noise = torch.rand(inputs.shape, generator=generator, dtype=inputs.dtype)
    return model(inputs).sum() * 0 + (inputs - baseline) + 3 * noise


def test_a_stochastic_method_is_asked_with_several_seeds_and_their_spread_is_stated_beside_that_of_rows():
    method = Method(name="noisy", attribute=noisy)
    stage = prepare("linear-v1", rows=4)
    (one,) = score(method, stage, question="truth", among=(METRICS["relative_l1"],))
    (four,) = score(method, stage, question="truth", among=(METRICS["relative_l1"],), seeds=4)
    drawn = torch.stack([measure(METRICS["relative_l1"], stage, stage.scores_of(method, draw=draw)[0]) for draw in range(4)])
    assert (one.seeds, four.seeds) == (1, 4)
    assert all(math.isnan(end) for end in one.spread)
    assert one.value == pytest.approx(drawn[0].mean().item(), abs=CLOSE)
    assert four.value == pytest.approx(drawn.mean().item(), abs=CLOSE)
    assert list(four.values) == pytest.approx(drawn.mean(0).tolist(), rel=1e-5)  # six digits are kept
    half = 3.182446 * drawn.mean(1).std().item() / 2  # Student's t of three degrees of freedom at 95 %, over the root of four seeds
    assert four.spread == pytest.approx((four.value - half, four.value + half), abs=1e-6)
    assert drawn.mean(1).std() > 0


def test_a_method_without_noise_has_one_seed():
    assert [s.seeds for s in score(counted([]), STAGE, question="truth", seeds=3)] == [1] * len(
        metrics_of(STAGE.environment, question="truth")
    )


def test_a_metric_that_asks_a_stochastic_method_again_does_so_with_each_of_its_seeds():
    method, stage, metric = Method(name="noisy", attribute=noisy), prepare("linear-v1", rows=4), METRICS["max_sensitivity"]
    (found,) = score(method, stage, question="method", among=(metric,), seeds=3)
    drawn = [measure(metric, stage, stage.scores_of(method, draw=draw)[0], method=method, draw=draw) for draw in range(3)]
    assert found.seeds == 3
    assert found.value == pytest.approx(torch.stack(drawn).mean().item(), abs=CLOSE)
    assert not torch.equal(drawn[0], drawn[1])
    mixed = measure(metric, stage, stage.scores_of(method, draw=1)[0], method=method)  # neighbours with the noise of another draw
    assert not torch.equal(mixed, drawn[1])


def test_the_spread_over_seeds_survives_json_and_is_shown_on_the_page():
    scores = score(Method(name="noisy", attribute=noisy), STAGE, question="truth", among=(METRICS["relative_l1"],), seeds=3)
    written = Run(verdicts=(), scores=tuple(scores))
    again = Run.from_json(written.to_json()).scores[0]
    assert again.spread == pytest.approx(scores[0].spread, rel=1e-12)
    page = render_page(written)
    assert "<small>seeds " in page
    assert "over 3 seeds" in page
