"""DeepLIFT's symmetry falls on four units and on no fewer, whatever their weights: the theorem, and its enumeration with wide weights.

Theorem. Let f be a ReLU network of up to three hidden units, symmetric in players i and j, x_i = x_j and x'_i = x'_j, and x on no kink.
Then the Rescale rule gives i and j the same. Proof. Let σ exchange i and j.

One hidden layer. The multiplier of relu(-z) = relu(z) - z is that of relu(z) less 1, so the scores depend on the normal form
Σ_p a_p relu(z_p) + ℓ of f alone (`synthetic.one_layer`), which σ permutes.

One unit in the first layer. f = g(w·x + b). If w_i = w_j the scores are equal. If not, g is constant, and its multiplier is 0: over a step,
or as a slope off the kinks.

Two units, then one. f = v relu(u) + c, u = a_1 relu(z_1) + a_2 relu(z_2) + b, P = {u > 0}, Z_k = {z_k = 0}. If P is empty, or Z_1 and Z_2
are parallel, f is a function of one linear form, as before. If Z_j misses P, a_k relu(z_k) + b ≤ 0 on Z_j, on which z_k takes every
value; so a_k < 0, b ≤ 0, P lies in z_j > 0, and Z_k, which meets P, holds all kinks of f there. So σ Z_k = Z_k, and w_k is symmetric, or a
multiple of e_i - e_j with b_k = 0, and x lies on Z_k, a kink. On the side z_k < 0 of P the slope a_j w_j is symmetric then, and all
weights are. If both meet P, σ permutes them. If it fixes both, both w are symmetric, or x lies on a kink. If it exchanges them, the
jumps tell that a_2 relu(z_2) = a_1 relu(±z_1∘σ): with +, u is symmetric and of one hidden layer; with -, -a_1 z_1∘σ is symmetric as the
rest of u on P is, and so are both w. □

On the kink x_i = x_j three units do it, and the convention for ReLU'(0) alone decides: relu(relu(x1) - relu(x1 - x2)).
"""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from attrlab.axioms import AXIOMS
from attrlab.registry import find_method
from evaluations.scope import exhaust
from synthetic.environment import frozen
from synthetic.gadgets import relu_network

WIDE = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0)
HALVES = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0)
PART = 60_000
ROUNDING = 1e-9  # of sums of products of order 100, in float64


def multiplier(after: Tensor, before: Tensor) -> Tensor:
    """The Rescale rule of one ReLU between two pre-activations; the slope where they agree."""
    step = after - before
    same = step.abs() < 1e-10
    return torch.where(same, (after > 0).double(), (after.clamp(min=0) - before.clamp(min=0)) / torch.where(same, 1.0, step))


class TwoThenOne:
    """The networks relu(a_1 relu(z_1) + a_2 relu(z_2) + b), many at once."""

    def __init__(self, units: Tensor, read: Tensor, bias: Tensor) -> None:  # (networks, 2, d + 1), (networks, 2), (networks,)
        self.units, self.read, self.bias = units, read, bias

    def pre(self, points: Tensor) -> tuple[Tensor, Tensor]:  # (networks, 2, points), (networks, points)
        z = self.units[..., :-1] @ points.T + self.units[..., -1:]
        return z, torch.einsum("kj,kjp->kp", self.read, z.clamp(min=0)) + self.bias.unsqueeze(1)

    def asymmetry(self, inputs: Tensor, baseline: Tensor) -> Tensor:  # (networks, points)
        """|A_1 - A_2|, and 0 where the input lies on a kink."""
        (z, u), (z0, u0) = self.pre(inputs), self.pre(baseline)
        inner = torch.einsum("kj,kjp,kj->kp", self.read, multiplier(z, z0), self.units[..., 0] - self.units[..., 1])
        off = (z.abs() > ROUNDING).all(1) & (u.abs() > ROUNDING)
        return (multiplier(u, u0) * inner * (inputs - baseline)[:, 0]).abs() * off

    def rows(self, index: Tensor) -> TwoThenOne:
        return TwoThenOne(self.units[index], self.read[index], self.bias[index])

    def symmetric_at(self, points: Tensor) -> Tensor:  # (networks,) bool
        swapped = points[:, [1, 0, *range(2, points.shape[1])]]
        return ((self.pre(points)[1].clamp(min=0) - self.pre(swapped)[1].clamp(min=0)).abs() < ROUNDING).all(1)


def every(inputs: int, levels: tuple[float, ...], offset: float):
    """All of these networks with first-layer numbers of `levels`, read with non-zero `WIDE` weights, in parts."""
    nonzero = [level for level in WIDE if level]
    listed = [(*w, b, a) for w in itertools.product(levels, repeat=inputs) if any(w) for b in levels for a in nonzero]
    described = torch.tensor(listed, dtype=torch.float64)
    pairs = torch.combinations(torch.arange(len(described)), 2, with_replacement=True)
    for start in range(0, len(pairs), PART):
        chosen = described[pairs[start : start + PART]]
        yield TwoThenOne(chosen[..., :-1], chosen[..., -1], torch.full((len(chosen),), offset, dtype=torch.float64))


def scattered(inputs: int, count: int, scales: tuple[float, ...]) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.cat([(2 * torch.rand(count, inputs, dtype=torch.float64, generator=generator) - 1) * scale for scale in scales])


