"""A study that takes a fraction of a second: a table world, a few epochs, and a store of many small chunks."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from attrlab.retraining import ROAR, Data, Retraining, Settings, Training, retrain, world

METHODS = ("random", "truth", "constant")


def small_data() -> Data:
    return world("majority-v1", train=64, test=64)


def small_settings(**changes: object) -> Settings:
    stated = {"protocols": (ROAR,), "fractions": (0.0, 0.3, 0.6), "seeds": 2, "chunk": 2, "training": Training(epochs=8, batch=16)}
    return Settings(**{**stated, **changes})  # type: ignore[arg-type]


def small_study(folder: Path | None, *, pause: float = 0.0) -> Retraining:
    return retrain(small_data(), (), settings=small_settings(), folder=folder, controls=METHODS, progress=lambda *told: time.sleep(pause))


if __name__ == "__main__":
    small_study(Path(sys.argv[1]), pause=0.5)
