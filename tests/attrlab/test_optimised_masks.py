"""Meaningful perturbation: the trajectory is that of torch's Adam on one row, a row's mask is its own, and plateaus hold it."""

from __future__ import annotations

import doctest

import pytest
import torch

import attrlab.methods.descent
import attrlab.methods.optimised_masks
from attrlab.errors import InvalidInput, NotApplicable
from attrlab.method import players_of
from attrlab.methods.descent import adam, momentum_descent
from attrlab.methods.mask_cells import cells_of
from attrlab.methods.masked_rows import masked_rows
from attrlab.methods.optimised_masks import mask
from synthetic import make_environment
from tests import reference_masks as twin
from tests.attrlab.small_rows import convolutional, dense, image_rows, table_rows

ADAM = 1e-9  # Adam divides a slope by its own size, and so magnifies rounding (1e-16) where a slope is nearly 0


@pytest.mark.parametrize("size", [6, 3])
def test_the_mask_of_an_image_is_the_one_found_by_torch_adam_row_by_row(size):
    model, (inputs, offers) = convolutional(), image_rows()
    settings_of = {"size": size, "steps": 12, "l1": 0.05, "tv": 0.4, "power": 2.0}
    scores = mask(model, inputs, **offers, noise=0.0, **settings_of)
    for row in range(len(inputs)):
        found = twin.mask_of_an_image(model, inputs[row], offers["baseline"][row], int(offers["target"][row]), **settings_of)
        wanted = 1 - twin.enlarged(found, inputs[row])[0]
        torch.testing.assert_close(scores[row].sum(0), wanted, atol=ADAM, rtol=0)
        torch.testing.assert_close(scores[row, 0], scores[row, 1])


def test_noise_is_the_rows_own_and_changes_the_mask():
    model, (inputs, offers) = dense(5), table_rows()
    first = mask(model, inputs, **offers, steps=3, noise=0.3)
    other = mask(model, inputs, **{**offers, "seeds": offers["seeds"] + 1}, steps=3, noise=0.3)
    assert (first != other).any(1).all()
    torch.testing.assert_close(mask(model, inputs, **offers, steps=3, noise=0.3), first, atol=0, rtol=0)


def test_where_there_is_nothing_to_explain_scores_are_zero():
    inputs, offers = table_rows()
    scores = mask(lambda x: x[:, :1].expand(-1, 3) * torch.tensor([1.0, 1.0, 0.0], dtype=x.dtype), inputs, **offers, steps=20)
    assert scores[:2].abs().sum() > 0
    assert scores[2].abs().sum() == 0  # exactly: the row is left out


def test_a_mask_starting_on_a_plateau_stays_where_it_started():
    world = make_environment("saturated-or-v1")
    batch = world.sample(4, torch.Generator().manual_seed(0))
    offers = {"target": batch.target, "baseline": batch.baseline, "feature_mask": batch.feature_mask, "seeds": torch.arange(4)}
    scores = mask(world.model, batch.inputs, **offers, noise=0.0)
    assert scores.abs().max() == 0  # the slope is 0 at a mask of ones, and removing costs


@pytest.mark.parametrize("id", ["spurious-mark-v1", "spurious-mark-unused-v1"])
def test_the_spurious_mark_is_removed_where_the_network_uses_it_and_not_where_it_does_not(id):
    world = make_environment(id)
    batch = world.sample(12, torch.Generator().manual_seed(0))
    marked = batch.truth.support.any(1)
    offers = {"target": batch.target, "baseline": batch.baseline, "feature_mask": batch.feature_mask, "seeds": torch.arange(12)}
    scores = players_of(mask(world.model, batch.inputs, **offers, steps=60, tv=0.05), batch.feature_mask, 81)[marked]
    support = batch.truth.support[marked]
    inside, outside = scores[support].mean(), scores[~support].mean()
    assert inside > 3 * outside


def test_what_belongs_to_no_player_is_neither_removed_nor_scored():
    model, (inputs, offers) = convolutional(), image_rows()
    offers["feature_mask"] = torch.where(offers["feature_mask"] < 12, -1, offers["feature_mask"])
    rows = masked_rows(model, inputs, **{k: offers[k] for k in ("target", "baseline", "feature_mask")}, size=6)
    assert torch.equal(rows.absent[:, :, :2], inputs[:, :, :2])
    assert mask(model, inputs, **offers, steps=3)[:, :, :2].abs().max() == 0  # exactly: they have no score


def test_neighbours_in_a_graph_are_edges_that_share_a_node():
    world = make_environment("edge-types-v1")
    batch = world.sample(3, torch.Generator().manual_seed(0))
    cells = cells_of(batch.inputs, batch.baseline, batch.feature_mask, size=28)
    nodes = batch.inputs.shape[1]
    for row, owner in enumerate(batch.feature_mask[..., :nodes]):
        ends = {int(p): {int(i) for i, _ in (owner == p).nonzero()} for p in owner.unique() if p >= 0}
        for p, touched in ends.items():
            for q, other in ends.items():
                assert bool(cells.links[row, p, q]) == (p != q and bool(touched & other))


def test_steps_are_those_of_torch():
    slope = torch.tensor([1.0, -2.0, 0.3], dtype=torch.float64)
    for ours, theirs in (
        (lambda f, x: adam(f, x, steps=5, lr=0.1), lambda p: torch.optim.Adam(p, lr=0.1)),
        (
            lambda f, x: momentum_descent(f, x, steps=5, lr=0.1, momentum=0.9, dampening=0.5),
            lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5),
        ),
    ):
        point = torch.nn.Parameter(torch.zeros(3, dtype=torch.float64))
        optimiser = theirs([point])
        for number in range(5):
            point.grad = slope * (point.detach() + 1 + number)
            optimiser.step()
        found = ours(lambda x, number: slope * (x + 1 + number), torch.zeros(3, dtype=torch.float64))
        torch.testing.assert_close(found, point.detach(), atol=1e-14, rtol=0)  # rounding of five steps


def test_progress_is_told_after_every_step():
    model, (inputs, offers) = dense(5), table_rows()
    told = []
    mask(model, inputs, **offers, steps=3, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"lr": 0}, {"size": 0}, {"l1": -1}, {"noise": -1}, {"blur": 0.0}, {"bounded": "logit"}])
def test_a_hyperparameter_out_of_range_is_refused(wrong):
    model, (inputs, offers) = dense(5), table_rows()
    with pytest.raises(InvalidInput, match="got"):
        mask(model, inputs, **offers, **wrong)


def test_only_images_are_blurred():
    model, (inputs, offers) = dense(5), table_rows()
    with pytest.raises(NotApplicable, match="neighbouring pixels"):
        mask(model, inputs, **offers, blur=1.0)


def test_examples_run():
    for module in (attrlab.methods.optimised_masks, attrlab.methods.descent):
        assert doctest.testmod(module).failed == 0
