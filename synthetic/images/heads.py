"""A head turns counts into outputs, and decides how far the defensible truths of one image lie apart.

Each head receives n_k + 1/2 for every target colour k and is built of the integer gadgets, so that it is exact on counts:

    count        n_k, one logit per colour             additive: every convention agrees, methods cannot be ranked by it
    difference   n_1 - w n_2                           additive and signed
    or           1[Σ_k n_k >= 1]                       removal is 0 as soon as two pixels do the same
    and          1[n_k >= 1 for every k]               the path integral favours the scarce colour more than Shapley
    threshold    1[n_1 >= τ]                           removal finds something at n_1 = τ alone
    dominant     1[n_k - n_j >= 1 for every j != k]    one logit per colour; other colours are evidence against
    modulo       (Σ_k n_k) mod m                       not monotone: removing a pixel may raise the output by m - 1
    long-division  the same, r <- r - m 2^i 1[r >= m 2^i] for i = I ... 0: deep where modulo is wide
    absence      1[n_1 >= 1 and n_2 = 0]               what is not there counts
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from synthetic import gadgets
from synthetic.images.accumulator import OFFSET

HEADS = ("count", "difference", "or", "and", "modulo", "threshold", "dominant", "long-division", "absence")
PAIRS = ("difference", "absence")
MODULAR = ("modulo", "long-division")
SYMMETRIC = ("or", "threshold", *MODULAR)
"""Heads that read the sum of all counts alone."""

ONE_BY_ONE = ("count", "dominant")
"""Heads with one output per target colour."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """A function of the counts of `colours` target colours; `modulus`, `threshold` and `negative` are read by the heads that have them."""

    name: str
    colours: int
    modulus: int = 3
    threshold: int = 3
    negative: float = 1.0

    @property
    def outputs(self) -> int:
        """How many outputs it has."""
        return self.colours if self.name in ONE_BY_ONE else 1

    @property
    def additive(self) -> bool:
        """Whether it is linear in the counts."""
        return self.name in ("count", "difference")


def network(head: Head, *, largest: int) -> nn.Sequential:
    """Return the network (batch, colours) -> (batch, outputs) on counts + 1/2; `largest` is the largest total count."""
    colours = head.colours
    counts = gadgets.linear(torch.eye(colours), [-OFFSET] * colours)
    total = gadgets.linear([[1.0] * colours], [-OFFSET * colours])
    if head.name == "count":
        return nn.Sequential(counts)
    if head.name == "difference":
        return nn.Sequential(gadgets.linear([[1.0, -head.negative]], [OFFSET * (head.negative - 1)]))
    if head.name == "or":
        return nn.Sequential(counts, gadgets.disjunction(colours))
    if head.name == "and":
        return nn.Sequential(counts, gadgets.step(1, size=colours), gadgets.conjunction(colours))
    if head.name == "threshold":
        return nn.Sequential(total, gadgets.step(head.threshold))
    if head.name == "dominant":
        return _dominant(colours)
    if head.name == "absence":
        return nn.Sequential(counts, gadgets.step(1, size=2), gadgets.linear([[1.0, -1.0]], [1.0]), gadgets.step(2))
    if head.name == "modulo":
        return nn.Sequential(total, gadgets.modulo(head.modulus, largest=largest))
    return nn.Sequential(total, *_long_division(head.modulus, largest))


def require_head(head: Head) -> None:
    """Check that a head exists and suits its numbers.

    Raises:
        ValueError: if it does not.
    """
    name, colours = head.name, head.colours
    if name not in HEADS:
        raise ValueError(f"head must be one of {', '.join(HEADS)} (got {name!r})")
    if name in PAIRS and colours != 2:
        raise ValueError(f"the head {name!r} compares n_1 with n_2 and needs exactly two targets (got {colours})")
    if name in ("and", "dominant") and colours < 2:
        raise ValueError(f"the head {name!r} needs at least two targets (got {colours})")
    if name == "threshold" and colours != 1:
        raise ValueError(f"the head 'threshold' is 1[n_1 >= τ] and needs exactly one target (got {colours})")
    if name in MODULAR and (not isinstance(head.modulus, int) or head.modulus < 2):
        raise ValueError(f"modulus must be an integer of at least 2, such as 3 (got {head.modulus!r})")
    if name == "threshold" and (not isinstance(head.threshold, int) or head.threshold < 1):
        raise ValueError(f"threshold must be an integer of at least 1, such as 3 (got {head.threshold!r})")
    if head.negative <= 0 or head.negative > 16 or not float(head.negative * 16).is_integer():
        raise ValueError(
            f"negative is the weight of evidence against, a multiple of 1/16 up to 16 so that float32 is exact (got {head.negative!r})"
        )


def _dominant(colours: int) -> nn.Sequential:
    """Compare each colour with each other one, and ask for all of the answers."""
    pairs = [(k, j) for k in range(colours) for j in range(colours) if j != k]
    unit = torch.eye(colours, dtype=torch.float64)
    against = torch.stack([unit[k] - unit[j] for k, j in pairs])
    votes = torch.stack([unit[k] for k, _ in pairs], dim=1)
    return nn.Sequential(
        gadgets.linear(against, [0.0] * len(pairs)),
        gadgets.step(1, size=len(pairs)),
        gadgets.linear(votes, [0.0] * colours),
        gadgets.step(colours - 1, size=colours),
    )


def _long_division(modulus: int, largest: int) -> list[nn.Module]:
    """One layer per binary digit of the quotient; the digit is read before it is multiplied, so that float32 stays exact."""
    digits = max(0, (largest // modulus).bit_length())
    layers: list[nn.Module] = []
    for digit in reversed(range(digits)):
        part = modulus * 2**digit
        biases = [0.5, -(part - 1 + gadgets.MARGIN), -(part - gadgets.MARGIN)]
        read = [[1.0, 0.0, 0.0], [0.0, gadgets.SLOPE, -gadgets.SLOPE]]
        layers += [gadgets.linear([[1.0]] * 3, biases), nn.ReLU(), gadgets.linear(read, [-0.5, 0.0]), gadgets.linear([[1.0, -part]], [0.0])]
    return layers
