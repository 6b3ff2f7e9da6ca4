"""Where other toolkits compute the same definition the numbers are theirs; elsewhere a minimal case says what they compute instead.

The numbers of Quantus 0.6.0 were read off once, on `f(x) = 2 x1 + x2 x3 - x4` for two rows against 0, with `softmax=False`, no
normalisation and one feature per step; each has a loop beside it that writes out the definition, or what was computed in its place.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from captum.metrics import infidelity as captums_infidelity
from captum.metrics import sensitivity_max
from scipy.stats import pearsonr, spearmanr

from attrlab.case import Case
from attrlab.metrics import METRICS
from attrlab.metrics.explainer import Explainer
from attrlab.metrics.orders import mean_curve
from attrlab.metrics.stability import RADIUS, sensitivity
from attrlab.metrics.subsets import infidelity
from tests.attrlab.small_games import game_of

CLOSE = 1e-9  # float64 sums of a few terms of order ten
SINGLE = 1e-6  # the other side computes in float32

ROWS = [[1.0, 2.0, 3.0, 1.0], [2.0, 1.0, 1.0, 3.0]]
SCORES = [[2.0, 3.5, 2.5, -1.0], [4.0, 0.5, 1.0, -3.0]]
SUPPORT = [[True, True, False, False], [True, False, True, False]]


def f(x):
    return 2 * x[0] + x[1] * x[2] - x[3]


def without(row, players):
    return f([0.0 if player in players else value for player, value in enumerate(row)])


def ours(name, scores=SCORES):
    game = game_of(lambda x: (2 * x[:, 0] + x[:, 1] * x[:, 2] - x[:, 3]).unsqueeze(1), ROWS)
    metric, given = METRICS[name], torch.tensor(scores, dtype=torch.float64)
    if metric.question == "game":
        return metric.measure(game, given).tolist()
    if metric.question == "scores":
        return metric.measure(given, present=game.present).tolist()
    return metric.measure(given, truth=given, support=torch.tensor(SUPPORT), present=game.present).tolist()


def drops(row):
    """What each player's removal takes from the output."""
    return [f(row) - without(row, {player}) for player in range(4)]


def shares(scores):
    return np.abs(scores) / np.abs(scores).sum()


EQUAL = {
    # our name: (Quantus 0.6.0's name, its numbers, the definition written out)
    "entropy": ("Complexity", [1.3014811, 1.1407201], lambda row, a, g: -sum(p * math.log(p) for p in shares(a) if p)),
    "sparsity": (
        "Sparseness",
        [0.2222222, 0.3676470],
        lambda row, a, g: sum(abs(x - y) for x in shares(a) for y in shares(a)) / (2 * len(a)),  # the mean difference over twice the mean
    ),
    "support_auroc": (
        "AUC",
        [0.75, 0.75],
        lambda row, a, g: np.mean([abs(a[i]) > abs(a[j]) for i in range(4) if g[i] for j in range(4) if not g[j]]),
    ),
    "pointing_game": ("PointingGame", [1.0, 1.0], lambda row, a, g: float(g[int(np.argmax(a))])),
    "relevance_rank": ("RelevanceRankAccuracy", [0.5, 1.0], lambda row, a, g: np.mean([g[i] for i in np.argsort(a)[::-1][: sum(g)]])),
    "faithfulness_estimate": ("FaithfulnessEstimate", [0.9230159, 0.9962081], lambda row, a, g: pearsonr(a, drops(row)).statistic),
}


@pytest.mark.parametrize("name", EQUAL)
def test_the_same_definition_gives_the_same_number(name):
    _, theirs, definition = EQUAL[name]
    written = [definition(row, a, g) for row, a, g in zip(ROWS, SCORES, SUPPORT, strict=True)]
    assert ours(name) == pytest.approx(written, abs=CLOSE)
    assert ours(name) == pytest.approx(theirs, abs=SINGLE)


def test_a_curve_of_pixel_flipping_is_theirs_but_for_the_point_before_anything_is_flipped():
    theirs = [[1.0, 1.0, -1.0, 0.0], [-2.0, -3.0, -3.0, 0.0]]
    game = game_of(lambda x: (2 * x[:, 0] + x[:, 1] * x[:, 2] - x[:, 3]).unsqueeze(1), ROWS)
    found = mean_curve(game, torch.tensor(SCORES, dtype=torch.float64)).value
    assert found[:, 1:].tolist() == theirs  # sums of small integers
    assert found[:, 0].tolist() == [f(row) for row in ROWS]


