"""Evaluations judged by the exact truth: whether each ranks truth above noise, and methods as their distance from the truth does."""

from attrlab.reliability.judging import IMPUTED, Trial, judge, judged, trial, unseen_share
from attrlab.reliability.verdicts import GRADES, Grade, grade, sentence
from attrlab.reliability.worlds import KINDS, PANEL, WORLDS, imputers_of, kind_of, parted

__all__ = [
    "GRADES",
    "IMPUTED",
    "KINDS",
    "PANEL",
    "WORLDS",
    "Grade",
    "Trial",
    "grade",
    "imputers_of",
    "judge",
    "judged",
    "kind_of",
    "parted",
    "sentence",
    "trial",
    "unseen_share",
]
