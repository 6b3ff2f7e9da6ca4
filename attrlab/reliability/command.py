"""`attrlab reliability`: all evaluations on worlds of every kind, judged by the truth, as one table, one page and one file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from attrlab.games import Policy, applied
from attrlab.record import Judgement, Run, versions, write_atomically
from attrlab.reliability.judging import QUESTIONS, judge
from attrlab.reliability.soundness_bias import WORLDS as BIASED
from attrlab.reliability.soundness_bias import biases
from attrlab.reliability.verdicts import sentence
from attrlab.reliability.worlds import WORLDS, parted
from attrlab.study import prepare

if TYPE_CHECKING:
    from attrlab.metrics.metric import Question

Progress = Callable[[Sequence[str]], Iterable[str]]


def study(
    places: Sequence[str] = WORLDS,
    *,
    rows: int = 12,
    seed: int = 0,
    seeds: int = 1,
    questions: Sequence[Question] = QUESTIONS,
    progress: Progress = iter,
) -> tuple[Judgement, ...]:
    """Judge every evaluation on every one of these worlds, once for each of `seeds` seeds from `seed` on.

    Another seed means other rows, other random scores and ladders, another draw of every drawn imputer, and other noise of methods.

    Raises:
        UnknownName, InvalidInput: if a world or one of its knobs is unknown.
    """
    found: list[Judgement] = []
    for place in progress(places):
        id, knobs = parted(place)
        for number in range(seed, seed + seeds):
            found += judge(prepare(id, rows=rows, seed=number, **knobs), place=place, questions=questions)
    return tuple(found)


def run(
    places: Sequence[str],
    *,
    rows: int,
    seed: int,
    seeds: int = 1,
    json: Path | None = None,
    html: Path | None = None,
    markdown: Path | None = None,
    progress: Progress = iter,
) -> tuple[Judgement, ...]:
    """Judge, print what was found of every evaluation, and write the records, the page and the table that were asked for."""
    torch.set_num_threads(1)  # two threads on networks of this size are 10 to 40 times slower than one
    policy, started = Policy(), time.perf_counter()
    with applied(policy):
        found = study(places, rows=rows, seed=seed, seeds=seeds, progress=progress)
        far = tuple(biases(BIASED if tuple(places) == WORLDS else places, rows=rows, seed=seed))
    record = Run(
        verdicts=(),
        scores=(),
        judgements=found,
        biases=far,
        policy=policy.describe() | {"seed": seed, "seeds": seeds, "rows": rows},
        versions=versions(),
        seconds=time.perf_counter() - started,
    )
    _print(record)
    if json is not None:
        write_atomically(json, record.to_json())
        print(f"records: {json}")
    if html is not None:
        from attrlab.report.page import write_page

        write_page(record, html)
        print(f"page: {html}")
    if markdown is not None:
        write_tables(record, markdown)
        print(f"tables: {markdown}, and a figure beside them")
    return found


def write_tables(record: Run, path: Path) -> None:
    """The tables of a study, and beside them the figure of biases under the same name.

    Raises:
        OSError: if the folder does not exist or cannot be written to.
    """
    from attrlab.report.bias_table import bias_figure, bias_markdown
    from attrlab.report.reliability_table import markdown_of

    figure = path.with_suffix(".svg")
    write_atomically(path, f"{markdown_of(record)}\n{bias_markdown(record.biases, figure=figure.name)}\n")
    write_atomically(figure, bias_figure(record.biases))


def _print(record: Run) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console()
    for name in dict.fromkeys(one.evaluation for one in record.judgements):
        console.print(Text(name, style="bold"))
        console.print(Padding(Text(sentence([one for one in record.judgements if one.evaluation == name])), (0, 0, 0, 4)))
    worlds = len({one.environment for one in record.judgements})
    console.print(f"{len(record.judgements):,} judgements on {worlds} worlds; {record.seconds:.0f} s")
