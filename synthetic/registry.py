"""Environments are found by versioned ids, `kebab-case-vN`, and built with knobs: `make_environment("additive-v1", columns=8)`."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable
from typing import Any

from synthetic.environment import Environment

Builder = Callable[..., Environment]

_BUILDERS: dict[str, tuple[Builder, dict[str, Any]]] = {}
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*-v[0-9]+")


class UnknownEnvironment(LookupError):
    """No environment has this id; the message suggests the nearest ones."""


def register(id: str, **fixed: Any) -> Callable[[Builder], Builder]:
    """Register a builder under `id`; `fixed` are the knobs that make this id differ from its siblings.

    The builder takes `id` and its knobs by keyword and returns an `Environment` with that id.

    Raises:
        ValueError: if the id is taken, or is not kebab-case ending in -vN.
    """
    if not _ID.fullmatch(id):
        raise ValueError(f"an environment id is kebab-case and ends in its version, such as 'colour-count-v1' (got {id!r})")

    def decorator(builder: Builder) -> Builder:
        if id in _BUILDERS:
            raise ValueError(f"{id!r} is registered already; raise its version or choose another name (got {builder.__qualname__})")
        _BUILDERS[id] = (builder, fixed)
        return builder

    return decorator


def environment_ids() -> tuple[str, ...]:
    """Every registered id, in the order of registration: images, tables, graphs, sequences, sets."""
    return tuple(_BUILDERS)


def knobs_of(id: str) -> dict[str, Any]:
    """The knobs of an environment with their defaults.

    Raises:
        UnknownEnvironment: if there is no such id.
    """
    builder, fixed = _lookup(id)
    parameters = inspect.signature(builder).parameters.values()
    return {p.name: fixed.get(p.name, p.default) for p in parameters if p.name != "id"}


def make_environment(id: str, **knobs: Any) -> Environment:
    """Build the environment `id`, with `knobs` in place of its defaults.

    Raises:
        UnknownEnvironment: if there is no such id; the message names the nearest.
        ValueError: if a knob is unknown to it or out of range; the message says what to write.
    """
    builder, fixed = _lookup(id)
    known = knobs_of(id)
    for name in knobs:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise ValueError(f"{id} has no knob {name!r}{hint} Its knobs are {', '.join(sorted(known)) or 'none'} (got {name!r})")
    return builder(id=id, **{**fixed, **knobs})


def _lookup(id: str) -> tuple[Builder, dict[str, Any]]:
    if id not in _BUILDERS:
        near = difflib.get_close_matches(id, _BUILDERS, n=3, cutoff=0.4)
        hint = f"Did you mean {' or '.join(repr(name) for name in near)}?" if near else f"The ids are {', '.join(_BUILDERS)}."
        raise UnknownEnvironment(f"there is no environment {id!r}. {hint}")
    return _BUILDERS[id]
