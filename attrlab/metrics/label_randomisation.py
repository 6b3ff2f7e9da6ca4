"""An explanation of what was learnt must change when the labels do: the data randomisation test.

Three networks of one small shape are trained on the same rows: on the labels of the world's own network, on the same labels from another
start, and on permuted labels, which can only be learnt by heart. Explanations of the first are compared with those of the third. How alike
two networks are explained that learnt the same labels is measured beside it: only what lies below that is due to the labels.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from attrlab.case import Case
from attrlab.errors import NotApplicable
from attrlab.metrics.explainer import Asks, Explainer, explainer
from attrlab.metrics.metric import Metric
from attrlab.metrics.randomisation import Alike, similarity_of
from attrlab.metrics.similarity import Sign

Labels = Literal["permuted", "same"]


def similarity_after_relearning(
    explain: Asks,
    case: Case,
    *,
    labels: Labels = "permuted",
    alike: Alike = "spearman",
    sign: Sign = "signed",
) -> Tensor:  # (batch,) float64
    """How alike a network that learnt the true labels is explained to one that learnt permuted ones (lower is better), or the same ones.

    Args:
        explain: the method.
        case: the rows, and the networks that learnt from rows of their kind.
        labels: of the other network.
        alike: "spearman" on player scores, or "ssim" or "hog" on maps of images.
        sign: whether scores are compared as they are, by their positive part, or by magnitude.

    Returns:
        NaN in rows where no similarity is defined, as for a constant map.

    Raises:
        NotApplicable: if the case has no trained networks, its labels cannot be learnt, the method does not apply to them, or maps are
            wanted of rows that are not images.
        MethodError: as the method.

    Reference:
        Adebayo et al., "Sanity checks for saliency maps", 2018, section 5 (data randomisation).

    Differs from the paper in: the class explained of both networks is the one that the network of true labels predicts.
    """
    known = explainer(explain)
    first, other = (known.recalled(case, ("learnt", which), partial(_scores, known, case, which)) for which in ("true", labels))
    return similarity_of(case, first, other, alike=alike, sign=sign)


def _scores(known: Explainer, case: Case, which: str) -> Tensor:  # (batch, players)
    """The scores of one of the trained networks."""
    if case.learnt is None:
        raise NotApplicable("it compares networks that were trained on rows of this kind, and the case has none; named environments do")
    networks = case.learnt()
    with torch.no_grad():
        target = networks["true"](case.inputs).argmax(1)
    return known(replace(case, target=target, truth=None), model=networks[which])


def _metric(alike: Alike, sign: Sign, labels: Labels = "permuted") -> Metric:
    def measure(explain: Asks, case: Case, scores: Tensor) -> Tensor:
        del scores
        return similarity_after_relearning(explain, case, labels=labels, alike=alike, sign=sign)

    what = {"spearman": "Spearman", "ssim": "SSIM", "hog": "corr of HOG"}[alike]
    side = {"signed": "a", "positive": "a⁺", "absolute": "|a|"}[sign]
    suffix = ("" if alike == "spearman" else f"_{alike}") + ("" if sign == "signed" else f"_{sign}")
    lower = labels == "permuted"
    other = "permuted labels" if lower else "the same labels from another start"
    return Metric(
        name=f"{'label_randomisation' if lower else 'same_labels'}{suffix}",
        question="method",
        direction="lower" if lower else "higher",
        range="-1 to 1; 1 for a map that ignores what was learnt" + ("; to be read beside same_labels" if lower else ""),
        formula=f"{what}({side}(f), {side}(f')), f trained on the labels, f' on {other}",
        reference="Adebayo et al., 2018, section 5",
        measure=measure,
        ranking="absolute" if sign == "absolute" else "signed",
        modalities=frozenset() if alike == "spearman" else frozenset({"image"}),
        ends=(1.0, 0.0) if lower else (0.0, 1.0),
        cost="2 explanations, and the networks are trained once for all methods",
    )


METRICS = (
    _metric("spearman", "signed"),
    _metric("spearman", "absolute"),
    _metric("ssim", "absolute"),
    _metric("hog", "absolute"),
    _metric("spearman", "signed", "same"),
)