def test_relevance_mass_above_one_comes_of_negative_scores_in_the_divisor():
    theirs = [0.7857143, 2.0]
    signed = [sum(a for a, g in zip(row, own, strict=True) if g) / sum(row) for row, own in zip(SCORES, SUPPORT, strict=True)]
    assert theirs == pytest.approx(signed, abs=SINGLE)  # a share of 2
    positive = [
        sum(a for a, g in zip(row, own, strict=True) if g and a > 0) / sum(a for a in row if a > 0)
        for row, own in zip(SCORES, SUPPORT, strict=True)
    ]
    assert ours("relevance_mass") == pytest.approx(positive, abs=CLOSE)  # CLEVR-XAI defines it of positive relevance


def test_nguyens_monotonicity_of_signed_scores_reads_the_least_player_as_the_least_important():
    theirs = [0.9486833, 0.3162278]  # with abs=False, its default
    signed = [spearmanr(a, np.square(drops(row))).statistic for row, a in zip(ROWS, SCORES, strict=True)]
    assert theirs == pytest.approx(signed, abs=SINGLE)
    sizes = [spearmanr(np.abs(a), np.abs(drops(row))).statistic for row, a in zip(ROWS, SCORES, strict=True)]
    assert ours("monotonicity_nguyen") == pytest.approx(sizes, abs=CLOSE)
    assert theirs[1] < ours("monotonicity_nguyen")[1]  # the player of score -3 has an effect of -3, the second largest


def test_aryas_monotonicity_is_true_of_everything_where_what_was_masked_stays_masked():
    theirs = [True, True]  # of this map, of its inverse, and of noise
    for row, a in zip(ROWS, SCORES, strict=True):
        kept: set[int] = set()
        values = [without(row, set(range(4)))]
        for player in np.argsort(a):
            kept.add(int(player))
            values.append(without(row, set(range(4)) - kept))
        assert any(second < first for first, second in pairwise(values))  # -x4 comes first and lowers the output
    assert ours("monotonicity_arya") == [0.0, 0.0] != theirs


def test_infidelity_over_patches_that_stay_removed_is_that_of_nested_sets_with_scores_read_as_slopes():
    theirs = [36.375, 12.6875]
    nested = []
    for row, a in zip(ROWS, SCORES, strict=True):
        sets = [set(range(size)) for size in (1, 2, 3, 4)]
        nested.append(np.mean([(sum(a[i] * row[i] for i in s) - (f(row) - without(row, s))) ** 2 for s in sets]))
    assert theirs == pytest.approx(nested, abs=SINGLE)
    game = game_of(lambda x: (2 * x[:, 0] + x[:, 1] * x[:, 2] - x[:, 3]).unsqueeze(1), ROWS)
    found = infidelity(game, torch.tensor(SCORES, dtype=torch.float64), draws=4000)
    every = [{i for i in range(4) if mask >> i & 1} for mask in range(16)]
    for row, a, value in zip(ROWS, SCORES, found.tolist(), strict=True):
        errors = [(sum(a[i] for i in s) - (f(row) - without(row, s))) ** 2 for s in every]
        assert value == pytest.approx(np.mean(errors), abs=5 * np.std(errors) / math.sqrt(4000))  # five standard errors of 4000 draws


