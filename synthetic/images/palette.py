"""A palette is a finite set of integer colours so far apart that each detector stays silent on the way to every other colour.

A path method leaves the palette: between the background and a pixel's colour it visits every colour on the straight line. If
that line passed through another colour's detector, the pixel would owe part of its path integral to a colour it does not have.
A palette is therefore refused unless, all along the line from the background to each colour, the detectors of the other
colours keep a pre-activation of at most -1/4; a distractor's integrated gradients are then exactly 0. Channels are small
integers because a detector's slope is 1/2 wide whatever the distance: a fixed number of steps misses it on a long path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from types import MappingProxyType
from typing import Any

import numpy as np

Colour = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A detector falls from 1 as max(0, 1 - steepness x Σ_c max(|z_c - t_c| - tolerance, 0))."""

    tolerance: Fraction
    steepness: int
    clearance: Fraction
    """Least sum over channels of max(|z - t| - tolerance, 0) that keeps the detector off."""


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "flat": Shape(tolerance=Fraction(1, 4), steepness=2, clearance=Fraction(5, 8)),
        "hat": Shape(tolerance=Fraction(0), steepness=1, clearance=Fraction(1)),
        "slope": Shape(tolerance=Fraction(1, 4), steepness=1, clearance=Fraction(5, 4)),
    }
)
"""A flat top half a unit wide; the textbook hat, whose kink is the colour itself; a flat top with a rise twice as wide. The clearances
of the first and the last leave a pre-activation of at most -1/4, that of the hat 0."""

TOLERANCE, CLEARANCE = SHAPES["flat"].tolerance, SHAPES["flat"].clearance

BRIGHTEST = 255
MOST = 100
"""Most colours of a palette: the arrangement of a 3x3 patch is then one 64-bit number."""

LEVELS = (0, 2, 4)
"""Channel values of which further distractors are made."""


@dataclass(frozen=True, kw_only=True)
class Palette:
    """The colours an image may have, numbered: 0 the background, then the targets, then the distractors."""

    background: Colour
    targets: tuple[Colour, ...]
    distractors: tuple[Colour, ...]
    shape: str = "flat"

    @property
    def colours(self) -> np.ndarray:  # (colours, 3) int64
        """Every colour, in the order of their numbers."""
        return np.array([self.background, *self.targets, *self.distractors], dtype=np.int64)


def make_palette(*, background: Any, targets: Any, distractors: Any, shape: str = "flat") -> Palette:
    """Check the colours and return them as a palette for detectors of one shape.

    Raises:
        ValueError: if there is no target, there are more than 100 colours, a colour is not three integers in 0..255, one lies on
            the way to another, or there is no such shape.
    """
    if shape not in SHAPES:
        raise ValueError(f"shape must be one of {', '.join(SHAPES)} (got {shape!r})")
    palette = Palette(
        background=colour_of(background, "background"),
        targets=tuple(colour_of(colour, "targets") for colour in targets),
        distractors=tuple(colour_of(colour, "distractors") for colour in distractors),
        shape=shape,
    )
    if not palette.targets:
        raise ValueError(f"targets needs at least one colour, such as ((2, 0, 0),) (got {targets!r})")
    if len(palette.colours) > MOST:
        raise ValueError(f"a palette has at most {MOST} colours, the background included (got {len(palette.colours)})")
    _require_distinct(palette)
    for target in palette.targets:
        for other in (palette.background, *palette.targets, *palette.distractors):
            if other != target:
                _require_clear_path(palette.background, other, target, shape)
    return palette


def widen(palette: Palette, size: int | None) -> Palette:
    """Return the palette with further distractors of channels 0, 2 and 4, until it has `size` colours; itself for None.

    Raises:
        ValueError: if it has more colours already, or there are not enough that keep their distance.
    """
    if size is None:
        return palette
    have = [palette.background, *palette.targets, *palette.distractors]
    free = [colour for colour in product(LEVELS, LEVELS, LEVELS) if colour not in have and _is_clear(palette, colour)]
    missing = size - len(have)
    if not 0 <= missing <= len(free):
        raise ValueError(
            f"palette_size counts the background, the targets and the distractors, and adds distractors of the levels {LEVELS} that are on "
            f"no target's path; write {len(have)} to {len(have) + len(free)} (got {size})"
        )
    return replace(palette, distractors=(*palette.distractors, *free[:missing]))


def _is_clear(palette: Palette, colour: Colour) -> bool:
    shape = SHAPES[palette.shape]
    return all(clearance(palette.background, colour, target, tolerance=shape.tolerance) >= shape.clearance for target in palette.targets)


def clearance(start: Colour, end: Colour, target: Colour, *, tolerance: Fraction = TOLERANCE) -> Fraction:
    """Least of sum over channels max(|z - t| - tolerance, 0) on the segment from `start` to `end`, exactly.

    The sum is convex and piecewise linear along the segment, so its least value is at an end or at a kink.
    """
    places = {Fraction(0), Fraction(1)}
    for a, b, t in zip(start, end, target, strict=True):
        if a != b:
            places |= {(t + kink - a) / Fraction(b - a) for kink in (-tolerance, tolerance)}
    return min(_excess(start, end, target, place, tolerance) for place in places if 0 <= place <= 1)


def _excess(start: Colour, end: Colour, target: Colour, place: Fraction, tolerance: Fraction) -> Fraction:
    channels = zip(start, end, target, strict=True)
    return sum((max(abs(a + place * (b - a) - t) - tolerance, Fraction(0)) for a, b, t in channels), Fraction(0))


def _require_clear_path(background: Colour, other: Colour, target: Colour, shape: str) -> None:
    tolerance, needed = SHAPES[shape].tolerance, SHAPES[shape].clearance
    found = clearance(background, other, target, tolerance=tolerance)
    if found < needed:
        raise ValueError(
            f"colours {other} and {target} are too close: from the background {background} to {other} the sum over channels of "
            f"max(|z - t| - {tolerance}, 0) to {target} falls to {found}; at least {needed} keeps the {shape} detector of {target} off, "
            f"so that no pixel owes part of its path integral to a colour it does not have. Choose colours "
            f"that are not on each other's line from the background, such as one channel each (got {found})"
        )


def _require_distinct(palette: Palette) -> None:
    colours = [palette.background, *palette.targets, *palette.distractors]
    if len(set(colours)) < len(colours):
        raise ValueError(f"background, targets and distractors must be distinct colours (got {colours})")


def colour_of(value: Any, knob: str) -> Colour:
    """Return a colour as three integers.

    Raises:
        ValueError: if it is not three integers in 0..255.
    """
    try:
        channels = tuple(value)
        exact = tuple(int(channel) for channel in channels)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{knob}: a colour is three integers such as (2, 0, 0) (got {value!r})") from error
    if len(exact) != 3 or exact != channels or not all(0 <= channel <= BRIGHTEST for channel in exact):
        raise ValueError(f"{knob}: a colour is three integers in 0..{BRIGHTEST} such as (2, 0, 0) (got {value!r})")
    return exact
