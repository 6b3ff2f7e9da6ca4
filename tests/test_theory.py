"""The laboratory agrees with theory: what the methods say on the worlds is what is derived on paper."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from attrlab.games import Policy
from attrlab.method import player_scores
from attrlab.registry import find_method
from attrlab.study import Stage, prepare

EXACT = ("exact_integrated_gradients", "deeplift", "occlusion", "shapley")


def stage(id: str, rows: int = 8) -> Stage:
    return prepare(id, rows=rows, seed=0, policy=Policy())


def scored(name: str, on: Stage) -> Tensor:
    return player_scores(find_method(name), on.case)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("id", ["colour-count-v1", "colour-difference-v1"])
def test_on_the_additive_heads_path_integral_deeplift_occlusion_and_shapley_are_one(id: str, name: str):
    """An additive function leaves no choice: A_i = g_i(x_i) - g_i(x'_i), here +1, -1 or 0 per pixel."""
    world = stage(id)
    wanted = world.batch.truth.attributions["shapley"]
    assert set(wanted.unique().tolist()) <= {-1.0, 0.0, 1.0}
    torch.testing.assert_close(scored(name, world), wanted, atol=1e-6, rtol=0)


def test_captum_integrated_gradients_reach_the_exact_ones_where_the_nodes_separate_the_kinks():
    """With a uniform grid that has the kinks 5/8 and 7/8 of the detector on cell borders, quadrature is exact; the default is not."""
    from captum.attr import IntegratedGradients

    world = stage("colour-count-v1")
    case = world.case
    fine = IntegratedGradients(case.model).attribute(
        case.inputs.clone(), baselines=case.baseline, target=case.target, method="riemann_middle", n_steps=64
    )
    summed = torch.zeros_like(world.batch.truth.attributions["shapley"]).scatter_add_(1, case.feature_mask.flatten(1), fine.flatten(1))
    torch.testing.assert_close(summed, world.batch.truth.attributions["shapley"], atol=1e-6, rtol=0)
    gap = (scored("integrated_gradients", world) - world.batch.truth.attributions["shapley"]).abs().max()
    assert 1e-3 < gap < 0.1  # 50 Gauss-Legendre nodes: one node of weight about 0.03 on the wrong side of a kink


def test_on_the_or_head_occlusion_is_zero_where_shapley_is_one_over_n():
    world = stage("colour-or-v1")
    support = world.batch.truth.support.double()
    n = support.sum(1, keepdim=True)
    assert bool((n >= 2).all())
    torch.testing.assert_close(scored("shapley", world), support / n, atol=1e-12, rtol=0)
    torch.testing.assert_close(scored("exact_integrated_gradients", world), support / n, atol=1e-12, rtol=0)
    assert scored("occlusion", world).abs().max() == 0


@pytest.mark.parametrize("name", [*EXACT, "gradient", "input_x_gradient", "integrated_gradients"])
def test_on_colour_nodes_every_edge_gets_nothing(name: str):
    world = stage("colour-nodes-v1")
    assert world.batch.truth.independent.any()
    assert scored(name, world).abs().max() == 0


@pytest.mark.parametrize("name", [*EXACT, "gradient", "input_x_gradient", "integrated_gradients"])
def test_on_the_message_graph_every_method_gives_one_per_relevant_edge(name: str):
    world = stage("edge-types-v1")
    wanted = world.batch.truth.support.double()
    assert bool(wanted.any())
    scores = scored(name, world)
    if name in ("gradient", "input_x_gradient"):
        # An edge is two entries of A. The gradient is the slope of each entry wherever an a meets a b; absent edges are nobody's entries.
        torch.testing.assert_close(scores, wanted, atol=1e-12, rtol=0)
    else:
        torch.testing.assert_close(scores, wanted, atol=1e-6, rtol=0)  # Captum's float32 quadrature weights


def test_on_the_gated_graph_the_path_integral_sees_the_gate_and_shapley_does_not():
    """A lone a-b edge: D/(D+1) to the gated node and 1/(D+1) to its neighbour, against 1/2 each; 1/2 each on the message network."""
    gate, message = stage("edge-types-gate-features-v1", 64), stage("edge-types-features-v1", 64)
    degree = gate.environment.knobs["degree"]
    exact, game = scored("exact_integrated_gradients", gate), scored("shapley", gate)
    on_message = scored("exact_integrated_gradients", message)
    found = 0
    for row in range(64):
        adjacency, colours = gate.batch.inputs[row, :, :-3], gate.batch.inputs[row, :, -3:]
        a, b = colours[:, 0] == 1, colours[:, 1] == 1
        joined = (adjacency * a[:, None] * b[None, :]).nonzero()
        for i, j in joined.tolist():
            if (joined[:, 0] == i).sum() == 1 and (joined[:, 1] == j).sum() == 1:
                found += 1
                assert exact[row, i].item() == pytest.approx(degree / (degree + 1), abs=1e-12)
                assert exact[row, j].item() == pytest.approx(1 / (degree + 1), abs=1e-12)
                assert game[row, [i, j]].tolist() == pytest.approx([0.5, 0.5], abs=1e-12)
                assert on_message[row, [i, j]].tolist() == pytest.approx([0.5, 0.5], abs=1e-12)
    assert found >= 5


def test_completeness_is_kept_by_path_deeplift_and_shapley_and_not_by_the_gradient():
    for id in ("colour-and-v1", "saturated-or-v1", "unanimity-v1", "edge-types-features-v1"):
        world = stage(id)
        case = world.case
        rows = torch.arange(len(case))
        delta = case.model(case.inputs)[rows, case.target] - case.model(case.baseline)[rows, case.target]
        for name in ("exact_integrated_gradients", "deeplift", "shapley"):
            torch.testing.assert_close(scored(name, world).sum(1), delta, atol=1e-9, rtol=0)
        assert (scored("gradient", world).sum(1) - delta).abs().max() > 0.5


def test_implementation_invariance_of_deeplift_falls_on_the_published_pair():
    """Sundararajan et al. 2017: (1.5, -0.5) on F, (2, -1) on G; the path integral and Shapley give (1.5, -0.5) on both."""
    world = stage("invariance-witness-v1", 2)
    (other,) = [network for name, network in world.case.others.items() if name == "threshold inside"]
    for name, on_f, on_g in (
        ("deeplift", (1.5, -0.5), (2.0, -1.0)),
        ("exact_integrated_gradients", (1.5, -0.5), (1.5, -0.5)),
        ("shapley", (1.5, -0.5), (1.5, -0.5)),
    ):
        method = find_method(name)
        assert player_scores(method, world.case)[0].tolist() == pytest.approx(on_f, abs=1e-12)
        assert player_scores(method, world.case, model=other)[0].tolist() == pytest.approx(on_g, abs=1e-12)
