"""A study is laid out, its distinct networks are trained chunk by chunk, and each finished chunk is on disk before the next begins.

The layout is the same in every run of the same study, so that a chunk which was finished before a kill is found again and the others
have the same members as before. The ends of the curves are trained first: where a network does not beat chance with nothing removed,
removing could take nothing away, and the study is refused.
"""

from __future__ import annotations

import math
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from attrlab.errors import NotApplicable
from attrlab.retraining.data import Data
from attrlab.retraining.jobs import Unit
from attrlab.retraining.layout import Layout
from attrlab.retraining.stacked import accuracies, train
from attrlab.retraining.store import read_results, write_results
from attrlab.retraining.views import view_of, whole

Progress = Callable[[int, int, float], None]
"""(networks done, networks in all, seconds left by the rate so far)."""

Results = dict[str, dict[str, Any]]

SURE = 2.326
"""Standard errors above chance that a network must reach with nothing removed: one-sided 1 %."""


@dataclass(kw_only=True)
class Tally:
    """How far a study is; time left counts only what was trained in this run."""

    total: int
    done: int
    progress: Progress | None
    trained: int = 0
    started: float = field(default_factory=time.perf_counter)

    def add(self, networks: int) -> None:
        """Count finished networks and say so."""
        self.done, self.trained = self.done + networks, self.trained + networks
        if self.progress is not None:
            spent = time.perf_counter() - self.started
            self.progress(self.done, self.total, spent / self.trained * (self.total - self.done))


def conduct(layout: Layout, *, folder: Path | None = None, progress: Progress | None = None) -> tuple[Results, int]:
    """Train what is not in the folder yet.

    Returns:
        The accuracies of every unit by key, and how many networks were trained in this run.

    Raises:
        NotApplicable: if networks are at chance with nothing removed.
    """
    found: Results = {} if folder is None else read_results(folder)
    keys = {unit.key for chunk in (*layout.anchors, *layout.chunks) for unit in chunk}
    tally = Tally(total=len(keys), done=len(keys & set(found)), progress=progress)
    for chunk in _open(layout.anchors, found):
        found.update(_finish(layout, chunk, folder))
        tally.add(len(chunk))
    require_above_chance(layout.data, [found[key]["modified"] for key in layout.full])
    for results in _all_chunks(layout, _open(layout.chunks, found), folder):
        found.update(results)
        tally.add(len(results))
    return {key: found[key] for key in keys}, tally.trained


def train_chunk(layout: Layout, units: Sequence[Unit]) -> Results:
    """Train and test the networks of one chunk."""
    stand, scored = layout.stand, layout.scored
    network, labels = layout.network if units[0].question == "rows" else layout.mask_network, (stand.train.labels, stand.test.labels)
    parameters = train(
        network, view_of(stand, units, scored, 0), labels[0], seeds=[unit.job.seed for unit in units], training=layout.settings.training
    )
    modified = accuracies(network, parameters, view_of(stand, units, scored, 1), labels[1])
    original = accuracies(network, parameters, whole(stand, 1, len(units)), labels[1]) if units[0].question == "rows" else modified
    return {unit.key: {"modified": _plain(modified[place]), "original": _plain(original[place])} for place, unit in enumerate(units)}


def require_above_chance(data: Data, full: Sequence[float | None]) -> None:
    """Refuse a comparison in which there is nothing to lose.

    Raises:
        NotApplicable: if the mean accuracy with nothing removed is not above that of the commonest class, beyond 1 % of chance.
    """
    known = [value for value in full if value is not None]
    mean = math.fsum(known) / len(known) if known else 0.0
    bound = data.chance + SURE * math.sqrt(data.chance * (1 - data.chance) / len(data.test))
    if mean <= bound:
        raise NotApplicable(
            f"the network does not beat chance on {data.name} before anything is removed, so that removing cannot take anything away and "
            "the comparison is refused: train longer, with another network or with more rows "
            f"(got accuracy {mean:.3f} on {len(data.test)} test rows, needs more than {bound:.3f}; "
            f"the commonest class alone gives {data.chance:.3f})"
        )


def _open(chunks: Sequence[Sequence[Unit]], found: Mapping[str, Any]) -> list[list[Unit]]:
    """The chunks that are not finished; of a chunk that is finished in part, the rest."""
    left = ([unit for unit in chunk if unit.key not in found] for chunk in chunks)
    return [chunk for chunk in left if chunk]


def _finish(layout: Layout, units: Sequence[Unit], folder: Path | None) -> Results:
    results = train_chunk(layout, units)
    if folder is not None:
        write_results(folder, results)
    return results


def _all_chunks(layout: Layout, chunks: list[list[Unit]], folder: Path | None) -> Iterator[Results]:
    """Every chunk, in this process or in several; each process writes what it finished itself."""
    settings = layout.settings
    if settings.workers == 1 or len(chunks) < 2 or settings.device != "cpu" or "fork" not in multiprocessing.get_all_start_methods():
        for chunk in chunks:
            yield _finish(layout, chunk, folder)
        return
    _SHARED["work"] = (layout, chunks, folder)
    try:
        with ProcessPoolExecutor(settings.workers, mp_context=multiprocessing.get_context("fork"), initializer=_one_thread) as pool:
            for done in as_completed([pool.submit(_work, number) for number in range(len(chunks))]):
                yield done.result()
    finally:
        _SHARED.clear()


_SHARED: dict[str, tuple[Layout, list[list[Unit]], Path | None]] = {}
"""What forked processes inherit: imputers are functions, which cannot be sent."""


def _work(number: int) -> Results:
    layout, chunks, folder = _SHARED["work"]
    return _finish(layout, chunks[number], folder)


def _one_thread() -> None:
    torch.set_num_threads(1)


def _plain(value: torch.Tensor) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
