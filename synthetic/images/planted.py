"""A planted template asks for shape: distractors have as many pixels, so that only their arrangement tells evidence from its like."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from synthetic.environment import Environment
from synthetic.images.drawing import inclusive, uniform_blocks, whole
from synthetic.images.shape_world import Reading, shape_world
from synthetic.images.templates import grid, require_templates
from synthetic.registry import register


@register("planted-template-v1")
def planted_template(
    *,
    id: str,
    size: int = 9,
    template: str = "plus",
    distractors: Sequence[str] = ("cross", "tee", "ell"),
    shapes: tuple[int, int] = (2, 3),
    head: str = "presence",
) -> Environment:
    """f(x) = 1[#matches of the template >= 1], or the number of matches.

    Args:
        id: the registered id.
        size: side of the images, at least 7.
        template: the shape that is looked for: plus, cross, tee, ell or hook.
        distractors: other shapes that occur.
        shapes: least and largest number of shapes of an image, whatever they are; half of the images have none that is looked for.
        head: "presence" or "count".

    Raises:
        ValueError: if a knob is out of range; the message says what to write.
    """
    require_templates("template and distractors", (template, *distractors))
    if head not in ("presence", "count"):
        raise ValueError(f"head must be 'presence' or 'count' (got {head!r})")
    low, high = inclusive("shapes", shapes)
    if not distractors or not 1 <= low <= high <= grid(size) ** 2:
        raise ValueError(
            f"shapes is the least and largest number of shapes, 1 to {grid(size) ** 2} at this size, and needs a distractor (got {shapes}, "
            f"{len(distractors)} distractors)"
        )

    def draw(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        own, seats, places = uniform_blocks((3, high, grid(size) ** 2), n, generator)
        total = whole(own[:, :1], (low, high))
        wanted = whole(own[:, 1:2], (torch.ones_like(total), total)).masked_fill(own[:, 2:] < 0.5, 0)
        seat = torch.arange(high)
        kinds = torch.where(seat < wanted, 1, whole(seats, (2, 1 + len(distractors)))).masked_fill(seat >= total, 0)
        return seated(kinds, places), torch.zeros(n, dtype=torch.bool), torch.zeros(n, dtype=torch.int64)

    return shape_world(
        id,
        Reading(size=size, names=(template,), mixing=((1.0,),), presence=head == "presence"),
        draw,
        (template, *distractors),
        traits=frozenset(),
        knobs={"size": size, "template": template, "distractors": tuple(distractors), "shapes": (low, high), "head": head},
        formula="f(x) = 1[n >= 1], n = #windows equal to the template" if head == "presence" else "f(x) = #windows equal to the template",
        isolates="arrangement: five pixels count only as the template, and other shapes of five pixels not at all",
        reference="designed here, after Zhang et al. 2023, AttributionLab, arXiv 2310.06514",
    )


def seated(
    kinds: Tensor,  # (n, seats) int64
    places: Tensor,  # (n, cells) uniform
) -> Tensor:  # (n, cells) int64
    """Give every seat a cell of its own, at random."""
    chosen = places.topk(kinds.shape[1], dim=1).indices
    return torch.zeros(places.shape, dtype=torch.int64).scatter_(1, chosen, kinds)
