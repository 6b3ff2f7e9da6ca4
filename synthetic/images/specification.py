"""What a colour world computes, said again in integers: compare colours, count pixels, apply the head. No network is called."""

from __future__ import annotations

import numpy as np

from synthetic.images.palette import Palette


def specification(
    images: np.ndarray,  # (batch, 3, height, width), palette colours
    *,
    palette: Palette,
    head: str,
    modulus: int,
) -> np.ndarray:  # (batch, outputs) int64
    """Return what the network must return, for images of any shape made of palette colours."""
    return apply_head(count_colours(images, palette), head=head, modulus=modulus)


def count_colours(
    images: np.ndarray,  # (batch, 3, height, width)
    palette: Palette,
) -> np.ndarray:  # (batch, targets) int64
    """Count the pixels of each target colour."""
    pixels = np.moveaxis(np.asarray(images), 1, 0)  # (3, batch, height, width)
    counts = [np.logical_and.reduce([pixels[c] == colour[c] for c in range(3)]).sum((1, 2)) for colour in palette.targets]
    return np.stack(counts, axis=1).astype(np.int64)


def apply_head(
    counts: np.ndarray,  # (batch, targets) int64
    *,
    head: str,
    modulus: int,
) -> np.ndarray:  # (batch, outputs) int64
    """Apply a head to counts, in integer arithmetic."""
    if head == "count":
        return counts
    total, least = counts.sum(1, keepdims=True), counts.min(1, keepdims=True)
    values: dict[str, np.ndarray] = {
        "difference": counts[:, :1] - counts[:, 1:2],
        "or": np.where(total >= 1, 1, 0),
        "and": np.where(least >= 1, 1, 0),
        "modulo": total % modulus,
    }
    return values[head]


def formula(head: str, *, targets: int, modulus: int) -> str:
    """The head as one line of mathematics, n_k being the number of pixels of the k-th target colour."""
    total = " + ".join(f"n{k + 1}" for k in range(targets))
    present = " and ".join(f"n{k + 1} >= 1" for k in range(targets))
    lines = {
        "count": f"f(x) = ({total.replace(' + ', ', ')})",
        "difference": "f(x) = n1 - n2",
        "or": f"f(x) = 1[{total} >= 1]",
        "and": f"f(x) = 1[{present}]",
        "modulo": f"f(x) = ({total}) mod {modulus}",
    }
    return f"{lines[head]}, n_k = #pixels of target colour k"
