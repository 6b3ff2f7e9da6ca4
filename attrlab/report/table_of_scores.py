"""Scores are printed as values under their floor and ceiling, and once in short as places between the two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrlab.record import Run
from attrlab.report.matrix import methods_of
from attrlab.report.scoreboard import Scoreboard, metrics_of, overview, position, scoreboards
from attrlab.report.terminal import bare_table, blocks, folded, labelled, name_width, styled
from attrlab.report.wording import hundredths, short

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_METRIC_WIDTH = 12
_VALUE_WIDTH = 7


def print_overview(run: Run, console: Console) -> None:
    """Print methods by metrics: the median place between floor and ceiling."""
    medians = overview(run)
    metrics = metrics_of(run)
    methods = [name for name in methods_of(run) if any((name, metric) in medians for metric in metrics)]
    if metrics:
        console.print(styled("SCORES, median place over environments: 0 is the random floor, 1 the ceiling of the truth", "bold"))
    for shown in blocks(metrics, (console.width - name_width(methods)) // _METRIC_WIDTH):
        table = bare_table("method")
        for metric in shown:
            table.add_column(styled(folded(metric, _METRIC_WIDTH - 1)), justify="right", max_width=_METRIC_WIDTH - 1)
        for name in methods:
            table.add_row(labelled(name), *(styled(hundredths(medians[name, m][0]) if (name, m) in medians else "–") for m in shown))
        console.print(table)
        console.print()


def print_scores(run: Run, console: Console) -> None:
    """Print one table per metric and seed: methods by environments, under the floor and the ceiling."""
    environments = list(dict.fromkeys(score.environment for score in run.scores))
    if not environments:
        return
    _print_legend(environments, console)
    boards = scoreboards(run)
    for board in boards:
        seed = f", seed {board.seed}" if len({b.seed for b in boards}) > 1 else ""
        console.print(styled(f"{board.evaluation} ({board.direction} is better{seed})", "bold"))
        for shown in blocks(board.environments, (console.width - name_width(board.methods)) // _VALUE_WIDTH):
            table = bare_table("method")
            for name in shown:
                table.add_column(str(environments.index(name) + 1), justify="right")
            _add_scores(table, board, shown)
            console.print(table)
            console.print()


def _print_legend(environments: Sequence[str], console: Console) -> None:
    """The environments by number, in as many columns as fit."""
    from rich.columns import Columns

    console.print(styled("SCORES, by the number of the environment", "bold"))
    entries = [styled(f"{number:>2} {name}") for number, name in enumerate(environments, start=1)]
    console.print(Columns(entries, padding=(0, 2), column_first=True))
    console.print()


def _add_scores(table: Table, board: Scoreboard, environments: Sequence[str]) -> None:
    """One row per method under the floor and the ceiling; a control that is one of them is not repeated."""
    ends = [board.ends(name) for name in environments]
    for label, side in (("floor (random)", 0), ("ceiling (truth)", 1)):
        values = [styled("varies" if end[side] is None else _value(end[side]), "dim") for end in ends]
        table.add_row(styled(label, "dim"), *values, end_section=side == 1)
    for method in board.methods:
        row = [_score_cell(board, method, name) for name in environments]
        end = {"random": 0, "truth": 1}.get(method)
        if end is None or any(text.plain != _value(ends[i][end]) for i, text in enumerate(row)):
            table.add_row(labelled(method), *row)


def _value(value: float | None) -> str:
    return "" if value is None else "undef." if math.isnan(value) else short(value)


def _score_cell(board: Scoreboard, method: str, environment: str) -> Text:
    score = board.scores.get((method, environment))
    if score is None:
        return styled("–", "dim")
    where = position(score)
    return styled(_value(score.value), "" if math.isnan(where) else "green" if where >= 0.95 else "red" if where <= 0.05 else "")
