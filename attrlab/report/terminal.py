"""A terminal has few columns: names are folded at their underscores, tables have no edges, and text is never read as markup."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrlab.report.matrix import CONTROLS
from attrlab.report.wording import printable

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

NAME_WIDTH = 32
"""Columns for a method's name; a longer one is folded."""


def bare_table(first: str) -> Table:
    """An empty table without edges whose first column folds names that are too long for it."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(first, max_width=NAME_WIDTH, overflow="fold")
    return table


def labelled(method: str) -> Text:
    """A method's name; a control is called one."""
    return styled(f"{method} (control)", "dim") if method in CONTROLS else styled(method)


def name_width(methods: Sequence[str]) -> int:
    """How many columns of the terminal a table spends on its names."""
    return min(max((labelled(method).cell_len for method in methods), default=0), NAME_WIDTH) + 2


def folded(name: str, width: int) -> str:
    """A name in snake_case, broken at underscores into lines of at most `width` where its words allow it."""
    lines: list[str] = []
    for word in name.split("_"):
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f"_{word}"
        else:
            lines.append(word)
    return "\n".join(lines)


def blocks(names: Sequence[str], per_block: int) -> list[Sequence[str]]:
    """Cut columns into blocks of at most `per_block`, as even as can be."""
    count = math.ceil(len(names) / max(per_block, 1))
    size = math.ceil(len(names) / count) if count else 1
    return [names[start : start + size] for start in range(0, len(names), size)]


def styled(content: str, style: str = "") -> Text:
    """`content` as it is, never read as markup, with what could steer a terminal written out."""
    from rich.text import Text

    return Text(printable(content), style=style, overflow="fold")
