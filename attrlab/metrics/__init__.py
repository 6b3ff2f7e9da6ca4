"""Every number that an attribution is scored by, each once, by name."""

from attrlab.metrics import agreement, localisation, perturbation, regions
from attrlab.metrics.metric import Metric

METRICS: dict[str, Metric] = {
    metric.name: metric for metric in (*localisation.METRICS, *agreement.METRICS, *perturbation.METRICS, *regions.METRICS)
}

__all__ = ["METRICS", "Metric"]
