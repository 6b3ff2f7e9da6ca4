"""Evaluations judged by the exact truth: whether each ranks truth above noise, and methods as their distance from the truth does."""

from attrlab.reliability.judging import IMPUTED, Trial, judge, judged, trial, unseen_share
from attrlab.reliability.verdicts import BOUNDS, GRADES, Bounds, Grade, by_cell, grade, sentence, settled
from attrlab.reliability.worlds import KINDS, PANEL, WORLDS, imputers_of, kind_of, parted

__all__ = [
    "BOUNDS",
    "GRADES",
    "IMPUTED",
    "KINDS",
    "PANEL",
    "WORLDS",
    "Bounds",
    "Grade",
    "Trial",
    "by_cell",
    "grade",
    "imputers_of",
    "judge",
    "judged",
    "kind_of",
    "parted",
    "sentence",
    "settled",
    "trial",
    "unseen_share",
]
