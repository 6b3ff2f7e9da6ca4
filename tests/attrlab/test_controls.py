"""The controls are what they say: noise, a constant, the truth, and the truth upside down."""

from __future__ import annotations

import networkx
import pytest
import scipy.ndimage
import torch
from torch import nn

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.method import players_of
from attrlab.methods.controls import (
    blurred_random,
    class_coded_mask,
    constant,
    degree,
    edge_filter,
    input_magnitude,
    inverted_truth,
    noisy_truth,
    random,
    truth,
)
from attrlab.randomness import row_uniform
from attrlab.registry import find_method
from synthetic import make_environment

MODEL = nn.Identity()
MASK = torch.tensor([[[0, 0], [1, 2]], [[0, -1], [1, -1]]])  # the second row has two players, of one entry each
INPUTS = torch.zeros(2, 2, 2, dtype=torch.float64)
TRUTH = torch.tensor([[4.0, -1.0, 0.0], [0.5, 2.0, 0.0]], dtype=torch.float64)


def test_noise_has_a_row_s_own_stream_and_stays_within_one():
    scores = random(MODEL, torch.zeros(2, 30, 40), seeds=torch.tensor([5, 6]))
    assert scores.shape == (2, 30, 40)
    assert scores.dtype == torch.float32
    assert scores.min() >= -1
    assert scores.max() < 1
    assert abs(float(scores.mean())) < 5 / (3 * 2400) ** 0.5  # five standard errors of a uniform on [-1, 1)
    assert torch.equal(random(MODEL, torch.zeros(1, 30, 40), seeds=torch.tensor([6])), scores[1:])


def test_the_constant_scores_every_entry_alike():
    assert torch.equal(constant(MODEL, INPUTS), torch.ones_like(INPUTS))


def test_the_truth_of_each_player_is_the_sum_over_its_entries():
    scores = truth(MODEL, INPUTS, feature_mask=MASK, truth=TRUTH)
    assert scores[0].tolist() == [[2.0, 2.0], [-1.0, 0.0]]
    assert scores[1].tolist() == [[0.5, 0.0], [2.0, 0.0]]
    assert torch.equal(players_of(scores, MASK, 3), TRUTH)


def test_upside_down_null_players_come_first_and_the_largest_last():
    scores = inverted_truth(MODEL, INPUTS, feature_mask=MASK, truth=TRUTH)
    assert players_of(scores, MASK, 3).tolist() == [[0.0, 3.0, 4.0], [1.5, 0.0, 0.0]]  # the third player of row 1 has no entry


@pytest.mark.parametrize("control", [truth, inverted_truth])
def test_the_truth_takes_the_dtype_of_the_inputs(control):
    assert control(MODEL, INPUTS.float(), feature_mask=MASK, truth=TRUTH).dtype == torch.float32


def test_what_is_far_from_its_baseline_is_large():
    inputs, baseline = torch.tensor([[3.0, -1.0, 0.5]]), torch.tensor([[1.0, 1.0, 0.5]])
    assert input_magnitude(MODEL, inputs, baseline=baseline).tolist() == [[2.0, 2.0, 0.0]]


def test_contours_stand_where_a_plane_is_steep_and_nowhere_on_a_flat_picture():
    ramp = torch.arange(6.0).expand(1, 2, 5, 6).clone()
    contours = edge_filter(MODEL, 3 * ramp)
    # Sobel's weights / 8 give the slope of a plane exactly, 3 a pixel; the two channels share it; at the border half of it is missing
    assert torch.equal(contours[..., 1:-1], torch.full((1, 2, 5, 4), 1.5))
    assert torch.equal(contours[..., 0], torch.full((1, 2, 5), 0.75))
    assert not edge_filter(MODEL, torch.ones(1, 3, 4, 4)).any()


