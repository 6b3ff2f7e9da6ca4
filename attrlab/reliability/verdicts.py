"""An evaluation is trusted in a world if it orders what is known to be ordered; each way of failing that has a name of its own.

The names are defined on intervals over rows and on two rank correlations, with bounds that are the same for every evaluation and world.
Where several seeds were asked, a name is given only where all of them agree: one seed's word is that of a dozen rows.
Bounds are a convention: the numbers stand beside the words, and the records hold them for whoever prefers other bounds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from attrlab.record import Judgement
from attrlab.report.wording import counted

Grade = Literal["misleads", "blind", "one-sided", "coarse", "trusted", "unsettled", "undefined"]

GRADES: dict[Grade, str] = {
    "trusted": "truth above random above inverted truth, in step with the ladder and with the order of methods",
    "coarse": "truth above random above inverted truth, but out of step with the ladder or with the order of methods",
    "one-sided": "truth above random, but the inverted truth not below it",
    "blind": "truth not told from random; of metrics that call the method again, no order of methods",
    "misleads": "random above truth; of metrics that call the method again, methods in opposite order",
    "unsettled": "seeds disagree about the word",
    "undefined": "not defined there",
}
"""From best to worst, with their meaning."""

SHOWN = 4
"""Up to so many worlds are named in a sentence."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What is asked of an evaluation that is trusted.

    Attributes:
        ladder: least tau-b along the ladder, where every step is known.
        order: least tau-b of the order of methods, where near neighbours may be exchanged.
    """

    ladder: float = 0.8
    order: float = 0.5


BOUNDS = Bounds()


def grade(found: Judgement, *, bounds: Bounds = BOUNDS) -> Grade:
    """What a judgement says of its evaluation, in one word."""
    if found.question == "method":
        return _by_order(found.kendall, bounds.order)
    if found.reason or math.isnan(found.truth_gain[0]):
        return "undefined"
    if found.truth_gain[0] <= 0:
        return "misleads" if found.truth_gain[1] < 0 else "blind"
    if not found.random_gain[0] > 0:
        return "one-sided"
    steady = found.ladder >= bounds.ladder and not found.kendall < bounds.order
    return "trusted" if steady else "coarse"


def settled(found: Iterable[Judgement], *, bounds: Bounds = BOUNDS) -> Grade:
    """The word that all seeds agree on, those on which nothing is defined left out; "unsettled" where they do not.

    The judgements are those of one evaluation in one world under one imputer, each of other rows, other random scores and other draws.
    """
    words = {grade(one, bounds=bounds) for one in found} - {"undefined"}
    return next(iter(words)) if len(words) == 1 else "unsettled" if words else "undefined"


Cell = tuple[str, str, str]
"""An evaluation, an environment and an imputer."""


def by_cell(found: Iterable[Judgement]) -> dict[Cell, list[Judgement]]:
    """The judgements of each evaluation in each world under each imputer: one of every seed."""
    cells: dict[Cell, list[Judgement]] = {}
    for one in found:
        cells.setdefault((one.evaluation, one.environment, one.imputer), []).append(one)
    return cells


def sentence(found: Sequence[Judgement]) -> str:
    """What all judgements of one evaluation say together: how often it is trusted, where it fails how, and which imputers cost it trust."""
    words = {(place, imputer): settled(seeds) for (_, place, imputer), seeds in by_cell(found).items()}
    first = {place: word for (place, imputer), word in words.items() if imputer in OWN and word != "undefined"}
    if not first:
        return "Not defined on any of these worlds."
    by_grade = {name: [place for place, word in first.items() if word == name] for name in GRADES}
    trusted = f"Trusted on {len(by_grade['trusted'])} of {counted(len(first), 'world')}"
    failures = [f"{name} on {_listed(places)}" for name, places in by_grade.items() if places and name != "trusted"]
    return " ".join([f"{'; '.join([trusted, *failures])}.", *_by_imputer(words)])


OWN = ("own", "baseline")
"""The imputers under which an evaluation is judged first: its own, or that of the game whose truth it is judged by."""


def _listed(places: Sequence[str]) -> str:
    """The places, or how many where they are too many to read."""
    return ", ".join(places) if len(places) <= SHOWN else str(len(places))


def _by_imputer(words: Mapping[tuple[str, str], Grade]) -> list[str]:
    """The imputers under which it is trusted in fewer worlds than with the baseline, on the same worlds."""
    base = {place for (place, imputer), word in words.items() if imputer == "baseline" and word == "trusted"}
    others = [(imputer, word) for (place, imputer), word in words.items() if imputer not in OWN and place in base]
    lost = Counter(imputer for imputer, word in others if word not in ("trusted", "unsettled", "undefined"))
    asked = Counter(imputer for imputer, _ in others)
    told = ", ".join(f"{name} ({count} of {asked[name]})" for name, count in lost.most_common())
    return [f"Of that, lost to imputers: {told}."] if told else []


def _by_order(tau: float, least: float) -> Grade:
    if math.isnan(tau):
        return "undefined"
    return "trusted" if tau >= least else "misleads" if tau <= -least else "blind"
