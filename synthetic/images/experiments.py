"""The three experiments of "Do Explanations Explain? Model Knows Best" as equalities: null, double and repeated patches, set by hand.

There a trained network is asked to generate patches that drive one class, both or none, up to a small error; here the first patch is a
plus, the second a cross, the network reads each for the outputs it should, and what was almost null there is a knob: the weight ε of
the first patch for the second class, exactly 0 by default.
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

REFERENCE = "Khakzar et al. 2022, Do Explanations Explain? Model Knows Best, arXiv 2203.02269"
PATCHES = ("plus", "cross")


@register("two-class-patches-v1")
@register("null-patch-v1", explained="second")
def two_patches(*, id: str, explained: str = "both", size: int = 9, cross_weight: float = 0.0) -> Environment:
    """f(x) = (n1, n2 + ε n1) on images with one plus and one cross: the first patch is null for the second class, up to ε.

    Args:
        id: the registered id.
        explained: "both" outputs, drawn by a fair coin, or the "second" alone.
        size: side of the images, at least 7.
        cross_weight: ε, a multiple of 1/64 from -1 to 1.

    Raises:
        ValueError: if a knob is out of range.
    """
    if explained not in ("both", "second"):
        raise ValueError(f"explained must be 'both' or 'second' (got {explained!r})")
    if not -1 <= cross_weight <= 1 or not float(cross_weight * 64).is_integer():
        raise ValueError(
            f"cross_weight is the first patch's weight for the second class, a multiple of 1/64 from -1 to 1 so that float32 is exact "
            f"(got {cross_weight!r})"
        )

    def draw(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        own, places = uniform_blocks((1, grid(size) ** 2), n, generator)
        target = whole(own[:, 0], (0, 1)) if explained == "both" else torch.ones(n, dtype=torch.int64)
        return seated(torch.tensor([[1, 2]]).repeat(n, 1), places), torch.zeros(n, dtype=torch.bool), target

    return shape_world(
        id,
        Reading(size=size, names=PATCHES, mixing=((1.0, 0.0), (float(cross_weight), 1.0)), presence=False),
        draw,
        PATCHES,
        traits=frozenset(),
        knobs={"explained": explained, "size": size, "cross_weight": cross_weight},
        formula=f"f(x) = (n1, n2{f' + {cross_weight:g} n1' if cross_weight else ''}), n_k = #windows equal to patch k",
        isolates="class sensitivity: each patch drives its own output and is null for the other"
        if explained == "both"
        else "a null feature: a patch that the explained output does not see, beside one that it does",
        reference=REFERENCE,
    )


@register("repeated-patch-v1")
def repeated_patch(*, id: str, size: int = 9, repeats: int = 2) -> Environment:
    """f(x) = 1[n >= 1] on images with `repeats` equal patches.

    Args:
        id: the registered id.
        size: side of the images, at least 7.
        repeats: how many patches an image has, at least 2 and as many as fit.

    Raises:
        ValueError: if a knob is out of range.
    """
    if not isinstance(repeats, int) or not 2 <= repeats <= grid(size) ** 2:
        raise ValueError(f"repeats is the number of equal patches, 2 to {grid(size) ** 2} at this size (got {repeats!r})")

    def draw(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        (places,) = uniform_blocks((grid(size) ** 2,), n, generator)
        kinds = torch.ones(n, repeats, dtype=torch.int64)
        return seated(kinds, places), torch.zeros(n, dtype=torch.bool), torch.zeros(n, dtype=torch.int64)

    return shape_world(
        id,
        Reading(size=size, names=PATCHES[:1], mixing=((1.0,),), presence=True),
        draw,
        PATCHES[:1],
        traits=frozenset(),
        knobs={"size": size, "repeats": repeats},
        formula="f(x) = 1[n >= 1], n = #windows equal to the patch",
        isolates="saturation: of equal patches one would do, so that each must get the same credit and removing one changes nothing",
        reference=REFERENCE,
    )
