"""A colour world is put together from checked parts: the network, equal networks, the data with their truth, and what is said of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from synthetic.environment import Batch, Environment, frozen
from synthetic.images import heads
from synthetic.images.accumulator import accumulator
from synthetic.images.detector import detector
from synthetic.images.difficulties import HEAD_ISOLATES, HEAD_TRAITS, UNSEEN
from synthetic.images.drawing import EXACT_COUNTS, Draw, draw_labels
from synthetic.images.heads import Head
from synthetic.images.palette import Colour
from synthetic.images.specification import Function, formula
from synthetic.images.truth import colour_truth
from synthetic.images.unseen import is_dyadic, redundant_detector

REFERENCE = "Zhang et al. 2023, AttributionLab, arXiv 2310.06514"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How a function is computed and explained: `side` of a player, the accumulator, redundant channels, an unseen baseline."""

    side: int = 1
    irregular: bool = False
    channels: int = 0
    weight: float = 0.0
    unseen: Colour | None = None


def colour_world(id: str, function: Function, draw: Draw, choice: Choice, knobs: Mapping[str, Any]) -> Environment:
    """The world of checked knobs."""
    other = "uniform-accumulator" if choice.irregular else "irregular-accumulator"
    head = function.head.name

    def sample(n: int, generator: torch.Generator) -> Batch:
        return _sample(function, draw, choice, n, generator)

    return Environment(
        id=id,
        modality="image",
        formula=formula(function),
        model=network(function, draw.size, choice),
        outputs=function.head.outputs,
        domain=_domain(function, draw.size, choice),
        traits=_traits(function, draw, choice),
        sample=sample,
        specification=function,
        equals=MappingProxyType(
            {
                "split-detector": network(function, draw.size, choice, split=True),
                other: network(function, draw.size, choice, other=True),
            }
        ),
        knobs=MappingProxyType(dict(knobs)),
        isolates=UNSEEN["unseen" if choice.unseen else "background"] if choice.channels else HEAD_ISOLATES[head],
        reference=REFERENCE,
    )


def network(function: Function, size: int, choice: Choice, *, split: bool = False, other: bool = False) -> nn.Module:
    """Detector, accumulator and head; `split` and `other` name equal networks with other detectors and the other accumulator."""
    palette, head = function.palette, function.head
    find = detector(palette, split=split)
    if choice.channels:
        find = redundant_detector(palette, channels=choice.channels, weight=choice.weight, split=split)
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        detector=find,
        accumulator=accumulator(head.colours, size, irregular=choice.irregular != other),
        flatten=nn.Flatten(),
        head=heads.network(head, largest=size**2),
    )
    return frozen(nn.Sequential(parts))


def _sample(function: Function, draw: Draw, choice: Choice, n: int, generator: torch.Generator) -> Batch:
    labels, target = draw_labels(draw, n, generator)
    colours = torch.from_numpy(function.palette.colours).double()
    inputs = paint(labels, colours)
    absent = colours[0] if choice.unseen is None else torch.tensor(choice.unseen, dtype=torch.float64)
    return Batch(
        inputs=inputs,
        target=target,
        baseline=absent[:, None, None].expand_as(inputs).clone(),
        feature_mask=owners(draw.size, choice.side).expand_as(inputs).clone(),
        players=(draw.size // choice.side) ** 2,
        derive=lambda: colour_truth(function, by_player(labels, choice.side), target, unseen=choice.unseen is not None),
    )


def paint(
    labels: Tensor,  # (batch, size, size)
    colours: Tensor,  # (colours, channels)
) -> Tensor:  # (batch, channels, size, size)
    """Give every pixel the colour of its number."""
    return torch.stack([channel[labels] for channel in colours.T], dim=1)


def owners(size: int, side: int) -> Tensor:  # (size, size)
    """The player of each pixel, numbered along the lines of players."""
    line = torch.arange(size) // side
    return line[:, None] * (size // side) + line


def by_player(labels: Tensor, side: int) -> Tensor:  # (batch, size, size) -> (batch, players, side * side)
    """The numbers of the pixels of each player."""
    cells = labels.shape[1] // side
    return labels.view(-1, cells, side, cells, side).transpose(2, 3).reshape(len(labels), cells**2, side**2)


def _traits(function: Function, draw: Draw, choice: Choice) -> frozenset[str]:
    optional = {
        "on_kinks": function.palette.shape == "hat",
        "flat_gradient": function.palette.shape != "hat",
        "shortcut": draw.correlation > 0 and draw.distractors > 0,
        "unseen_sensitive": choice.channels > 0,
        "approximate": choice.unseen is not None and choice.channels > 0 and not is_dyadic(choice.weight),
    }
    return HEAD_TRAITS[function.head.name] | {"piecewise_linear"} | {name for name, holds in optional.items() if holds}


def _domain(function: Function, size: int, choice: Choice) -> str:
    exact = "exact in float32 and float64"
    if _is_wide_modulo(function.head, size):
        exact = f"exact in float64, and in float32 up to {EXACT_COUNTS} counted pixels"
    if choice.unseen is None:
        return f"{size}x{size} images of palette colours, {exact}; path integrals on the segment from the background image"
    if choice.channels and not is_dyadic(choice.weight):
        exact = f"equal up to rounding of sums of up to {size**2} weights of {choice.weight}, 1e-6 relative in float32"
    return f"{size}x{size} images of palette colours and {choice.unseen}, {exact}; every score against the image of that unseen colour"


def _is_wide_modulo(head: Head, size: int) -> bool:
    return head.name == "modulo" and size**2 > EXACT_COUNTS
