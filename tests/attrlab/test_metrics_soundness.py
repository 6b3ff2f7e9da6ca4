"""The published algorithms step by step, the exact values, and where the two part; sufficient and necessary explanations beside them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attrlab.errors import InvalidInput
from attrlab.games import shapley
from attrlab.metrics.fidelity import comprehensiveness, drop_at, fidelity_minus, fidelity_plus, sufficiency
from attrlab.metrics.soundness_completeness import (
    REMOVED,
    completeness_curve,
    exact_completeness,
    exact_soundness,
    information_completeness,
    soundness,
    soundness_curve,
    soundness_error,
)
from tests import reference_metrics
from tests.attrlab.ragged_games import CLOSE, ragged
from tests.attrlab.small_games import additive, conjunction, disjunction, one_row

EVERYONE = torch.ones(1, 4, dtype=torch.bool)


def scores_of(seed, rows=3, players=5):
    return torch.randint(-2, 3, (rows, players), generator=torch.Generator().manual_seed(seed)).double()


@given(
    seed=st.integers(0, 10**6),
    performance=st.sampled_from(["accuracy", "probability", "effect"]),
    shared=st.booleans(),
    lag=st.sampled_from([0, 1]),
)
@settings(max_examples=20, deadline=None)
def test_all_levels_at_once_are_the_published_loop(seed, performance, shared, lag):
    game, scores = ragged(seed), scores_of(seed)
    levels = (0.9, 0.7, 0.5, 0.3, 0.2, 0.1, 0.0)
    found = soundness_curve(game, scores, removed=levels, performance=performance, shared=shared, lag=lag, threshold=0.05)
    plain = soundness_curve(game, scores, removed=levels, performance=performance, lag=lag)
    kept = _kept(game, scores, levels)
    for row in range(3):
        judged = plain.performance.mean(0) if shared else plain.performance[row]
        if found.undefined[row] or judged.isnan().any():
            continue
        expected = reference_metrics.soundness(judged.tolist(), kept[row], start=0.04, threshold=0.05, lag=bool(lag))
        assert found.ratio[row].tolist() == pytest.approx(expected, abs=1e-9)  # sums of small integers over sums + 1e-6


def _kept(game, scores, levels):
    """The mass of the largest magnitudes, which no order of ties changes."""
    rows = []
    for row in range(len(scores)):
        own = sorted((abs(float(scores[row, p])) for p in range(5) if game.present[row, p]), reverse=True)
        rows.append([sum(own[: int((1 - r) * len(own) + 0.5)]) for r in levels])
    return rows


def test_published_levels_run_from_98_to_3_percent():
    assert (REMOVED[0], REMOVED[-1], len(REMOVED)) == (0.98, 0.03, 96)  # 0.98 down to 0.02, exclusive, in hundredths


def test_on_an_additive_game_the_algorithm_finds_the_exact_soundness():
    game = additive([[1.0, 1.0, 0.0, 0.0]])
    support = torch.tensor([[True, True, False, False]])
    for scores, exact in (([3.0, 2.0, 0.0, 0.0], 1.0), ([3.0, 2.0, 5.0, 0.0], 0.5), ([1.0, 0.0, 2.0, 1.0], 0.25)):
        a = torch.tensor([scores], dtype=torch.float64)
        assert exact_soundness(a, support=support, present=EVERYONE).item() == pytest.approx(exact, abs=CLOSE)
        assert soundness(game, a, performance="effect", threshold=0.0).item() == pytest.approx(exact + _start(scores), abs=1e-6)


def _start(scores):
    """Nothing is false until performance has begun: what comes before the first predictive player is never written off."""
    ranked = sorted(range(4), key=lambda p: -scores[p])
    before = ranked[: min(ranked.index(0), ranked.index(1))]
    return sum(scores[p] for p in before) / sum(scores)


def test_redundancy_makes_the_algorithm_write_off_what_is_predictive():
    game = disjunction(4, of=2)
    truth = shapley(game)
    support = truth != 0
    assert exact_soundness(truth, support=support, present=EVERYONE).item() == 1
    assert soundness(game, truth, performance="effect").item() == pytest.approx(0.5, abs=1e-6)  # the second of the two raises nothing


@pytest.mark.parametrize(("threshold", "bias"), [(0.0, 0.0), (0.2, -1 / 6), (0.4, -1 / 2), (0.6, -1.0)])
def test_the_algorithms_bias_grows_with_its_threshold(threshold, bias):
    game = additive([[3.0, 2.0, 1.0, 0.0]])  # effects 1/2, 1/3, 1/6, 0; the first is written off only if 1/2 is no rise
    truth = shapley(game)
    found = soundness_error(game, truth, support=truth != 0, performance="effect", threshold=threshold)
    assert found.item() == pytest.approx(bias, abs=1e-6)  # the published 1e-6 in the divisor


def test_saturation_of_the_probability_is_a_bias_that_effects_do_not_have():
    game = additive([[8.0, 4.0, 4.0, 4.0]])
    truth = shapley(game)
    assert soundness(game, truth, performance="effect").item() == pytest.approx(1, abs=1e-6)
    assert soundness(game, truth, performance="probability").item() == pytest.approx(8 / 20, abs=1e-6)  # sigmoid(8) = 0.9997 already


def test_completeness_masks_by_value():
    game = additive([[4.0, 2.0, 1.0, 0.0]])
    scores = torch.tensor([[1.0, 0.5, 0.25, 0.0]], dtype=torch.float64)
    found = completeness_curve(game, scores, thresholds=(0.0, 0.4, 0.6, 0.9, 1.0), performance="effect")
    # above 1: nobody; above 0.6 and 0.4: 4 of 7, 6 of 7; above 0.1 and 0: all 7
    assert found[0].tolist() == pytest.approx([0, 4 / 7, 6 / 7, 1, 1], abs=CLOSE)


def test_exact_completeness_is_the_share_of_the_truth_above_each_threshold():
    truth = torch.tensor([[3.0, 1.0, 0.0, 0.0]], dtype=torch.float64)
    args = {"truth": truth, "support": truth != 0, "present": EVERYONE}
    assert exact_completeness(truth, **args).item() == pytest.approx((6 * 0.75 + 3 * 1.0) / 9, abs=CLOSE)  # 1/3 > 1 - r from r = 0.7 on
    assert exact_completeness(torch.ones_like(truth), **args).item() == pytest.approx(1, abs=CLOSE)
    assert exact_completeness(torch.zeros_like(truth), **args).item() == 0


@given(seed=st.integers(0, 10**6))
@settings(max_examples=8, deadline=None)
def test_only_shared_decisions_depend_on_the_batch_and_scale_never_counts(seed):
    game, scores = ragged(seed), scores_of(seed)
    for measure in (soundness, information_completeness):
        together = measure(game, scores)
        torch.testing.assert_close(together, measure(game, 1024 * scores), atol=1e-5, rtol=0, equal_nan=True)  # the published 1e-6
        for row in range(3):
            alone = measure(one_row(game, row), scores[row : row + 1])
            torch.testing.assert_close(together[row : row + 1], alone, atol=1e-9, rtol=0, equal_nan=True)


def test_zero_maps_and_scores_that_are_not_finite_are_undefined():
    game = additive([[1.0, 2.0]] * 3)
    scores = torch.tensor([[0.0, 0.0], [torch.nan, 1.0], [1.0, 0.0]], dtype=torch.float64)
    assert soundness(game, scores).isnan().tolist() == [True, True, False]
    assert information_completeness(game, scores).isnan().tolist() == [False, True, False]


def test_levels_that_do_not_descend_and_thresholds_out_of_range_are_refused():
    game = additive([[1.0, 2.0]])
    with pytest.raises(InvalidInput, match="descending"):
        soundness_curve(game, game.inputs, removed=(0.1, 0.9))
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        completeness_curve(game, game.inputs, thresholds=(1.5,))
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        drop_at(game, game.inputs, shares=(2.0,), mode="deletion")


def test_one_sufficient_player_of_an_or_has_perfect_fidelity_minus_and_no_fidelity_plus():
    game = disjunction(10, of=2)
    one, both = torch.zeros(2, 1, 10, dtype=torch.float64)
    one[0, 0], both[0, :2] = 1.0, 1.0
    top = {"shares": (0.1,), "value": "logit"}
    assert drop_at(game, one, mode="insertion", **top).item() == pytest.approx(0, abs=CLOSE)
    assert drop_at(game, one, mode="deletion", **top).item() == pytest.approx(0, abs=CLOSE)
    assert drop_at(game, both, mode="deletion", shares=(0.2,), value="logit").item() == pytest.approx(1, abs=CLOSE)


def test_members_of_an_and_are_necessary_one_by_one():
    game = conjunction(10, of=2)
    truth = shapley(game)
    assert drop_at(game, truth, mode="deletion", shares=(0.1, 0.2), value="logit").tolist()[0] == pytest.approx([1, 1], abs=CLOSE)
    assert drop_at(game, truth, mode="insertion", shares=(0.1, 0.2), value="logit").tolist()[0] == pytest.approx([1, 0], abs=CLOSE)


def test_fidelities_are_drops_of_the_probability_averaged_over_their_sizes():
    game = additive([[3.0, 1.0, 0.0, 0.0]])
    p = torch.sigmoid
    whole = p(torch.tensor(4.0))
    # ceil(4 s) players for s = .1 ... .5 are 1, 1, 2, 2, 2; for 1, 5, 10, 20, 50 % they are 1, 1, 1, 1, 2
    left = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0])
    assert fidelity_plus(game, game.inputs).item() == pytest.approx((whole - p(left)).mean().item(), abs=1e-6)  # float32 by hand
    assert fidelity_minus(game, game.inputs).item() == pytest.approx((whole - p(4 - left)).mean().item(), abs=1e-6)
    bins = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0])
    assert comprehensiveness(game, game.inputs).item() == pytest.approx((whole - p(bins)).mean().item(), abs=1e-6)
    assert sufficiency(game, game.inputs).item() == pytest.approx((whole - p(4 - bins)).mean().item(), abs=1e-6)
