"""Extremal perturbation: the trajectory is that of torch's SGD, areas are what is asked, masks are smooth, and ties are shared."""

from __future__ import annotations

import doctest
import math

import pytest
import torch

import attrlab.methods.extremal
from attrlab.errors import InvalidInput
from attrlab.methods import extremal
from attrlab.methods.extremal import extremal_perturbation, smooth_masks, step_values
from synthetic import make_environment
from tests import reference_masks as twin
from tests.attrlab.small_rows import convolutional, dense, image_rows, table_rows

CLOSE = 1e-9  # rounding over some tens of steps


def asked(offers):
    return {name: value for name, value in offers.items() if name != "seeds"}


def test_from_masks_without_ties_the_trajectory_is_that_of_torch_sgd(monkeypatch):
    model, (inputs, offers) = dense(5), table_rows()
    start = torch.linspace(0.9, 1.0, 5, dtype=torch.float64)
    descend = extremal.momentum_descent
    monkeypatch.setattr(extremal, "momentum_descent", lambda slope, point, **how: descend(slope, start.expand_as(point), **how))
    scores = extremal_perturbation(model, inputs, **asked(offers), areas=[0.4], steps=40)
    for row in range(len(inputs)):
        absent, target = offers["baseline"][row], int(offers["target"][row])
        wanted = twin.extremal_of_a_table(model, inputs[row], absent, target, area=0.4, steps=40, gain=20.0, weight=300.0)
        torch.testing.assert_close(scores[row], wanted, atol=CLOSE, rtol=0)


@pytest.mark.parametrize("size", [6, 3])
def test_the_masks_of_an_image_are_those_of_each_area_written_out(size):
    model, (inputs, offers) = convolutional(), image_rows(2)
    how = {"areas": (0.1, 0.3), "steps": 8, "gain": 20.0, "weight": 300.0, "smoothness": 0.2, "size": size}
    scores = extremal_perturbation(model, inputs, **asked(offers), **how)
    for row in range(2):
        wanted = twin.extremal_of_an_image(model, inputs[row], offers["baseline"][row], int(offers["target"][row]), **how)
        torch.testing.assert_close(scores[row].sum(0), wanted, atol=CLOSE, rtol=0)
        assert float(wanted.max() - wanted.min()) > 0.01


def test_areas_do_not_know_of_one_another():
    model, (inputs, offers) = convolutional(), image_rows()
    both = extremal_perturbation(model, inputs, **asked(offers), areas=(0.1, 0.3), steps=5)
    single = [extremal_perturbation(model, inputs, **asked(offers), areas=(area,), steps=5) for area in (0.1, 0.3)]
    torch.testing.assert_close(both, (single[0] + single[1]) / 2, atol=CLOSE, rtol=0)


@pytest.mark.parametrize("area", [0.2, 0.4])
def test_without_a_score_the_mask_has_the_area_that_is_asked(area):
    model, (inputs, offers) = dense(5), table_rows()
    scores = extremal_perturbation(model, inputs, **asked(offers), areas=[area], gain=0.001, steps=1500)
    assert scores.sum(1).tolist() == pytest.approx([5 * area] * 3, abs=0.05)  # the penalty pulls with a finite weight


def test_cells_of_one_rank_share_what_stands_at_their_ranks():
    masks = torch.tensor([[[0.5, 0.5, 0.5, 0.2], [0.1, 0.9, 0.9, 0.0]]], dtype=torch.float64)
    found = step_values(masks, torch.ones(1, 1, 4, dtype=torch.float64), [0.5, 0.25])
    wanted = torch.tensor([[[2 / 3, 2 / 3, 2 / 3, 0], [0, 0.5, 0.5, 0]]], dtype=torch.float64)
    torch.testing.assert_close(found, wanted, atol=1e-15, rtol=0)


def test_padding_takes_no_part_in_an_area():
    masks = torch.tensor([[[1.0, 0.3, 0.9]]], dtype=torch.float64)
    found = step_values(masks, torch.tensor([[[0.0, 1.0, 1.0]]], dtype=torch.float64), [0.5])
    torch.testing.assert_close(found[..., 1:], torch.tensor([[[0.0, 1.0]]], dtype=torch.float64), atol=0, rtol=0)


def test_the_smooth_maximum_of_one_cell_is_nearly_its_kernel():
    spot = torch.zeros(1, 9, 9, dtype=torch.float64)
    spot[0, 4, 4] = 1
    place = torch.arange(9, dtype=torch.float64)
    kernel = torch.exp(-((place[:, None] - place).square()) / 2)
    found = smooth_masks(spot, (kernel, kernel))[0]
    for i, j in ((4, 4), (4, 5), (5, 5)):
        wanted = math.exp(-((i - 4) ** 2 + (j - 4) ** 2) / 2)
        assert float(found[i, j]) == pytest.approx(wanted, abs=0.02)  # the maximum is soft, with inverse temperature 20


def test_it_keeps_what_suffices_on_a_plateau():
    world = make_environment("spurious-mark-v1")
    batch = world.sample(4, torch.Generator().manual_seed(0))
    marked = batch.truth.support.any(1)
    offers = {"target": batch.target, "baseline": batch.baseline, "feature_mask": batch.feature_mask}
    scores = extremal_perturbation(world.model, batch.inputs, **offers, areas=(0.1,), steps=150).sum(1).flatten(1)
    assert (scores[marked][batch.truth.support[marked]].mean()) > 2 * scores[marked][~batch.truth.support[marked]].mean()


@pytest.mark.parametrize("wrong", [{"areas": ()}, {"areas": (0.0,)}, {"areas": (1.0,)}, {"steps": 0}, {"lr": 0}, {"weight": -1}])
def test_a_hyperparameter_out_of_range_is_refused(wrong):
    model, (inputs, offers) = dense(5), table_rows()
    with pytest.raises(InvalidInput, match="got"):
        extremal_perturbation(model, inputs, **asked(offers), **wrong)


def test_examples_run():
    assert doctest.testmod(attrlab.methods.extremal).failed == 0
