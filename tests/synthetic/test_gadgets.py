"""Gadgets compute, in float32 and float64, what Python's integers say, and keep a quarter from every kink on their domain."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from synthetic import gadgets

INTEGERS = [[z] for z in range(-6, 12)]
NATURALS = [[n] for n in range(24)]


def all_bits(k: int) -> list[list[int]]:
    return [list(b) for b in itertools.product((0, 1), repeat=k)]


CASES: list[tuple[str, nn.Module, list[list[int]], Callable[[list[int]], int]]] = [
    *((f"step {t}", gadgets.step(t), INTEGERS, lambda z, t=t: int(z[0] >= t)) for t in (-2, 0, 3)),
    *((f"equality {t}", gadgets.equality(t), INTEGERS, lambda z, t=t: int(z[0] == t)) for t in (-2, 0, 3)),
    ("pass-through", gadgets.pass_through(), NATURALS, lambda z: z[0]),
    *((f"count {k}", gadgets.count(k), all_bits(k), sum) for k in (1, 4)),
    *((f"and {k}", gadgets.conjunction(k), all_bits(k), lambda b: int(all(b))) for k in (1, 2, 5)),
    *((f"or {k}", gadgets.disjunction(k), all_bits(k), lambda b: int(any(b))) for k in (1, 2, 5)),
    ("xor 2", gadgets.exclusive_or(2), all_bits(2), lambda b: b[0] ^ b[1]),
    ("xor 5", gadgets.exclusive_or(5), all_bits(5), lambda b: b[0] ^ b[1] ^ b[2] ^ b[3] ^ b[4]),
    *((f"modulo {m}", gadgets.modulo(m, largest=23), NATURALS, lambda n, m=m: n[0] % m) for m in (2, 3, 7, 30)),
    *((f"gate {M}", gadgets.gate(M), [[b, n] for b in (0, 1) for n in range(M)], lambda z: z[0] * z[1]) for M in (1, 4, 9)),
]
named = pytest.mark.parametrize(("gadget", "domain", "formula"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])


@named
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_a_gadget_is_its_formula_on_every_point_of_its_domain(gadget, domain, formula, dtype):
    outputs = gadget.to(dtype)(torch.tensor(domain, dtype=dtype))
    # Exact equality: weights are dyadic and values small, so no rounding occurs in either precision.
    assert outputs.flatten().tolist() == [formula(z) for z in domain]


@named
def test_a_gadget_keeps_a_quarter_from_every_kink(gadget, domain, formula):
    assert gadgets.least_preactivation(gadget.double(), torch.tensor(domain, dtype=torch.float64)) >= gadgets.MARGIN


@named
def test_every_activation_of_a_gadget_is_a_module_of_its_own_and_not_in_place(gadget, domain, formula):
    calls: list[nn.Module] = []
    handles = [m.register_forward_hook(lambda m, *_: calls.append(m)) for m in gadget.modules() if isinstance(m, nn.ReLU)]
    gadget.double()(torch.tensor(domain, dtype=torch.float64))
    for handle in handles:
        handle.remove()
    assert len(calls) == len(set(calls)) == len(handles)
    assert not any(m.inplace for m in calls)


def test_elementwise_gadgets_treat_every_entry_alike():
    z = torch.tensor([[3.0, 1.0, 2.0], [2.0, 2.0, 0.0]], dtype=torch.float64)
    assert gadgets.equality(2, size=3)(z).tolist() == [[0, 0, 1], [1, 1, 0]]
    assert gadgets.step(2, size=3)(z).tolist() == [[1, 0, 1], [1, 1, 0]]
    assert gadgets.pass_through(size=3)(z).tolist() == z.tolist()


def test_a_flat_top_equality_is_flat_up_to_the_margin():
    z = torch.tensor([[2.0 - 0.25], [2.0], [2.0 + 0.25]], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(gadgets.equality(2)(z[1:2]).sum(), z)
    assert gadgets.equality(2)(z).flatten().tolist() == [1, 1, 1]
    assert slope.abs().max().item() == 0


def test_the_gradient_of_modulo_is_one_at_every_integer():
    n = torch.arange(24, dtype=torch.float64)[:, None].requires_grad_()
    (slope,) = torch.autograd.grad(gadgets.modulo(3, largest=23)(n).sum(), n)
    assert slope.flatten().tolist() == [1.0] * 24


def test_a_weighted_sum_and_a_product_are_arithmetic():
    a, b = torch.tensor([1.0, -2.0]).double(), torch.tensor([0.5, 3.0]).double()
    assert gadgets.Sum((1.0, -2.0))(a, b).tolist() == [0.0, -8.0]
    assert gadgets.Product()(a, b).tolist() == [0.5, -6.0]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: gadgets.modulo(1, largest=3), r"m >= 2 .*got m=1"),
        (lambda: gadgets.gate(0), r"at least 1 .*got M=0"),
        (lambda: gadgets.conjunction(0), r"at least one bit .*got bits=0"),
        (lambda: gadgets.Sum((1.0, 1.0))(torch.zeros(1)), r"2 weights .*got 1"),
    ],
    ids=["modulo 1", "gate 0", "and of nothing", "sum of too few"],
)
def test_a_gadget_out_of_its_range_is_refused_with_the_bound(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_the_least_preactivation_is_the_distance_to_the_nearest_kink():
    network = gadgets.relu_network([([[1.0, -1.0], [2.0, 0.0]], [0.5, 3.0]), ([[1.0, 1.0]], [-9.0]), ([[1.0]], [0.0])])
    # First layer at (1, 2): -0.5 and 5; second: 0 + 5 - 9 = -4.
    assert gadgets.least_preactivation(network, torch.tensor([[1.0, 2.0]]).double()) == 0.5


class Breaks(nn.Module):
    """A layer that always raises."""

    def forward(self, z: Tensor) -> Tensor:
        raise RuntimeError(f"broken on purpose {tuple(z.shape)}")


@pytest.mark.parametrize("tail", [nn.Identity(), Breaks()], ids=["runs", "raises"])
def test_measuring_preactivations_leaves_no_hook_behind(tail):
    network = nn.Sequential(gadgets.step(1), tail)
    try:
        gadgets.least_preactivation(network, torch.ones(1, 1).double())
    except RuntimeError:
        assert isinstance(tail, Breaks)
    assert all(not module._forward_pre_hooks for module in network.modules())
