"""A palette is a finite set of integer colours so far apart that each detector stays silent on the way to every other colour.

A path method leaves the palette: between the background and a pixel's colour it visits every colour on the straight line. If
that line passed through another colour's detector, the pixel would owe part of its path integral to a colour it does not have.
A palette is therefore refused unless, all along the line from the background to each colour, the detectors of the other
colours keep a pre-activation of at most -1/4; a distractor's integrated gradients are then exactly 0. Channels are small
integers because a detector's slope is 1/2 wide whatever the distance: a fixed number of steps misses it on a long path.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

Colour = tuple[int, int, int]

TOLERANCE = Fraction(1, 4)
"""How far a channel may be from a colour's value and still count as equal: half of the flat top of the detector."""

CLEARANCE = Fraction(5, 8)
"""Least sum over channels of max(|z - t| - 1/4, 0) that keeps the detector 1 - 2 x sum at or below -1/4."""

BRIGHTEST = 255
MOST = 100
"""Most colours of a palette: the arrangement of a 3x3 patch is then one 64-bit number."""


@dataclass(frozen=True, kw_only=True)
class Palette:
    """The colours an image may have, numbered: 0 the background, then the targets, then the distractors."""

    background: Colour
    targets: tuple[Colour, ...]
    distractors: tuple[Colour, ...]

    @property
    def colours(self) -> np.ndarray:  # (colours, 3) int64
        """Every colour, in the order of their numbers."""
        return np.array([self.background, *self.targets, *self.distractors], dtype=np.int64)


def make_palette(*, background: Any, targets: Any, distractors: Any) -> Palette:
    """Check the colours and return them as a palette.

    Raises:
        ValueError: if there is no target, there are more than 100 colours, a colour is not three integers in 0..255, or one
            lies on the way to another.
    """
    palette = Palette(
        background=_colour(background, "background"),
        targets=tuple(_colour(colour, "targets") for colour in targets),
        distractors=tuple(_colour(colour, "distractors") for colour in distractors),
    )
    if not palette.targets:
        raise ValueError(f"targets needs at least one colour, such as ((2, 0, 0),) (got {targets!r})")
    if len(palette.colours) > MOST:
        raise ValueError(f"a palette has at most {MOST} colours, the background included (got {len(palette.colours)})")
    _require_distinct(palette)
    for target in palette.targets:
        for other in (palette.background, *palette.targets, *palette.distractors):
            if other != target:
                _require_clear_path(palette.background, other, target)
    return palette


def clearance(start: Colour, end: Colour, target: Colour) -> Fraction:
    """Least of sum over channels max(|z - t| - 1/4, 0) on the segment from `start` to `end`, exactly.

    The sum is convex and piecewise linear along the segment, so its least value is at an end or at a kink.
    """
    places = {Fraction(0), Fraction(1)}
    for a, b, t in zip(start, end, target, strict=True):
        if a != b:
            places |= {(t + kink - a) / Fraction(b - a) for kink in (-TOLERANCE, TOLERANCE)}
    return min(_excess(start, end, target, place) for place in places if 0 <= place <= 1)


def _excess(start: Colour, end: Colour, target: Colour, place: Fraction) -> Fraction:
    channels = zip(start, end, target, strict=True)
    return sum((max(abs(a + place * (b - a) - t) - TOLERANCE, Fraction(0)) for a, b, t in channels), Fraction(0))


def _require_clear_path(background: Colour, other: Colour, target: Colour) -> None:
    found = clearance(background, other, target)
    if found < CLEARANCE:
        raise ValueError(
            f"colours {other} and {target} are too close: from the background {background} to {other} the sum over channels of "
            f"max(|z - t| - 1/4, 0) to {target} falls to {found}; at least {CLEARANCE} keeps the detector of {target} off (pre-activation "
            f"<= -1/4), so that no pixel owes part of its path integral to a colour it does not have. Choose colours "
            f"that are not on each other's line from the background, such as one channel each (got {found})"
        )


def _require_distinct(palette: Palette) -> None:
    colours = [palette.background, *palette.targets, *palette.distractors]
    if len(set(colours)) < len(colours):
        raise ValueError(f"background, targets and distractors must be distinct colours (got {colours})")


def _colour(value: Any, knob: str) -> Colour:
    try:
        channels = tuple(value)
        exact = tuple(int(channel) for channel in channels)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{knob}: a colour is three integers such as (2, 0, 0) (got {value!r})") from error
    if len(exact) != 3 or exact != channels or not all(0 <= channel <= BRIGHTEST for channel in exact):
        raise ValueError(f"{knob}: a colour is three integers in 0..{BRIGHTEST} such as (2, 0, 0) (got {value!r})")
    return exact
