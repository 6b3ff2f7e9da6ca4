"""Chance that belongs to the row: one seed per row, and every number a hash of the seed and of what the number is for.

A row of a batch must not depend on how many rows are drawn beside it, nor on how often another row had to be drawn again. A
stream that all rows share cannot keep this once a draw is refused; a counter-based generator can (Salmon et al., SC 2011). The hash is the
finaliser of splitmix64 (Steele, Lea, Flood, OOPSLA 2014).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

GAMMA = np.uint64(0x9E3779B97F4A7C15)
"""The odd number nearest to 2^64 / golden ratio, splitmix64's increment."""


@dataclass(frozen=True, kw_only=True)
class Chance:
    """One seed per row; `fork` gives each purpose numbers of its own."""

    seeds: np.ndarray  # (batch,) uint64

    def __len__(self) -> int:
        return len(self.seeds)

    def fork(self, purpose: int) -> Chance:
        """Return the chance of another purpose, or of another attempt."""
        return Chance(seeds=_mix(self.seeds ^ _mix(np.array([purpose + 1], dtype=np.uint64) * GAMMA)))

    def rows(self, index: Tensor) -> Chance:  # (kept,) int64
        """Return the chance of the rows named by `index`."""
        return Chance(seeds=self.seeds[index.numpy()])

    def uniform(self, *shape: int) -> Tensor:  # (batch, *shape) float64 in [0, 1)
        """Return numbers in [0, 1), the same ones at every call."""
        steps = np.arange(1, int(np.prod(shape, dtype=np.int64)) + 1, dtype=np.uint64) * GAMMA
        bits = _mix(self.seeds[:, None] + steps) >> np.uint64(11)
        return torch.from_numpy(bits.astype(np.float64) * 2.0**-53).view(len(self), *shape)

    def integers(
        self,
        low: Tensor | int,
        high: Tensor | int,  # (batch,) or a number, both ends included
    ) -> Tensor:  # (batch,) int64
        """Return one integer per row."""
        return torch.as_tensor(low) + (self.uniform() * (torch.as_tensor(high) - torch.as_tensor(low) + 1)).long()


def chance_of(n: int, generator: torch.Generator) -> Chance:
    """Draw one seed for each of `n` rows."""
    return Chance(seeds=torch.randint(2**62, (n,), generator=generator).numpy().astype(np.uint64))


def _mix(z: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64; uint64 arithmetic wraps."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = z ^ (z >> np.uint64(31))
    return mixed
