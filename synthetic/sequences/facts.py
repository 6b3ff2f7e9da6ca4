"""A vocabulary of facts: a token says that an entity has a relation, that a relation gives an answer, or asks about an entity.

The two relations stand in different columns of the embedding, so that a fact that gives a relation and a fact that needs one are
told apart by where they are written and not by what they hold.
"""

from __future__ import annotations

import numpy as np

KINDS = 3
"""Entities, relations and answers 1 ... 3. Tokens: 0 a pad; 1 + 3 e + r the fact that entity e has relation r; 10 + 3 r + a the
fact that relation r gives answer a; 19 + e the question after entity e; e, r and a from 0."""

NAMES = ("pad", "has", "relation", "needs", "answer", "asked")


def columns(length: int) -> dict[str, range]:
    """The columns of a row: pad | entity of a fact | its relation | relation of a fact | its answer | asked entity | position."""
    starts = np.cumsum([0, 1, *[KINDS] * (len(NAMES) - 1)]).tolist()
    named = {name: range(start, stop) for name, start, stop in zip(NAMES, starts[:-1], starts[1:], strict=True)}
    return {**named, "position": range(starts[-1], starts[-1] + length)}


def table() -> np.ndarray:
    """One row per token; its parts are one-hot."""
    at = columns(0)
    found = np.zeros((1 + 2 * KINDS**2 + KINDS, at["position"].stop))
    found[0, 0] = 1
    for token in range(1, len(found)):
        for name, part in zip(NAMES[1:], parts(np.array([token])), strict=True):
            if part[0]:
                found[token, at[name][part[0] - 1]] = 1
    return found


def parts(tokens: np.ndarray) -> tuple[np.ndarray, ...]:
    """The entity, relation, relation, answer and asked entity of each token, from 1, 0 where it has none."""
    first, second = tokens - 1, tokens - 1 - KINDS**2
    is_first, is_second = (first >= 0) & (second < 0), (second >= 0) & (second < KINDS**2)
    asked = second - KINDS**2 + 1
    return (
        np.where(is_first, first // KINDS + 1, 0),
        np.where(is_first, first % KINDS + 1, 0),
        np.where(is_second, second // KINDS + 1, 0),
        np.where(is_second, second % KINDS + 1, 0),
        np.maximum(asked, 0),
    )
