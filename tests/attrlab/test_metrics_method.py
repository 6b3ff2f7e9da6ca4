"""Asked again on neighbours, networks and targets: explainers of known behaviour get the numbers that follow from it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from attrlab.case import Case
from attrlab.errors import InvalidInput, NotApplicable
from attrlab.metrics import METRICS
from attrlab.metrics.cost import passes
from attrlab.metrics.explainer import Explainer, explainer
from attrlab.metrics.randomisation import explanations, layers, randomised, similarity_after_randomisation
from attrlab.metrics.stability import changes, local_lipschitz, sensitivity
from attrlab.metrics.targets import (
    class_sensitivity_double,
    class_sensitivity_single,
    null_feature,
    patch_means,
    repeated_feature,
    repeated_feature_correlation,
    target_insensitivity,
)

CLOSE = 1e-9  # norms and ratios of a few float64 numbers of order one


def network(outputs=2, *, seed=0):
    generator = torch.Generator().manual_seed(seed)
    net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, outputs)).double().requires_grad_(False)
    for parameter in net.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return net


def table(rows=3, **known):
    inputs = torch.randn(rows, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Case(
        **{
            "name": "drawn",
            "formula": "",
            "model": network(),
            "inputs": inputs,
            "target": torch.zeros(rows, dtype=torch.int64),
            "baseline": torch.zeros_like(inputs),
            "feature_mask": torch.arange(4).expand(rows, 4),
            "players": 4,
            **known,
        }
    )


def gradient(case, *, model=None):
    with torch.enable_grad():
        inputs = case.inputs.clone().requires_grad_()
        (model or case.model)(inputs).gather(1, case.target.unsqueeze(1)).sum().backward()
    return inputs.grad


def constant(case, *, model=None):
    del model
    return torch.ones_like(case.inputs)


def tripled(case, *, model=None):
    del model
    return 3 * case.inputs


def test_a_linear_map_has_its_factor_as_lipschitz_constant_and_a_constant_map_none():
    case = table()
    assert local_lipschitz(tripled, case, tripled(case)).tolist() == pytest.approx([3, 3, 3], abs=CLOSE)
    assert local_lipschitz(constant, case, constant(case)).tolist() == [0, 0, 0]
    assert sensitivity(constant, case, constant(case)).tolist() == [0, 0, 0]


def test_sensitivity_is_the_change_over_the_size_of_the_map():
    case = table()
    moved, step = changes(tripled, case, tripled(case), neighbours=5)
    torch.testing.assert_close(moved, 3 * step, atol=CLOSE, rtol=0)
    size = tripled(case).norm(dim=1)
    torch.testing.assert_close(sensitivity(tripled, case, tripled(case), neighbours=5), moved.amax(1) / size, atol=CLOSE, rtol=0)
    mean = sensitivity(tripled, case, tripled(case), over="mean", neighbours=5)
    torch.testing.assert_close(mean, moved.mean(1) / size, atol=CLOSE, rtol=0)


def test_neighbours_lie_in_the_box_and_leave_what_is_no_player_alone():
    seen = []
    mask = torch.tensor([[0, 1, 2, -1]]).expand(3, 4)
    case = table(feature_mask=mask, players=3)
    changes(lambda c, *, model=None: seen.append(c) or c.inputs[:, :3], case, case.inputs[:, :3], radius=0.5, neighbours=4)
    step = seen[0].inputs - case.inputs.repeat_interleave(4, 0)
    assert step[:, :3].abs().max() <= 0.5
    assert (step[:, :3] != 0).all()
    assert (step[:, 3] == 0).all()
    assert seen[0].truth is None  # what is exact of a row is not of its neighbours
    assert seen[0].seeds.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]


def test_both_directions_of_an_edge_step_together():
    rows = torch.zeros(2, 3, 4, dtype=torch.float64)
    mask = torch.tensor([[-1, 0, 1, -1], [0, -1, 2, -1], [1, 2, -1, -1]]).expand(2, 3, 4)
    seen = []
    case = table(rows=2, inputs=rows, baseline=rows, feature_mask=mask, players=3, modality="graph")
    changes(lambda c, *, model=None: seen.append(c.inputs) or torch.ones(len(c), 3, dtype=torch.float64), case, torch.ones(2, 3))
    adjacency = seen[0][..., :3]
    assert torch.equal(adjacency, adjacency.transpose(1, 2))
    assert (adjacency != 0).any()


def test_a_row_keeps_its_neighbours_whatever_its_batch():
    case = table()
    both = changes(gradient, case, gradient(case))[0]
    alone = table().rows(torch.tensor([2]))
    torch.testing.assert_close(changes(gradient, alone, gradient(alone))[0], both[2:], atol=CLOSE, rtol=0)


def test_neighbours_are_explained_once_for_all_metrics_that_read_them():
    calls = []
    known = Explainer(lambda case, *, model=None: calls.append(len(case)) or tripled(case))
    case = table()
    for name in ("max_sensitivity", "average_sensitivity", "local_lipschitz"):
        METRICS[name].measure(known, case, tripled(case))
    assert calls == [12]
    assert explainer(known) is known


def test_bad_radii_are_refused():
    case = table()
    with pytest.raises(InvalidInput, match="positive"):
        changes(constant, case, constant(case), radius=0.0)


def test_layers_are_named_from_the_output_down():
    assert layers(network()) == ("2", "0")
    with pytest.raises(NotApplicable, match="no parameters"):
        layers(nn.Sequential(nn.ReLU()))


@pytest.mark.parametrize("keep_signs", [False, True])
def test_redrawn_parameters_are_new_and_the_network_itself_is_untouched(keep_signs):
    net = network()
    before = [p.clone() for p in net.parameters()]
    drawn = randomised(net, ("2",), generator=torch.Generator().manual_seed(0), keep_signs=keep_signs)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    assert torch.equal(drawn[0].weight, net[0].weight)
    assert not torch.equal(drawn[2].weight, net[2].weight)
    assert bool((drawn[2].weight.sign() == net[2].weight.sign()).all()) == keep_signs


def test_a_map_that_ignores_the_network_is_as_similar_as_can_be_and_one_that_follows_it_is_not():
    case = table(rows=6)
    for kind in ("cascading", "independent"):
        same = similarity_after_randomisation(tripled, case, tripled(case), kind=kind)
        assert same.tolist() == pytest.approx([1.0] * 6, abs=CLOSE)
        assert similarity_after_randomisation(gradient, case, gradient(case), kind=kind).mean() < 0.7
    assert similarity_after_randomisation(constant, case, constant(case)).isnan().all()


def test_cascading_ends_where_everything_is_redrawn_and_independent_redraws_one_group_at_a_time():
    case = table()
    everything = randomised(case.model, layers(case.model), generator=torch.Generator().manual_seed(3))
    cascade = explanations(gradient, case, kind="cascading", stages=2, seed=3)
    torch.testing.assert_close(cascade[-1], gradient(case, model=everything), atol=CLOSE, rtol=0)
    first = randomised(case.model, ("0",), generator=torch.Generator().manual_seed(3))
    alone = explanations(gradient, case, kind="independent", stages=2, seed=3)
    torch.testing.assert_close(alone[-1], gradient(case, model=first), atol=CLOSE, rtol=0)
    torch.testing.assert_close(alone[0], cascade[0], atol=CLOSE, rtol=0)


def test_dropping_signs_can_hide_that_a_map_follows_the_network():
    case = table(rows=4)
    flips = iter([1, -1, 1, -1])

    def flipping(case, *, model=None):
        return case.inputs if model is None else next(flips) * case.inputs

    known = Explainer(flipping)
    found = {s: similarity_after_randomisation(known, case, case.inputs, stages=2, sign=s).mean().item() for s in ("signed", "absolute")}
    assert found == pytest.approx({"signed": 0.0, "absolute": 1.0}, abs=CLOSE)


def test_a_map_that_ignores_the_target_is_as_insensitive_as_can_be():
    case = table()
    assert target_insensitivity(tripled, case, tripled(case)).tolist() == pytest.approx([1, 1, 1], abs=CLOSE)
    opposed = table(model=nn.Sequential(network(1), nn.Linear(1, 2)).double())
    opposed.model[1].weight.data = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    assert target_insensitivity(gradient, opposed, gradient(opposed)).tolist() == pytest.approx([-1, -1, -1], abs=CLOSE)
    assert target_insensitivity(gradient, opposed, gradient(opposed), sign="absolute").tolist() == pytest.approx([1, 1, 1], abs=CLOSE)
    with pytest.raises(NotApplicable, match="single output"):
        target_insensitivity(gradient, table(model=network(1)), constant(case))


def patched(rows=4):
    """Images of two 2 x 2 patches; output 0 counts the left one, output 1 the right one."""
    images = torch.zeros(rows, 1, 5, 5, dtype=torch.float64)
    images[:, :, :2, :2], images[:, :, 3:, 3:] = 1, 1
    left = torch.zeros(5, 5, dtype=torch.float64)
    left[:2, :2] = 1
    model = nn.Sequential(nn.Flatten(), nn.Linear(25, 2, bias=False)).double().requires_grad_(False)
    model[1].weight.copy_(torch.stack([left, left.flip(0, 1)]).flatten(1))
    return Case(
        name="patches",
        formula="",
        modality="image",
        model=model,
        inputs=images,
        target=torch.zeros(rows, dtype=torch.int64),
        baseline=torch.zeros_like(images),
        feature_mask=torch.arange(25).view(1, 1, 5, 5).expand(images.shape),
        players=25,
        truth=left.flatten().expand(rows, 25),
    )


def exact(case, *, model=None):
    return gradient(case, model=model).flatten(1) * case.inputs.flatten(1)


def flat(case, *, model=None):
    del model
    return torch.ones(len(case), 25, dtype=torch.float64)


def test_exact_scores_pass_the_checks_of_designed_patches_and_flat_ones_fail_them():
    case = patched()
    for name, (best, worst) in {"class_sensitivity_double": (0.0, 1.0), "null_feature": (0.0, 1.0)}.items():
        assert METRICS[name].measure(exact, case, exact(case)).tolist() == pytest.approx([best] * 4, abs=CLOSE)
        assert METRICS[name].measure(flat, case, flat(case)).tolist() == pytest.approx([worst] * 4, abs=CLOSE)


def test_half_of_the_credit_in_the_wrong_patch_is_half_wrong():
    case = patched()

    def leaky(case, *, model=None):
        return exact(case, model=model) + 0.5 * exact(case, model=model).flip(1)

    # in each patch the smaller credit is 1/2 of the larger
    assert class_sensitivity_double(leaky, case, leaky(case)).tolist() == pytest.approx([0.5] * 4, abs=CLOSE)
    assert null_feature(leaky, case, leaky(case)).tolist() == pytest.approx([0.5] * 4, abs=CLOSE)


def test_single_class_sensitivity_correlates_concentration_over_rows():
    case = patched()
    strength = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64).unsqueeze(1)

    def same(case, *, model=None):
        return 0.1 + strength * patched().truth

    def opposed(case, *, model=None):
        return 0.1 + (strength if case.target[0] == 0 else 5 - strength) * patched().truth

    assert class_sensitivity_single(same, case, same(case)).tolist() == pytest.approx([1.0] * 4, abs=CLOSE)
    assert class_sensitivity_single(opposed, case, opposed(case)).tolist() == pytest.approx([-1.0] * 4, abs=CLOSE)


def test_patches_are_found_by_touching_pixels_and_credited_by_their_mean():
    case = patched()
    scores = torch.zeros(4, 25, dtype=torch.float64)
    scores[:, 0], scores[:, 24] = 4.0, -1.0
    assert patch_means(case, scores).tolist() == [[1.0, 0.25]] * 4
    assert repeated_feature(exact, case, scores).tolist() == [0.25] * 4
    assert repeated_feature(exact, case, flat(case)).tolist() == [1.0] * 4
    assert repeated_feature(exact, case, torch.zeros(4, 25)).isnan().all()


def test_equal_credit_row_by_row_is_a_perfect_correlation_over_rows():
    case = patched()
    strength = torch.arange(1.0, 5.0, dtype=torch.float64).unsqueeze(1)
    assert repeated_feature_correlation(case, strength * flat(case)) == pytest.approx(1, abs=CLOSE)
    assert math.isnan(repeated_feature_correlation(case, flat(case)))


def test_without_the_truth_patches_cannot_be_told_apart():
    with pytest.raises(NotApplicable, match="exact truth"):
        null_feature(flat, table(), constant(table()))


def test_passes_are_counted_and_leave_no_hook():
    case = table()
    found = passes(gradient, case)
    assert (found.forwards, found.backwards) == (1, 1)
    three = passes(lambda case, *, model=None: sum((case.model(case.inputs) for _ in range(3)), start=0).sum() + case.inputs, case)
    assert (three.forwards, three.backwards) == (3, 0)
    assert not case.model._forward_hooks


def test_passes_are_those_of_the_methods_own_setting():
    light = Explainer(constant, whole=lambda case, *, model=None: case.model(case.inputs) @ torch.zeros(2, 4).double())
    assert passes(light, table()).forwards == 1
    assert METRICS["forward_passes"].measure(light, table(), constant(table())).tolist() == [1, 1, 1]
