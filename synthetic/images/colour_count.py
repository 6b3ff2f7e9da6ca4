"""The colour worlds ask which pixels decide a function of colour counts, from one that ranks no method to ones that rank them all.

A detector marks the pixels of each target colour, an accumulator counts the marks, a head turns the counts into outputs. Data
sit on the flat top of every detector, so every gradient is 0 although target pixels are all that matters. On the additive heads
the removal effect, Shapley value and path integral of a pixel are the same number; OR, AND and modulo tell them apart.

The network equals its integer specification on every palette colour, and hence on every image and every coalition image made
of them: the detector is exact for each colour, each pixel is added once, the head is exact on integers. The tests enumerate
the detector over all palette colours and all 5^3 colours of {0..4}^3, and draw 10 000 images in float32 and float64.
"""

from __future__ import annotations

from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from synthetic.environment import Batch, Environment, frozen
from synthetic.images.accumulator import accumulator as build_accumulator
from synthetic.images.accumulator import stages
from synthetic.images.detector import detector
from synthetic.images.drawing import Draw, draw_labels, inclusive, require_room
from synthetic.images.heads import head as build_head
from synthetic.images.heads import outputs_of, require_head
from synthetic.images.palette import make_palette
from synthetic.images.specification import formula
from synthetic.images.truth import Function, colour_truth
from synthetic.registry import register

