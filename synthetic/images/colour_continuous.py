"""Graded colours: a pixel is worth the more the closer its colour is to the target's, so that here the gradient knows something.

A pixel of a colour differs from the colour's centre in one channel by a distance d in [1/2, 1], in equal dyadic steps, and the detector of
the centre answers 5/4 - d. All sums are multiples of a small power of two, exact in float32, and each pre-activation stays a quarter away
from its kink. The pixels' answers add up: Shapley value, path integral and removal are the answer itself. A gradient is 1 in size on
each target pixel and 0 elsewhere; whether it has the right sign depends on what it is multiplied with.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from synthetic.environment import Batch, Environment, GroundTruth
from synthetic.images.accumulator import sides
from synthetic.images.colour_world import REFERENCE, Choice, network, owners, paint
from synthetic.images.drawing import Draw, draw_labels, inclusive, require_drawable, uniform_blocks, whole
from synthetic.images.heads import Head
from synthetic.images.palette import SHAPES, Palette, clearance, make_palette
from synthetic.images.specification import Function
from synthetic.registry import register

NEAREST, FARTHEST = 0.5, 1.0
"""Distances of a pixel's colour from its centre: half a unit keeps the gradient on, one unit the answer at 1/4."""

DARK = "graded evidence: a pixel is worth 5/4 minus its distance from the target colour, and the gradient is 0 everywhere else"
BRIGHT = (
    "a bright background under few or many dark pixels of evidence: the reference is the background, so that gradient times input, which "
    "takes black for it, has the wrong sign on all of the evidence"
)


