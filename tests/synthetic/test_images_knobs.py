"""Each knob of the colour worlds turns what it names, at every size."""

import pytest
import torch

from attrlab.methods.paths import exact_integrated_gradients
from synthetic import make_environment
from synthetic.images.detector import detector
from synthetic.images.palette import make_palette


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def exact(environment, images):
    expected = torch.from_numpy(environment.specification(images.numpy())).double()
    doubles = torch.equal(environment.model(images), expected)
    return doubles and torch.equal(environment.model.float()(images.float()).double(), expected)


IDS = [
    "colour-count-v1", "colour-modulo-v1", "colour-continuous-v1", "unseen-colour-baseline-v1", "pertinent-negative-v1",
    "planted-template-v1", "spurious-mark-v1", "two-class-patches-v1", "repeated-patch-v1",
]  # fmt: skip


@pytest.mark.parametrize("id", IDS)
def test_a_row_does_not_depend_on_how_many_are_drawn_with_it(id):
    few, many = (make_environment(id).sample(n, generator(5)) for n in (3, 20))
    assert torch.equal(few.inputs, many.inputs[:3])
    assert torch.equal(few.target, many.target[:3])
    assert torch.equal(few.baseline, many.baseline[:3])


@pytest.mark.parametrize("id", IDS)
def test_a_world_is_rebuilt_from_its_knobs(id):
    environment = make_environment(id)
    again = make_environment(id, **environment.knobs)
    assert again.formula == environment.formula
    assert torch.equal(again.sample(3, generator()).inputs, environment.sample(3, generator()).inputs)


@pytest.mark.parametrize("accumulator", ["uniform", "irregular"])
def test_the_largest_images_are_counted_exactly(accumulator):
    environment = make_environment("colour-count-v1", size=224, density=0.3, accumulator=accumulator)
    images = environment.sample(1, generator()).inputs
    assert environment.specification(images.numpy()).min() > 1000
    assert exact(environment, images)


@pytest.mark.parametrize("size", [3, 10, 26, 81])
def test_every_size_counts_exactly_where_every_pixel_is_coloured(size):
    environment = make_environment("colour-count-v1", size=size, counts=(0, 1), distraction=(0, 1))
    colours = torch.tensor([[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 2]]).double()
    labels = torch.randint(4, (3, size, size), generator=generator())
    assert exact(environment, colours[labels].movedim(3, 1))


@pytest.mark.parametrize("shape", ["hat", "slope"])
def test_other_shapes_mark_the_same_colours(shape):
    palette = make_palette(background=(0, 0, 0), targets=((2, 0, 0), (0, 2, 0)), distractors=((0, 0, 2),), shape=shape)
    colours = torch.from_numpy(palette.colours).double()[:, :, None, None]
    assert detector(palette)(colours).flatten(1).tolist() == [[0, 0], [1, 0], [0, 1], [0, 0]]


def test_a_hat_is_one_minus_the_distance_until_it_is_zero():
    palette = make_palette(background=(0, 0, 0), targets=((2, 0, 0),), distractors=(), shape="hat")
    colours = 4 * torch.rand(500, 3, 1, 1, generator=generator(), dtype=torch.float64) - 1
    distance = (colours - torch.tensor([2.0, 0, 0]).view(3, 1, 1)).abs().sum((1, 2, 3))
    assert torch.allclose(detector(palette)(colours).flatten(), (1 - distance).clamp(min=0), rtol=0, atol=1e-12)  # float64 rounding


@pytest.mark.parametrize("head", ["count", "or", "modulo"])
@pytest.mark.parametrize("shape", ["flat", "hat", "slope"])
def test_the_shape_of_a_detector_changes_no_coalition_and_its_path_integral_is_known(head, shape):
    environment = make_environment(f"colour-{head}-v1", shape=shape)
    batch, flat = environment.sample(2, generator()), make_environment(f"colour-{head}-v1").sample(2, generator())
    assert exact(make_environment(f"colour-{head}-v1", shape=shape), batch.inputs)
    for convention in ("shapley", "removal"):
        assert torch.equal(batch.truth.attributions[convention], flat.truth.attributions[convention])
    scores = exact_integrated_gradients(environment.model, batch.inputs, target=batch.target, baseline=batch.baseline)
    assert torch.allclose(scores.sum(1).flatten(1), batch.truth.attributions["integrated_gradients"], rtol=0, atol=1e-10)  # float64 pieces


@pytest.mark.parametrize(("shape", "slope"), [("flat", 0.0), ("slope", 0.0), ("hat", 1.0)])
def test_on_a_hat_the_gradient_is_what_a_convention_says(shape, slope):
    environment = make_environment("colour-single-v1", shape=shape)
    inputs = environment.sample(20, generator()).inputs.requires_grad_()
    environment.model(inputs).sum().backward()
    red = (inputs[:, 0] == 2)[:, None].expand_as(inputs)
    assert set(inputs.grad[red].tolist()) == {slope}
    assert ("on_kinks" in environment.traits) == (shape == "hat") == ("flat_gradient" not in environment.traits)