ADDITIVE = frozenset({"additive"})
TRAITS = {
    "count": ADDITIVE,
    "difference": ADDITIVE,
    "or": frozenset({"interacting", "saturating", "redundant"}),
    "and": frozenset({"interacting", "saturating", "redundant"}),
    "modulo": frozenset({"interacting", "non_monotone", "saw_toothed"}),
}
ISOLATES = {
    "count": "saturated detectors: the gradient is 0 everywhere, every complete convention gives each target pixel 1",
    "difference": "evidence against: pixels of the second colour count -1",
    "or": "redundancy: each of N target pixels has Shapley value 1/N, and removing one of N >= 2 changes nothing",
    "and": "joint evidence: every colour is needed; Shapley pays each of them, the path integral the scarce one, which comes last",
    "modulo": "non-monotone response: each of N target pixels has (N mod m)/N, while removal gives 1 or -(m - 1)",
}
EXACT_COUNTS = 2048
"""Up to this total count the modulo head's partial sums, below n^2 in quarters, fit into float32's 24 bits."""


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
    targets: Any = ((2, 0, 0), (0, 2, 0)),
    distractors: Any = ((0, 0, 2),),
    counts: tuple[int, int] = (1, 4),
    distraction: tuple[int, int] = (1, 3),
    modulus: int = 3,
    players: str = "pixels",
    accumulator: str = "uniform",
) -> Environment:
    """Build the world of one head.

    Args:
        id: the registered id.
        head: "count" (one logit per target colour), "difference", "or", "and" or "modulo".
        size: side of the images, a power of 3.
        background: the baseline's colour, three integers.
        targets: the colours that are counted.
        distractors: colours that occur and count nothing.
        counts: least and largest number of pixels of each target colour; "and" leaves one colour out in half of the rows.
        distraction: least and largest number of pixels of each distractor.
        modulus: m of "modulo".
        players: "pixels" (the channels of a pixel are one player) or "patches" of 3x3 pixels.
        accumulator: "uniform" (all-ones kernels) or "irregular" (unequal hidden sums, the same count).

    Raises:
        ValueError: if a knob is out of range; the message says what to write.
    """
    palette = make_palette(background=background, targets=targets, distractors=distractors)
    require_head(head, len(palette.targets), modulus)
    _require_choice("players", players, ("pixels", "patches"))
    _require_choice("accumulator", accumulator, ("uniform", "irregular"))
    stages(size)
    draw = Draw(
        size=size,
        targets=len(palette.targets),
        distractors=len(palette.distractors),
        counts=inclusive("counts", counts),
        distraction=inclusive("distraction", distraction),
        head=head,
        modulus=modulus,
    )
    side = 1 if players == "pixels" else 3
    require_room(draw, players=(size // side) ** 2)
    knobs = {
        "head": head,
        "size": size,
        "background": palette.background,
        "targets": palette.targets,
        "distractors": palette.distractors,
        "counts": draw.counts,
        "distraction": draw.distraction,
        "modulus": modulus,
        "players": players,
        "accumulator": accumulator,
    }
    return _environment(id, Function(palette=palette, head=head, modulus=modulus), draw, side, knobs)


def _environment(id: str, function: Function, draw: Draw, side: int, knobs: dict[str, Any]) -> Environment:
    """The world of checked knobs: `side` is the side of a player."""
    irregular = knobs["accumulator"] == "irregular"
    other = "uniform-accumulator" if irregular else "irregular-accumulator"

    def sample(n: int, generator: torch.Generator) -> Batch:
        return _sample(function, draw, side, n, generator)

    return Environment(
        id=id,
        modality="image",
        formula=formula(function.head, targets=draw.targets, modulus=function.modulus),
        model=_network(function, draw.size, irregular=irregular),
        outputs=outputs_of(function.head, draw.targets),
        domain=_domain(function.head, draw.size),
        traits=TRAITS[function.head] | {"piecewise_linear", "flat_gradient"},
        sample=sample,
        specification=function,
        equals=MappingProxyType(
            {
                "split-detector": _network(function, draw.size, irregular=irregular, split=True),
                other: _network(function, draw.size, irregular=not irregular),
            }
        ),
        knobs=MappingProxyType(knobs),
        isolates=ISOLATES[function.head],
        reference="Zhang et al. 2023, AttributionLab, arXiv 2310.06514",
    )


def _network(function: Function, size: int, *, irregular: bool, split: bool = False) -> nn.Module:
    colours = len(function.palette.targets)
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        detector=detector(function.palette, split=split),
        accumulator=build_accumulator(colours, size, irregular=irregular),
        flatten=nn.Flatten(),
        head=build_head(function.head, colours, modulus=function.modulus, largest=size**2),
    )
    return frozen(nn.Sequential(parts))


def _sample(function: Function, draw: Draw, side: int, n: int, generator: torch.Generator) -> Batch:
    if n < 1:
        raise ValueError(f"a batch has at least one row (got n={n})")
    target = torch.randint(outputs_of(function.head, draw.targets), (n,), generator=generator)
    labels = draw_labels(draw, n, generator)
    colours = torch.from_numpy(function.palette.colours).double()
    inputs = colours[labels].movedim(3, 1).contiguous()
    owner = _owners(draw.size, side)
    return Batch(
        inputs=inputs,
        target=target,
        baseline=colours[0][:, None, None].expand_as(inputs).clone(),
        feature_mask=owner.expand_as(inputs).clone(),
        players=(draw.size // side) ** 2,
        derive=lambda: colour_truth(function, _by_player(labels, side), target),
    )


def _owners(size: int, side: int) -> Tensor:  # (size, size)
    """The player of each pixel, numbered along the lines of players."""
    line = torch.arange(size) // side
    return line[:, None] * (size // side) + line


def _by_player(labels: Tensor, side: int) -> Tensor:  # (batch, size, size) -> (batch, players, side * side)
    cells = labels.shape[1] // side
    return labels.view(-1, cells, side, cells, side).transpose(2, 3).reshape(len(labels), cells**2, side**2)


def _domain(head: str, size: int) -> str:
    exact = "exact in float32 and float64"
    if head == "modulo" and size**2 > EXACT_COUNTS:
        exact = f"exact in float64, and in float32 up to {EXACT_COUNTS} counted pixels"
    return f"{size}x{size} images of palette colours, {exact}; path integrals on the segment from the background image"


def _require_choice(knob: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{knob} must be {' or '.join(map(repr, choices))} (got {value!r})")
