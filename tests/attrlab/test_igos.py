"""I-GOS and iGOS++: objective, search and masks are those of a row alone written out, and each objective asks what it says."""

from __future__ import annotations

import doctest

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import attrlab.methods.igos
import attrlab.methods.integrated_masks
from attrlab.errors import InvalidInput
from attrlab.method import players_of
from attrlab.methods.igos import igos, igos_naive_insertion, igos_plus_plus
from attrlab.methods.integrated_masks import OBJECTIVES, Descent, integrated_masks, objective_at
from attrlab.methods.line_search import Armijo, backtrack
from attrlab.methods.mask_cells import cells_of
from attrlab.methods.masked_rows import masked_rows, step_seeds, weighted_answers
from attrlab.methods.row_noise import entry_normal
from synthetic import make_environment
from tests import reference_masks as twin
from tests.attrlab.small_rows import chosen, convolutional, dense, image_rows, table_rows

CLOSE = 1e-9  # rounding, through a few line searches that accept the same steps
TERMS = {name: [(kind, 1 if which == 2 else 0) for kind, which in terms] for name, terms in OBJECTIVES.items()}


def offers_of(world, rows):
    batch = world.sample(rows, torch.Generator().manual_seed(0))
    return batch, {
        "target": batch.target,
        "baseline": batch.baseline,
        "feature_mask": batch.feature_mask,
        "seeds": torch.arange(rows),
    }


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_masks_and_objective_are_those_of_each_row_written_out(objective):
    model, (inputs, offers) = dense(5), table_rows()
    descent = Descent(objective=objective, steps=3, n_steps=4, l1=0.3, noise=0.0, armijo=Armijo(start=5.0))
    found = integrated_masks(model, inputs, **offers, descent=descent)
    for row in range(len(inputs)):
        deleting, inserting, value = twin.igos_of_a_table(
            model,
            inputs[row],
            offers["baseline"][row],
            int(offers["target"][row]),
            terms=TERMS[objective],
            two=objective == "product",
            steps=3,
            n_steps=4,
            l1=0.3,
            start=5.0,
        )
        torch.testing.assert_close(found.deletion[row], deleting, atol=CLOSE, rtol=0)
        torch.testing.assert_close(found.insertion[row], inserting, atol=CLOSE, rtol=0)
        assert float(found.objective[row]) == pytest.approx(value, abs=CLOSE)


@pytest.mark.parametrize("size", [6, 3])
def test_igos_plus_plus_of_an_image_is_the_algorithm_of_the_paper_run_on_it_alone(size):
    model, (inputs, offers) = convolutional(), image_rows()
    how = {"size": size, "steps": 3, "n_steps": 4, "l1": 0.3, "tv": 0.5}
    found = integrated_masks(model, inputs, **offers, size=size, bounded="softmax", descent=Descent(steps=3, n_steps=4, l1=0.3, tv=0.5))
    streams = step_seeds(offers["seeds"], 3)
    for row in range(len(inputs)):
        both = torch.cat([inputs[row].flatten(), offers["baseline"][row].flatten()])
        owned = torch.ones(3, *inputs.shape[1:], dtype=torch.bool)
        grains = 0.05 * (both.max() - both.min()) * entry_normal(streams[:, row], owned, samples=4, dtype=torch.float64)
        question = model, inputs[row], offers["baseline"][row], int(offers["target"][row])
        deleting, inserting, course = twin.igos_plus_plus_of_an_image(*question, grains, **how, start=1000.0)
        assert all(after < before for before, after in course)
        torch.testing.assert_close(found.deletion[row], deleting, atol=CLOSE, rtol=0)
        torch.testing.assert_close(found.insertion[row], inserting, atol=CLOSE, rtol=0)
        assert (deleting < 1).any()
        assert (deleting != inserting).any()


def test_on_a_small_graph_an_edge_may_differ_from_its_neighbours():
    world = make_environment("edge-types-v1")
    batch, offers = offers_of(world, 8)
    masks = integrated_masks(world.model, batch.inputs, **offers).product
    exists = players_of(torch.ones_like(batch.inputs), batch.feature_mask, masks.shape[1]) > 0
    assert (1 - masks)[batch.truth.support].min() > 0.9
    assert (1 - masks)[exists & ~batch.truth.support].max() < 0.1
    cells = cells_of(batch.inputs, batch.baseline, batch.feature_mask, size=28)
    lone = torch.ones(8, cells.shape[0], dtype=torch.float64)
    lone[:, 0] = 0
    costs = 20 * cells.variation(lone, power=2)
    assert costs.max() < 0.2  # several times the 0.05 of a lone cell of 28 x 28 where an edge has more neighbours than others
    assert (costs / cells.present.sum(1) * 784).max() > 4  # what it would cost at the paper's weight: more than four scores can gain


