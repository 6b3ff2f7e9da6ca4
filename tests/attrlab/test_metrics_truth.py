"""Agreement with the truth: known answers, slow twins, and scikit-learn and scipy as oracles."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score

from attrlab.metrics import METRICS
from tests import reference

CLOSE = 1e-12  # ratios of sums of at most ten numbers of order one: 1e-16 each
TRUTH = [metric for metric in METRICS.values() if metric.question == "truth"]
EACH = pytest.mark.parametrize("metric", TRUTH, ids=lambda metric: metric.name)


def measured(name, scores, truth, *, support=None, present=None):
    """One metric of one row, given as lists."""
    scores, truth = (torch.tensor([row], dtype=torch.float64) for row in (scores, truth))
    support = truth != 0 if support is None else torch.tensor([support])
    present = torch.ones_like(support) if present is None else torch.tensor([present])
    return METRICS[name].measure(scores, truth=truth, support=support & present, present=present).item()


def drawn(seed, rows=4, players=7):
    """Scores with ties, truth, support and ragged rows."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(-2, 4, (rows, players), generator=generator).double() / 2
    truth = torch.randint(-2, 3, (rows, players), generator=generator).double()
    present = torch.arange(players) < torch.randint(1, players + 1, (rows, 1), generator=generator)
    return scores, truth, (truth != 0) & present, present


def rows_of(scores, truth, support, present):
    for row in range(len(scores)):
        own = present[row]
        yield row, scores[row][own].numpy(), truth[row][own].numpy(), support[row][own].numpy()


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_areas_equal_those_of_scikit_learn_and_of_counting_pairs(seed):
    data = drawn(seed)
    scores, truth, support, present = data
    auroc = METRICS["support_auroc"].measure(scores, truth=truth, support=support, present=present)
    auprc = METRICS["support_auprc"].measure(scores, truth=truth, support=support, present=present)
    for row, s, _, g in rows_of(*data):
        if g.all() or not g.any():
            assert math.isnan(auroc[row])
            assert math.isnan(auprc[row])
            continue
        assert float(auroc[row]) == pytest.approx(roc_auc_score(g, np.abs(s)), abs=CLOSE)
        assert float(auroc[row]) == pytest.approx(reference.auroc(np.abs(s).tolist(), g.tolist()), abs=CLOSE)
        assert float(auprc[row]) == pytest.approx(average_precision_score(g, np.abs(s)), abs=CLOSE)
        assert float(auprc[row]) == pytest.approx(reference.average_precision(np.abs(s).tolist(), g.tolist()), abs=CLOSE)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_rank_correlation_equals_that_of_scipy_ties_and_constants_included(seed):
    data = drawn(seed)
    scores, truth, support, present = data
    found = METRICS["rank_correlation"].measure(scores, truth=truth, support=support, present=present)
    for row, s, t, _ in rows_of(*data):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scipy warns where an input is constant or short, and returns NaN
            expected = spearmanr(s, t).statistic if len(s) > 1 else math.nan
        assert float(found[row]) == pytest.approx(expected, abs=CLOSE, nan_ok=True)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_soft_metrics_equal_their_slow_twin(seed):
    data = drawn(seed)
    scores, truth, support, present = data
    for sign in ("positive", "negative", "absolute"):
        measures = [METRICS[f"soft_{mass}_{sign}"].measure for mass in ("precision", "recall", "f1")]
        found = [measure(scores, truth=truth, support=support, present=present) for measure in measures]
        for row, s, t, g in rows_of(*data):
            unit = s / np.abs(s).max() if s.any() else s
            claimed = {"positive": np.maximum(unit, 0), "negative": np.maximum(-unit, 0), "absolute": np.abs(unit)}[sign]
            wanted = {"positive": g & (t > 0), "negative": g & (t < 0), "absolute": g}[sign]
            expected = reference.soft_precision_recall_f1(claimed.tolist(), wanted.tolist())
            assert [float(values[row]) for values in found] == pytest.approx(list(expected), abs=CLOSE)


