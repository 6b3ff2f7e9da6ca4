"""Verification catches a wrong weight in any world, a wrong truth, and a unit too near its kink; right worlds have no problem."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from attrlab import verification
from attrlab.errors import UnknownName
from attrlab.verification import coalitions, difference, points_of, verify
from synthetic import Environment, environment_ids, make_environment

FLIPS = 12
"""Weights of each world that are made wrong, one at a time."""


@pytest.mark.parametrize("id", environment_ids())
def test_every_world_is_what_it_says(id: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(verification, "DRAWN", 2_000)  # `attrlab verify` draws 10 000; this is the same comparison, sooner
    record = verify(id)
    assert record.problems == ()
    assert record.points >= 2_000 or record.enumerated
    assert set(record.disagreement) >= {"shapley", "removal"}


def test_ten_thousand_points_are_drawn_where_a_domain_cannot_be_enumerated():
    assert verification.DRAWN >= 10_000
    points, enumerated = points_of(make_environment("colour-or-v1"), count=verification.DRAWN, seed=0)
    assert not enumerated
    assert len(points) == verification.DRAWN


def flipped(model: nn.Module, generator: torch.Generator) -> nn.Module:
    """The network with one weight changed: by its sign where it has one, by 1 where it is 0."""
    wrong = copy.deepcopy(model)
    weights = [parameter for parameter in wrong.parameters() if parameter.numel()]
    weight = weights[int(torch.randint(len(weights), (), generator=generator))].view(-1)
    at = int(torch.randint(len(weight), (), generator=generator))
    weight[at] = -weight[at] if weight[at] else 1.0
    return wrong


@pytest.mark.parametrize("id", environment_ids())
def test_a_wrong_weight_is_caught_if_it_changes_the_function(id: str):
    """Whether a weight changes the function is decided on other rows than it is caught on, and on more of them."""
    world = make_environment(id)
    points, elsewhere = points_of(world, count=800, seed=0)[0], points_of(world, count=1_600, seed=1)[0]
    right = world.model(elsewhere)
    for flip in range(FLIPS):
        wrong = flipped(world.model, torch.Generator().manual_seed(flip))
        share = (wrong(elsewhere) != right).any(1).double().mean()
        if share > 0.01:  # a change on one row of a hundred is met among 800 with probability 1 - 3e-4
            assert difference(replace(world, model=wrong), points, torch.float64, "cpu") > 0, f"flip {flip} changes {share:.0%} of the rows"


def test_a_wrong_truth_is_a_problem_that_says_by_how_much(monkeypatch: pytest.MonkeyPatch):
    world = make_environment("additive-v1")

    def sample(n, generator):
        batch = world.sample(n, generator)
        return replace(batch, derive=lambda: batch.truth.map(lambda value: value * 2 if value.is_floating_point() else value))

    monkeypatch.setattr(verification, "load", lambda id: replace(world, sample=sample))
    (first, *_) = verify("additive-v1").problems
    assert first.startswith("two derivations of shapley differ by ")


def test_a_unit_too_near_its_kink_is_a_problem_unless_the_world_is_about_kinks(monkeypatch: pytest.MonkeyPatch):
    world = make_environment("saturated-or-v1")
    near = copy.deepcopy(world.model)
    next(module for module in near.modules() if isinstance(module, nn.Linear)).bias.fill_(2.125)

    def load(*traits: str) -> Environment:
        return replace(world, model=near, specification=lambda rows: near(torch.as_tensor(rows)).numpy()).with_traits(*traits)

    monkeypatch.setattr(verification, "load", lambda id: load())
    assert any("from its kink, must be >= 0.25" in problem for problem in verify("x").problems)
    monkeypatch.setattr(verification, "load", lambda id: load("on_kinks"))
    assert not any("kink" in problem for problem in verify("x").problems)


def test_a_network_of_another_shape_or_with_nan_is_infinitely_wrong():
    world = make_environment("saturated-or-v1")
    points = points_of(world, count=10, seed=0)[0]
    undefined = nn.Linear(points.shape[1], 1).double()
    nn.init.constant_(undefined.weight, math.nan)
    for broken in (nn.Linear(points.shape[1], 2).double(), undefined):
        assert difference(replace(world, model=broken), points, torch.float64, "cpu") == math.inf


def test_coalitions_keep_or_remove_whole_players():
    world = make_environment("colour-or-v1")
    batch = world.sample(50, torch.Generator().manual_seed(0))
    mixed = coalitions(batch, seed=0)
    kept, removed = mixed == batch.inputs, mixed == batch.baseline
    assert bool((kept | removed).all())
    assert bool((kept.all(1) | removed.all(1)).all())  # the channels of a pixel stay together
    changed = (mixed != batch.inputs).any(1).sum()
    assert 0 < changed < (batch.inputs != batch.baseline).any(1).sum()


def test_an_unknown_environment_suggests_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'additive-v1'"):
        verify("aditive-v1")
