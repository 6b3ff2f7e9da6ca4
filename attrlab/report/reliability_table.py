"""Which evaluation can be trusted, as tables that can be cited: counts of worlds on which all seeds agree, and intervals over the seeds.

Beside the counts stands what they depend on: the bounds of the words, the imputer, and whether other seeds would have said the same.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from itertools import combinations

from attrlab.metrics.student import mean_and_half_width
from attrlab.record import Judgement, Run
from attrlab.reliability.verdicts import BOUNDS, GRADES, OWN, Bounds, Grade, by_cell, grade, settled
from attrlab.report.reliability import QUESTIONS
from attrlab.report.wording import counted

OTHERS = (Bounds(ladder=0.6, order=0.3), Bounds(ladder=0.9, order=0.7))
"""Bounds that the counts are compared under."""

LETTERS: dict[Grade, str] = {
    "trusted": "**T**",
    "coarse": "c",
    "one-sided": "o",
    "blind": "b",
    "misleads": "**M**",
    "unsettled": "?",
    "undefined": "–",
}

TRUTH = """**The truth is the Shapley value of the baseline game.** An evaluation that asks another question (under another imputer, about \
the removal of one player, of a probability) is judged by that truth all the same: what is measured is how far it can stand in for it.

Another seed means other rows, other random scores and ladders, another draw of every drawn imputer and other noise of methods. The random \
sets that sensitivity-n, infidelity and faithfulness correlation remove are part of their definition here and the same for all seeds."""

WORDS: tuple[Grade, ...] = ("trusted", "coarse", "one-sided", "blind", "misleads", "unsettled")


def markdown_of(run: Run) -> str:
    """The judgements of a run as a page of tables."""
    found = run.judgements
    seeds = sorted({one.seed for one in found})
    parts = [_head(run, seeds), *(_evaluations(found, question) for question in QUESTIONS), _worlds(found), _imputers(found)]
    return "\n\n".join(part for part in [*parts, _stability(found, seeds)] if part) + "\n"


def tau_over_seeds(
    found: Iterable[Judgement],
) -> tuple[float, float]:
    """The mean over worlds of the order of methods, and the half-width of its 95 % interval over seeds; NaN where there are too few."""
    by_seed: dict[int, list[float]] = {}
    for one in found:
        if not math.isnan(one.kendall):
            by_seed.setdefault(one.seed, []).append(one.kendall)
    means = [statistics.fmean(taus) for taus in by_seed.values()]
    return mean_and_half_width(means) if means else (math.nan, math.nan)


def agreement_of_seeds(
    found: Iterable[Judgement],
) -> tuple[float, int]:
    """How often two seeds give a cell the same word, over all pairs of seeds and all cells defined for both; and how many pairs."""
    same = pairs = 0
    for seeds in by_cell(found).values():
        words = [word for one in seeds if (word := grade(one)) != "undefined"]
        for first, second in combinations(words, 2):
            same, pairs = same + (first == second), pairs + 1
    return (same / pairs if pairs else math.nan), pairs


def contradicted(
    found: Iterable[Judgement],
    half: Sequence[int],
) -> tuple[int, int]:
    """Of the cells settled by the seeds of `half` and by all the others, how many are settled with another word; and how many those are."""
    both = differ = 0
    for seeds in by_cell(found).values():
        words = [settled(one for one in seeds if (one.seed in half) == side) for side in (True, False)]
        if not {"unsettled", "undefined"} & set(words):
            both, differ = both + 1, differ + (words[0] != words[1])
    return differ, both


def _head(run: Run, seeds: Sequence[int]) -> str:
    rows = run.policy.get("rows", "?")
    worlds = len({one.environment for one in run.judgements})
    versions = ", ".join(f"{name} {run.versions[name]}" for name in ("attrlab", "python", "torch") if name in run.versions)
    lines = [
        "# Which evaluation can be trusted for what",
        "",
        f"    attrlab reliability --rows {rows} --seed {seeds[0] if seeds else 0} --seeds {len(seeds)} --markdown reliability.md",
        "",
        f"{counted(worlds, 'world')}, {rows} rows of each, {counted(len(seeds), 'seed')}; {versions}.",
        "",
        TRUTH,
        "",
        *(f"- **{word}**: {meaning}" for word, meaning in GRADES.items()),
        "",
        f"In step means τ ≥ {BOUNDS.ladder:g} along the ladder and τ ≥ {BOUNDS.order:g} of the order of methods, a convention. A word is "
        "given only where all seeds agree.",
    ]
    return "\n".join(lines)


def _evaluations(found: Sequence[Judgement], question: str) -> str:
    """The evaluations of one question: words by number of worlds, the order of methods, and the counts under other bounds."""
    own = [one for one in found if one.imputer in OWN and one.question == question]
    names = list(dict.fromkeys(one.evaluation for one in own))
    if not names:
        return ""
    head = ["evaluation", "worlds", *WORDS, "τ of methods", *(f"trusted at ({other.ladder:g}, {other.order:g})" for other in OTHERS)]
    rows = []
    for name in names:
        mine = [one for one in own if one.evaluation == name]
        words: list[Grade] = [word for seeds in by_cell(mine).values() if (word := settled(seeds)) != "undefined"]
        under = [sum(settled(seeds, bounds=other) == "trusted" for seeds in by_cell(mine).values()) for other in OTHERS]
        if words:
            rows.append([f"`{name}`", len(words), *(words.count(word) or "" for word in WORDS), _tau(mine), *under])
    return f"## {QUESTIONS[question].capitalize()}\n\n{_table(head, rows)}"


def _worlds(found: Sequence[Judgement]) -> str:
    """Every world with the word of each evaluation that asks the network, by its first letter."""
    own = [one for one in found if one.imputer in OWN and one.question == "game"]
    names = list(dict.fromkeys(one.evaluation for one in own))
    words = by_cell(own)
    rows = []
    for place, kind in dict.fromkeys((one.environment, one.kind) for one in own):
        cells = [next((words[key] for imputer in OWN if (key := (name, place, imputer)) in words), None) for name in names]
        rows.append([f"`{place}`", kind, *("" if cell is None else LETTERS[settled(cell)] for cell in cells)])
    if not rows:
        return ""
    told = ", ".join(f"{letter} {word}" for word, letter in LETTERS.items())
    return f"## World by world\n\n{told}.\n\n{_table(['world', 'kind', *(f'`{name}`' for name in names)], rows)}"


def _imputers(found: Sequence[Judgement]) -> str:
    """What becomes of trust where something else stands in the place of what is absent, over evaluations and worlds."""
    words = {cell: settled(seeds) for cell, seeds in by_cell(one for one in found if one.imputer != "own").items()}
    trusted = {(name, place) for (name, place, imputer), word in words.items() if imputer == "baseline" and word == "trusted"}
    names = [name for name in dict.fromkeys(imputer for *_, imputer in words) if name != "baseline"]
    rows = []
    for imputer in names:
        mine = [one for one in found if one.imputer == imputer]
        kept: list[Grade] = [word for (name, place, other), word in words.items() if other == imputer and (name, place) in trusted]
        shares = [one.unseen for one in mine if not math.isnan(one.unseen)]
        lost = sum(word not in ("trusted", "unsettled", "undefined") for word in kept)
        unseen = f"{statistics.fmean(shares):.0%}" if shares else ""
        rows.append(
            [imputer, len({one.environment for one in mine}), unseen, len(kept), kept.count("trusted"), kept.count("unsettled"), lost]
        )
    if not rows:
        return ""
    head = ["imputer", "worlds", "unseen values", "trusted with the baseline", "still trusted", "unsettled", "lost"]
    text = "Pairs of an evaluation and a world that are trusted with the baseline, and what becomes of them under another imputer."
    return f"## By imputer\n\n{text}\n\n{_table(head, rows)}"


def _stability(found: Sequence[Judgement], seeds: Sequence[int]) -> str:
    """Whether other seeds would have said the same."""
    if len(seeds) < 2:
        return "## Would other seeds say the same?\n\nOne seed was asked, so its words are not settled; ask `--seeds 5`."
    agreed, pairs = agreement_of_seeds(found)
    words = [word for cell in by_cell(found).values() if (word := settled(cell)) != "undefined"]
    firm = sum(word != "unsettled" for word in words)
    differ, both = contradicted(found, seeds[: len(seeds) // 2])
    lines = [
        f"Two seeds give a cell the same word in {agreed:.1%} of {counted(pairs, 'pair')}; all {len(seeds)} agree on {firm:,} of "
        f"{counted(len(words), 'cell')} ({firm / len(words):.0%}), and only these words are counted above.",
        f"Of {counted(both, 'cell')} that the first {len(seeds) // 2} seeds settle and the others settle as well, {differ} "
        f"({differ / both if both else math.nan:.2%}) get another word.",
    ]
    return "## Would other seeds say the same?\n\n" + "\n".join(lines)


def _tau(found: Sequence[Judgement]) -> str:
    mean, half = tau_over_seeds(found)
    if math.isnan(mean):
        return ""
    return f"{mean:+.2f}" if math.isnan(half) else f"{mean:+.2f} ± {half:.2f}"


def _table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in (head, ["---"] * len(head), *rows))