def test_a_wider_palette_has_more_distractors_and_the_same_function():
    environment = make_environment("colour-count-v1", palette_size=8, distraction=(1, 1))
    images = environment.sample(50, generator()).inputs
    assert len(torch.unique(images.movedim(1, 3).reshape(-1, 3), dim=0)) == 8
    assert exact(environment, images)


def test_density_is_the_share_of_coloured_pixels():
    environment = make_environment("colour-count-v1", size=27, density=0.3)
    share = (environment.sample(400, generator()).inputs != 0).any(1).double().mean()
    assert abs(share - 0.3) < 0.02  # three counts uniform in 73 ± 36: five standard deviations are 5 x 36 / √3 x √3 / 729 / √400


@pytest.mark.parametrize("id", ["colour-threshold-v1", "colour-dominant-v1", "colour-modulo-v1"])
def test_density_suits_every_head(id):
    environment = make_environment(id, size=27, density=0.05, threshold=12)
    assert exact(environment, environment.sample(20, generator()).inputs)


def test_patches_are_squares_of_one_colour():
    environment = make_environment("colour-single-v1", patch=3, counts=(2, 2), distraction=(0, 1))
    inputs = environment.sample(30, generator()).inputs
    blocks = inputs.unfold(2, 3, 3).unfold(3, 3, 3).flatten(4)
    assert torch.equal(blocks, blocks[..., :1].expand_as(blocks))
    assert (environment.specification(inputs.numpy()) == 18).all()


@pytest.mark.parametrize("correlation", [0.0, 0.5, 1.0])
def test_correlated_distractors_are_as_many_as_the_first_target(correlation):
    environment = make_environment("colour-single-v1", correlation=correlation, counts=(1, 4), distraction=(1, 4))
    inputs = environment.sample(1000, generator()).inputs
    red, green, blue = ((inputs[:, channel] == 2).sum((1, 2)) for channel in range(3))
    share = ((red == green) & (red == blue)).double().mean()
    assert abs(share - (correlation + (1 - correlation) / 16)) < 0.08  # five standard deviations: 5 x 0.5 / √1000
    assert ("shortcut" in environment.traits) == (correlation > 0)


DOZENS = {"counts": (20, 30), "distraction": (10, 20), "size": 27}


@pytest.mark.parametrize("head", ["count", "difference", "or", "and", "modulo", "dominant"])
def test_images_with_dozens_of_coloured_pixels_have_their_truth(head):
    environment = make_environment(f"colour-{head}-v1", **DOZENS)
    batch = environment.sample(2, generator())
    difference = (environment.model(batch.inputs) - environment.model(batch.baseline)).gather(1, batch.target[:, None])[:, 0]
    assert (batch.inputs != 0).any(1).sum() > 80
    for convention in ("shapley", "integrated_gradients"):
        assert torch.allclose(batch.truth.attributions[convention].sum(1), difference, rtol=0, atol=1e-10)  # sums of 50 float64 numbers


def test_shapley_of_a_large_conjunction_is_that_of_its_orders():
    # The colour with n_g pixels joins last, and decides, with probability (others)/(n_g + others): an order's last first arrival.
    batch = make_environment("colour-and-v1", **DOZENS).sample(6, generator())
    red, green = ((batch.inputs[:, channel] == 2).flatten(1) for channel in (0, 1))
    for row in range(6):
        n, m = int(red[row].sum()), int(green[row].sum())
        if n and m:
            # P(the first red comes after the first green) = m / (n + m), shared by n reds
            assert torch.allclose(batch.truth.attributions["shapley"][row][red[row]], torch.tensor(m / (n + m) / n).double(), rtol=1e-9)
    assert batch.truth.support.any()


def test_too_many_states_are_refused_when_the_truth_is_asked_for_and_not_before():
    environment = make_environment("colour-and-v1", players="patches", size=81, density=0.3)
    batch = environment.sample(2, generator(1))
    with pytest.raises(ValueError, match="states of all kinds, at most 200000"):
        _ = batch.truth


REFUSED = {
    "shape": ({"shape": "round"}, "shape must be one of flat, hat, slope"),
    "slope": ({"shape": "slope", "targets": ((1, 0, 0),)}, "too close.*slope detector"),
    "palette-size": ({"palette_size": 2}, "write 4 to .*got 2"),
    "density": ({"density": 0.9}, "got 0.9"),
    "density-low": ({"density": 0.01}, "each of 3 colours has a pixel"),
    "patch": ({"patch": 0}, "side of the coloured squares, 1 to 9"),
    "patch-large": ({"patch": 10, "density": 0.3}, "1 to 9 pixels .got 10"),
    "patch-room": ({"patch": 4}, "do not fit into 2x2"),
    "correlation": ({"correlation": 2}, "0 to 1 .got 2"),
}


@pytest.mark.parametrize(("knobs", "message"), REFUSED.values(), ids=REFUSED)
def test_a_knob_out_of_range_is_refused_with_what_to_write(knobs, message):
    with pytest.raises(ValueError, match=message):
        make_environment("colour-count-v1", **knobs)
