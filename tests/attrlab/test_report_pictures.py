"""A picture is read back from its pixels: where a score is positive there is red, where it is negative blue, and padding is not drawn."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from attrlab.report.pictures import draw, environment_pictures
from synthetic.environment import Batch, Environment, GroundTruth

RED, BLUE, BLACK = "red", "blue", "black"


def pixels(png):
    from matplotlib.image import imread

    return imread(io.BytesIO(png))[..., :3]


def amount(picture, colour):
    """How many pixels are clearly of a colour."""
    red, green, blue = picture[..., 0], picture[..., 1], picture[..., 2]
    if colour == RED:
        return int(((red > green + 0.3) & (red > blue + 0.3)).sum())
    return int(((blue > red + 0.3) & (blue > green)).sum())


def checkerboard(value):
    inputs = torch.zeros(3, 4, 4)
    mask = torch.arange(16).view(1, 4, 4).expand(3, 4, 4)
    scores = torch.zeros(3, 4, 4)
    scores[:, :2, :] = value / 3
    return inputs, mask, scores


def graph_row():
    """A path of three nodes with two colours, padded by a fourth node; the two directions of an edge share a player."""
    row, mask = torch.zeros(4, 6), torch.full((4, 6), -1)
    for player, (i, j) in enumerate([(0, 1), (1, 2)]):
        row[i, j] = row[j, i] = 1
        mask[i, j] = mask[j, i] = player
    row[:3, 4:] = torch.tensor([[1.0, 0], [0, 1], [1, 0]])
    return row, mask


def test_red_speaks_for_the_output_and_blue_against_it():
    for sign, colour, other in ((1.0, RED, BLUE), (-1.0, BLUE, RED)):
        picture = pixels(draw("image", *checkerboard(sign)))
        assert amount(picture, colour) > 1000
        assert amount(picture, other) == 0


def test_what_is_painted_is_the_score_of_the_player_not_of_its_entries():
    inputs, mask, scores = checkerboard(1.0)
    lopsided = torch.zeros_like(scores)
    lopsided[0] = scores.sum(0)
    assert draw("image", inputs, mask, scores) == draw("image", inputs, mask, lopsided)


def test_a_picture_does_not_change_when_all_scores_are_scaled_but_its_stated_scale():
    small, large = (pixels(draw("image", *checkerboard(value))) for value in (1.0, 2.0))
    assert np.array_equal(small[40:], large[40:])
    assert not np.array_equal(small[:40], large[:40])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_are_drawn_without_colour(value):
    inputs, mask, _ = checkerboard(0.0)
    picture = pixels(draw("image", inputs, mask, torch.full_like(inputs, value)))
    assert amount(picture, RED) == amount(picture, BLUE) == 0


def test_an_edge_is_coloured_by_the_sum_over_its_two_directions():
    row, mask = graph_row()
    one_way, evenly = torch.zeros_like(row), torch.zeros_like(row)
    one_way[0, 1] = -2.0
    evenly[0, 1] = evenly[1, 0] = -1.0
    assert draw("graph", row, mask, one_way) == draw("graph", row, mask, evenly)
    assert amount(pixels(draw("graph", row, mask, evenly)), BLUE) > 20


def test_padding_of_a_graph_is_not_drawn():
    row, mask = graph_row()
    wide, wide_mask = torch.zeros(6, 8), torch.full((6, 8), -1)
    wide[:4, :4], wide[:4, 6:] = row[:, :4], row[:, 4:]
    wide_mask[:4, :4], wide_mask[:4, 6:] = mask[:, :4], mask[:, 4:]
    assert draw("graph", row, mask, None) == draw("graph", wide, wide_mask, None)


def test_bars_of_a_table_point_to_their_side():
    inputs, mask = torch.tensor([1.0, -0.5]), torch.arange(2)
    picture = pixels(draw("table", inputs, mask, torch.tensor([1.0, -1.0])))
    height, width = picture.shape[:2]
    assert amount(picture[: height // 2, width // 2 :], RED) > 200
    assert amount(picture[height // 2 :, : width // 2 + 60], BLUE) > 200
    assert amount(picture[: height // 2], BLUE) == amount(picture[height // 2 :], RED) == 0


@pytest.mark.parametrize("modality", ["image", "graph", "table", "sequence"])
def test_a_picture_is_small_and_the_same_every_time(modality):
    row, mask = graph_row() if modality == "graph" else checkerboard(1.0)[:2]
    scores = torch.ones_like(row)
    png = draw(modality, row, mask, scores)
    assert png == draw(modality, row, mask, scores)
    assert max(pixels(png).shape) <= 260


def test_scores_of_another_shape_are_refused():
    inputs, mask, scores = checkerboard(1.0)
    with pytest.raises(ValueError, match=r"scores must be shaped like the row, \(3, 4, 4\) \(got \(3, 4\)\)"):
        draw("image", inputs, mask, scores[:, 0])


def two_rows():
    """Two rows of two columns; the first has no support, the second has."""
    truth = torch.tensor([[0.0, 0.0], [1.0, -1.0]], dtype=torch.float64)
    ground = GroundTruth(
        support=truth != 0,
        sign=truth.sign().to(torch.int8),
        attributions={"shapley": truth},
        independent=truth == 0,
        orbit=torch.full((2, 2), -1),
    )
    inputs = torch.tensor([[0.0, 0.0], [1.0, 2.0]])
    return Batch(
        inputs=inputs,
        target=torch.zeros(2, dtype=torch.int64),
        baseline=torch.zeros(2, 2),
        feature_mask=torch.arange(2).expand(2, 2),
        players=2,
        derive=lambda: ground,
    )


def test_an_environment_is_pictured_by_sample_truth_and_methods_on_a_row_with_support():
    batch = two_rows()
    world = Environment(
        id="pair-v1",
        modality="table",
        formula="x1 - x2 / 2",
        model=torch.nn.Linear(2, 1),
        outputs=1,
        domain="all",
        traits=frozenset(),
        sample=lambda *_: batch,
        specification=lambda x: x,
    )
    pictures = environment_pictures(world, batch, {"copycat": batch.truth.attributions["shapley"].float(), "silent": torch.zeros(2, 2)})
    assert [(picture.environment, picture.method) for picture in pictures] == [
        ("pair-v1", "sample"),
        ("pair-v1", "truth (shapley)"),
        ("pair-v1", "copycat"),
        ("pair-v1", "silent"),
    ]
    sample, truth, copycat, silent = (picture.png for picture in pictures)
    assert truth == copycat == draw("table", batch.inputs[1], batch.feature_mask[1], torch.tensor([1.0, -1.0]))
    assert sample == draw("table", batch.inputs[1], batch.feature_mask[1], None)
    assert silent != truth


@pytest.mark.parametrize("modality", ["sequence", "set"])
def test_positions_and_instances_are_drawn_as_rows_and_what_is_no_player_is_grey(modality):
    inputs = torch.eye(4)[:3]
    mask = torch.tensor([[0, 0, 0, -1], [1, 1, 1, -1], [2, 2, 2, -1]])
    scores = torch.tensor([[3.0, 0.0, 0.0, 9.0], [0.0, 0.0, 0.0, 9.0], [-1.0, -1.0, -1.0, 9.0]])  # players: 3, 0, -3
    picture = pixels(draw(modality, inputs, mask, scores))
    red, blue = amount(picture, RED), amount(picture, BLUE)
    grey = int((abs(picture - 0xD9 / 255).max(2) < 0.01).sum())
    line = picture[..., 0].size / 3 * 3 / 4 / 2  # half of a third of the picture, times the three of four entries that are a player's
    assert red > line
    assert blue > line
    assert grey > line  # the fourth column of every line, three quarters of as much