def test_contours_are_those_of_scipy():
    picture = torch.rand(1, 1, 7, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    across, down = (scipy.ndimage.sobel(picture[0, 0].numpy(), axis=axis, mode="nearest") / 8 for axis in (1, 0))
    assert torch.allclose(edge_filter(MODEL, picture)[0, 0], torch.as_tensor((across**2 + down**2) ** 0.5), atol=1e-12)


def test_degrees_are_those_of_networkx_for_nodes_and_ends_of_edges():
    batch = make_environment("house-v1").sample(4, torch.Generator().manual_seed(0))
    found = players_of(degree(MODEL, batch.inputs, feature_mask=batch.feature_mask), batch.feature_mask, batch.players)
    nodes = batch.inputs.shape[1]
    for row in range(4):
        graph = networkx.from_numpy_array(batch.inputs[row, :, :nodes].numpy())
        for line, column in (batch.feature_mask[row, :, :nodes] >= 0).nonzero().tolist():
            player = batch.feature_mask[row, line, column]
            assert found[row, player] == pytest.approx(graph.degree[line] + graph.degree[column], abs=1e-12)  # of a division by 2


def test_degrees_of_node_features_are_their_nodes():
    batch = make_environment("neighbour-count-features-v1").sample(2, torch.Generator().manual_seed(0))
    found = players_of(degree(MODEL, batch.inputs, feature_mask=batch.feature_mask), batch.feature_mask, batch.players)
    nodes = batch.inputs.shape[1]
    degrees = batch.inputs[..., :nodes].ne(0).sum(2).double()
    present = players_of(torch.ones_like(batch.inputs), batch.feature_mask, batch.players) > 0
    assert torch.equal(found[present], degrees[present])


def test_a_class_code_is_the_same_for_all_rows_of_a_class_and_differs_between_classes():
    codes = class_coded_mask(MODEL, torch.zeros(3, 200), target=torch.tensor([1, 0, 1]))
    assert torch.equal(codes[0], codes[2])
    assert set(codes.unique().tolist()) == {0.0, 1.0}
    assert 60 < int((codes[0] != codes[1]).sum()) < 140  # 200 fair coins: mean 100, standard deviation 7


def test_the_code_of_the_predicted_class_does_not_look_at_the_target():
    inputs = torch.tensor([[0.0, 5.0, 1.0], [4.0, 0.0, 1.0]])
    predicted = class_coded_mask(MODEL, inputs, target=torch.tensor([2, 2]), label="predicted")
    assert torch.equal(predicted, class_coded_mask(MODEL, inputs, target=torch.tensor([1, 0])))
    with pytest.raises(InvalidInput, match=r"label is 'target' or 'predicted' \(got 'guess'\)"):
        class_coded_mask(MODEL, inputs, target=torch.tensor([1, 0]), label="guess")


def test_blurred_noise_is_scipy_s_blur_of_noise_and_a_row_s_own():
    seeds, inputs = torch.tensor([3, 4]), torch.zeros(2, 3, 6, 7, dtype=torch.float64)
    found = blurred_random(MODEL, inputs, seeds=seeds, sigma=1.0)
    field = row_uniform(seeds, (1, 12, 13)) - 0.5  # 3 pixels of margin on each side
    wanted = torch.as_tensor(scipy.ndimage.gaussian_filter(field[1, 0].numpy(), 1.0, truncate=3.0))[3:-3, 3:-3]
    assert torch.allclose(found[1].sum(0), wanted, atol=1e-12)
    assert torch.equal(blurred_random(MODEL, inputs[:1], seeds=seeds[1:], sigma=1.0)[0], found[1])


@pytest.mark.parametrize("control", [edge_filter, lambda model, inputs: blurred_random(model, inputs, seeds=torch.zeros(1).long())])
def test_a_control_for_images_does_not_apply_to_tables(control):
    with pytest.raises(NotApplicable, match=r"an image is a row \(channels, height, width\).*\(got \(3,\)\)"):
        control(MODEL, torch.zeros(1, 3))


def test_the_ladder_leads_from_the_truth_to_noise_of_its_size():
    seeds = torch.tensor([1, 2])

    def rung(noise):
        return players_of(noisy_truth(MODEL, INPUTS, feature_mask=MASK, truth=TRUTH, seeds=seeds, noise=noise), MASK, 3)

    low, half, high = rung(0.0), rung(0.5), rung(1.0)
    assert torch.equal(low, TRUTH)
    assert torch.allclose(half, (low + high) / 2, atol=1e-15)  # rounding of one sum
    assert (high.abs() <= TRUTH.abs().amax(1, keepdim=True)).all()
    with pytest.raises(InvalidInput, match=r"in \[0, 1\] \(got 1\.5\)"):
        rung(1.5)


@pytest.mark.parametrize(
    "name",
    [
        *"random constant input_magnitude edge_filter degree class_coded_mask predicted_class_coded_mask blurred_random".split(),
        *"truth inverted_truth noisy_truth".split(),
    ],
)
def test_controls_are_registered_as_such(name):
    assert find_method(name).control
