"""What can go wrong, by what the reader must do about it."""

from __future__ import annotations


class AttrlabError(Exception):
    """Base of the laboratory's own errors; never raised itself."""


class CheckFailed(AttrlabError, AssertionError):
    """A verdict: something was measured and is beyond its bound. The message names method, environment, quantity, value and bound."""


class NotApplicable(AttrlabError):
    """A method does not apply to this network or input. The message says why, and what would make it apply."""


class MethodError(AttrlabError):
    """A method raised, or returned something that cannot be read as scores."""


class UnknownName(AttrlabError, LookupError):
    """A name that nothing is registered under; the message suggests the nearest."""


class InvalidInput(AttrlabError, ValueError):
    """An argument out of its range; the message says what was got and what to write."""


class Unloadable(AttrlabError):
    """A file or module that a method was named in cannot be imported, or does not hold what was named."""