def stable_case(scores_of, *, rows=3, players=5):
    inputs = torch.randn(rows, players, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    mask = torch.arange(players).expand(rows, players)
    common = {"target": torch.zeros(rows, dtype=torch.int64), "baseline": torch.zeros_like(inputs), "feature_mask": mask}
    case = Case(name="c", formula="", model=torch.nn.Identity(), inputs=inputs, players=players, **common)
    return case, Explainer(lambda asked, *, model=None: scores_of(asked.inputs))


def captums_sensitivity(case, explain, scores_of, *, neighbours=4):
    """Captum's number on our neighbours."""
    seen = []
    watching = Explainer(lambda asked, *, model=None: seen.append(asked.inputs) or explain(asked))
    ours = sensitivity(watching, case, scores_of(case.inputs), neighbours=neighbours)
    around = seen[0]
    theirs = sensitivity_max(
        lambda x: (scores_of(x[0] if isinstance(x, tuple) else x),), case.inputs, lambda x: around, n_perturb_samples=neighbours
    )
    return ours, theirs


def test_max_sensitivity_is_captums_on_the_same_neighbours():
    def scores_of(x):
        return x.sin() * x.flip(1)

    ours, theirs = captums_sensitivity(*stable_case(scores_of), scores_of)
    torch.testing.assert_close(ours, theirs, atol=0, rtol=CLOSE)
    assert RADIUS == 0.02  # captum's default, too


def test_the_zero_map_has_no_relative_change_where_captum_divides_by_one():
    def steps(x):
        return torch.where(x.abs() > 10, x, 0)

    case, explain = stable_case(steps)
    ours, theirs = captums_sensitivity(case, explain, steps)
    assert ours.isnan().all()
    assert theirs.tolist() == [0, 0, 0]

    def jumps(x):  # 0 at the row itself, 7 beside it: captum reports the change in the unit of the scores
        return torch.where((x - case.inputs.repeat_interleave(len(x) // 3, 0)).abs() > 0, 7.0, 0.0).double()

    ours, theirs = captums_sensitivity(case, Explainer(lambda asked, *, model=None: jumps(asked.inputs)), jumps)
    assert ours.isnan().all()
    assert theirs.tolist() == pytest.approx([7 * math.sqrt(5)] * 3, abs=CLOSE)


def test_neighbours_move_players_alone_where_captums_move_every_entry():
    case, _ = stable_case(lambda x: x)
    fixed = Case(**{**vars(case), "feature_mask": torch.tensor([[0, 1, 2, 3, -1]]).expand(3, 5), "players": 4})
    of_last = Explainer(lambda asked, *, model=None: 1 + asked.inputs[:, 4:].expand(-1, 4))
    assert sensitivity(of_last, fixed, 1 + case.inputs[:, 4:].expand(-1, 4)).tolist() == [0, 0, 0]
    generator = torch.Generator().manual_seed(0)

    def moved(x):
        return x + (torch.rand(x.shape, generator=generator, dtype=x.dtype) * 2 - 1) * RADIUS

    theirs = sensitivity_max(
        lambda x: (1 + (x[0] if isinstance(x, tuple) else x)[:, 4:].expand(-1, 4),), case.inputs, moved, n_perturb_samples=4
    )
    assert (theirs > 0).all()


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_scaled_infidelity_is_captums_normalised_one_also_of_the_zero_map(scale):
    game = game_of(lambda x: x.prod(1, keepdim=True) + x[:, :1].square(), torch.rand(3, 6, generator=torch.Generator().manual_seed(3)) + 1)
    draws = 16
    chosen = (torch.rand(draws, 6, generator=torch.Generator().manual_seed(0x5B5E7)) < 0.5).double().repeat(3, 1)
    for scores in (scale * torch.randn(3, 6, generator=torch.Generator().manual_seed(4), dtype=torch.float64), torch.zeros(3, 6).double()):
        theirs = captums_infidelity(
            game.model,
            lambda x: (x * chosen, x * (1 - chosen)),
            game.inputs,
            scores / game.inputs,  # captum multiplies an attribution by the perturbation, here the input itself on the set
            target=0,
            n_perturb_samples=draws,
            normalize=True,
        )
        torch.testing.assert_close(infidelity(game, scores, draws=draws, scaled=True), theirs, atol=1e-8, rtol=1e-9)


def test_without_scaling_a_slope_is_not_a_score_and_captum_expects_slopes():
    game = game_of(lambda x: x.sum(1, keepdim=True), [[3.0, 5.0]])
    chosen = torch.tensor([[1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)

    def captums(attribution):
        perturbed = captums_infidelity(
            game.model, lambda x: (x * chosen, x * (1 - chosen)), game.inputs, attribution, target=0, n_perturb_samples=2
        )
        return perturbed.item()

    effects, slopes = game.inputs, torch.ones_like(game.inputs)
    assert infidelity(game, effects).item() == pytest.approx(0, abs=CLOSE)
    assert captums(slopes) == pytest.approx(0, abs=CLOSE)
    assert captums(effects) == pytest.approx(
        ((9 - 3) ** 2 + (34 - 8) ** 2) / 2, abs=CLOSE
    )  # 3 x 3 and 3 x 3 + 5 x 5 where 3 and 8 are lost
