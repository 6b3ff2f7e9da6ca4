"""KernelSHAP and LIME: the fits are those of the definition, over all coalitions where there are few and over drawn ones where not."""

from __future__ import annotations

import doctest

import pytest
import torch
from captum._utils.models.linear_model import SkLearnLasso
from captum.attr import KernelShap, Lime
from captum.attr._core.lime import get_exp_kernel_similarity_function
from hypothesis import given, settings
from hypothesis import strategies as st

import attrlab.methods.linear_surrogates
from attrlab.errors import InvalidInput
from attrlab.method import players_of
from attrlab.methods.coalitions import occlusion, shapley
from attrlab.methods.least_squares import lasso, ridge, solve
from attrlab.methods.linear_surrogates import kernel_shap, lime, lime_lasso
from synthetic import make_environment
from tests import reference_coalitions as twin
from tests.attrlab.ragged_games import CLOSE, asked, network, ragged, table_game, worth_of

SEARCH = settings(max_examples=15, deadline=None)
ALL = pytest.mark.parametrize("method", [kernel_shap, lime, lime_lasso], ids=lambda method: method.__name__)
SOLVED = 1e-9
"""Normal equations of well-conditioned fits in float64: 1e-16 times a condition number of up to about 10^4, and a few digits to spare."""


@given(seed=st.integers(0, 10**6))
@SEARCH
def test_kernel_shap_over_all_coalitions_is_the_shapley_value(seed):  # identity E7
    game = ragged(seed)
    found = kernel_shap(game.model, game.inputs, seeds=torch.arange(len(game)), **asked(game))
    torch.testing.assert_close(found, shapley(game.model, game.inputs, **asked(game)), atol=SOLVED, rtol=0)


def test_kernel_shap_on_drawn_coalitions_is_complete_and_nears_the_shapley_value_like_one_over_root_samples():
    game = table_game(rows=3, columns=12)
    exact = shapley(game.model, game.inputs, **asked(game))
    error = {}
    for samples in (64, 1024):
        draws = torch.stack(
            [kernel_shap(game.model, game.inputs, seeds=torch.arange(3) + 10 * k, samples=samples, **asked(game)) for k in range(10)]
        )
        torch.testing.assert_close(draws.sum(2), exact.sum(1).expand(10, 3), atol=SOLVED, rtol=0)
        error[samples] = float((draws - exact).square().mean().sqrt())
    assert 0 < error[1024] < error[64] / 2  # 16 times the samples: 1/4 in the limit; 360 scores put 4 % on each of the two errors


@given(seed=st.integers(0, 10**6), width=st.sampled_from([0.25, 0.5, 1.5]), alpha=st.sampled_from([0.0, 1.0, 50.0]))
@SEARCH
def test_lime_is_the_ridge_regression_on_all_masks(seed, width, alpha):
    game = table_game(seed=seed, rows=2, columns=4)
    found = lime(game.model, game.inputs, seeds=torch.arange(2), kernel_width=width, alpha=alpha, samples=640, **asked(game))
    for row in range(2):
        wanted = twin.lime(worth_of(game, row), range(4), width=width, samples=640, alpha=alpha)
        torch.testing.assert_close(found[row], torch.from_numpy(wanted), atol=1e-7, rtol=0)  # weights of e^-8 at width 1/4


@pytest.mark.parametrize("alpha", [0.001, 0.01, 0.1])
def test_lime_lasso_minimises_the_penalised_objective(alpha):
    game = table_game(seed=3, rows=2, columns=4)
    found = lime_lasso(game.model, game.inputs, seeds=torch.arange(2), alpha=alpha, kernel_width=0.5, **asked(game))
    for row in range(2):
        wanted = twin.lime(worth_of(game, row), range(4), width=0.5, samples=1, alpha=alpha, power=1)
        torch.testing.assert_close(found[row], torch.from_numpy(wanted), atol=1e-4, rtol=0)  # where L-BFGS-B stops


@pytest.mark.parametrize(("width", "coefficient"), [(0.25, 0.008), (0.5, 0.051), (0.75, 0.029), (1.5, 0.008)])
@pytest.mark.parametrize(("world", "sign"), [("null-beside-and-witness-v1", 1), ("null-beside-or-witness-v1", -1)])
def test_lime_credits_a_null_feature_beside_two_that_interact(width, coefficient, world, sign):  # witness W12
    world = make_environment(world)
    batch = world.sample(1, torch.Generator().manual_seed(0))
    offers = {"target": batch.target, "baseline": batch.baseline, "feature_mask": batch.feature_mask}
    found = lime(world.model, batch.inputs, seeds=torch.tensor([0]), kernel_width=width, alpha=0.0, **offers)
    assert float(found[0, 0]) == pytest.approx(sign * coefficient, abs=5e-4)  # the published number is rounded to three digits


