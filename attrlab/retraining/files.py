"""Real data come from packages that ship them and from files of one's own; nothing is fetched and nothing is unpickled."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.retraining.data import Data, arrays, world

SHIPPED = ("digits", "breast-cancer")
"""Data sets of scikit-learn that stand in the package itself."""


def find_data(name: str, *, rows: int = 400, seed: int = 0) -> Data:
    """Data by name: a world's id, one of `SHIPPED`, an `.npz` file, or a folder.

    Args:
        name: which data; a world's id may not be a file's name.
        rows: of a world, how many training and as many test rows are drawn.
        seed: of the drawing, or of the split.

    Raises:
        UnknownName, InvalidInput, NotApplicable: if there is no such data, or it has no classes.
    """
    if name == "digits":
        return digits(seed=seed)
    if name == "breast-cancer":
        return breast_cancer(seed=seed)
    path = Path(name)
    if path.suffix == ".npz" or path.is_dir():
        return from_npz(path, seed=seed) if path.suffix == ".npz" else from_folder(path, seed=seed)
    return world(name, train=rows, test=rows, seed=seed)


def digits(*, seed: int = 0) -> Data:
    """1,797 handwritten digits of 8 x 8 in ten classes, values in [0, 1]; a pixel is a player.

    Raises:
        NotApplicable: if scikit-learn is not installed.

    Reference:
        Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.
    """
    found = _scikit_learn().load_digits()
    inputs = torch.from_numpy(np.asarray(found.images)).double().unsqueeze(1) / 16
    return arrays("digits", inputs, torch.from_numpy(np.asarray(found.target)).long(), modality="image", seed=seed)


def breast_cancer(*, seed: int = 0) -> Data:
    """569 rows of 30 measurements in two classes, each column with mean 0 and deviation 1 over all rows; the baseline is the mean.

    Raises:
        NotApplicable: if scikit-learn is not installed.

    Reference:
        Wolberg, Mangasarian, Street, Breast Cancer Wisconsin (Diagnostic), UCI Machine Learning Repository, 1995.
    """
    found = _scikit_learn().load_breast_cancer()
    inputs = torch.from_numpy(np.asarray(found.data)).double()
    inputs = (inputs - inputs.mean(0)) / inputs.std(0)
    return arrays("breast-cancer", inputs, torch.from_numpy(np.asarray(found.target)).long(), modality="table", seed=seed)


def from_npz(path: Path, *, seed: int = 0) -> Data:
    """Rows from a file with the arrays `inputs` and `labels`, and where wanted `baseline` and `feature_mask`, each of one row's shape.

    Rows of three dimensions are images (channels, height, width), others tables.

    Raises:
        InvalidInput: if the file is not there, cannot be read without pickles, or lacks an array.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            held = {name: stored[name] for name in stored.files}
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} cannot be read as an .npz file without pickles: {error}") from error
    missing = [name for name in ("inputs", "labels") if name not in held]
    if missing:
        raise InvalidInput(f"{path} needs the arrays 'inputs' and 'labels' (got {', '.join(held) or 'none'})")
    baseline, mask = (torch.from_numpy(held[name]) if name in held else None for name in ("baseline", "feature_mask"))
    inputs = torch.from_numpy(np.asarray(held["inputs"], dtype=np.float64))
    labels = torch.from_numpy(np.asarray(held["labels"])).long()
    modality = "image" if inputs.dim() == 4 else "table"
    return arrays(path.stem, inputs, labels, modality=modality, seed=seed, baseline=baseline, feature_mask=mask)


def from_folder(path: Path, *, seed: int = 0) -> Data:
    """Rows from a folder with one folder per class, each row a `.npy` array or a `.png` image; classes are numbered by name.

    Raises:
        InvalidInput: if there are no two classes, or rows differ in shape.
    """
    classes = sorted(place for place in path.iterdir() if place.is_dir())
    files = [(number, file) for number, place in enumerate(classes) for file in sorted(place.iterdir()) if file.suffix in (".npy", ".png")]
    if len(classes) < 2 or not files:
        raise InvalidInput(
            f"{path} needs a folder per class with .npy or .png files in it (got {len(classes)} folders, {len(files)} files)"
        )
    rows = [_row(file) for _, file in files]
    shapes = {row.shape for row in rows}
    if len(shapes) > 1:
        raise InvalidInput(f"all rows in {path} have one shape (got {', '.join(map(str, sorted(shapes)))})")
    inputs, labels = torch.from_numpy(np.stack(rows)), torch.tensor([number for number, _ in files])
    return arrays(path.name, inputs, labels, modality="image" if inputs.dim() == 4 else "table", seed=seed)


def _row(file: Path) -> np.ndarray:
    """One row; an image as (channels, height, width)."""
    if file.suffix == ".png":
        from matplotlib.image import imread

        pixels = np.asarray(imread(str(file)), dtype=np.float64)
    else:
        try:
            return np.asarray(np.load(file, allow_pickle=False), dtype=np.float64)
        except ValueError as error:
            raise InvalidInput(f"{file} cannot be read as an array without pickles: {error}") from error
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _scikit_learn() -> Any:
    try:
        return import_module("sklearn.datasets")
    except ImportError as error:
        raise NotApplicable("these data ship with scikit-learn, which is not installed: write pip install scikit-learn") from error
