"""Attributions are of the network that is explained, computed once per method, kept, and used for every fraction and seed.

Class codes are written by label, true or predicted, also where the network has one output: what they show is a leak of the label.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from attrlab.case import Case
from attrlab.errors import MethodError, NotApplicable
from attrlab.method import Method, explain, players_of
from attrlab.methods import controls
from attrlab.retraining.data import Data, Split
from attrlab.retraining.store import read_arrays, write_arrays

ROWS = 64
"""How many rows a method is asked about at a time."""

REFERENCE = 32
"""How many training rows are offered as reference data."""

CODES = {"class_coded_mask": "label", "predicted_class_coded_mask": "prediction"}
"""Controls that write a class into their scores, and which."""


def player_scores_of(
    method: Method,
    data: Data,
    model: nn.Module,  # float64
    *,
    seed: int = 0,
    folder: Path | None = None,
) -> tuple[Tensor, Tensor]:  # (training rows, players), (test rows, players)
    """The scores of one method on both splits, from `folder` where they are there already.

    Raises:
        NotApplicable: if the method does not apply to this modality or these rows.
        MethodError: if it raises, or if scores are NaN, infinite or of another shape; the message says in how many rows.
    """
    if method.modalities and data.modality not in method.modalities:
        raise NotApplicable(f"{method.name} applies to {', '.join(sorted(method.modalities))} rows (got {data.modality})")
    path = None if folder is None else folder / f"{_file(method, data, model, seed)}.npz"
    if path is not None and (held := read_arrays(path)) is not None:
        return torch.from_numpy(held["train"]), torch.from_numpy(held["test"])
    train = torch.cat(list(_scores(method, data, data.train, model, seed=2 * seed)))
    test = torch.cat(list(_scores(method, data, data.test, model, seed=2 * seed + 1)))
    if path is not None:
        write_arrays(path, train=train.numpy(), test=test.numpy())
    return train, test


def _scores(method: Method, data: Data, split: Split, model: nn.Module, *, seed: int) -> Iterator[Tensor]:
    coded = CODES.get(method.name) if method.control else None
    asked = Method(name=method.name, attribute=controls.class_coded_mask, control=True) if coded else method
    for start in range(0, len(split), ROWS):
        rows = slice(start, start + ROWS)
        target = split.target[rows]
        if coded is not None:
            target = split.labels[rows] if coded == "label" or data.model is not None else predictions(model, split.inputs[rows])
        scores = explain(asked, _case(data, split, rows, target, model), seed=seed)
        _require_scores(method, scores, split.inputs[rows], start, len(split))
        yield players_of(scores, split.feature_mask[rows], data.players).double()


def predictions(
    model: nn.Module,
    inputs: Tensor,  # (rows, *features)
) -> Tensor:  # (rows,) int64
    """The class that a trained network gives each row."""
    with torch.no_grad():
        found: Tensor = model(inputs).argmax(1)
    return found


def _case(data: Data, split: Split, rows: slice, target: Tensor, model: nn.Module) -> Case:
    return Case(
        name=data.name,
        formula=data.formula,
        modality=data.modality,
        model=model,
        inputs=split.inputs[rows],
        target=target,
        baseline=split.baseline[rows],
        feature_mask=split.feature_mask[rows],
        players=data.players,
        truth=None if split.truth is None else split.truth[rows],
        seeds=torch.arange(len(split))[rows],
        reference=data.train.inputs[:REFERENCE],
        twin=data.twin,
    )


def _require_scores(method: Method, scores: Tensor, inputs: Tensor, start: int, rows: int) -> None:
    if scores.shape != inputs.shape:
        raise MethodError(
            f"{method.name} must return scores shaped like its inputs, {tuple(inputs.shape)} (got {tuple(scores.shape)}); it is left out"
        )
    bad = (~scores.flatten(1).isfinite().all(1)).nonzero()
    if len(bad):
        raise MethodError(
            f"{method.name} returned scores that are NaN or infinite, first in row {start + int(bad[0])} of {rows}, in {len(bad)} of the "
            f"{len(scores)} rows asked with it; a ranking of such rows means nothing, so the method is left out"
        )


def _text(method: Method) -> str:
    """The source of the method's function, so that one which was changed is asked again; functions that it calls are not looked into."""
    function = method.attribute
    while isinstance(function, functools.partial):
        function = function.func
    try:
        return inspect.getsource(inspect.unwrap(function))
    except (OSError, TypeError):
        return repr(type(function))


def _file(method: Method, data: Data, model: nn.Module, seed: int) -> str:
    """A file name that changes with whatever the scores depend on: data, network, parameters, and the text of the method's function."""
    found = hashlib.sha256(f"{method.name} {sorted(method.parameters.items())} {seed} {data.digest()} {_text(method)}".encode())
    for name, value in model.state_dict().items():
        found.update(name.encode())
        found.update(np.ascontiguousarray(value.detach().cpu().numpy()).tobytes())
    safe = "".join(letter if letter.isalnum() or letter in "_-" else "_" for letter in method.name)[:60]
    return f"{safe}-{found.hexdigest()[:16]}"
