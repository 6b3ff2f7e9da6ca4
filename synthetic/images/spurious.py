"""A mark in the corner goes along with the evidence: one network uses it and one does not, and only a faithful map tells them apart.

The data of both are the same, as in the radiographs whose laterality marker gave the hospital away. Where the network reads it, its
pixels are evidence as good as any; where it does not, the function depends on no pixel of the corner anywhere.
"""

from __future__ import annotations

import torch
from torch import Tensor

from synthetic.environment import Environment
from synthetic.images.drawing import uniform_blocks, whole
from synthetic.images.planted import seated
from synthetic.images.shape_world import Reading, shape_world
from synthetic.images.templates import grid
from synthetic.registry import register

EVIDENCE, MARK, DISTRACTORS = "plus", "ell", ("cross", "tee")

ISOLATES = {
    True: "a spurious feature that is used: the mark's pixels are evidence for the network, whatever a person thinks of them",
    False: "a spurious feature that is not used: the mark goes along with the evidence, and no pixel of the corner can change the output",
}


@register("spurious-mark-unused-v1", weight=0.0)
@register("spurious-mark-v1", weight=1.0)
def spurious_mark(*, id: str, weight: float = 1.0, size: int = 9, correlation: float = 0.75) -> Environment:
    """f(x) = 1 per plus outside of the corner + w if the corner holds an ell.

    Args:
        id: the registered id.
        weight: w, a multiple of 1/64 from 0 to 16; at 0 the corner is not read.
        size: side of the images, at least 7.
        correlation: 2 P(the mark is there if and only if the evidence is) - 1, from 0 (unrelated) to 1 (always).

    Raises:
        ValueError: if a knob is out of range.
    """
    if not 0 <= weight <= 16 or not float(weight * 64).is_integer():
        raise ValueError(f"weight is what the mark adds, a multiple of 1/64 from 0 to 16 so that float32 is exact (got {weight!r})")
    if not 0 <= correlation <= 1:
        raise ValueError(f"correlation of mark and evidence is from 0 (unrelated) to 1 (always together) (got {correlation!r})")
    cells = grid(size) ** 2

    def draw(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        own, seats, places = uniform_blocks((2, 2, cells), n, generator)
        there = own[:, 0] < 0.5
        kinds = whole(seats, (2, 1 + len(DISTRACTORS)))  # two shapes: evidence and a distractor, or two distractors
        kinds[:, 0] = torch.where(there, 1, kinds[:, 0])
        body = seated(kinds, places[:, 1:])  # the first cell is the corner's
        marked = there == (own[:, 1] < (1 + correlation) / 2)
        return torch.nn.functional.pad(body, (1, 0)), marked, torch.zeros(n, dtype=torch.int64)

    used = weight > 0
    return shape_world(
        id,
        Reading(size=size, names=(EVIDENCE,), mixing=((1.0,),), presence=False, mark=MARK, mark_weight=float(weight)),
        draw,
        (EVIDENCE, *DISTRACTORS),
        traits=frozenset({"shortcut"}) if correlation else frozenset(),
        knobs={"weight": weight, "size": size, "correlation": correlation},
        formula=f"f(x) = #plus outside of the corner{f' + {weight:g} 1[the corner is an ell]' if used else ''}",
        isolates=ISOLATES[used],
        reference="the X-ray study of Khorram et al. 2021, iGOS++, arXiv 2012.15783, with weights set by hand",
    )
