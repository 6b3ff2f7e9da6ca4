"""A cell is one point of one curve: the accuracies of its seeds, what its mask alone gives away, and what should be known of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from attrlab.metrics.student import mean_and_half_width


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One method at one fraction under one protocol.

    Attributes:
        fraction: of the players; what it means is said by `measure`: "roar" removed, "kar" kept.
        accuracies: of the networks retrained, one per seed; NaN for one whose parameters went to infinity.
        leakage: accuracy of networks that see only the mask, averaged; NaN where none was trained.
        notes: what a reader of the number must know, in sentences.
    """

    method: str
    measure: str
    order: str
    evaluated: str
    isolated: str
    fraction: float
    accuracies: tuple[float, ...]
    leakage: float = math.nan
    notes: tuple[str, ...] = ()

    @property
    def mean(self) -> float:
        """Mean accuracy over the seeds that were trained to the end."""
        return mean_and_half_width(self._sound())[0] if self._sound() else math.nan

    @property
    def half_width(self) -> float:
        """Half-width of the 95 % interval of that mean over seeds."""
        return mean_and_half_width(self._sound())[1] if self._sound() else math.nan

    def _sound(self) -> list[float]:
        return [value for value in self.accuracies if math.isfinite(value)]


@dataclass(frozen=True, kw_only=True)
class Retraining:
    """One study of retraining on one data set.

    Attributes:
        chance: accuracy of the commonest class of the test rows.
        full, nothing: accuracies with nothing and with everything removed, over seeds.
        refused: (method, reason) of those that could not be asked.
        networks: how many distinct ones the cells needed, where training one per cell and seed had needed `asked`.
        trained: how many of them were trained in this run; the others were found finished.
        settings: what the numbers depend on.
    """

    data: str
    modality: str
    rule: str
    classes: int
    rows: tuple[int, int]
    chance: float
    full: tuple[float, ...]
    nothing: tuple[float, ...]
    cells: tuple[Cell, ...]
    controls: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    asked: int = 0
    networks: int = 0
    trained: int = 0
    network: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def curve(self, method: str, **protocol: str) -> tuple[Cell, ...]:
        """The cells of a method that agree with `protocol`, by fraction."""
        found = [
            cell for cell in self.cells if cell.method == method and all(getattr(cell, name) == word for name, word in protocol.items())
        ]
        return tuple(sorted(found, key=lambda cell: cell.fraction))

    def to_json(self) -> str:
        """As JSON; NaN becomes null."""
        return json.dumps(self.to_data(), indent=1, allow_nan=False, ensure_ascii=False)

    def to_data(self) -> dict[str, Any]:
        """As plain values, NaN as None: how a record carries it."""
        found: dict[str, Any] = _plain(asdict(self))
        return found

    @staticmethod
    def from_json(text: str) -> Retraining:
        """Read what `to_json` wrote."""
        return Retraining.from_data(json.loads(text))

    @staticmethod
    def from_data(data: Mapping[str, Any]) -> Retraining:
        """Read what `to_data` wrote."""
        cells = tuple(Cell(**{**cell, **_numbers(cell), "notes": tuple(cell["notes"])}) for cell in data["cells"])
        ends = {name: tuple(_number(value) for value in data[name]) for name in ("full", "nothing")}
        pairs = {
            "rows": tuple(data["rows"]),
            "controls": tuple(data["controls"]),
            "refused": tuple(tuple(pair) for pair in data["refused"]),
        }
        return Retraining(**{**data, **ends, **pairs, "cells": cells})


def _numbers(cell: Mapping[str, Any]) -> dict[str, Any]:
    return {"accuracies": tuple(_number(value) for value in cell["accuracies"]), "leakage": _number(cell["leakage"])}


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
