"""In a shape world the evidence is the arrangement of pixels, and every pixel of a shape is necessary for it.

An output reads which templates are matched and where: f_o = Σ_k w_ok #matches of template k, or whether that is at least 1. Against the
blank image each shape is a unanimity game of its five pixels, since a window that has lost one of them matches nothing. So a
shape that is worth w gives each of its pixels w/5 by Shapley and, because the pixels are exchangeable on the straight path, by the path
integral too, while removing any one of them loses all of w. Of T shapes of which one is enough, each pixel has 1/(5T).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from synthetic import gadgets
from synthetic.environment import Batch, Environment, GroundTruth, frozen
from synthetic.images.colour_world import owners
from synthetic.images.drawing import uniform_blocks, whole
from synthetic.images.templates import SIDE, STROKES, TEMPLATES, grid, matcher, matches, stamp

DrawKinds = Callable[[int, torch.Generator], tuple[Tensor, Tensor, Tensor]]
"""(n, generator) -> what each cell holds (n, cells²), whether the corner is marked (n,), which output is explained (n,)."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the outputs read of the matches.

    Attributes:
        size: side of the images.
        names: templates that are looked for all over the image.
        mixing: the weight of each of them for each output.
        presence: outputs are 1[Σ >= 1] instead of Σ.
        mark: a template that is looked for in the upper left corner alone, where then no other is; "" for none.
        mark_weight: its weight for every output.
    """

    size: int
    names: tuple[str, ...]
    mixing: tuple[tuple[float, ...], ...]  # (outputs, names)
    presence: bool
    mark: str = ""
    mark_weight: float = 0.0

    @property
    def searched(self) -> tuple[str, ...]:
        """Every template that is looked for somewhere."""
        return (*self.names, self.mark) if self.mark else self.names

    def weights(self) -> np.ndarray:  # (outputs, searched, size - 2, size - 2)
        """The weight of a match at each place."""
        places = self.size - SIDE + 1
        weights = np.zeros((len(self.mixing), len(self.searched), places, places))
        weights[:, : len(self.names)] = np.array(self.mixing)[:, :, None, None]
        if self.mark:
            weights[:, :, :SIDE, :SIDE] = 0  # every window that sees a pixel of the corner
            weights[:, -1, 0, 0] = self.mark_weight
        return weights

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the outputs, window by window: (batch, 1, size, size) -> (batch, outputs)."""
        found = matches(images, self.searched)
        sums = found.reshape(len(found), -1) @ self.weights().reshape(len(self.mixing), -1).T
        return np.where(sums >= 1, 1, 0) if self.presence else sums


def shape_world(
    id: str,
    reading: Reading,
    draw: DrawKinds,
    alphabet: Sequence[str],
    *,
    traits: frozenset[str],
    knobs: Mapping[str, Any],
    formula: str,
    isolates: str,
    reference: str,
) -> Environment:
    """The world in which `draw` fills the cells with shapes of `alphabet`, whose first names are those of `reading`."""
    grid(reading.size)
    common = {"interacting", "piecewise_linear", "flat_gradient"} | ({"saturating", "redundant"} if reading.presence else set())
    return Environment(
        id=id,
        modality="image",
        formula=formula,
        model=_network(reading),
        outputs=len(reading.mixing),
        domain=f"{reading.size}x{reading.size} binary images, exact in float32 and float64; truths for images whose shapes stand a blank "
        "line apart, against the blank image",
        traits=traits | common,
        sample=lambda n, generator: _sample(reading, draw, tuple(alphabet), n, generator),
        specification=reading,
        equals=MappingProxyType({"split-matcher": _network(reading, split=True)}),
        knobs=MappingProxyType(dict(knobs)),
        isolates=isolates,
        reference=reference,
    )


def _network(reading: Reading, *, split: bool = False) -> nn.Module:
    outputs = len(reading.mixing)
    weight = torch.from_numpy(reading.weights().reshape(outputs, -1))
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        matcher=matcher(reading.searched, split=split),
        flatten=nn.Flatten(),
        reader=gadgets.linear(weight, [0.0] * outputs),
    )
    if reading.presence:
        parts["presence"] = gadgets.step(1, size=outputs)
    return frozen(nn.Sequential(parts))


def _sample(reading: Reading, draw: DrawKinds, alphabet: tuple[str, ...], n: int, generator: torch.Generator) -> Batch:
    kinds, marked, target = draw(n, generator)
    room = reading.size + 1 - (SIDE + 1) * grid(reading.size)
    (moved,) = uniform_blocks((2,), n, generator)
    images, owner = stamp(kinds, whole(moved, (0, room)), alphabet, reading.size)
    if reading.mark:
        on = torch.zeros(images.shape, dtype=torch.bool)
        on[:, :SIDE, :SIDE] = torch.from_numpy(TEMPLATES[reading.mark] > 0) & marked[:, None, None]
        images, owner = torch.where(on, 1.0, images), torch.where(on, kinds.shape[1], owner)
    inputs = images[:, None].contiguous()
    return Batch(
        inputs=inputs,
        target=target,
        baseline=torch.zeros_like(inputs),
        feature_mask=owners(reading.size, 1).expand_as(inputs).clone(),
        players=reading.size**2,
        derive=lambda: _truth(reading, kinds, owner, target),
    )


def _truth(reading: Reading, kinds: Tensor, owner: Tensor, target: Tensor) -> GroundTruth:
    """A shape's worth is shared by its pixels; a cell beyond the last stands for the corner's mark."""
    worth = torch.zeros(len(reading.mixing), 1 + int(kinds.max().clamp(min=len(reading.names))), dtype=torch.float64)
    worth[:, 1 : 1 + len(reading.names)] = torch.tensor(reading.mixing, dtype=torch.float64)
    by_cell = worth[target].gather(1, kinds)
    if reading.presence:
        enough = (by_cell >= 1).sum(1, keepdim=True)
        share, loss = by_cell / enough.clamp(min=1), by_cell * (enough == 1)
    else:
        share = loss = by_cell
    mark = torch.full((len(kinds), 1), reading.mark_weight, dtype=torch.float64)
    nothing = torch.zeros(len(kinds), 1, dtype=torch.float64)
    cell = torch.where(owner < 0, kinds.shape[1] + 1, owner).flatten(1)
    shapley = torch.cat([share, mark, nothing], 1).gather(1, cell) / STROKES
    removal = torch.cat([loss, mark, nothing], 1).gather(1, cell)
    support = torch.cat([by_cell, mark, nothing], 1).gather(1, cell) != 0
    return GroundTruth(
        support=support,
        sign=shapley.sign().to(torch.int8),
        attributions={"shapley": shapley, "integrated_gradients": shapley, "removal": removal},
        independent=_independent(reading).expand(support.shape).clone(),
        orbit=torch.full(support.shape, -1, dtype=torch.int64),
    )


def _independent(reading: Reading) -> Tensor:  # (size²,) bool
    """The pixels that no window with a weight sees."""
    seen = np.zeros((reading.size, reading.size), dtype=bool)
    for row, column in np.argwhere((reading.weights() != 0).any((0, 1))):
        seen[row : row + SIDE, column : column + SIDE] = True
    return torch.from_numpy(~seen.ravel())
