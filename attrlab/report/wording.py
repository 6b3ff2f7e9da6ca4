"""A number in a report has one spelling, and a name from a stranger cannot change how the report is read.

Numbers come in two widths: `short` for columns that are compared by eye, `precise` where one value is judged against its
bound. What is not finite is "undefined" in both, as JSON knows no other word for it.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping

UNDEFINED = "undefined"

_HIDDEN = {"Cc", "Cs"}
_BIDIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def short(value: float) -> str:
    """`value` in at most seven characters: two decimals, or one digit and a power of ten where two decimals say nothing."""
    if not math.isfinite(value):
        return UNDEFINED
    size = abs(value)
    if size == 0:
        return "0.00"
    if 0.005 <= size < 100:
        return f"{value:.2f}"
    if 100 <= size < 10_000:
        return f"{value:.0f}"
    return _exponent(f"{value:.0e}")


def precise(value: float) -> str:
    """`value` in six significant digits, enough to compare a measurement with its bound."""
    return _exponent(f"{value:.6g}") if math.isfinite(value) else UNDEFINED


def hundredths(value: float) -> str:
    """`value` in two decimals, for a place on a scale from 0 to 1 where less than that says nothing."""
    return f"{round(value, 2) + 0.0:.2f}" if math.isfinite(value) else UNDEFINED


def counted(count: int, singular: str, plural: str = "") -> str:
    """`count` with its noun: "1 case", "1,200 cases"."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def duration(seconds: float) -> str:
    """`seconds` as read on a clock: "0.4 s", "12 s", "3 min 20 s"."""
    if not math.isfinite(seconds):
        return UNDEFINED
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def printable(text: str) -> str:
    """`text` with every character that could steer a terminal or a page written out as its escape; line ends and tabs stay."""
    return "".join(_visible(character) for character in text.replace("\r\n", "\n"))


def plain(value: object) -> str:
    """A policy's value in words: a list without brackets, a truth value as yes or no, a number as it is printed elsewhere."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return precise(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {plain(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(plain(item) for item in value) or "none"
    return "none" if value is None else str(value)


def _visible(character: str) -> str:
    if character in "\n\t":
        return character
    if unicodedata.category(character) in _HIDDEN or character in _BIDIRECTIONAL:
        return character.encode("unicode_escape").decode("ascii")
    return character


def _exponent(text: str) -> str:
    mantissa, mark, power = text.partition("e")
    return f"{mantissa}e{int(power)}" if mark else text
