"""Which evaluation can be trusted for what is read as a matrix of evaluations and kinds of worlds; a cell is a share of worlds.

A cell counts the worlds of its kind on which the evaluation is trusted, and states the median rank correlation of its order of methods with
the order by truth. Below stand the same evaluations by imputer, and the worlds in which one weight decides how far the network reacts to
unseen values. Colour repeats what the counts say.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from attrlab.record import Judgement
from attrlab.reliability.verdicts import GRADES, OWN, Grade, by_cell, grade, sentence, settled
from attrlab.report.wording import UNDEFINED, counted, hundredths, precise

QUESTIONS = {
    "game": "asks the network for more answers",
    "truth": "compares with what is known",
    "scores": "looks at the scores alone",
    "method": "calls the method again; judged by its order of methods alone",
}
"""What an evaluation asks, in words, in the order of the page."""

_TONES: dict[Grade, str] = {
    "trusted": "holds",
    "coarse": "inconclusive",
    "one-sided": "inconclusive",
    "blind": "refuted",
    "misleads": "refuted",
    "unsettled": "inconclusive",
    "undefined": "unclaimed",
}


def section(found: Sequence[Judgement]) -> dict[str, Any]:
    """Everything that the page shows of judgements; empty where there are none."""
    if not found:
        return {}
    own = [one for one in found if one.imputer in OWN]
    seeds = len({one.seed for one in found})
    kinds = list(dict.fromkeys(one.kind for one in own))
    modalities = list(dict.fromkeys(one.modality for one in own))
    return {
        "seeds": seeds,
        "legend": [(name, _TONES[name], meaning) for name, meaning in GRADES.items() if seeds > 1 or name != "unsettled"],
        "kinds": [(kind, len({one.environment for one in own if one.kind == kind})) for kind in kinds],
        "modalities": [(name, len({one.environment for one in own if one.modality == name})) for name in modalities],
        "groups": [_group(question, own, found, kinds, modalities) for question in QUESTIONS if _asks(own, question)],
        "imputers": _by_imputer(found),
        "unseen": _unseen(found),
        "worlds": _by_world(own),
    }


def _asks(found: Iterable[Judgement], question: str) -> bool:
    return any(one.question == question for one in found)


def _group(
    question: str, own: Sequence[Judgement], found: Sequence[Judgement], kinds: Sequence[str], modalities: Sequence[str]
) -> dict[str, Any]:
    """The evaluations of one question: a cell per kind and per modality, and a sentence."""
    rows = []
    for name in dict.fromkeys(one.evaluation for one in own if one.question == question):
        mine = [one for one in own if one.evaluation == name]
        cells = [_cell([one for one in mine if one.kind == kind]) for kind in kinds]
        cells += [_cell([one for one in mine if one.modality == modality]) for modality in modalities]
        rows.append((name, cells, sentence([one for one in found if one.evaluation == name])))
    return {"question": question, "meaning": QUESTIONS[question], "rows": rows}


def _cell(found: Sequence[Judgement]) -> dict[str, Any]:
    """How many of these worlds are trusted, the median order of methods, and what the others say."""
    grades = Counter(settled(seeds) for seeds in by_cell(found).values())
    judged = sum(count for name, count in grades.items() if name != "undefined")
    if not judged:
        return {"tone": "unclaimed", "text": "–", "order": "", "title": "not defined there"}
    taus = [one.kendall for one in found if not math.isnan(one.kendall)]
    others = ", ".join(f"{name} on {grades[name]}" for name in GRADES if grades[name])
    bad = grades["blind"] + grades["misleads"]
    tone = "holds" if grades["trusted"] == judged else "refuted" if bad == judged else "inconclusive"
    text = f"{'✓' if tone == 'holds' else '✕' if tone == 'refuted' else '~'} {grades['trusted']} of {judged}"
    return {"tone": tone, "text": text, "order": f"τ {statistics.median(taus):+.2f}" if taus else "", "title": others}


def _by_imputer(found: Sequence[Judgement]) -> dict[str, Any]:
    """Evaluations by imputer, with the mean share of values that no data hold; empty where only one was asked."""
    asked = [one for one in found if one.imputer != "own"]
    names = list(dict.fromkeys(one.imputer for one in asked))
    if len(names) < 2:
        return {}
    shares = [[one.unseen for one in asked if one.imputer == name and not math.isnan(one.unseen)] for name in names]
    heads = [(name, f"{statistics.fmean(share):.0%} unseen" if share else "") for name, share in zip(names, shares, strict=True)]
    metrics = dict.fromkeys(one.evaluation for one in asked)
    rows = [(m, [_cell([one for one in asked if one.evaluation == m and one.imputer == name]) for name in names]) for m in metrics]
    return {"heads": heads, "rows": rows}


def _unseen(found: Sequence[Judgement]) -> dict[str, Any]:
    """Evaluations by imputer on the worlds that differ in one thing only: how much they react to a colour that no data hold."""
    places = list(dict.fromkeys(one.environment for one in found if one.environment.startswith("unseen-colour-v1")))
    if len(places) < 2:
        return {}
    here = [one for one in found if one.environment in places and one.imputer != "own"]
    names = list(dict.fromkeys(one.imputer for one in here))
    rows = []
    for metric in dict.fromkeys(one.evaluation for one in here):
        by = by_cell(one for one in here if one.evaluation == metric)
        rows.append((metric, [[_small(by.get((metric, place, name), [])) for place in places] for name in names]))
    weights = [place.partition(" ")[2] or "as it is" for place in places]
    return {"imputers": names, "places": weights, "rows": rows}


def _small(seeds: Sequence[Judgement]) -> dict[str, str]:
    if not seeds:
        return {"tone": "unclaimed", "text": "–", "title": "not asked"}
    tau, word = _mean([one.kendall for one in seeds]), settled(seeds)
    return {"tone": _TONES[word], "text": "–" if math.isnan(tau) else f"{tau:+.2f}", "title": f"{word}; {_said(seeds)}"}


def _mean(numbers: Iterable[float]) -> float:
    """Over the seeds on which a number is defined."""
    defined = [number for number in numbers if not math.isnan(number)]
    return statistics.fmean(defined) if defined else math.nan


def _by_world(own: Sequence[Judgement]) -> list[dict[str, Any]]:
    """One table per evaluation: every world with its word and its numbers."""
    tables = []
    for name in dict.fromkeys(one.evaluation for one in own):
        mine = [one for one in own if one.evaluation == name]
        tables.append({"name": name, "rows": [_row(seeds) for seeds in by_cell(mine).values()]})
    return tables


def _row(seeds: Sequence[Judgement]) -> dict[str, Any]:
    """A world: the word that its seeds agree on, and the means of their numbers."""
    first, word = seeds[0], settled(seeds)
    numbers = [_mean(getattr(one, name) for one in seeds) for name in ("truth_wins", "random_wins", "ladder", "kendall")]
    shown = ["" if math.isnan(number) else hundredths(number) for number in numbers]
    said = {"tone": _TONES[word], "word": word, "title": first.reason or _said(seeds)}
    return {"world": first.environment, "kind": first.kind, "numbers": shown, **said}


def _said(seeds: Sequence[Judgement]) -> str:
    """The numbers of one seed, or the words of several."""
    if len(seeds) == 1:
        return _numbers(seeds[0])
    words = Counter(grade(one) for one in seeds)
    return ", ".join(f"{name} on {counted(words[name], 'seed')}" for name in GRADES if words[name])


def _numbers(one: Judgement) -> str:
    def interval(ends: tuple[float, float]) -> str:
        return UNDEFINED if math.isnan(ends[0]) else f"{precise(ends[0])} to {precise(ends[1])}"

    parts = [f"truth beats random on {one.truth_wins:.0%} of rows", f"by {interval(one.truth_gain)}"]
    parts += [f"random beats the inverted truth on {one.random_wins:.0%}", f"by {interval(one.random_gain)}", f"ladder {one.ladder:+.2f}"]
    return ", ".join([] if math.isnan(one.truth_wins) else parts) or f"{one.methods} methods"
