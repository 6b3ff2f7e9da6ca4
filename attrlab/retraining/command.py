"""The command line's part of a study: settings from options, a bar with the time left, sentences, and the files that were asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrlab.record import Run, write_atomically
from attrlab.retraining.conduct import Progress
from attrlab.retraining.data import Data
from attrlab.retraining.files import find_data
from attrlab.retraining.jobs import KAR, ROAR, Protocol, romie_and_rolie
from attrlab.retraining.retrain import retrain
from attrlab.retraining.settings import Settings
from attrlab.retraining.verdicts import sentences


def run(
    methods: Sequence[str], on: str, *, rows: int, lerf: bool, folder: Path | None, html: Path | None, json: Path | None, **stated: Any
) -> None:
    """Conduct a study, print what it found in sentences, and write its files.

    Args:
        methods: by name.
        on: as `find_data` reads it.
        rows: of a world, training and test rows.
        lerf: also remove (keep) the least relevant first.
        folder: where finished work is kept, for a later run to continue.
        html: where the page is written.
        json: where the points of all curves are.
        stated: fields of `Settings`.

    Raises:
        AttrlabError: if something is unknown, does not apply, or is at chance before anything is removed.
    """
    import torch

    torch.set_num_threads(1)  # two threads on networks of this size are 10 to 40 times slower than one
    data = find_data(on, rows=rows, seed=stated.get("seed", 0))
    settings = Settings(protocols=_protocols(data, lerf=lerf), **stated)
    with bar() as progress:
        study = retrain(data, methods, settings=settings, folder=folder, progress=progress)
    for sentence in sentences(study):
        print(sentence)
    print(f"{study.asked} points and masks needed {study.networks} networks, {study.trained} of them trained now, {study.seconds:.0f} s")
    if json is not None:
        write_atomically(json, study.to_json())
        print(f"records: {json}")
    if html is not None:
        from attrlab.report.page import write_page

        write_page(Run(verdicts=(), scores=(), studies=(study.to_data(),), versions=study.versions, seconds=study.seconds), html)
        print(f"page: {html}")


@contextmanager
def bar() -> Iterator[Progress]:
    """A bar on standard error, with the networks done and the time left; nothing where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("networks"), BarColumn(), MofNCompleteColumn(), TextColumn("about {task.fields[left]:.0f} s left"))
    with Bar(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("networks", total=None, left=0.0)

        def progress(done: int, total: int, left: float) -> None:
            shown.update(task, completed=done, total=total, left=left)

        yield progress


def _protocols(data: Data, *, lerf: bool) -> tuple[Protocol, ...]:
    own = romie_and_rolie() if data.modality == "graph" else (ROAR, KAR)
    return (*own, Protocol(measure="roar", order="lerf"), Protocol(measure="kar", order="lerf")) if lerf else own