def test_of_a_sum_every_surrogate_without_penalty_finds_each_columns_own_effect():  # identities E1 and E3
    inputs = torch.tensor([[2.0, -3.0, 1.0, 0.5], [1.0, 4.0, -2.0, 3.0]], dtype=torch.float64)
    offers = {
        "target": torch.tensor([0, 0]),
        "baseline": torch.ones_like(inputs) / 4,
        "feature_mask": torch.arange(4).expand(2, 4),
    }

    def additive(x):
        return (x[:, :2].square().sum(1) + x[:, 2].abs() + 3 * x[:, 3]).unsqueeze(1)

    wanted = occlusion(additive, inputs, **offers)
    for found in (
        shapley(additive, inputs, **offers),
        kernel_shap(additive, inputs, seeds=torch.arange(2), **offers),
        lime(additive, inputs, seeds=torch.arange(2), alpha=0.0, **offers),
    ):
        torch.testing.assert_close(found, wanted, atol=SOLVED, rtol=0)


def test_lime_without_penalty_finds_the_effects_of_a_sum_from_drawn_masks_too():
    inputs = torch.linspace(-2, 2, 30, dtype=torch.float64).unsqueeze(0)
    found = lime(
        lambda x: x.square().sum(1, keepdim=True),
        inputs,
        target=torch.tensor([0]),
        baseline=torch.zeros_like(inputs),
        feature_mask=torch.arange(30).unsqueeze(0),
        seeds=torch.tensor([7]),
        samples=200,
        alpha=0.0,
    )
    torch.testing.assert_close(found, inputs.square(), atol=SOLVED, rtol=0)


@ALL
@pytest.mark.parametrize("columns", [3, 13], ids=["enumerated", "drawn"])
def test_a_rows_scores_do_not_depend_on_its_batch(method, columns):
    game = table_game(rows=5, columns=columns)
    seeds = torch.tensor([5, 1, 4, 1, 9])
    together = method(game.model, game.inputs, seeds=seeds, samples=64, **asked(game))
    order = torch.tensor([3, 0, 4])
    apart = method(game.model, game.inputs[order], seeds=seeds[order], samples=64, **asked(game, order))
    torch.testing.assert_close(apart, together[order], atol=SOLVED, rtol=0)


@ALL
def test_rows_of_different_widths_share_a_batch(method):
    game = ragged(4, rows=6)
    together = method(game.model, game.inputs, seeds=torch.arange(6), **asked(game))
    for row in range(6):
        own = slice(row, row + 1)
        alone = method(game.model, game.inputs[own], seeds=torch.arange(6)[own], **asked(game, own))
        torch.testing.assert_close(alone, together[own], atol=SOLVED, rtol=0)


@ALL
def test_scores_come_in_the_type_of_the_inputs_and_without_a_gradient(method):
    game = table_game(rows=2, columns=4)
    inputs = game.inputs.float().requires_grad_()
    found = method(
        network(4).float(),
        inputs,
        target=game.target,
        baseline=game.baseline.float(),
        feature_mask=game.feature_mask,
        seeds=torch.arange(2),
    )
    assert (found.dtype, found.requires_grad, found.shape) == (torch.float32, False, inputs.shape)


def test_captums_kernel_shap_is_in_float32_and_complete_only_roughly_where_ours_is_exact():
    game = table_game(rows=1, columns=5)
    exact = shapley(game.model, game.inputs, **asked(game))
    torch.manual_seed(0)
    theirs = KernelShap(game.model).attribute(
        game.inputs, game.baseline, target=int(game.target[0]), n_samples=400, perturbations_per_eval=400
    )
    ours = kernel_shap(game.model, game.inputs, seeds=torch.tensor([0]), **asked(game))
    assert theirs.dtype == torch.float32
    assert float((theirs - exact).abs().max()) < 0.2  # 400 draws of values of order 1: 1/20 each
    assert 1e-9 < abs(float(theirs.double().sum() - exact.sum())) < 1e-3  # its ends weigh 10^6, they are no constraint
    torch.testing.assert_close(ours, exact, atol=SOLVED, rtol=0)


