"""What is absent can be the evidence, and whether an attribution can say so is decided by its baseline and not by its method.

f(x) = Σ_P w_i x_i + Σ_N u_j (1 - x_j): the pertinent negatives N count where they are 0. Against a baseline in which they are
present (1), their absence is owed u_j; against the usual baseline 0 an absent column is equal to its baseline, changes nothing, and is owed
nothing by any method. The function is additive, so that nothing but the baseline is at stake. Absence is detected by the flat-top step
s relu(1 - e - x) - s relu(e - x), so the gradient sees none of it.
"""

from __future__ import annotations

import numpy as np

from synthetic.environment import Environment
from synthetic.formulas import Layers, affine
from synthetic.gadgets import MARGIN, SLOPE
from synthetic.registry import register
from synthetic.tables.columns import Effects, bits, grid, require, table_environment

WEIGHTS = (1.0, 2.0, -1.0, 3.0)
"""Columns of either kind take the weights in this order, cyclically."""


@register("pertinent-negative-table-v1")
def pertinent_negative(*, id: str, negatives: int = 2, positives: int = 2, baseline: int = 1) -> Environment:
    """f(x) = Σ_P w_i x_i + Σ_N u_j (1 - x_j): columns N, then P, then a null column.

    Args:
        id: the environment's id.
        negatives: how many columns count where they are 0.
        positives: how many columns count where they are 1.
        baseline: the value of the negatives in the baseline: 1, so that their absence is news, or 0; the others have baseline 0.

    Raises:
        ValueError: if a knob is out of range.
    """
    require(
        negatives >= 1 and positives >= 0 and negatives + positives <= 11,
        message=f"at least one column counts by its absence, and at most 11 count in all, so that the lattice can be enumerated "
        f"(got negatives={negatives}, positives={positives})",
    )
    require(baseline in (0, 1), message=f"the pertinent negatives are absent (0) or present (1) in the baseline (got {baseline})")
    weights = np.array([WEIGHTS[j % 4] for j in range(negatives)] + [WEIGHTS[i % 4] for i in range(positives)] + [0.0])
    absent = np.array([j < negatives for j in range(len(weights))])
    origin = np.where(absent, float(baseline), 0.0)
    return table_environment(
        id=id,
        formula=_formula(weights, negatives),
        layers=_layers(weights, negatives),
        specification=lambda x: (np.where(absent, 1 - x, x) * weights).sum(1, keepdims=True),
        domain="x_i in {0, 1}",
        traits={"additive", "non_monotone"},
        draw=lambda n, streams: bits(n, len(weights), streams),
        lattice=lambda: grid([(0, 1)] * len(weights)),
        independent=(weights == 0).tolist(),
        twins=[[(w, a) for w, a in zip(weights, absent, strict=True)].index((w, a)) for w, a in zip(weights, absent, strict=True)],
        isolates="evidence by absence: seen against a baseline in which the feature is present, and by nobody otherwise",
        reference="XAI-Units (Lee et al., FAccT 2025), pertinent negatives; Dhurandhar et al. 2018",
        knobs={"negatives": negatives, "positives": positives, "baseline": baseline},
        integrated_gradients=lambda x: _scores(x, weights, absent, origin),
        baseline=origin.tolist(),
        closed_form=lambda x: _effects(_scores(x, weights, absent, origin)),
    )


def _scores(x: np.ndarray, weights: np.ndarray, absent: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """The change of each term from the baseline: by additivity every convention at once."""
    return np.asarray(np.where(absent, -1.0, 1.0) * weights * (x - origin))


def _effects(scores: np.ndarray) -> Effects:
    return Effects(support=scores != 0, shapley=scores, removal=scores)


def _formula(weights: np.ndarray, negatives: int) -> str:
    names = [f"(1 - x{i + 1})" if i < negatives else f"x{i + 1}" for i in range(len(weights))]
    return f"f(x) = {affine(weights.tolist(), names, 0)}"


def _layers(weights: np.ndarray, negatives: int) -> Layers:
    """Two units for the absence of a negative, one that passes a positive through."""
    rows, biases, outer = [], [], []
    for column, weight in enumerate(weights):
        here = [float(i == column) for i in range(len(weights))]
        if column < negatives:
            rows += [[-value for value in here]] * 2
            biases += [1 - MARGIN, MARGIN]
            outer += [SLOPE * weight, -SLOPE * weight]
        elif weight:
            rows.append(here)
            biases.append(0.5)
            outer.append(weight)
    return [(rows, biases), ([outer], [-0.5 * float(weights[negatives:].sum())])]
