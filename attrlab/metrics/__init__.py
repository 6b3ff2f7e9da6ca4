"""Every number that an attribution is scored by, each once, by name."""

from attrlab.metrics import (
    agreement,
    complexity,
    cost,
    fidelity,
    label_randomisation,
    localisation,
    monotonicity,
    perturbation,
    pointing,
    randomisation,
    regions,
    soundness_completeness,
    stability,
    subsets,
    targets,
)
from attrlab.metrics.metric import Metric

_OF_SCORES = (localisation, pointing, agreement, complexity)
_OF_THE_GAME = (perturbation, regions, soundness_completeness, subsets, monotonicity, fidelity)
_OF_THE_METHOD = (stability, randomisation, label_randomisation, targets, cost)

METRICS: dict[str, Metric] = {metric.name: metric for family in (*_OF_SCORES, *_OF_THE_GAME, *_OF_THE_METHOD) for metric in family.METRICS}

__all__ = ["METRICS", "Metric"]