def test_penalties_of_a_grid_are_means_over_pairs_counted_one_by_one():
    inputs, offers = image_rows(2)
    cells = cells_of(inputs, offers["baseline"], offers["feature_mask"], size=4)
    masks = torch.rand(2, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    smooth, bilateral = cells.variation(masks, power=3.0), cells.bilateral(masks, power=2.0, width=0.2)
    for row in range(2):
        both = torch.cat([inputs[row].flatten(), offers["baseline"][row].flatten()])
        scale = both.max() - both.min()
        assert float(smooth[row]) == pytest.approx(float(twin.grid_variation(masks[row], 3)), abs=1e-7)  # |d| is moved by 1e-8 off its kink
        assert float(bilateral[row]) == pytest.approx(float(twin.bilateral_variation(masks[row], inputs[row], scale, 0.2)), abs=1e-12)


@given(order=st.permutations(range(4)), cut=st.integers(1, 3), objective=st.sampled_from(sorted(OBJECTIVES)))
@settings(max_examples=8, deadline=None)
def test_a_row_has_the_masks_it_has_alone_whatever_the_batch(order, cut, objective):
    model, (inputs, offers) = convolutional(), image_rows(4)
    descent = Descent(objective=objective, steps=3, n_steps=3, tv=1.0)
    whole = integrated_masks(model, inputs, **offers, descent=descent).scores
    for part in (order[:cut], order[cut:]):
        index = torch.tensor(part)
        found = integrated_masks(model, inputs[index], **chosen(offers, index), descent=descent).scores
        torch.testing.assert_close(found, whole[index], atol=CLOSE, rtol=0)


def test_answers_do_not_depend_on_how_the_work_is_cut():
    model, (inputs, offers) = dense(5), table_rows()
    whole = masked_rows(model, inputs, **{k: v for k, v in offers.items() if k != "seeds"}, size=1)
    masks, weights = whole.start(0.7), torch.linspace(1, 2, 7, dtype=torch.float64)

    def show(leaf, index, _, samples):
        strength = torch.arange(7)[samples].view(1, -1, 1)
        return (leaf * whole.inputs[index]).unsqueeze(1) * strength

    found = []
    for limit in (3, 7, 100):
        object.__setattr__(whole, "limit", limit)
        found.append(weighted_answers(whole, masks, torch.arange(3), show, weights, slopes=True))
    for values, slopes in found[1:]:
        torch.testing.assert_close(values, found[0][0], atol=1e-12, rtol=0)  # sums in another order
        torch.testing.assert_close(slopes, found[0][1], atol=1e-12, rtol=0)


def test_each_row_of_a_search_has_a_step_of_its_own():
    curvature = torch.tensor([[1.0], [100.0], [0.01]], dtype=torch.float64)
    point, asked = torch.full((3, 1), 0.9, dtype=torch.float64), []

    def evaluate(tried, rows):
        asked.append(len(rows))
        return (curvature[rows] * (tried - 0.5).square()).squeeze(1)

    value, slope = evaluate(point, torch.arange(3)), 2 * curvature * (point - 0.5)
    found, reached, moved = backtrack(evaluate, point, value, slope, armijo=Armijo(start=10.0))
    assert moved.all()
    assert (reached < value).all()
    assert asked[1:] == sorted(asked[1:], reverse=True)
    assert asked[-1] < 3
    assert ((found >= 0) & (found <= 1)).all()


def test_a_row_on_a_plateau_or_in_its_minimum_stays():
    point = torch.full((2, 1), 0.5, dtype=torch.float64)
    slope = torch.tensor([[0.0], [1.0]], dtype=torch.float64)  # the second row's slope promises what no step keeps
    found, _, moved = backtrack(
        lambda tried, rows: torch.ones(len(rows)).double(), point, torch.ones(2).double(), slope, armijo=Armijo(start=1.0)
    )
    assert torch.equal(found, point)
    assert not moved.any()


def test_integrated_gradients_leave_the_plateau_on_which_a_plain_mask_stays():
    world = make_environment("saturated-or-v1")
    batch, offers = offers_of(world, 6)
    on = batch.truth.support
    for method in (igos, igos_naive_insertion, igos_plus_plus):
        scores = method(world.model, batch.inputs, **offers, noise=0.0)
        assert scores[on].min() > 0.5
        assert scores[~on].abs().max() == 0  # exactly: removing them costs and gains nothing


@pytest.mark.parametrize(
    ("id", "lower"),
    [("spurious-mark-v1", "product"), ("two-class-patches-v1", "product"), ("colour-count-v1", "naive"), ("unanimity-v1", "naive")],
)
def test_whether_one_mask_or_two_reach_more_of_deletion_and_insertion_depends_on_the_world(id, lower):
    world = make_environment(id)
    batch, offers = offers_of(world, 4)
    one, reached = Descent(objective="naive", noise=0.0), {}
    for objective in ("naive", "product"):
        found = integrated_masks(world.model, batch.inputs, **offers, descent=Descent(objective=objective, noise=0.0))
        value = objective_at(world.model, batch.inputs, **offers, masks=found.product, descent=one)
        reached[objective] = float(value[found.explained].mean())
    assert min(reached, key=reached.__getitem__) == lower
    assert abs(reached["product"] - reached["naive"]) > 0.02  # of a sum that lies between -1 and 1 but for its penalty


def test_where_both_masks_are_zero_their_product_has_no_slope_in_either():
    inputs, offers = table_rows(2)
    question = offers | {"target": torch.zeros(2, dtype=torch.int64)}
    slopes = {}
    for objective in ("naive", "product"):
        descent = Descent(objective=objective, noise=0.0)
        far, near = (
            objective_at(lambda x: x[:, :1], inputs, **question, masks=masks, descent=descent)
            for masks in (torch.zeros(2, 5).double(), torch.tensor([[0, 1e-6, 0, 0, 0]] * 2).double())
        )
        slopes[objective] = (near - far) / 1e-6
    torch.testing.assert_close(slopes["naive"], torch.full((2,), -0.2).double(), atol=1e-6, rtol=0)  # l1 / 5, of a column without effect
    assert slopes["product"].abs().max() < 1e-5  # so what both have removed stays removed, whatever it costs


def test_rows_without_an_explanation_are_named_and_have_masks_of_ones():
    inputs, offers = table_rows()
    model = lambda x: x[:, :1].expand(-1, 3) * torch.tensor([1.0, 1.0, 0.0], dtype=x.dtype)  # noqa: E731
    found = integrated_masks(model, inputs, **offers)
    assert found.explained.tolist() == [True, True, False]
    assert bool((found.product[2] == 1).all())
    assert found.scores[2].abs().max() == 0  # exactly: the row is left out


def test_the_objective_of_given_masks_is_the_one_that_a_descent_reports():
    model, (inputs, offers) = convolutional(), image_rows()
    descent = Descent(objective="naive", steps=2, n_steps=3, noise=0.0)
    found = integrated_masks(model, inputs, **offers, descent=descent)
    again = objective_at(model, inputs, **offers, masks=found.product, descent=descent)
    torch.testing.assert_close(again, found.objective, atol=1e-12, rtol=0)  # the same sums


def test_a_fixed_step_moves_along_the_slope_of_the_objective():
    model, (inputs, offers) = dense(5), table_rows()
    descent = Descent(objective="deletion", steps=1, n_steps=6, l1=0.0, noise=0.0, fixed=1e-6)
    moved = 1 - integrated_masks(model, inputs, **offers, descent=descent).deletion
    for row in range(len(inputs)):
        leaf = torch.ones_like(inputs[row]).requires_grad_()
        value = twin.igos_objective(
            model,
            inputs[row],
            offers["baseline"][row],
            int(offers["target"][row]),
            leaf,
            leaf,
            terms=TERMS["deletion"],
            n_steps=6,
            penalty=lambda m: 0 * m.sum(),
        )
        (slope,) = torch.autograd.grad(value, leaf)
        torch.testing.assert_close(moved[row], (1e-6 * slope).clamp(min=0), atol=1e-15, rtol=0)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"n_steps": 0}, {"l1": -1}, {"tv": -1}, {"noise": -0.1}, {"step": 0}])
def test_a_hyperparameter_out_of_range_is_refused(wrong):
    model, (inputs, offers) = dense(5), table_rows()
    for method in (igos, igos_naive_insertion, igos_plus_plus):
        with pytest.raises(InvalidInput, match="got"):
            method(model, inputs, **offers, **wrong)


def test_an_unknown_objective_is_refused_with_those_there_are():
    with pytest.raises(InvalidInput, match="deletion, insertion, naive, product"):
        Descent(objective="both")


def test_examples_run():
    for module in (attrlab.methods.igos, attrlab.methods.integrated_masks):
        assert doctest.testmod(module).failed == 0
