"""Every draw of a world has a stream of its own, so that the first rows of a sample are the same however many follow.

Numbers are drawn row by row within one call. Two calls that share a stream would make the second depend on how many rows the first
drew; with a stream for each call none does.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import torch

Streams = Iterator[torch.Generator]
"""An endless supply of generators; a draw takes the next."""

_ODD = 0x9E3779B97F4A7C15
"""2^64 / golden ratio, so that the seeds of neighbouring streams are far apart."""


def streams_of(generator: torch.Generator) -> Streams:
    """Seed a stream for every draw to come from one number of `generator`, which is drawn with the first of them."""
    seed = int(torch.randint(2**62, (), generator=generator))
    for number in count():
        yield torch.Generator().manual_seed((seed + number * _ODD) % 2**63)
