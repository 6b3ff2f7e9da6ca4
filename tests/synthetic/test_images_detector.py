"""A detector is 1 on its colour and 0 on every other integer colour, and a palette keeps it off on the way to them."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic.gadgets import least_preactivation
from synthetic.images.detector import detector
from synthetic.images.palette import CLEARANCE, clearance, make_palette

LEVELS = list(product(range(5), repeat=3))
CUBE = torch.tensor(LEVELS, dtype=torch.float64)[:, :, None, None]
TARGETS = ((2, 0, 0), (0, 2, 0), (3, 3, 1))
PALETTE = make_palette(background=(0, 0, 0), targets=TARGETS, distractors=((0, 0, 2),))
COLOUR = st.tuples(*[st.integers(0, 6)] * 3)


@pytest.mark.parametrize("split", [False, True], ids=["six-units", "split"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_detector_marks_its_colours_and_no_other_of_all_five_levels(split, dtype):
    marks = detector(PALETTE, split=split).to(dtype)(CUBE.to(dtype)).flatten(1)
    expected = [[float(colour == target) for target in TARGETS] for colour in LEVELS]
    assert marks.tolist() == expected  # exact: every weight and every partial sum is a small multiple of 1/4


@pytest.mark.parametrize("split", [False, True], ids=["six-units", "split"])
def test_no_integer_colour_is_closer_than_a_quarter_to_a_kink(split):
    assert least_preactivation(detector(PALETTE, split=split), CUBE) >= 0.25


def test_the_detector_is_flat_around_every_integer_colour():
    colours = CUBE.clone().requires_grad_()
    detector(PALETTE)(colours).sum().backward()
    assert not colours.grad.any()


def test_splitting_units_leaves_the_function_the_same_between_the_colours():
    anywhere = torch.rand(500, 3, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 5 - 0.5
    one, two = detector(PALETTE)(anywhere), detector(PALETTE, split=True)(anywhere)
    assert ((one > 0) & (one < 1)).any()  # between the colours, where there is something to tell apart
    assert torch.allclose(one, two, rtol=0, atol=1e-12)  # the same terms in another order: float64 rounding


@given(start=COLOUR, end=COLOUR, target=COLOUR)
@settings(max_examples=50, deadline=None)
def test_clearance_is_the_least_excess_along_the_segment(start, end, target):
    place = np.linspace(0, 1, 2001)[:, None]
    a, b, t = (np.array(colour, dtype=float) for colour in (start, end, target))
    walked = np.maximum(abs(a + place * (b - a) - t) - 0.25, 0).sum(1).min()
    exact = float(clearance(start, end, target))
    # The walk is an upper bound, and the excess changes by at most Σ|b - a| over the unit interval.
    assert exact - 1e-12 <= walked <= exact + abs(b - a).sum() / 2000 + 1e-12


def test_detectors_stay_off_on_the_way_from_the_background_to_other_colours():
    place = torch.linspace(0, 1, 401, dtype=torch.float64)[:, None]
    for number, colour in enumerate(PALETTE.colours[1:]):
        path = place * torch.from_numpy(colour)
        marks = detector(PALETTE)(path[:, :, None, None]).flatten(1)
        others = [k for k in range(len(TARGETS)) if k != number]
        assert not marks[:, others].any()


REFUSED = {
    "on-the-line": ({"targets": ((2, 0, 0), (4, 0, 0))}, "too close.*falls to 0; at least 5/8"),
    "next-to-the-background": ({"targets": ((1, 0, 0),), "background": (1, 0, 0)}, "must be distinct"),
    "distractor-beyond-target": ({"targets": ((1, 1, 1),), "distractors": ((3, 3, 3),)}, "colours .3, 3, 3. and .1, 1, 1. are too close"),
    "twice": ({"targets": ((2, 0, 0), (2, 0, 0))}, "must be distinct"),
    "none": ({"targets": ()}, "at least one colour"),
    "fraction": ({"targets": ((0.5, 0, 0),)}, r"targets: a colour is three integers in 0\.\.255.*got \(0\.5, 0, 0\)"),
    "two-channels": ({"distractors": ((0, 2),)}, "distractors: a colour is three integers"),
    "too-bright": ({"targets": ((256, 0, 0),)}, "in 0..255"),
    "a-name": ({"background": "red"}, "background: a colour is three integers"),
    "too-many": ({"distractors": tuple(product(range(10), range(10), (9,)))}, "at most 100 colours"),
}


@pytest.mark.parametrize(("knobs", "message"), REFUSED.values(), ids=REFUSED)
def test_a_palette_is_refused_with_its_reason(knobs, message):
    with pytest.raises(ValueError, match=message):
        make_palette(**{"background": (0, 0, 0), "targets": ((2, 0, 0),), "distractors": (), **knobs})


def test_the_closest_palette_that_is_accepted_keeps_the_margin():
    palette = make_palette(background=(0, 0, 0), targets=((1, 0, 0), (0, 1, 0)), distractors=())
    assert min(clearance((0, 0, 0), (0, 1, 0), (1, 0, 0)), clearance((0, 0, 0), (1, 0, 0), (0, 1, 0))) >= CLEARANCE
    colours = torch.from_numpy(palette.colours).double()[:, :, None, None]
    assert least_preactivation(detector(palette), colours) >= 0.25
