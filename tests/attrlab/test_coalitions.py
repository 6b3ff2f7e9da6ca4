"""The exact values of a game, as methods: scores shaped like inputs, of every row on its own."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation
from hypothesis import given, settings
from hypothesis import strategies as st

import attrlab.methods.coalitions
from attrlab.errors import InvalidInput, NotApplicable
from attrlab.method import players_of
from attrlab.methods.coalitions import banzhaf, feature_alone, occlusion, shapley
from synthetic import environment_ids, make_environment
from tests import reference
from tests import reference_coalitions as twin
from tests.attrlab.ragged_games import CLOSE, asked, ragged, worth_of

EACH = pytest.mark.parametrize("method", [occlusion, feature_alone, shapley, banzhaf], ids=lambda method: method.__name__)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_scores_summed_per_player_are_those_of_the_slow_twins(seed):
    game = ragged(seed, players=4)
    found = {
        method: players_of(method(game.model, game.inputs, **asked(game)), game.feature_mask, 4)
        for method in (occlusion, feature_alone, shapley, banzhaf)
    }
    everyone, nobody = frozenset(range(4)), frozenset()
    for row in range(len(game)):
        worth = worth_of(game, row)
        value, index = reference.shapley(worth, range(4)), twin.banzhaf(worth, range(4))
        for player in range(4):
            assert float(found[shapley][row, player]) == pytest.approx(value[player], abs=CLOSE)
            assert float(found[occlusion][row, player]) == pytest.approx(worth(everyone) - worth(everyone - {player}), abs=CLOSE)
            assert float(found[feature_alone][row, player]) == pytest.approx(worth(nobody | {player}) - worth(nobody), abs=CLOSE)
            assert float(found[banzhaf][row, player]) == pytest.approx(index[player], abs=CLOSE)


@EACH
def test_a_players_entries_share_its_score_equally(method):
    game = ragged(3)
    scores = method(game.model, game.inputs, **asked(game))
    for row in range(len(game)):
        for player in range(-1, game.players):
            own = scores[row][game.feature_mask[row] == player]
            assert len(own.unique()) <= 1
            assert player >= 0 or not own.any()


@given(seed=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_shapley_values_sum_to_the_difference_of_outputs(seed):
    game = ragged(seed)
    difference = (game.model(game.inputs) - game.model(game.baseline)).gather(1, game.target[:, None])[:, 0]
    torch.testing.assert_close(shapley(game.model, game.inputs, **asked(game)).flatten(1).sum(1), difference, atol=CLOSE, rtol=0)


@EACH
def test_a_rows_scores_do_not_depend_on_its_batch(method):
    game = ragged(5, rows=5)
    together = method(game.model, game.inputs, **asked(game))
    alone = torch.cat([method(game.model, game.inputs[r : r + 1], **asked(game, slice(r, r + 1))) for r in range(5)])
    torch.testing.assert_close(together, alone, atol=CLOSE, rtol=0)


@EACH
def test_scores_come_in_the_type_of_the_inputs(method):
    game = ragged(5)
    inputs, baseline = game.inputs.float(), game.baseline.float()
    model = ragged(5).model.float()
    scores = method(model, inputs, target=game.target, baseline=baseline, feature_mask=game.feature_mask)
    assert scores.dtype == torch.float32
    double = method(ragged(5).model, game.inputs, **asked(game))
    torch.testing.assert_close(scores.double(), double, atol=1e-5, rtol=0)  # float32 rounding, 1e-7, of about 100 terms


@EACH
def test_inputs_that_require_a_gradient_are_explained_without_one(method):
    game = ragged(5)
    scores = method(game.model, game.inputs.clone().requires_grad_(), **asked(game))
    assert not scores.requires_grad


@pytest.mark.parametrize("id", environment_ids())
def test_on_every_world_scores_are_the_exact_truth_of_their_convention(id):
    world = make_environment(id)
    batch = world.sample(4, torch.Generator().manual_seed(0))
    offers = {"target": batch.target, "baseline": batch.baseline, "feature_mask": batch.feature_mask}
    for method, convention in ((shapley, "shapley"), (occlusion, "removal")):
        scores = players_of(method(world.model, batch.inputs, **offers), batch.feature_mask, batch.players)
        # the networks' values are small integers and halves; weights of coalitions round at 1e-16, over at most 2^11 of them
        torch.testing.assert_close(scores, batch.truth.attributions[convention], atol=1e-12, rtol=0, msg=f"{id}, {convention}")


def test_the_golden_numbers_of_a_product_and_a_sum():
    """Worked out by hand for x1 x2 + x3 at (2, 3, 4): 6 + 4, of which the product is shared, lost with either, and never had alone."""
    inputs = torch.tensor([[2.0, 3.0, 4.0]], dtype=torch.float64)
    offers = {"target": torch.tensor([0]), "baseline": torch.zeros_like(inputs), "feature_mask": torch.tensor([[0, 1, 2]])}
    wanted = {shapley: (3.0, 3.0, 4.0), banzhaf: (3.0, 3.0, 4.0), occlusion: (6.0, 6.0, 4.0), feature_alone: (0.0, 0.0, 4.0)}
    for method, numbers in wanted.items():
        found = method(lambda x: (x[:, 0] * x[:, 1] + x[:, 2]).unsqueeze(1), inputs, **offers)
        torch.testing.assert_close(found, torch.tensor([numbers], dtype=torch.float64), atol=CLOSE, rtol=0)


def test_of_multilinear_functions_the_shapley_value_is_the_path_integral():  # identity E4
    inputs = torch.tensor([[2.0, 3.0, -1.0], [1.0, -2.0, 0.5]], dtype=torch.float64)
    mask = torch.arange(3).expand(2, 3)

    def multilinear(x):
        return (x.prod(1) + 2 * x[:, 0] * x[:, 1] - x[:, 2]).unsqueeze(1)

    found = shapley(multilinear, inputs, target=torch.tensor([0, 0]), baseline=torch.zeros_like(inputs), feature_mask=mask)
    x = inputs.clone().requires_grad_()
    nodes, weights = np.polynomial.legendre.leggauss(3)  # exact for polynomials of degree 5; the integrand's is 2
    slopes = sum(
        w / 2 * torch.autograd.grad(multilinear(x * (t + 1) / 2).sum(), x)[0] / ((t + 1) / 2) for t, w in zip(nodes, weights, strict=True)
    )
    torch.testing.assert_close(found, slopes * inputs, atol=CLOSE, rtol=0)


def test_captums_ablation_gives_every_entry_of_a_group_the_effect_that_we_divide_among_them():
    inputs = torch.tensor([[2.0, 3.0, 4.0]], dtype=torch.float64)
    groups = torch.tensor([[0, 0, 1]])
    offers = {"target": torch.tensor([0]), "baseline": torch.zeros_like(inputs), "feature_mask": groups}

    def total(x):
        return x.sum(1, keepdim=True)

    theirs = FeatureAblation(total).attribute(inputs, feature_mask=groups, target=0)
    assert theirs.tolist() == [[5.0, 5.0, 4.0]]  # sums of integers; together 14, of a function that is 9
    assert occlusion(total, inputs, **offers).tolist() == [[2.5, 2.5, 4.0]]


@pytest.mark.parametrize("n", [2, 4])
def test_occlusion_misses_redundant_causes_which_shapley_shares(n):
    inputs = torch.ones(1, n, dtype=torch.float64)
    asked_of = {"target": torch.tensor([0]), "baseline": torch.zeros_like(inputs), "feature_mask": torch.arange(n).unsqueeze(0)}

    def either(x):
        return x.amax(1, keepdim=True)

    assert (occlusion(either, inputs, **asked_of) == 0).all()  # 1 - 1
    torch.testing.assert_close(shapley(either, inputs, **asked_of), torch.full_like(inputs, 1 / n), atol=CLOSE, rtol=0)


@pytest.mark.parametrize("method", [shapley, banzhaf], ids=lambda method: method.__name__)
def test_the_limit_is_a_parameter(method):
    game = ragged(5)
    with pytest.raises(NotApplicable, match="asked only up to 1"):
        method(game.model, game.inputs, limit=1, **asked(game))


@EACH
def test_a_model_on_another_type_is_told_what_to_write(method):
    game = ragged(5)
    with pytest.raises(InvalidInput, match=r"'1.weight' is torch.float64 on cpu; write copy.deepcopy\(model\).to\('cpu', torch.float32\)"):
        method(game.model, game.inputs.float(), target=game.target, baseline=game.baseline.float(), feature_mask=game.feature_mask)


def test_the_examples_in_the_documentation_run():
    found = doctest.testmod(attrlab.methods.coalitions)
    assert found.attempted >= 4
    assert found.failed == 0


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")
@EACH
def test_a_cuda_device_gives_the_scores_of_the_cpu(method):
    game = ragged(5)
    here = method(game.model, game.inputs, **asked(game))
    there = method(game.model.cuda(), game.inputs.cuda(), **{name: value.cuda() for name, value in asked(game).items()})
    torch.testing.assert_close(there.cpu(), here, atol=CLOSE, rtol=0)
