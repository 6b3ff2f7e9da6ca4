"""An evaluation is trusted in a world if it orders what is known to be ordered; each way of failing that has a name of its own.

The names are defined on intervals over rows and on two rank correlations, with bounds that are the same for every evaluation and world.
Bounds are a convention: the numbers stand beside the words, and the records hold them for whoever prefers other bounds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from attrlab.record import Judgement
from attrlab.report.wording import counted

Grade = Literal["misleads", "blind", "one-sided", "coarse", "trusted", "undefined"]

GRADES: dict[Grade, str] = {
    "trusted": "truth above random above inverted truth, in step with the ladder and with the order of methods",
    "coarse": "truth above random above inverted truth, but out of step with the ladder or with the order of methods",
    "one-sided": "truth above random, but the inverted truth not below it",
    "blind": "truth not told from random; of metrics that call the method again, no order of methods",
    "misleads": "random above truth; of metrics that call the method again, methods in opposite order",
    "undefined": "not defined there",
}
"""From best to worst, with their meaning."""

SHOWN = 4
"""Up to so many worlds are named in a sentence."""

LADDER, ORDER = 0.8, 0.5
"""Least tau-b along the ladder, where every step is known, and of the order of methods, where near neighbours may be exchanged."""


def grade(found: Judgement) -> Grade:
    """What a judgement says of its evaluation, in one word."""
    if found.question == "method":
        return _by_order(found.kendall)
    if found.reason or math.isnan(found.truth_gain[0]):
        return "undefined"
    if found.truth_gain[0] <= 0:
        return "misleads" if found.truth_gain[1] < 0 else "blind"
    if not found.random_gain[0] > 0:
        return "one-sided"
    steady = found.ladder >= LADDER and not found.kendall < ORDER
    return "trusted" if steady else "coarse"


def sentence(found: Sequence[Judgement]) -> str:
    """What all judgements of one evaluation say together: how often it is trusted, where it fails how, and which imputers cost it trust."""
    first = [one for one in found if one.imputer in ("own", "baseline") and grade(one) != "undefined"]
    if not first:
        return "Not defined on any of these worlds."
    by_grade = {name: [one.environment for one in first if grade(one) == name] for name in GRADES}
    trusted = f"Trusted on {len(by_grade['trusted'])} of {counted(len(first), 'world')}"
    failures = [f"{name} on {_listed(places)}" for name, places in by_grade.items() if places and name != "trusted"]
    return " ".join([f"{'; '.join([trusted, *failures])}.", *_by_imputer(found)])


def _listed(places: Sequence[str]) -> str:
    """The places, or how many where they are too many to read."""
    return ", ".join(places) if len(places) <= SHOWN else str(len(places))


def _by_imputer(found: Sequence[Judgement]) -> list[str]:
    """The imputers under which it is trusted in fewer worlds than with the baseline, on the same worlds."""
    base = {one.environment for one in found if one.imputer == "baseline" and grade(one) == "trusted"}
    lost = Counter(one.imputer for one in found if one.imputer not in ("own", "baseline") and one.environment in base and _lost(one))
    asked = Counter(one.imputer for one in found if one.environment in base)
    words = ", ".join(f"{name} ({count} of {asked[name]})" for name, count in lost.most_common())
    return [f"Of that, lost to imputers: {words}."] if words else []


def _lost(one: Judgement) -> bool:
    return grade(one) not in ("trusted", "undefined")


def _by_order(tau: float) -> Grade:
    if math.isnan(tau):
        return "undefined"
    return "trusted" if tau >= ORDER else "misleads" if tau <= -ORDER else "blind"


def worst(grades: Iterable[Grade]) -> Grade:
    """The worst of several, "undefined" only where there is no other."""
    order = list(GRADES)
    known = [name for name in grades if name != "undefined"]
    return max(known, key=order.index) if known else "undefined"
