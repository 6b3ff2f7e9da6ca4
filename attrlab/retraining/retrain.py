"""From data, methods and settings to a study: laid out, conducted, and read off as cells."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path

from attrlab.method import Method
from attrlab.record import versions
from attrlab.registry import find_method
from attrlab.retraining.cells import Cell, Retraining
from attrlab.retraining.conduct import Progress, Results, conduct
from attrlab.retraining.data import Data
from attrlab.retraining.jobs import Job
from attrlab.retraining.layout import Layout, lay_out
from attrlab.retraining.settings import CONTROLS, Settings


def retrain(
    data: Data,
    methods: Sequence[str | Method],
    *,
    settings: Settings | None = None,
    folder: Path | str | None = None,
    progress: Progress | None = None,
    controls: Sequence[str] = CONTROLS,
) -> Retraining:
    """Conduct a study of methods and controls on data.

    Args:
        data: as `find_data` or `world` give them.
        methods: by name, as the command line reads them, or as values.
        settings: how it is conducted.
        folder: where attributions and finished chunks are kept; a later run of the same study continues there.
        progress: told (networks done, networks in all, seconds left) after every chunk.
        controls: what is asked beside the methods.

    Raises:
        NotApplicable: if no method can be asked, or the network is at chance before anything is removed.
        UnknownName, InvalidInput, Unloadable: if a method or a setting is not usable.
    """
    start = time.perf_counter()
    found = [find_method(name) if isinstance(name, str) else name for name in (*methods, *controls)]
    asked = list({method.name: method for method in found}.values())
    place = None if folder is None else Path(folder)
    layout = lay_out(data, asked, settings or Settings(), folder=place)
    results, trained = conduct(layout, folder=place, progress=progress)
    return Retraining(
        data=data.name,
        modality=data.modality,
        rule=data.rule,
        classes=data.classes,
        rows=(len(data.train), len(data.test)),
        chance=data.chance,
        full=tuple(_number(results[key]["modified"]) for key in layout.full),
        nothing=tuple(_number(results[key]["modified"]) for key in layout.nothing),
        cells=_cells(layout, results),
        controls=tuple(method.name for method in asked if method.control),
        refused=layout.refused,
        asked=len(layout.rows) + len(layout.masks),
        networks=len(results),
        trained=trained,
        network=layout.network.name,
        settings=layout.settings.describe(),
        versions=versions(),
        seconds=time.perf_counter() - start,
    )


def _cells(layout: Layout, results: Results) -> tuple[Cell, ...]:
    """One cell per method, protocol and fraction, its seeds gathered."""
    seeds: dict[tuple[object, ...], list[Job]] = {}
    for job in layout.rows:
        seeds.setdefault((job.method, job.protocol, job.fraction), []).append(job)
    return tuple(_cell(layout, results, jobs) for jobs in seeds.values())


def _cell(layout: Layout, results: Results, jobs: list[Job]) -> Cell:
    first, protocol = jobs[0], jobs[0].protocol
    accuracies = tuple(_number(results[layout.rows[job]][protocol.evaluated]) for job in jobs)
    leaks = [_number(results[layout.masks[job]]["modified"]) for job in jobs if job in layout.masks]
    return Cell(
        method=first.method,
        measure=protocol.measure,
        order=protocol.order,
        evaluated=protocol.evaluated,
        isolated=protocol.isolated,
        fraction=first.fraction,
        accuracies=accuracies,
        leakage=math.fsum(leaks) / len(leaks) if leaks else math.nan,
        notes=tuple(_notes(layout, first, accuracies)),
    )


def _notes(layout: Layout, job: Job, accuracies: tuple[float, ...]) -> list[str]:
    """What went wrong in a cell, or makes its number mean less than it seems."""
    notes = []
    diverged = sum(math.isnan(value) for value in accuracies)
    if diverged:
        notes.append(f"{diverged} of {len(accuracies)} networks went to infinity and are left out: write a smaller rate")
    scored, labels = layout.scored[job.method], layout.data.train.labels
    bare = scored.counts(job, 0) >= scored.present[0].sum(1)
    if job.fraction == (0 if job.protocol.keeps else 1):
        return notes  # with everything removed, that nothing is left needs no telling
    if bool(bare.any()):
        what = "edge" if layout.stand.graph and not layout.stand.nodes_leave else "player"
        notes.append(f"{int(bare.sum())} of {len(bare)} training rows have no {what} left and look alike up to what is no player")
    empty = [str(k) for k in range(layout.data.classes) if bool(bare[labels == k].all())]
    if empty:
        notes.append(f"class {', '.join(empty)} is empty after removal: none of its training rows has a player left")
    return notes


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