PERFECT = {
    "support_auroc": 1, "support_auprc": 1, "sign_accuracy": 1, "relative_l1": 0, "rank_correlation": 1,
    "soft_precision_positive": 1, "soft_precision_negative": 1, "soft_precision_absolute": 1,
    "soft_recall_positive": 1, "soft_recall_negative": 1, "soft_recall_absolute": 1,
    "soft_f1_positive": 1, "soft_f1_negative": 1, "soft_f1_absolute": 1,
    "pointing_game": 1, "relevance_mass": 1, "relevance_rank": 2 / 3, "effective_heat_ratio": 1, "necessary_auroc": 1,
    "information_completeness_exact": 1,
}  # fmt: skip


@EACH
def test_the_truth_itself_is_perfect_where_its_scores_have_one_size(metric):
    truth = [2.0, -2.0, 0.0, 2.0, 0.0]
    assert measured(metric.name, truth, truth) == pytest.approx(PERFECT[metric.name], abs=CLOSE)


KNOWN = [
    # name, scores, truth, value by hand
    ("support_auroc", [1, 1, 1, 1], [1, 0, 0, -1], 0.5),  # a constant map: every pair is a tie
    ("support_auprc", [1, 1, 1, 1], [1, 0, 0, 0], 0.25),  # a constant map: the share of the support
    ("support_auroc", [-5, -1, -1, -2], [1, 0, 0, -1], 1.0),  # an all-negative map, by magnitude
    ("support_auroc", [0, 1, 0, 0], [1, 0, 0, 0], 1 / 3),  # below one, tied with two: (0 + 1/2 + 1/2) / 3
    ("support_auroc", [1], [1], math.nan),  # one player: nothing outside
    ("support_auprc", [1], [0], math.nan),
    ("sign_accuracy", [1, 1, -1, 0], [2, -2, -2, 2], 0.5),  # right, wrong, right, and 0 is wrong
    ("sign_accuracy", [0, 0], [0, 0], math.nan),  # nothing to ask
    ("sign_accuracy", [-3, -1e-20], [-1, -1], 0.5),  # a score within rounding of 0 has no sign
    ("sign_accuracy", [-3], [-1], 1.0),
    ("soft_precision_positive", [4, 1, -3], [1, 0, 1], 0.8),
    ("soft_recall_positive", [4, 1, -3], [1, 0, 1], 0.5),
    ("soft_f1_positive", [4, 1, -3], [1, 0, 1], 8 / 13),  # 2 x 0.8 x 0.5 / 1.3
    ("soft_precision_positive", [-1, -2, -2], [1, 0, 1], 1.0),  # nothing of this sign was claimed: 0/0
    ("soft_recall_negative", [4, 1, -3], [1, 0, 1], 1.0),  # nothing to find: 0/0
    ("soft_precision_negative", [4, 1, -3], [1, 0, 1], 0.0),  # but something was claimed
    ("soft_f1_absolute", [0, 5, 0], [1, 0, 1], 0.0),  # P = R = 0
    ("soft_recall_absolute", [0, 0, 0], [1, 0, 1], 0.0),
    ("soft_recall_absolute", [100, 1, 0], [1, 1, 0], 0.505),  # one outlier costs recall: (1 + 0.01) / 2
    ("relative_l1", [0, 0], [1, -3], 1.0),  # the zero map
    ("relative_l1", [2, -6], [1, -3], 1.0),  # twice the truth
    ("relative_l1", [-1, 3], [1, -3], 2.0),  # the inverted truth
    ("relative_l1", [1, 1], [0, 0], math.nan),
    ("rank_correlation", [-1, 3], [1, -3], -1.0),
    ("rank_correlation", [1, 1], [1, -3], math.nan),  # a constant map
    ("rank_correlation", [2], [1], math.nan),  # one player
]


@pytest.mark.parametrize(("name", "scores", "truth", "expected"), KNOWN, ids=[f"{n}-{s}-{t}" for n, s, t, _ in KNOWN])
def test_known_answers(name, scores, truth, expected):
    assert measured(name, scores, truth) == pytest.approx(expected, abs=CLOSE, nan_ok=True)