def on_the_diagonal(inputs: int, values: tuple[float, ...], rest: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """Points and baselines with x_1 = x_2 and x'_1 = x'_2, all that follow being of `rest`."""
    others = list(itertools.product(rest, repeat=inputs - 2))
    points = [(value, value, *other) for value in values for other in others]
    pairs = [(x, b) for x, b in itertools.product(points, repeat=2) if x[0] != b[0]]
    table = torch.tensor(pairs, dtype=torch.float64)
    return table[:, 0], table[:, 1]


def symmetric_networks_that_refute(inputs: int, levels: tuple[float, ...], offset: float) -> tuple[int, int]:
    """How many networks there are, and how many are symmetric and have different scores off the kinks."""
    few, many = scattered(inputs, 12, (2.0, 4.0, 12.0, 60.0)), scattered(inputs, 4000, (0.5, 1.0, 3.0, 10.0, 60.0))
    points, baselines = on_the_diagonal(inputs, HALVES if inputs == 2 else (-2.0, -0.5, 1.0, 2.5), (-1.5, 0.0, 2.0))
    total = found = 0
    for networks in every(inputs, levels, offset):
        total += len(networks.units)
        kept = networks.rows(networks.symmetric_at(few).nonzero().squeeze(1))
        differing = kept.rows((kept.asymmetry(points, baselines) > 1e-6).any(1).nonzero().squeeze(1))
        found += sum(bool(differing.rows(torch.tensor([k])).symmetric_at(many).all()) for k in range(len(differing.units)))
    return total, found


@pytest.mark.slow
def test_deeplift_is_refuted_by_four_units_and_by_no_network_of_the_default_scope():
    found = exhaust(find_method("deeplift_rescale"), AXIOMS["symmetry"], tolerance=1e-9, scope="large")
    assert found.refutation is not None
    assert "f(x) = relu(-relu(-x2) - relu(x1) + relu(x1 + 1))\nx = (-2, -2), x' = (0, 0)" in found.refutation.counterexample
    assert found.proved[0] == "default"


def test_the_counterexample_is_symmetric_and_scored_unequally_by_hand():
    # f = relu(min(1, relu(x1 + 1)) - relu(-x2)) is 1 - relu(-x1) - relu(-x2) where that is positive, and else 0
    points = scattered(2, 500, (1.0, 3.0, 20.0))
    f = (torch.relu(points[:, 0] + 1) - torch.relu(points[:, 0]) - torch.relu(-points[:, 1])).clamp(min=0)
    assert torch.allclose(f, (1 - torch.relu(-points).sum(1)).clamp(min=0), atol=1e-12)  # rounding of sums of three terms
    # from (0, 0) to (-2, -2): u falls by 3 and relu(u) by 1, so 1/3; relu(x1 + 1) falls by 1 over 2, and relu(-x2) rises by 2 over 2
    wanted = torch.tensor([[1 / 3 * 1 / 2 * -2, 1 / 3 * 1 * -2]], dtype=torch.float64)
    first = ([[0.0, -1.0], [1.0, 0.0], [1.0, 0.0]], [0.0, 0.0, 1.0])
    model = frozen(relu_network([first, ([[-1.0, -1.0, 1.0]], [0.0]), ([[1.0]], [0.0])]))
    inputs, baseline = torch.full((1, 2), -2.0, dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64)
    scores = find_method("deeplift_rescale").attribute(model, inputs, target=torch.zeros(1, dtype=torch.int64), baseline=baseline)
    assert torch.allclose(scores, wanted, atol=1e-9)  # rounding of the multipliers


def test_the_rule_of_two_then_one_is_that_of_the_registered_method():
    networks = next(iter(every(2, (-1.0, 0.0, 1.0), 0.5)))
    index = torch.arange(0, len(networks.units), 1499)
    points, baselines = on_the_diagonal(2, (-2.0, 0.5, 3.0), (0.0,))
    few = networks.rows(index)
    wanted = few.asymmetry(points, baselines)
    for k in range(len(index)):
        first = (few.units[k, :, :-1].tolist(), few.units[k, :, -1].tolist())
        model = frozen(relu_network([first, ([few.read[k].tolist()], [0.5]), ([[1.0]], [0.0])]))
        target = torch.zeros(len(points), dtype=torch.int64)
        scores = find_method("deeplift_rescale").attribute(model, points, target=target, baseline=baselines)
        off = wanted[k] > 0
        assert torch.allclose((scores[:, 0] - scores[:, 1]).abs()[off], wanted[k][off], atol=1e-9)  # rounding of the multipliers


@pytest.mark.slow
@pytest.mark.parametrize("offset", WIDE)
def test_no_symmetric_network_of_two_units_and_one_with_wide_weights_refutes_it(offset: float):
    total, found = symmetric_networks_that_refute(2, WIDE, offset)
    assert total == 2016 * 2017 // 2  # (7^2 - 1) weights, 7 biases and 6 that read them
    assert found == 0


@pytest.mark.slow
@pytest.mark.parametrize("offset", [-2.0, -1.0, 0.0, 1.0, 2.0])
def test_no_symmetric_network_of_two_units_and_one_on_three_inputs_refutes_it(offset: float):
    total, found = symmetric_networks_that_refute(3, (-1.0, 0.0, 1.0), offset)
    assert total == 468 * 469 // 2  # (3^3 - 1) weights, 3 biases and 6 that read them
    assert found == 0
