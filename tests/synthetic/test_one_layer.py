"""The normal form of a network of one hidden layer is its function, and the sides of planes that meet are those that points show."""

from __future__ import annotations

import itertools

import pytest
import torch

from synthetic.one_layer import normal_form, nowhere_falls, planes, sides_that_meet


def uniform(count, inputs, reach):
    """Points of a cube around the origin."""
    return torch.rand(count, inputs, dtype=torch.float64, generator=torch.Generator().manual_seed(count)) * 2 * reach - reach


def drawn(networks, count, inputs):
    """Units with weights in {-1, 0, 1} that are not all 0, outward weights of any size, and an affine rest."""
    generator = torch.Generator().manual_seed(networks + count)
    listed = torch.tensor([w for w in itertools.product((-1.0, 0.0, 1.0), repeat=inputs) if any(w)], dtype=torch.float64)
    weights = listed[torch.randint(len(listed), (networks, count), generator=generator)]
    biases = torch.randint(-1, 2, (networks, count, 1), generator=generator).double()
    outward = torch.randint(-3, 4, (networks, count), generator=generator).double()
    rest = torch.randint(-2, 3, (networks, inputs + 1), generator=generator).double()
    return torch.cat([weights, biases], 2), outward, rest


def values(units, outward, rest, points):
    lifted = torch.cat([points, torch.ones(len(points), 1, dtype=torch.float64)], 1)
    return torch.einsum("kj,kjp->kp", outward, (units @ lifted.T).clamp(min=0)) + rest @ lifted.T


@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_the_normal_form_is_the_same_function(inputs):
    units, outward, rest = drawn(200, 3, inputs)
    points = uniform(100, inputs, 3)
    form = normal_form(units, outward, rest)
    again = values(planes(inputs).expand(200, -1, -1), form.jumps, form.rest, points)
    assert torch.allclose(again, values(units, outward, rest, points), atol=1e-12)  # rounding of sums of six terms


@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_a_unit_and_its_mirror_image_differ_by_what_is_linear(inputs):
    units, _, _ = drawn(50, 1, inputs)
    nothing = torch.zeros(50, inputs + 1, dtype=torch.float64)
    one, other = (normal_form(sign * units, torch.ones(50, 1, dtype=torch.float64), nothing) for sign in (1, -1))
    assert torch.equal(one.jumps, other.jumps)
    assert torch.equal((one.rest - other.rest).abs(), units.squeeze(1).abs())


def test_there_are_as_many_planes_as_directions_times_shifts():
    assert [len(planes(inputs)) for inputs in (1, 2, 3)] == [3 * 1, 3 * 4, 3 * 13]


@pytest.mark.parametrize("inputs", [1, 2])
def test_sides_meet_where_a_fine_grid_has_a_point_on_them(inputs):
    line = torch.arange(-7, 7, 1 / 16, dtype=torch.float64) + 1 / 48  # no point of it lies on a plane
    points = torch.cartesian_prod(*[line] * inputs).view(-1, inputs)
    if inputs == 2:
        points = points + torch.tensor([[0.0, 1 / 96]], dtype=torch.float64)
    known = planes(inputs)
    side = (points @ known[:, :-1].T + known[:, -1] > 0).long()
    meets = sides_that_meet(inputs)
    for three in itertools.islice(itertools.product(range(len(known)), repeat=3), 0, None, 7):
        seen = (side[:, three] @ torch.tensor([4, 2, 1])).unique().tolist()
        assert meets[three].nonzero().squeeze(1).tolist() == seen


def test_two_parallel_planes_have_no_point_beyond_the_further_and_before_the_nearer():
    where = {tuple(row): place for place, row in enumerate(planes(3).tolist())}
    nearer, further = where[1, 0, 0, 1], where[1, 0, 0, 0]  # x1 = -1 and x1 = 0
    names = list(itertools.product("-+", repeat=3))
    possible = {names[k][:2] for k in sides_that_meet(3)[nearer, further, further].nonzero().squeeze(1)}
    assert possible == {("-", "-"), ("+", "-"), ("+", "+")}


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_function_falls_nowhere_exactly_if_its_slope_is_negative_at_no_random_point(count):
    units, outward, rest = drawn(150, count, 3)
    points = uniform(2000, 3, 6)
    active = torch.einsum("kji,pi->kpj", units[..., :-1], points) + units[:, None, :, -1] > 0
    slopes = torch.einsum("kpj,kj,kji->kpi", active.double(), outward, units[..., :-1]) + rest[:, None, :-1]
    assert torch.equal(nowhere_falls(units, outward, rest), (slopes >= 0).all(1))


def test_more_units_than_are_enumerated_are_refused():
    with pytest.raises(ValueError, match=r"sides of up to 3 planes are enumerated \(got 4 units\)"):
        nowhere_falls(*drawn(1, 4, 2))
