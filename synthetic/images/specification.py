"""What a colour world computes, said again in integers: compare colours, count pixels, apply the head. No network is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from synthetic.images.heads import MODULAR, SYMMETRIC, Head
from synthetic.images.palette import Palette


@dataclass(frozen=True, kw_only=True)
class Function:
    """Which function of the colours of an image is explained: a head on counts, plus `unseen` per pixel of a colour of no palette."""

    palette: Palette
    head: Head
    unseen: float = 0.0

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the outputs: (batch, 3, height, width) -> (batch, outputs)."""
        return self.of_tallies(tally(images, self.palette))

    def of_tallies(self, tallies: np.ndarray) -> np.ndarray:  # (batch, targets + 1) -> (batch, outputs)
        """Return the outputs for counts of each target colour and, last, of unseen pixels."""
        outputs = apply_head(tallies[:, :-1], self.head)
        return outputs + self.unseen * tallies[:, -1:] if self.unseen else outputs

    def relevant(self, target: int) -> tuple[np.ndarray, np.ndarray]:  # each (sums, targets + 1) int64
        """The sums of tallies that decide an output, the fewer the smaller its game; and for each sum a tally that has it."""
        rows = np.eye(self.head.colours + 1, dtype=np.int64)
        seen, unseen = rows[:-1], rows[-1:] if self.unseen else rows[:0]
        if self.head.name == "count":
            seen = seen[target : target + 1]
        elif self.head.name in SYMMETRIC:
            return seen.sum(0, keepdims=True), seen[:1]
        return np.concatenate([seen, unseen]), np.concatenate([seen, unseen])

    def of_sums(self, target: int) -> Callable[[np.ndarray], np.ndarray]:  # (states, sums) -> (states,)
        """An output as a function of the sums that decide it."""
        lift = self.relevant(target)[1]
        return lambda sums: self.of_tallies(sums @ lift)[:, target]


def tally(
    images: np.ndarray,  # (batch, 3, height, width)
    palette: Palette,
) -> np.ndarray:  # (batch, targets + 1) int64
    """Count the pixels of each target colour and, last, those of no palette colour."""
    pixels = np.moveaxis(np.asarray(images), 1, 0)  # (3, batch, height, width)
    counts = [np.logical_and.reduce([pixels[c] == colour[c] for c in range(3)]).sum((1, 2)) for colour in palette.colours]
    unseen = pixels.shape[2] * pixels.shape[3] - np.sum(counts, axis=0)
    return np.stack([*counts[1 : 1 + len(palette.targets)], unseen], axis=1).astype(np.int64)


def apply_head(
    counts: np.ndarray,  # (batch, targets) int64
    head: Head,
) -> np.ndarray:  # (batch, outputs), int64 unless a weight is not an integer
    """Apply a head to counts, in integer arithmetic."""
    if head.name == "count":
        return counts
    if head.name == "difference":
        whole = float(head.negative).is_integer()
        return np.asarray(counts[:, :1] - (int(head.negative) if whole else head.negative) * counts[:, 1:2])
    if head.name == "dominant":
        others = [np.delete(counts, k, axis=1).max(1) for k in range(head.colours)]
        return np.where(counts > np.stack(others, axis=1), 1, 0)
    total, least = counts.sum(1, keepdims=True), counts.min(1, keepdims=True)
    if head.name in MODULAR:
        return np.asarray(total % head.modulus)
    holds = {
        "or": total >= 1,
        "and": least >= 1,
        "threshold": total >= head.threshold,
        "absence": (counts[:, :1] >= 1) & (counts[:, -1:] == 0),
    }
    return np.where(holds[head.name], 1, 0)


def formula(function: Function) -> str:
    """The function as one line of mathematics, n_k being the number of pixels of the k-th target colour."""
    head = function.head
    names = [f"n{k + 1}" for k in range(head.colours)]
    total, weight = " + ".join(names), "" if head.negative == 1 else f"{head.negative:g} "
    lines = {
        "count": f"f(x) = ({', '.join(names)})",
        "difference": f"f(x) = n1 - {weight}n2",
        "or": f"f(x) = 1[{total} >= 1]",
        "and": f"f(x) = 1[{' and '.join(f'{name} >= 1' for name in names)}]",
        "threshold": f"f(x) = 1[n1 >= {head.threshold}]",
        "dominant": "f_k(x) = 1[n_k >= n_j + 1 for every j != k]",
        "modulo": f"f(x) = ({total}) mod {head.modulus}",
        "long-division": f"f(x) = ({total}) mod {head.modulus}, by long division",
        "absence": "f(x) = 1[n1 >= 1 and n2 = 0]",
    }
    extra = f" + {function.unseen:g} u, u = #pixels of unseen colour" if function.unseen else ""
    return f"{lines[head.name]}{extra}, n_k = #pixels of target colour k"
