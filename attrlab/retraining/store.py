"""Whatever is finished is on disk at once and whole, so that a run which is killed continues where it was.

A file is written beside its place and renamed into it: it is there completely or not at all. Results stand under the digest of all they
depend on, so a store may be shared by studies and nothing in it is ever stale.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from attrlab.record import write_atomically


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write named arrays to one `.npz` file.

    Raises:
        OSError: if the folder cannot be made or written to; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(buffer.getvalue())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_arrays(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays of a file, or None where there is no such file."""
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as held:
        return {name: held[name] for name in held.files}


def write_results(folder: Path, results: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the results of one chunk, by key; the file is named by its first key, so that the same chunk is the same file."""
    place = folder / "chunks"
    place.mkdir(parents=True, exist_ok=True)
    write_atomically(place / f"{next(iter(results))}.json", json.dumps(results))


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """All finished results by key."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((folder / "chunks").glob("*.json")):
        found.update(json.loads(path.read_text(encoding="utf-8")))
    return found
