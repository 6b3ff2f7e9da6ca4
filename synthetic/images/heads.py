"""A head turns counts into outputs, and decides how far the defensible truths of one image lie apart.

Each head receives n_k + 1/2 for every target colour k and is built of the integer gadgets, so that it is exact on counts:

    count        n_k, one logit per colour         additive: every convention agrees, methods cannot be ranked by it
    difference   n_1 - n_2                         additive and signed
    or           1[Σ_k n_k >= 1]                   removal is 0 as soon as two pixels do the same
    and          1[n_k >= 1 for every k]           the path integral favours the scarce colour more than Shapley
    modulo       (Σ_k n_k) mod m                   not monotone: removing a pixel may raise the output by m - 1
"""

from __future__ import annotations

import torch
from torch import nn

from synthetic import gadgets
from synthetic.images.accumulator import OFFSET

HEADS = ("count", "difference", "or", "and", "modulo")


def head(name: str, colours: int, *, modulus: int, largest: int) -> nn.Sequential:
    """Return the network (batch, colours) -> (batch, outputs) on counts + 1/2; `largest` is the largest total count.

    Raises:
        ValueError: if there is no such head, or it needs another number of colours or another modulus.
    """
    require_head(name, colours, modulus)
    counts = gadgets.linear(torch.eye(colours), [-OFFSET] * colours)
    if name == "count":
        return nn.Sequential(counts)
    if name == "difference":
        return nn.Sequential(gadgets.linear([[1.0, -1.0]], [0.0]))
    if name == "or":
        return nn.Sequential(counts, gadgets.disjunction(colours))
    if name == "and":
        return nn.Sequential(counts, gadgets.step(1, size=colours), gadgets.conjunction(colours))
    total = gadgets.linear([[1.0] * colours], [-OFFSET * colours])
    return nn.Sequential(total, gadgets.modulo(modulus, largest=largest))


def outputs_of(name: str, colours: int) -> int:
    """How many outputs a head has."""
    return colours if name == "count" else 1


def require_head(name: str, colours: int, modulus: int) -> None:
    """Check that a head exists and suits the number of target colours.

    Raises:
        ValueError: if it does not.
    """
    if name not in HEADS:
        raise ValueError(f"head must be one of {', '.join(HEADS)} (got {name!r})")
    if name == "difference" and colours != 2:
        raise ValueError(f"the head 'difference' is n_1 - n_2 and needs exactly two targets (got {colours})")
    if name == "and" and colours < 2:
        raise ValueError(f"the head 'and' needs at least two targets, or it is 'or' (got {colours})")
    if name == "modulo" and (not isinstance(modulus, int) or modulus < 2):
        raise ValueError(f"modulus must be an integer of at least 2, such as 3 (got {modulus!r})")
