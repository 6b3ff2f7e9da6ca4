"""The small networks are all there are of a shape, each once, the smallest first, and what is known of them is true at any point."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
import torch

from synthetic.formulas import formula_of
from synthetic.gadgets import least_preactivation, relu_network
from synthetic.small_scope import SHAPES, by_algebra, by_cells, cells, knowledge, small_networks

POINTS = torch.rand(400, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 8 - 4
THREE = torch.rand(1500, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 8 - 4
EVERY = [(inputs, hidden) for inputs in (1, 2) for hidden in SHAPES if (inputs, hidden) not in ((2, (2, 1)), (2, (3,)), (2, (3, 1)))]


def functions_of_two_units(inputs):
    """Every choice of two units and an offset, as the set of its units: what enumeration with repetitions leaves."""
    weights = [w for w in itertools.product((-1, 0, 1), repeat=inputs) if any(w)]
    units = list(itertools.product(weights, (-1, 0, 1), (-1, 1)))
    return {(tuple(sorted(pair)), offset) for pair in itertools.product(units, repeat=2) for offset in (-1, 0, 1)}


@pytest.mark.parametrize("inputs", [1, 2])
def test_networks_of_one_hidden_layer_are_all_sets_of_units(inputs):
    networks = small_networks(inputs, (2,))
    found = []
    for k in range(len(networks)):
        (first, shift), ((last,), (offset,)) = networks.layers(k)
        found.append((tuple(sorted(zip(map(tuple, first), shift, last, strict=True))), offset))
    assert len(found) == len(set(found))
    assert set(found) == functions_of_two_units(inputs)


@pytest.mark.parametrize(("inputs", "hidden"), EVERY)
def test_size_is_how_many_numbers_are_not_zero_and_never_falls(inputs, hidden):
    networks = small_networks(inputs, hidden)
    numbers = torch.cat([part.flatten(1) for part in (*networks.weights, *networks.biases)], 1)
    size = (numbers != 0).sum(1)
    assert (size.diff() >= 0).all()
    assert set(numbers.unique().tolist()) <= {-1.0, 0.0, 1.0}


@pytest.mark.parametrize(("inputs", "hidden"), EVERY)
def test_values_and_gradients_are_those_of_the_torch_network(inputs, hidden):
    networks = small_networks(inputs, hidden)
    points = POINTS[:7, :inputs].clone().requires_grad_()
    values, slopes = networks.values(points.detach()), networks.gradients(points.detach())
    for k in range(0, len(networks), max(1, len(networks) // 20)):
        network = relu_network(networks.layers(k)).double()
        found = network(points)
        (slope,) = torch.autograd.grad(found.sum(), points, allow_unused=True)
        assert torch.allclose(found[:, 0], values[k], atol=1e-12)  # rounding of sums of five terms
        assert torch.equal(torch.zeros_like(points) if slope is None else slope, slopes[k])


@pytest.mark.parametrize("hidden", SHAPES[1:-2])
def test_the_distance_from_a_kink_is_the_one_that_hooks_see(hidden):
    networks = small_networks(2, hidden)
    least = networks.least_preactivation(POINTS[:5])
    for k in range(0, len(networks), max(1, len(networks) // 20)):
        seen = [least_preactivation(relu_network(networks.layers(k)).double(), point[None]) for point in POINTS[:5]]
        assert torch.allclose(least[k], torch.tensor(seen, dtype=torch.float64), atol=1e-12)  # rounding of sums of three terms


def test_an_input_without_a_path_of_weights_is_one_whose_columns_are_zero():
    networks = small_networks(2, (1,))
    assert torch.equal(networks.reached(), networks.weights[0].squeeze(1) != 0)


def lines(units=2):
    """The lines on which kinks lie, each once, as primitive integer triples (a, b, c) of a x + b y + c = 0."""
    found = set()
    for a, b in itertools.product(range(-units, units + 1), repeat=2):
        for c in range(-units - 1, units + 2):
            if (a, b) > (0, 0):
                lead = a or b
                found.add((Fraction(a, lead), Fraction(b, lead), Fraction(c, lead)))
    return list(found)


@pytest.mark.parametrize("units", [1, 2])
def test_there_are_as_many_cells_as_euler_s_formula_counts(units):
    through = {}
    all_lines = lines(units)
    for (a, b, c), (d, e, f) in itertools.combinations(all_lines, 2):
        determinant = a * e - b * d
        if determinant:
            vertex = ((b * f - c * e) / determinant, (c * d - a * f) / determinant)
            through.setdefault(vertex, set()).update([(a, b, c), (d, e, f)])
    assert len(cells(2, units=units)) == 1 + len(all_lines) + sum(len(met) - 1 for met in through.values())


def test_no_two_points_lie_in_one_cell():
    sides = torch.stack([torch.tensor([float(v) for v in line], dtype=torch.float64) for line in lines()])
    met = (cells(2) @ sides[:, :2].T + sides[:, 2] > 0).int()
    assert len(torch.unique(met, dim=0)) == len(met)


def test_on_a_line_there_is_a_cell_before_between_and_after_the_kinks():
    kinks = sorted({Fraction(-b, w) for w in (1, 2) for b in range(-3, 4)})
    points = sorted(cells(1).flatten().tolist())
    assert len(points) == len(kinks) + 1
    assert all(points[i] < kink < points[i + 1] for i, kink in enumerate(kinks))


@pytest.mark.parametrize("hidden", SHAPES[:-3])
def test_what_is_known_is_true_at_random_points(hidden):
    networks = small_networks(2, hidden)
    known, values, slopes = knowledge(networks), networks.values(POINTS), networks.gradients(POINTS)
    assert torch.equal(known.independent, (slopes == 0).all(1))
    assert torch.equal(known.nondecreasing, (slopes >= 0).all(1))
    rounding = 1e-12  # of sums of five terms
    assert torch.equal(known.symmetric[:, 0, 1], ((values - networks.values(POINTS.flip(1))).abs() < rounding).all(1))
    moved = POINTS + torch.tensor([[0.3, -0.3]], dtype=torch.float64)
    assert torch.equal(known.of_the_sum[:, 0, 1], ((values - networks.values(moved)).abs() < rounding).all(1))


@pytest.mark.parametrize("hidden", [(2, 1), (3, 1)])
def test_what_is_known_of_deeper_networks_is_true_at_random_points(hidden):
    networks = small_networks(2, hidden)
    networks = networks.rows(torch.arange(0, len(networks), len(networks) // 100))
    far = torch.cat([POINTS, 20 * POINTS, POINTS / 4])
    known, values, slopes = knowledge(networks), networks.values(far), networks.gradients(far)
    assert not (known.independent & (slopes != 0).any(1)).any()
    assert not (known.nondecreasing & (slopes < 0).any(1)).any()
    unchanged = ((values - networks.values(far.flip(1))).abs() < 1e-9).all(1)  # rounding of sums of seven terms of order 100
    assert torch.equal(known.symmetric[:, 0, 1], unchanged)


def test_three_units_that_one_reads_are_all_sets_of_units():
    networks = small_networks(1, (3, 1))
    every = [(w, b, v) for w in (-1, 1) for b in (-1, 0, 1) for v in (-1, 1)]
    wanted = set(itertools.product(itertools.combinations_with_replacement(sorted(every), 3), (-1, 0, 1), (-1, 1), (-1, 0, 1)))
    found = []
    for k in range(len(networks)):
        (first, shift), ((read,), (bias,)), (((outward,),), (offset,)) = networks.layers(k)
        found.append((tuple(sorted(zip([w for (w,) in first], shift, read, strict=True))), bias, outward, offset))
    assert len(found) == len(set(found))
    assert set(found) == wanted


@pytest.mark.parametrize("hidden", [(), (1,), (2,)])
def test_what_is_known_of_three_inputs_is_true_at_random_points(hidden):
    networks = small_networks(3, hidden)
    networks = networks.rows(torch.arange(0, len(networks), max(1, len(networks) // 400)))
    known, values, slopes = knowledge(networks), networks.values(THREE), networks.gradients(THREE)
    assert torch.equal(known.independent, (slopes == 0).all(1))
    assert torch.equal(known.nondecreasing, (slopes >= 0).all(1))
    rounding = 1e-12  # of sums of five terms
    for one, other in itertools.combinations(range(3), 2):
        order, moved = [0, 1, 2], THREE.clone()
        order[one], order[other] = other, one
        moved[:, one], moved[:, other] = moved[:, one] + 0.3, moved[:, other] - 0.3
        assert torch.equal(known.symmetric[:, one, other], ((values - networks.values(THREE[:, order])).abs() < rounding).all(1))
        assert torch.equal(known.of_the_sum[:, one, other], ((values - networks.values(moved)).abs() < rounding).all(1))
    assert known.symmetric.diagonal(dim1=1, dim2=2).all()


@pytest.mark.parametrize(("inputs", "hidden"), [(1, ()), (1, (3,)), (2, ()), (2, (1,)), (2, (2,))])
def test_algebra_and_cells_know_the_same(inputs, hidden):
    networks = small_networks(inputs, hidden)
    networks = networks.rows(torch.arange(0, len(networks), max(1, len(networks) // 400)))
    algebra, cells_ = by_algebra(networks), by_cells(networks)
    for name in ("independent", "nondecreasing", "symmetric", "of_the_sum"):
        assert torch.equal(getattr(algebra, name), getattr(cells_, name))
    assert len(set(zip(algebra.function, cells_.function, strict=True))) == len(set(algebra.function)) == len(set(cells_.function))


def test_of_networks_on_three_inputs_one_order_of_the_inputs_is_kept():
    every = {(tuple(w), b, v) for w in itertools.product((-1, 0, 1), repeat=3) if any(w) for b in (-1, 0, 1) for v in (-1, 1)}

    def classes(units):
        return {min(tuple(sorted((tuple(w[i] for i in order), b, v) for w, b, v in units)) for order in itertools.permutations(range(3)))}

    wanted = set().union(*(classes(pair) for pair in itertools.combinations_with_replacement(sorted(every), 2)))
    networks = small_networks(3, (2,))
    found = set()
    for k in range(0, len(networks), 3):  # offsets -1, 0, 1 of the same units are not next to each other
        (first, shift), ((last,), _) = networks.layers(k)
        found |= classes([(tuple(map(int, w)), int(b), int(v)) for w, b, v in zip(first, shift, last, strict=True)])
    assert found <= wanted
    assert len(networks) == 3 * len(wanted)


@pytest.mark.parametrize("hidden", SHAPES[:-3])
def test_networks_are_one_function_exactly_where_they_agree_at_random_points(hidden):
    networks = small_networks(2, hidden)
    function = knowledge(networks).function
    values = networks.values(POINTS).mul(2**20).round().long()  # exact values are multiples of no less than the points' own spacing
    seen = {}
    for digest, row in zip(function, values.numpy(), strict=True):
        assert seen.setdefault(row.tobytes(), digest) == digest
    assert len(seen) == len(set(function))


def test_functions_are_compared_across_shapes():
    identity = small_networks(1, ())
    two = small_networks(1, (2,))
    names = {formula_of(identity.layers(k)): digest for k, digest in enumerate(knowledge(identity).function)}
    same = {formula_of(two.layers(k)) for k, digest in enumerate(knowledge(two).function) if digest == names["f(x) = x1"]}
    assert "f(x) = relu(x1) - relu(-x1)" in same or "f(x) = -relu(-x1) + relu(x1)" in same


def test_the_smallest_network_of_a_shape_comes_first():
    assert formula_of(small_networks(1, (1,)).layers(0)) == "f(x) = relu(x1)"
    assert formula_of(small_networks(2, (2,)).layers(0)) == "f(x) = relu(x1) + relu(x1)"


@pytest.mark.parametrize(("inputs", "hidden"), [(0, (1,)), (1, (0,))])
def test_a_network_without_inputs_or_units_is_refused(inputs, hidden):
    with pytest.raises(ValueError, match=r"at least one input and one unit .* \(got"):
        small_networks(inputs, hidden)


def test_knowledge_of_shapes_that_are_not_enumerated_is_refused():
    with pytest.raises(ValueError, match=r"cells are enumerated for up to 2 inputs .* \(got 1 inputs, \(4,\)\)"):
        knowledge(small_networks(1, (4,)))


def test_deep_networks_on_three_inputs_are_refused():
    with pytest.raises(ValueError, match=r"several hidden layers have up to 2 inputs \(got 3 inputs, hidden \(1, 1\)\)"):
        small_networks(3, (1, 1))