@dataclass(frozen=True, kw_only=True)
class GradedColours:
    """f_k(x) = Σ_pixels max(0, 1 - Σ_c max(|x_c - t_kc| - 1/4, 0)), in plain numpy."""

    palette: Palette

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the outputs: (batch, 3, height, width) -> (batch, targets)."""
        outputs: np.ndarray = self.answers(images).sum((2, 3))
        return outputs

    def answers(self, images: np.ndarray) -> np.ndarray:  # (batch, 3, height, width) -> (batch, targets, height, width)
        """What each pixel is worth for each output."""
        tolerance = float(SHAPES["slope"].tolerance)
        centres = np.array(self.palette.targets, dtype=np.float64)[:, :, None, None]
        apart = [np.maximum(abs(np.asarray(images) - centre) - tolerance, 0).sum(1) for centre in centres]
        answers: np.ndarray = np.maximum(1 - np.stack(apart, axis=1), 0)
        return answers


@register(
    "imbalanced-background-v1",
    background=(6, 6, 6),
    targets=((1, 1, 1),),
    distractors=((5, 1, 1), (1, 1, 5)),
    counts=(1, 10),
    distraction=(1, 3),
)
@register("colour-continuous-v1")
def colour_continuous(
    *,
    id: str,
    size: int = 9,
    background: Any = (0, 0, 0),
    targets: Any = ((5, 2, 2), (2, 5, 2)),
    distractors: Any = ((2, 2, 5),),
    counts: tuple[int, int] = (1, 4),
    distraction: tuple[int, int] = (1, 3),
    levels: int = 9,
    deviation: str = "inward",
) -> Environment:
    """Build the world of graded colours.

    Args:
        id: the registered id.
        size: side of the images, at least 3.
        background: the baseline's colour, three integers.
        targets: centres of the colours that are worth something, one output each.
        distractors: centres of colours that are worth nothing.
        counts: least and largest number of pixels of each target colour.
        distraction: least and largest number of pixels of each distractor.
        levels: how many distances there are, 1 plus a power of two.
        deviation: "inward" (from the centre towards the background) or "any" (either way).

    Raises:
        ValueError: if a knob is out of range; the message says what to write.
    """
    palette = make_palette(background=background, targets=targets, distractors=distractors, shape="slope")
    require_separation(palette)
    _require_levels(levels, deviation)
    head = Head(name="count", colours=len(palette.targets))
    draw = Draw(
        size=sides(size)[0],
        distractors=len(palette.distractors),
        counts=inclusive("counts", counts),
        distraction=inclusive("distraction", distraction),
        head=head,
    )
    require_drawable(draw)
    function, steps = Function(palette=palette, head=head), _deviations(palette, levels, deviation)
    knobs = {"size": size, "background": palette.background, "targets": palette.targets, "distractors": palette.distractors}
    return Environment(
        id=id,
        modality="image",
        formula="f_k(x) = Σ_pixels max(0, 1 - Σ_c max(|x_c - t_kc| - 1/4, 0)), t_k the k-th target colour",
        model=network(function, size, Choice()),
        outputs=head.outputs,
        domain=f"{size}x{size} images of the background and of colours {NEAREST} to {FARTHEST} from a centre in one channel, exact in "
        "float32 and float64; path integrals on the segment from the background image",
        traits=frozenset({"additive", "sloped", "piecewise_linear"}),
        sample=lambda n, generator: _sample(GradedColours(palette=palette), draw, steps, n, generator),
        specification=GradedColours(palette=palette),
        equals=MappingProxyType(
            {
                "split-detector": network(function, size, Choice(), split=True),
                "irregular-accumulator": network(function, size, Choice(irregular=True)),
            }
        ),
        knobs=MappingProxyType(knobs | {"counts": draw.counts, "distraction": draw.distraction, "levels": levels, "deviation": deviation}),
        isolates=BRIGHT if max(palette.background) > max(map(max, palette.targets)) else DARK,
        reference=REFERENCE,
    )


def require_separation(palette: Palette) -> None:
    """Check that no pixel of one colour comes near another's detector, or a kink of it.

    Raises:
        ValueError: if one does.
    """
    coloured = [*palette.targets, *palette.distractors]
    needed = SHAPES["slope"].clearance + 1  # a colour may be one unit closer than its centre
    for target in palette.targets:
        for other in coloured:
            gaps = {abs(a - b) for a, b in zip(other, target, strict=True)}
            near = other != target and clearance(other, other, target) < needed
            if near or 1 in gaps:
                raise ValueError(
                    f"pixels differ from their colour by up to one unit, so that channels of two colours must be equal or 2 apart, and the "
                    f"sum of max(|z - t| - 1/4, 0) at least {needed}, such as (5, 2, 2) and (2, 5, 2) (got {other} and {target})"
                )


def _require_levels(levels: int, deviation: str) -> None:
    if not isinstance(levels, int) or not 2 <= levels <= 257 or (levels - 1) & (levels - 2):
        raise ValueError(f"levels is 1 plus a power of two, 2 to 257, so that float32 is exact (got {levels!r})")
    if deviation not in ("inward", "any"):
        raise ValueError(f"deviation must be 'inward' or 'any' (got {deviation!r})")


def _deviations(palette: Palette, levels: int, deviation: str) -> Tensor:  # (colours, codes, 3)
    """What is added to each colour's centre: for every level, every channel, and with "any" both signs; nothing to the background."""
    distance = torch.linspace(NEAREST, FARTHEST, levels, dtype=torch.float64)
    axes = torch.eye(3, dtype=torch.float64)
    centres = torch.from_numpy(palette.colours).double()
    inward = torch.where(centres <= centres[0], 1.0, -1.0)[:, None, None]  # (colours, 1, 1, 3)
    steps = (distance[:, None, None] * axes)[None] * inward
    steps[0] = 0
    steps = steps.flatten(1, 2)
    return torch.cat([steps, -steps], 1) if deviation == "any" else steps


def _sample(function: GradedColours, draw: Draw, steps: Tensor, n: int, generator: torch.Generator) -> Batch:
    labels, target = draw_labels(draw, n, generator)
    (codes,) = uniform_blocks((draw.size**2,), n, generator)
    code = labels * steps.shape[1] + whole(codes, (0, steps.shape[1] - 1)).view(labels.shape)
    code = code.masked_fill(labels == 0, 0)
    colours = torch.from_numpy(function.palette.colours).double()
    inputs = paint(code, (colours[:, None] + steps).flatten(0, 1))
    return Batch(
        inputs=inputs,
        target=target,
        baseline=colours[0][:, None, None].expand_as(inputs).clone(),
        feature_mask=owners(draw.size, 1).expand_as(inputs).clone(),
        players=draw.size**2,
        derive=lambda: _truth(function, inputs, code, target),
    )


def _truth(function: GradedColours, inputs: Tensor, code: Tensor, target: Tensor) -> GroundTruth:
    worth = torch.from_numpy(function.answers(inputs.numpy())).flatten(2)[torch.arange(len(target)), target]
    return GroundTruth(
        support=worth > 0,
        sign=worth.sign().to(torch.int8),
        attributions={"shapley": worth, "integrated_gradients": worth, "removal": worth},
        independent=torch.zeros(worth.shape, dtype=torch.bool),
        orbit=code.flatten(1),
    )
