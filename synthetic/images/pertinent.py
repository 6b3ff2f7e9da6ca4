"""A pertinent negative is evidence that is not there: yes, because no pixel is blue; to see it one must ask "instead of what?".

Against a blank image an absent pixel equals its baseline and can be given nothing. The baseline here has blue pixels at some places,
from which the image has none or not all: clearing such a place is then a player like any other, although what stands there in the
image is black.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from synthetic.environment import Batch, Environment, GroundTruth
from synthetic.images.accumulator import sides
from synthetic.images.colour_world import Choice, network, owners, paint
from synthetic.images.difficulties import HEAD_ISOLATES, HEAD_TRAITS
from synthetic.images.drawing import inclusive, scatter_colours, uniform_blocks, whole
from synthetic.images.heads import Head
from synthetic.images.palette import make_palette
from synthetic.images.specification import Function, formula
from synthetic.images.truth import pixel_integrals, tally_truth
from synthetic.registry import register

# Kinds of places: blank, red, blue in the baseline and cleared, blue in both, green. The number of their colour:
IMAGE, BASELINE = (0, 1, 0, 2, 3), (0, 0, 2, 2, 0)
RED, CLEARED, KEPT = 1, 2, 3


@register("pertinent-negative-v1")
def pertinent_negative(
    *, id: str, size: int = 9, evidence: tuple[int, int] = (1, 3), absences: tuple[int, int] = (1, 4), distraction: tuple[int, int] = (1, 3)
) -> Environment:
    """f(x) = 1[a pixel is red and none is blue], against a baseline without red and with blue.

    Args:
        id: the registered id.
        size: side of the images, at least 3.
        evidence: least and largest number of red pixels.
        absences: least and largest number of pixels that are blue in the baseline and black in the image; in half of the images one more
            pixel is blue in both.
        distraction: least and largest number of green pixels.

    Raises:
        ValueError: if a knob is out of range, or the pixels do not fit.
    """
    knobs = {"evidence": evidence, "absences": absences, "distraction": distraction}
    bounds = [inclusive(name, value) for name, value in knobs.items()]
    most = sum(high for _, high in bounds) + 1
    if most > sides(size)[0] ** 2 or bounds[0][0] < 1:
        raise ValueError(
            f"evidence is at least 1 and all pixels together at most {size**2}, the blue one that stays included; lower the bounds "
            f"or raise size (got {knobs}, size={size})"
        )
    palette = make_palette(background=(0, 0, 0), targets=((2, 0, 0), (0, 0, 2)), distractors=((0, 2, 0),))
    function = Function(palette=palette, head=Head(name="absence", colours=2))

    def sample(n: int, generator: torch.Generator) -> Batch:
        return _sample(function, size, bounds, n, generator)

    return Environment(
        id=id,
        modality="image",
        formula=formula(function),
        model=network(function, size, Choice()),
        outputs=1,
        domain=f"{size}x{size} images of black, red, green and blue pixels, exact in float32 and float64; every score against an image "
        "with blue pixels",
        traits=HEAD_TRAITS["absence"] | {"piecewise_linear", "flat_gradient"},
        sample=sample,
        specification=function,
        equals=MappingProxyType(
            {
                "split-detector": network(function, size, Choice(), split=True),
                "irregular-accumulator": network(function, size, Choice(irregular=True)),
            }
        ),
        knobs=MappingProxyType({"size": size, **dict(zip(knobs, bounds, strict=True))}),
        isolates=HEAD_ISOLATES["absence"],
        reference="Dhurandhar et al. 2018, Explanations based on the missing, arXiv 1802.07623, with weights set by hand",
    )


def _sample(function: Function, size: int, bounds: list[tuple[int, int]], n: int, generator: torch.Generator) -> Batch:
    own, places = uniform_blocks((4, size**2), n, generator)
    red, cleared, green = (whole(own[:, k], bound) for k, bound in enumerate(bounds))
    counts = torch.stack([red, cleared, (own[:, 3] < 0.5).long(), green], dim=1)
    kinds = scatter_colours(counts, places, most=sum(high for _, high in bounds) + 1)
    colours = torch.from_numpy(function.palette.colours).double()
    square = kinds.view(n, size, size)
    inputs = paint(square, colours[list(IMAGE)])
    target = torch.zeros(n, dtype=torch.int64)
    return Batch(
        inputs=inputs,
        target=target,
        baseline=paint(square, colours[list(BASELINE)]),
        feature_mask=owners(size, 1).expand_as(inputs).clone(),
        players=size**2,
        derive=lambda: _truth(function, kinds, target),
    )


def _truth(function: Function, kinds: Tensor, target: Tensor) -> GroundTruth:
    absent, present = (_tallies(np.array(numbers)[kinds.numpy()]) for numbers in (BASELINE, IMAGE))
    truth = tally_truth(function, absent, present, target)
    attributions = {**truth.attributions, "integrated_gradients": _path_shares(function, kinds)}
    return replace(truth, attributions=attributions, orbit=kinds)


def _path_shares(function: Function, kinds: Tensor) -> Tensor:  # (batch, players) float64
    """Red pixels come from black, cleared ones from blue; each kind shares its part equally."""
    palette = function.palette
    black, (red, blue) = palette.background, palette.targets
    scores = torch.zeros(len(kinds), 1 + max(RED, CLEARED, KEPT, int(kinds.max())), dtype=torch.float64)
    for row, line in enumerate(kinds):
        reds, cleared, kept = (int((line == kind).sum()) for kind in (RED, CLEARED, KEPT))
        movers = ((0, black, red, reds), *(((1, blue, black, cleared),) if cleared else ()))
        shares = pixel_integrals(function, movers, (0, kept), 0)
        scores[row, RED : RED + len(shares)] = torch.tensor(shares, dtype=torch.float64)
    return scores.gather(1, kinds)


def _tallies(numbers: np.ndarray) -> np.ndarray:  # (batch, players) -> (batch, players, 3)
    """Whether a pixel is red, is blue, is unseen: never."""
    return np.stack([numbers == 1, numbers == 2, numbers < 0], axis=2).astype(np.int64)
