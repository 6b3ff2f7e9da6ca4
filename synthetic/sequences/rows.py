"""A sequence is one row: each position's token as its embedding, beside a constant code of the position.

The columns of a token are one player, whose baseline is the pad token's embedding; the columns of the position belong to no player. So
a coalition is a sequence again, with pads where tokens were taken out, and nothing moves up.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from synthetic.streams import Streams

PAD = 0
"""The number of the pad token in every vocabulary."""


def encode(
    tokens: Tensor,  # (batch, length) int64
    table: np.ndarray,  # (vocabulary, columns), the embedding of each token
) -> Tensor:  # (batch, length, columns + length)
    """Write token numbers as rows: embedding | one-hot position."""
    length = tokens.shape[1]
    places = torch.eye(length, dtype=torch.float64).expand(len(tokens), -1, -1)
    return torch.cat([torch.from_numpy(table).double()[tokens], places], dim=2)


def decode(
    rows: np.ndarray,  # (batch, length, columns + length)
    table: np.ndarray,  # (vocabulary, columns)
) -> np.ndarray:  # (batch, length) int64
    """Read rows back as token numbers.

    Raises:
        ValueError: if an embedding is not in the table, or the position columns are not the positions.
    """
    columns = table.shape[1]
    places = np.eye(rows.shape[1])
    if rows.shape[2] != columns + rows.shape[1] or not (rows[..., columns:] == places).all():
        raise ValueError(f"the last columns of a row are the one-hot positions (got rows of shape {rows.shape})")
    same = (rows[:, :, None, :columns] == table).all(-1)
    if not (same.sum(-1) == 1).all():
        bad = tuple(np.argwhere(same.sum(-1) != 1)[0])
        raise ValueError(f"the specification reads tokens, and an entry is none of the vocabulary (got {rows[bad][:columns]} at {bad})")
    return np.asarray(same.argmax(-1), dtype=np.int64)


def owners(length: int, columns: int) -> Tensor:  # (length, columns + length) int64
    """Player j owns the embedding at position j; the position columns belong to none."""
    mask = torch.full((length, columns + length), -1, dtype=torch.int64)
    mask[:, :columns] = torch.arange(length).unsqueeze(1)
    return mask


def shuffled(
    rows: Tensor,  # (batch, length)
    streams: Streams,
) -> Tensor:  # (batch, length)
    """Permute the entries of each row by a permutation of its own."""
    return rows.gather(1, torch.rand(rows.shape, generator=next(streams)).argsort(1))


def distinct(
    n: int,
    size: int,
    streams: Streams,
) -> Tensor:  # (n, size) int64
    """A random permutation of 0 ... size - 1 in each row."""
    return torch.rand(n, size, generator=next(streams)).argsort(1)
