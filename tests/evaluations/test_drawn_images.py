"""Drawn convolutions compute what their dense networks compute, their equals compute the same, and what they state is true."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attrlab.axioms import AXIOMS
from attrlab.games import Policy
from attrlab.registry import find_method
from evaluations.drawn_images import KNOWN, TRAITS, Convolution, convolutions, described
from evaluations.strategies import MARGIN, can_draw, cases, drawable, modality_of
from synthetic.gadgets import least_preactivation, relu_network

FEW = settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
ASKED = [name for name, axiom in AXIOMS.items() if can_draw(axiom, frozenset(), modality="image")]
ROUNDING = 1e-12  # sums of a few terms below 100


def images(pixels: int, rows: int = 50) -> torch.Tensor:
    return 3 * torch.randn(rows, 1, 1, pixels, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_a_convolution_by_hand():
    network = Convolution(pixels=3, kernels=[[1, -1]], biases=[1], reads=[[2, 3]], shift=-1)
    value = network.model()(torch.tensor([[[[3.0, 1.0, 0.0]]]], dtype=torch.float64))
    assert value.tolist() == [[2 * 3.0 + 3 * 2.0 - 1]]
    assert described(network).unreachable == (False, False, False)


@FEW
@given(network=convolutions(needs=frozenset({"others"}), given=frozenset()))
def test_equals_and_the_formula_compute_the_same(network):
    rows = images(len(network.independent))
    wanted = network.model(rows)
    for name, other in network.equal.items():
        assert (other(rows) - wanted).abs().max() <= ROUNDING, name


def test_the_dense_network_of_a_convolution_computes_the_same():
    network = Convolution(pixels=4, kernels=[[1, 2], [-1, 1]], biases=[0, 1], reads=[[1, 0, 2], [0, -1, 1]], shift=1)
    rows = images(4)
    assert (relu_network(network.layers())(rows.flatten(1)) - network.model()(rows)).abs().max() <= ROUNDING


@pytest.mark.parametrize("axiom", ASKED)
@FEW
@given(data=st.data())
def test_a_drawn_image_states_what_the_axiom_needs_and_keeps_off_kinks(axiom, data):
    case = data.draw(cases(axiom=AXIOMS[axiom], given=frozenset(), policy=Policy(), modality="image"))
    assert AXIOMS[axiom].applies_to(case)
    assert case.inputs.shape == (len(case), 1, 1, case.players)
    assert least_preactivation(case.model, case.inputs) >= MARGIN
    if case.independent is not None:
        free = case.independent[0].view(1, 1, 1, -1)
        changed = torch.where(free, case.inputs + 1.5, case.inputs)
        assert torch.equal(case.model(changed), case.model(case.inputs))


@FEW
@given(case=cases(axiom=AXIOMS["symmetry"], given=frozenset(), policy=Policy(), modality="image"))
def test_pixels_that_are_stated_to_be_symmetric_can_change_places(case):
    rows = images(case.players)
    one, two = (case.orbit[0] == case.orbit[0].max()).nonzero().squeeze(1)[:2].tolist()
    order = list(range(case.players))
    order[one], order[two] = two, one
    assert (case.model(rows[..., order]) - case.model(rows)).abs().max() <= ROUNDING


@pytest.mark.parametrize("traits", [frozenset({"bias_free"}), frozenset({"additive"}), frozenset({"positively_homogeneous"})])
@FEW
@given(data=st.data())
def test_traits_that_are_asked_for_are_had(traits, data):
    case = data.draw(cases(axiom=AXIOMS["completeness"], given=traits, policy=Policy(), modality="image"))
    rows = images(case.players)
    if "additive" in traits:
        alone = sum(
            case.model(rows * (torch.arange(case.players) == player)) - case.model(torch.zeros_like(rows)) for player in range(case.players)
        )
        assert (alone - case.model(rows) + case.model(torch.zeros_like(rows))).abs().max() <= ROUNDING
    else:
        assert (case.model(2 * rows) - 2 * case.model(rows)).abs().max() <= ROUNDING


def test_images_are_drawn_for_methods_that_take_no_tables_only():
    assert modality_of(AXIOMS["dummy"], find_method("rise")) == "image"
    assert modality_of(AXIOMS["dummy"], find_method("grad_cam")) == "image"
    assert modality_of(AXIOMS["dummy"], find_method("gradient")) == "table"
    assert modality_of(AXIOMS["locality"], find_method("grad_cam")) == "graph"
    assert drawable(AXIOMS["dummy"], frozenset(), find_method("rise"))
    assert not drawable(AXIOMS["continuity"], frozenset(), find_method("rise"))
    assert not drawable(AXIOMS["dummy"], frozenset(), find_method("truth"))
    assert {"independent", "orbit"} <= KNOWN
    assert "monotone" not in TRAITS
