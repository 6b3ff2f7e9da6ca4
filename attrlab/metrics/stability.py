"""Does the explanation of a neighbour resemble one's own? Sensitivity and Lipschitz estimates over a small box.

Neighbours are drawn uniformly from the box of half-width `radius`, on the entries that players own. A row's neighbours carry the row's own
seed, so a stochastic method is compared under the same noise: what is measured is the reaction to the input, not luck. All neighbours of
all rows are explained in one call. On a world of small integers neighbours leave the data, and a method that is exact on the lattice may
still change between its points; that is what these metrics are about. A constant map is perfectly stable, so none of them is a measure of
faithfulness.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from attrlab.case import Case
from attrlab.errors import InvalidInput
from attrlab.metrics.explainer import Asks, Explainer, explainer
from attrlab.metrics.metric import Metric
from attrlab.randomness import row_uniform

RADIUS, NEIGHBOURS = 0.02, 4
"""The published radius, and how many neighbours are asked in a run of the laboratory (10 in the paper's code)."""


def changes(
    explain: Asks,
    case: Case,
    scores: Tensor,  # (batch, players)
    *,
    radius: float = RADIUS,
    neighbours: int = NEIGHBOURS,
) -> tuple[Tensor, Tensor]:  # both (batch, neighbours) float64
    """How far each neighbour's scores, and each neighbour, lie from the row's own, in the Euclidean norm.

    Raises:
        InvalidInput: if the radius or the number of neighbours is not positive.
        NotApplicable, MethodError: as the method.
    """
    if radius <= 0 or neighbours < 1:
        raise InvalidInput(f"radius and neighbours are positive (got radius={radius}, neighbours={neighbours})")
    known = explainer(explain)
    found, step = known.recalled(case, ("neighbours", radius, neighbours), lambda: _neighbours(known, case, radius, neighbours))
    index = torch.arange(len(case), device=found.device).repeat_interleave(neighbours)
    moved = (found - scores.to(found)[index]).double().norm(dim=1)
    return moved.view(-1, neighbours), step.double().flatten(1).norm(dim=1).view(-1, neighbours)


def _neighbours(explain: Explainer, case: Case, radius: float, neighbours: int) -> tuple[Tensor, Tensor]:
    """The scores of every neighbour, (batch x neighbours, players), and the step to it; the entries of an edge take one step together."""
    index = torch.arange(len(case), device=case.inputs.device).repeat_interleave(neighbours)
    around = case.rows(index)
    seeds = (torch.arange(len(case), device=index.device) if case.seeds is None else case.seeds)[index]
    draw = torch.arange(neighbours, device=index.device).repeat(len(case))
    owner = around.feature_mask
    if case.modality == "graph":
        own = row_uniform((seeds << 8) + draw, (case.players,), dtype=torch.float64)
        box = own.gather(1, owner.clamp(min=0).flatten(1)).view(owner.shape) * 2 - 1
    else:
        box = row_uniform((seeds << 8) + draw, tuple(case.inputs.shape[1:]), dtype=torch.float64) * 2 - 1
    step = torch.where(owner >= 0, box * radius, 0).to(around.inputs)
    return explain(replace(around, inputs=around.inputs + step, truth=None)), step


def sensitivity(
    explain: Asks,
    case: Case,
    scores: Tensor,  # (batch, players)
    *,
    over: Literal["max", "mean"] = "max",
    radius: float = RADIUS,
    neighbours: int = NEIGHBOURS,
) -> Tensor:  # (batch,) float64
    """The largest or mean change of the scores among neighbours, relative to the norm of the scores; NaN for the zero map.

    Reference:
        Yeh et al., "On the (in)fidelity and sensitivity of explanations", 2019, definition 4.1, divided by |a| as in its released code.
    """
    moved, _ = changes(explain, case, scores, radius=radius, neighbours=neighbours)
    size = scores.double().norm(dim=1)
    change = moved.amax(1) if over == "max" else moved.mean(1)
    return torch.where(size > 0, change / size, torch.nan)


def local_lipschitz(
    explain: Asks,
    case: Case,
    scores: Tensor,  # (batch, players)
    *,
    radius: float = RADIUS,
    neighbours: int = NEIGHBOURS,
) -> Tensor:  # (batch,) float64
    """The largest ratio, among neighbours, of the change of the scores to the change of the input; NaN where nothing could be moved.

    Reference:
        Alvarez-Melis and Jaakkola, "On the robustness of interpretability methods", 2018, equation 2.
    """
    moved, step = changes(explain, case, scores, radius=radius, neighbours=neighbours)
    return torch.where(step > 0, moved / torch.where(step > 0, step, 1), torch.nan).amax(1)


def _mean_sensitivity(explain: Asks, case: Case, scores: Tensor) -> Tensor:
    return sensitivity(explain, case, scores, over="mean")


_NEIGHBOURS = f"|x'' − x|∞ ≤ {RADIUS:g}, {NEIGHBOURS} drawn"

METRICS = (
    Metric(
        name="max_sensitivity",
        question="method",
        direction="lower",
        range="0 to infinity",
        formula=f"max |a(x'') − a(x)| / |a(x)| over neighbours, {_NEIGHBOURS}",
        reference="Yeh et al., 2019, definition 4.1",
        measure=sensitivity,
        ranking="none",
        cost=f"{NEIGHBOURS} explanations",
    ),
    Metric(
        name="average_sensitivity",
        question="method",
        direction="lower",
        range="0 to infinity",
        formula=f"mean |a(x'') − a(x)| / |a(x)| over neighbours, {_NEIGHBOURS}",
        reference="Bhatt et al., 2020, definition 2",
        measure=_mean_sensitivity,
        ranking="none",
        cost=f"{NEIGHBOURS} explanations",
    ),
    Metric(
        name="local_lipschitz",
        question="method",
        direction="lower",
        range="0 to infinity",
        formula=f"max |a(x'') − a(x)| / |x'' − x| over neighbours, {_NEIGHBOURS}",
        reference="Alvarez-Melis and Jaakkola, 2018, equation 2",
        measure=local_lipschitz,
        ranking="none",
        cost=f"{NEIGHBOURS} explanations",
    ),
)
