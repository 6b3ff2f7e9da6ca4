"""The colour worlds ask which pixels decide a function of colour counts, from one that ranks no method to ones that rank them all.

A detector marks the pixels of each target colour, an accumulator counts the marks, a head turns the counts into outputs. Data
sit on the flat top of every detector, so every gradient is 0 although target pixels are all that matters. On the additive heads
the removal effect, Shapley value and path integral of a pixel are the same number; OR, AND and modulo tell them apart.

The network equals its integer specification on every palette colour, and hence on every image and every coalition image made
of them: the detector is exact for each colour, each pixel is added once, the head is exact on integers. The tests enumerate
the detector over all palette colours and all 5^3 colours of {0..4}^3, and draw 10 000 images in float32 and float64.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from synthetic.environment import Environment
from synthetic.images.accumulator import sides
from synthetic.images.colour_world import Choice, colour_world
from synthetic.images.drawing import Draw, at_density, inclusive, require_drawable, require_patch
from synthetic.images.heads import Head, require_head
from synthetic.images.palette import make_palette, widen
from synthetic.images.specification import Function
from synthetic.images.unseen import require_redundancy, require_unseen
from synthetic.registry import register

RED, GREEN, BLUE = (2, 0, 0), (0, 2, 0), (0, 0, 2)


@register("unseen-colour-baseline-v1", size=4, counts=(1, 3), redundant=1, baseline="unseen")
@register("unseen-colour-v1", size=4, counts=(1, 3), redundant=1)
@register("colour-deep-modulo-v1", head="long-division")
@register("colour-threshold-v1", head="threshold", targets=(RED,), counts=(1, 6), distractors=(GREEN, BLUE))
@register("colour-dominant-v1", head="dominant")
@register("colour-single-v1", head="count", targets=(RED,), distractors=(GREEN, BLUE))
@register("colour-modulo-v1", head="modulo")
@register("colour-and-v1", head="and")
@register("colour-or-v1", head="or")
@register("colour-difference-v1", head="difference")
@register("colour-count-v1", head="count")
def colour_count(
    *,
    id: str,
    head: str = "count",
    size: int = 9,
    background: Any = (0, 0, 0),
    targets: Any = (RED, GREEN),
    distractors: Any = (BLUE,),
    palette_size: int | None = None,
    shape: str = "flat",
    counts: tuple[int, int] = (1, 4),
    distraction: tuple[int, int] = (1, 3),
    density: float | None = None,
    patch: int = 1,
    correlation: float = 0.0,
    modulus: int = 3,
    threshold: int = 3,
    negative: float = 1.0,
    redundant: int = 0,
    redundant_weight: float = 0.625,
    baseline: str = "background",
    unseen: Any = (1, 1, 1),
    players: str = "pixels",
    accumulator: str = "uniform",
) -> Environment:
    """Build the world of one head.

    Args:
        id: the registered id.
        head: "count" (one logit per target colour), "difference", "or", "and", "threshold", "dominant", "modulo", "long-division" or
            "absence".
        size: side of the images, at least 3: 27, 81, 224.
        background: the background's colour, three integers.
        targets: the colours that are counted.
        distractors: colours that occur and count nothing.
        palette_size: adds distractors until the palette has so many colours; None for none.
        shape: "flat", "slope" (half as steep) or "hat" (its kink is the colour itself) detectors.
        counts: least and largest number of squares of each target colour; "and" leaves one colour out in half of the rows.
        distraction: least and largest number of squares of each distractor.
        density: in place of these two, the average share of coloured pixels; None for none.
        patch: side of the coloured squares.
        correlation: how often every distractor is as frequent as the first target.
        modulus: m of "modulo" and "long-division".
        threshold: τ of "threshold".
        negative: w of "difference", n_1 - w n_2.
        redundant: R channels that fire on colours of no palette.
        redundant_weight: w that each of them adds to every count per pixel; exact in float32 if it is a multiple of 1/64.
        baseline: "background" or "unseen", an image of the colour `unseen`.
        unseen: a colour of no palette.
        players: "pixels" (the channels of a pixel are one player) or "patches" of 3x3 pixels.
        accumulator: "uniform" (all-ones kernels) or "irregular" (unequal hidden sums, the same count).

    Raises:
        ValueError: if a knob is out of range; the message says what to write.
    """
    knobs = {name: value for name, value in locals().items() if name != "id"}
    palette = widen(make_palette(background=background, targets=targets, distractors=distractors, shape=shape), palette_size)
    kind = Head(name=head, colours=len(palette.targets), modulus=modulus, threshold=threshold, negative=negative)
    require_head(kind)
    require_redundancy(redundant, redundant_weight, kind)
    _require_choice("players", players, ("pixels", "patches"))
    _require_choice("accumulator", accumulator, ("uniform", "irregular"))
    _require_choice("baseline", baseline, ("background", "unseen"))
    if baseline == "unseen":
        require_unseen(palette, unseen, kind)
    _require_tiles(players, sides(size)[0])
    require_patch(patch, size)
    draw = Draw(
        size=size,
        distractors=len(palette.distractors),
        counts=inclusive("counts", counts),
        distraction=inclusive("distraction", distraction),
        head=kind,
        patch=patch,
        correlation=correlation,
    )
    bounds = at_density(density, cells=draw.cells**2, colours=len(palette.colours) - 1)
    draw = draw if bounds is None else replace(draw, counts=bounds, distraction=bounds)
    require_drawable(draw)
    choice = Choice(
        side=1 if players == "pixels" else 3,
        irregular=accumulator == "irregular",
        channels=redundant,
        weight=redundant_weight,
        unseen=tuple(unseen) if baseline == "unseen" else None,
    )
    knobs |= {"background": palette.background, "targets": palette.targets, "distractors": palette.distractors}
    function = Function(palette=palette, head=kind, unseen=redundant * redundant_weight)
    return colour_world(id, function, draw, choice, knobs)


def _require_choice(knob: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{knob} must be {' or '.join(map(repr, choices))} (got {value!r})")


def _require_tiles(players: str, size: int) -> None:
    if players == "patches" and size % 3:
        raise ValueError(f"patches of 3x3 pixels tile sides that 3 divides, such as 9 or 27; or write players='pixels' (got size={size})")