def test_a_support_player_whose_exact_score_cancels_counts_as_found_and_has_no_sign():
    scores, truth, support = [1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [True, True, False]
    assert measured("support_auroc", scores, truth, support=support) == pytest.approx(1, abs=CLOSE)
    assert measured("soft_precision_absolute", scores, truth, support=support) == pytest.approx(1, abs=CLOSE)
    assert measured("soft_precision_positive", scores, truth, support=support) == pytest.approx(0.5, abs=CLOSE)
    assert measured("sign_accuracy", scores, truth, support=support) == pytest.approx(1, abs=CLOSE)


@pytest.mark.parametrize("name", ["support_auroc", "support_auprc", "rank_correlation"])
def test_scores_that_differ_by_rounding_have_no_order(name):
    exact, rounded = [0.3, 0.3, 1.0, 0.0], [0.1 + 0.2, 0.3, 1.0, 1e-17]
    truth = [1.0, 0.0, 0.0, 2.0]
    assert measured(name, rounded, truth) == pytest.approx(measured(name, exact, truth), abs=CLOSE)


@EACH
@given(seed=st.integers(0, 10**6))
@settings(max_examples=8, deadline=None)
def test_order_of_players_absent_players_and_other_rows_do_not_matter(metric, seed):
    scores, truth, support, present = drawn(seed)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(seed))
    filled = torch.where(present, scores, torch.nan)
    together = metric.measure(scores, truth=truth, support=support, present=present)
    permuted = metric.measure(filled[:, order], truth=truth[:, order], support=support[:, order], present=present[:, order])
    torch.testing.assert_close(together, permuted, atol=CLOSE, rtol=0, equal_nan=True)
    alone = [
        metric.measure(scores[r : r + 1], truth=truth[r : r + 1], support=support[r : r + 1], present=present[r : r + 1]) for r in range(4)
    ]
    torch.testing.assert_close(together, torch.cat(alone), atol=CLOSE, rtol=0, equal_nan=True)


@EACH
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1e-9, 0.3, 1e7]))
@settings(max_examples=8, deadline=None)
def test_positive_rescaling_changes_nothing_but_the_distance_in_size(metric, seed, scale):
    scores, truth, support, present = drawn(seed)
    one = metric.measure(scores, truth=truth, support=support, present=present)
    two = metric.measure(scores * scale, truth=truth * (scale if metric.name == "relative_l1" else 1), support=support, present=present)
    torch.testing.assert_close(one, two, atol=CLOSE, rtol=0, equal_nan=True)


@EACH
def test_a_row_that_is_not_finite_is_undefined_and_inputs_stay(metric):
    scores = torch.tensor([[1.0, torch.nan, 0.0], [1.0, torch.inf, 0.0], [1.0, -1.0, 0.0]], dtype=torch.float64)
    truth = torch.tensor([[1.0, -1.0, 0.0]] * 3, dtype=torch.float64)
    copies = scores.clone(), truth.clone()
    found = metric.measure(scores, truth=truth, support=truth != 0, present=torch.ones_like(truth, dtype=torch.bool))
    assert found.isnan().tolist() == [True, True, False]
    torch.testing.assert_close((scores, truth), copies, atol=0, rtol=0, equal_nan=True)


@EACH
def test_float32_scores_are_measured_in_float64(metric):
    scores, truth, support, present = drawn(3)
    single = metric.measure(scores.float(), truth=truth.float(), support=support, present=present)
    assert single.dtype == torch.float64
    double = metric.measure(scores, truth=truth, support=support, present=present)
    # scores are halves and integers, exact in float32; at most one division is rounded in it
    torch.testing.assert_close(single, double, atol=1e-6, rtol=0, equal_nan=True)


def test_every_metric_states_formula_direction_range_and_reference():
    for name, metric in METRICS.items():
        assert metric.name == name
        assert all(text.strip() for text in (metric.formula, metric.range, metric.reference))
        assert metric.direction in ("higher", "lower")
