"""A long list of methods is read by families: rows stand under the name of their family, which folds them away without a script.

A family is the file that registers a method; what nobody registered stands under "others", controls under a heading of their own.
Short lists are not cut up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from attrlab.report.matrix import CONTROLS

MANY = 24
"""From so many rows on, a table is cut into families."""

Row = TypeVar("Row")


def family_of(method: str) -> str:
    """The family of a method, as a heading."""
    from attrlab.methods.registered import FAMILY_OF

    if method in CONTROLS:
        return "controls"
    return FAMILY_OF.get(method.partition("(")[0], "others").replace("_", " ")


def grouped(rows: Iterable[Row], name: Callable[[Row], str]) -> list[tuple[str, Sequence[Row]]]:
    """Heading and rows, in order of first appearance; one group without a heading where there are few rows."""
    rows = list(rows)
    if len(rows) < MANY:
        return [("", rows)]
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(family_of(name(row)), []).append(row)
    return list(found.items())
