"""The worst row decides, is shown as mathematics, and is asked again only where more budget could explain it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from attrlab.axioms import AXIOMS
from attrlab.case import Case
from attrlab.judge import SUSPECTS, describe, examine
from attrlab.method import Method

COMPLETENESS = AXIOMS["completeness"]


class Total(nn.Module):
    """f(x) = Σ x_i, at both outputs."""

    def forward(self, rows):
        return rows.flatten(1).sum(1, keepdim=True).expand(-1, 2)


def case(inputs, *, baseline=0.0):
    return Case(
        name="total-v1",
        formula="f(x) = Σ x_i",
        model=Total(),
        inputs=inputs,
        target=torch.ones(len(inputs), dtype=torch.int64),
        baseline=torch.full_like(inputs, baseline),
        feature_mask=torch.arange(inputs[0].numel()).view(inputs[0].shape).expand(inputs.shape),
        players=inputs[0].numel(),
    )


def ones(*shape):
    return torch.ones(*shape, dtype=torch.float64)


def off_by(*errors):
    """The input plus an error in the first entry of each row."""

    def attribute(model, inputs, *, seeds):
        scores = inputs.clone()
        scores.flatten(1)[:, 0] += torch.tensor(errors, dtype=inputs.dtype)[seeds]
        return scores

    return Method(name="off", attribute=attribute)


def test_the_row_with_the_largest_violation_is_the_one_that_is_shown():
    found = examine(off_by(1e-12, 0.5, 1e-3), COMPLETENESS, case(ones(3, 2)), tolerance=1e-9)
    assert (found.judgement, found.row) == ("refuted", 1)
    assert found.measured == pytest.approx(0.5 / 2)  # relative to the output, 2
    assert found.counterexample == (
        "total-v1: f(x) = Σ x_i\nx = (1, 1), x' = (0, 0)\nA = (1.5, 1)\nthe scores must sum to f(x) - f(x') = 2; they sum to 2.5"
    )


def test_what_is_within_the_tolerance_has_no_counterexample():
    found = examine(off_by(1e-12, 0.0), COMPLETENESS, case(ones(2, 2)), tolerance=1e-9)
    assert (found.judgement, found.counterexample, found.note) == ("not refuted", "", "")


@pytest.mark.parametrize(("entries", "shown", "hidden"), [(12, "x = (1, 1", "row 0"), (13, "row 0 of the sample, (13,), output", "x = (")])
def test_rows_of_more_than_a_dozen_entries_are_named_and_not_listed(entries, shown, hidden):
    text = examine(off_by(1.0), COMPLETENESS, case(ones(1, entries)), tolerance=1e-9).counterexample
    assert shown in text
    assert hidden not in text


def test_scores_of_a_dozen_players_are_listed_also_beside_a_wide_row():
    wide = case(ones(1, 2, 8))
    few = Case(**{**vars(wide), "feature_mask": wide.feature_mask % 3, "players": 3})

    def score(asked):
        return torch.tensor([[1.0, 2.0, -0.25]], dtype=torch.float64)

    text = describe(few, COMPLETENESS.measure(score, few), 0)
    assert "row 0 of the sample, (2, 8), output 1\nA = (1, 2, -0.25)\n" in text


def approximate(error, calls):
    """The input with the relative error `error(n_steps)`, noting how it was called."""

    def attribute(model, inputs, *, seeds, n_steps=8):
        calls.append((n_steps, seeds.tolist()))
        return inputs * (1 + error(n_steps) * (1.0 + seeds[:, None].to(inputs.dtype)))

    return Method(name="approximate", attribute=attribute, budget="n_steps")


def test_an_error_that_falls_with_the_budget_is_explained_on_the_worst_rows_alone():
    calls = []
    found = examine(approximate(lambda n: 0.01 / n, calls), COMPLETENESS, case(ones(7, 2)), tolerance=1e-9)
    assert found.judgement == "approximation error"
    assert found.row == 6
    assert "n_steps" in found.note
    assert calls[0] == (8, [0, 1, 2, 3, 4, 5, 6])
    assert max(steps for steps, _ in calls) >= 80
    assert {tuple(sorted(rows)) for _, rows in calls[1:]} == {tuple(range(7 - SUSPECTS, 7))}  # with the seeds of their own


def test_rows_within_the_tolerance_are_not_asked_again():
    calls = []
    method = approximate(lambda n: 0.01 / n, calls)
    rows = ones(3, 2)
    rows[:2] = 0  # nothing to explain, and no error
    examine(method, COMPLETENESS, case(rows), tolerance=1e-9)
    assert {tuple(asked) for _, asked in calls[1:]} == {(2,)}


@pytest.mark.parametrize(("error", "judgement"), [(1e-3, "refuted"), (1e-8, "inconclusive")])
def test_an_error_that_stays_whatever_the_budget_is_judged_as_it_is(error, judgement):
    found = examine(approximate(lambda n: error, []), COMPLETENESS, case(ones(2, 2)), tolerance=1e-9)
    assert (found.judgement, found.note) == (judgement, "")


def test_nothing_is_asked_again_where_nothing_is_suspected_or_no_budget_is_stated():
    calls = []
    examine(approximate(lambda n: 0.0, calls), COMPLETENESS, case(ones(2, 2)), tolerance=1e-9)
    assert len(calls) == 1
    without = Method(name="without", attribute=approximate(lambda n: 1 / n, calls).attribute)
    assert examine(without, COMPLETENESS, case(ones(2, 2)), tolerance=1e-9).judgement == "refuted"
    assert len(calls) == 2


def test_the_budget_a_user_set_is_the_one_that_is_refined():
    calls = []
    method = approximate(lambda n: 0.01 / n, calls).with_parameters(n_steps=100)
    assert examine(method, COMPLETENESS, case(ones(1, 2)), tolerance=1e-9).judgement == "approximation error"
    assert calls[0][0] == 100
    assert max(steps for steps, _ in calls) >= 1000


def test_rows_that_are_compared_with_each_other_are_asked_again_together():
    rows = ones(2, 2)
    rows[1, 0] = 3.0
    pair = Case(**{**vars(case(rows)), "monotone": torch.ones(2, 2, dtype=torch.bool)})
    calls = []

    def falling(model, inputs, *, seeds, n_steps=8):
        calls.append((n_steps, len(inputs)))
        return torch.where(inputs > 2, 1.0, 2.0 * inputs)

    found = examine(Method(name="falling", attribute=falling, budget="n_steps"), AXIOMS["demand_monotonicity"], pair, tolerance=1e-9)
    assert found.judgement == "refuted"  # alone, the raised row has nothing to have fallen from
    assert {rows for _, rows in calls} == {max(rows for _, rows in calls)}


def test_the_seed_is_the_seed_of_the_method():
    noise = Method(name="noise", attribute=lambda model, inputs, *, generator: inputs * torch.rand(1, generator=generator).item())
    measured = [examine(noise, COMPLETENESS, case(ones(2, 2)), tolerance=1e-9, seed=seed).measured for seed in (0, 0, 1)]
    assert measured[0] == measured[1]  # bit for bit: the same draws
    assert measured[0] != measured[2]