def test_captums_lime_fits_the_same_line_with_its_distance_taken_in_the_space_of_inputs():
    """Where every input is 1 and the baseline 0, that distance is the one of masks, and both lassos agree up to Captum's draws."""
    game = table_game(rows=1, columns=4, ones=True)
    torch.manual_seed(0)
    similarity = get_exp_kernel_similarity_function("cosine", kernel_width=0.5)
    theirs = Lime(game.model, interpretable_model=SkLearnLasso(alpha=0.01), similarity_func=similarity)
    found = theirs.attribute(game.inputs, game.baseline, target=int(game.target[0]), n_samples=2000, perturbations_per_eval=2000)
    ours = lime_lasso(game.model, game.inputs, seeds=torch.tensor([0]), kernel_width=0.5, **asked(game))
    scale = float(ours.abs().max())
    assert float((found - ours).abs().max()) < 0.2 * scale  # 2000 draws over 16 masks: 9 % on each mask's weight


def test_a_singular_fit_gets_its_least_solution_and_leaves_its_neighbours_alone():
    moments = torch.tensor([[[1.0, 1.0], [1.0, 1.0]], [[2.0, 0.0], [0.0, 4.0]]], dtype=torch.float64)
    right = torch.tensor([[[2.0], [2.0]], [[2.0], [4.0]]], dtype=torch.float64)
    wanted = torch.tensor([[[1.0], [1.0]], [[1.0], [1.0]]], dtype=torch.float64)
    torch.testing.assert_close(solve(moments, right), wanted, atol=CLOSE, rtol=0)
    torch.testing.assert_close(solve(moments[:1], right[:1].expand(2, 2, 1)), wanted, atol=CLOSE, rtol=0)


def test_of_uncorrelated_players_ridge_shrinks_and_lasso_cuts():
    moments, right = torch.eye(2, dtype=torch.float64).unsqueeze(0), torch.tensor([[3.0, -0.5]], dtype=torch.float64)
    torch.testing.assert_close(ridge(moments, right, torch.tensor([1.0])), right / 2)
    torch.testing.assert_close(lasso(moments, right, 1.0), torch.tensor([[2.0, 0.0]], dtype=torch.float64))


@pytest.mark.parametrize(
    ("method", "wrong", "message"),
    [
        (kernel_shap, {"samples": 0}, r"samples must be at least 1 \(got 0\)"),
        (lime, {"kernel_width": 0.0}, r"kernel_width must be more than 0 \(got 0.0\)"),
        (lime, {"alpha": -1.0}, r"alpha must be at least 0 \(got -1.0\)"),
        (lime_lasso, {"samples": 1}, r"samples must be at least 2 \(got 1\)"),
        (kernel_shap, {"seeds": torch.zeros(1)}, r"write seeds=torch.arange\(3\) \(got torch.float32 of shape \(1,\)\)"),
    ],
    ids=lambda value: getattr(value, "__name__", None) or (next(iter(value)) if isinstance(value, dict) else ""),
)
def test_a_hyperparameter_out_of_range_is_told_its_bound(method, wrong, message):
    game = ragged(5)
    with pytest.raises(InvalidInput, match=message):
        method(game.model, game.inputs, **{"seeds": torch.arange(3), **asked(game), **wrong})


def test_a_row_in_which_nothing_differs_from_the_baseline_gets_zeros():
    game = ragged(5)
    offers = {**asked(game), "baseline": game.inputs.clone()}
    assert not kernel_shap(game.model, game.inputs, seeds=torch.arange(3), **offers).any()


def test_players_that_change_nothing_are_fitted_too_as_they_are_in_the_paper():
    game = table_game(rows=1, columns=3)
    offers = {**asked(game), "baseline": game.baseline.clone()}
    offers["baseline"][0, 0] = game.inputs[0, 0]
    found = lime(game.model, game.inputs, seeds=torch.tensor([0]), alpha=0.0, **offers)
    assert 1e-6 < abs(float(found[0, 0])) < abs(float(found[0, 1]))
    assert kernel_shap(game.model, game.inputs, seeds=torch.tensor([0]), **offers)[0, 0] == 0  # it is never asked


def test_scores_sum_over_a_players_entries_to_its_coefficient():
    game = ragged(2)
    found = players_of(kernel_shap(game.model, game.inputs, seeds=torch.arange(3), **asked(game)), game.feature_mask, game.players)
    assert found.shape == game.present.shape
    assert not found[~game.live].any()


def test_the_examples_in_the_documentation_run():
    found = doctest.testmod(attrlab.methods.linear_surrogates)
    assert found.attempted >= 9
    assert found.failed == 0
