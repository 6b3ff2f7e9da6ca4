"""Of a function that rises in every feature, and of one that depends on their sum only, some scores are plainly wrong: witnesses of that.

They are stated as in `synthetic.tables.witnesses`. Where the published numbers are not dyadic the nearest that are take their place (1/8
for 0.1, 1/1024 for 0.001), and what is close to a kink is written so that no pre-activation is: max(x1, x2) = x1 + relu(K (x2 - x1)) / K.
A linear term z is relu(z + c) - relu(-z - c) - c, on all of R.
"""

from __future__ import annotations

import numpy as np

from synthetic.environment import Environment
from synthetic.formulas import Layers
from synthetic.registry import register
from synthetic.rewritings import side_by_side
from synthetic.tables.witnesses import THRESHOLD_INSIDE, THRESHOLD_OUTSIDE, witness

NEAR = 1024
"""K: the two rows of the continuity witness are 2/K apart."""

SUM: Layers = [([[1, 1], [-1, -1]], [0, 0]), ([[1, -1], [-1, 1]], [1, -1]), ([[1, -1]], [-1])]
"""x1 + x2 through two hidden layers."""


@register("sign-witness-v1")
def sign_witness(*, id: str) -> Environment:
    """F - G + (x1 + x2)/8, with F = G of invariance-witness-v1: it rises in both columns, at (3, 1)."""
    zero = side_by_side(THRESHOLD_OUTSIDE, THRESHOLD_INSIDE, weights=(1, -1))
    return witness(
        id=id,
        formula="f(x) = relu(relu(x1) - relu(x2) - 1) - relu(relu(x1 - 1) - relu(x2)) + 0.125 (x1 + x2)",
        layers=side_by_side(zero, SUM, weights=(1, 0.125)),
        function=lambda x: x.sum(1, keepdims=True) / 8,
        rows=[(3.0, 1.0)],
        traits={"cancelling", "additive", "monotone", "positively_homogeneous"},
        isolates="sign: f rises in x1 and x1 is above its baseline, and multipliers of two implementations add up to a negative score",
        reference="the pair of Sundararajan et al. 2017, section 2.2; Lundström et al. 2022 (non-decreasing positivity)",
        twins=(0, 0),
    )


@register("guided-sign-witness-v1")
def guided_sign_witness(*, id: str) -> Environment:
    """Here f = relu(5 - x) - 2 relu(5 - x), which is x - 5 up to 5, at x = 2: what is passed back must be negative twice."""
    return witness(
        id=id,
        formula="f(x) = relu(5 - x1) - 2 relu(5 - x1)",
        layers=[([[-1], [-1]], [5, 5]), ([[1, -2]], [0])],
        function=lambda x: np.minimum(x - 5, 0.0),
        rows=[(2.0,)],
        traits={"additive", "monotone"},
        isolates="sign: the slope is +1 as a product of two negative weights, and rules that pass only positive signals back find -1",
        reference="Springenberg et al. 2015 and Zeiler & Fergus 2014 (the rules); Nie et al. 2018 (what they compute)",
    )


@register("continuity-witness-v1")
def continuity_witness(*, id: str) -> Environment:
    """Here f = max(x1, x2) = x1 + relu(x2 - x1), at (1, 1 + 1/1024) and (1, 1 - 1/1024)."""
    return witness(
        id=id,
        formula=f"f(x) = x1 + relu({NEAR} (x2 - x1)) / {NEAR} = max(x1, x2)",
        layers=[([[1, 0], [-1, 0], [-NEAR, NEAR]], [0.5, -0.5, 0]), ([[1, -1, 1 / NEAR]], [-0.5])],
        function=lambda x: x.max(1, keepdims=True),
        rows=[(1.0, 1 + 1 / NEAR), (1.0, 1 - 1 / NEAR)],
        traits={"interacting", "monotone", "positively_homogeneous"},
        isolates="continuity: two rows next to each other, between which the path integral goes over from one column to the other",
        reference="Montavon et al. 2018, explanation continuity",
        twins=(0, 0),
    )


@register("sum-witness-v1")
def sum_witness(*, id: str) -> Environment:
    """Here f = min(s, 2) + s/2 with s = x1 + x2, at (3, 1): a function of the sum, so that the shares should be as x1 to x2."""
    return witness(
        id=id,
        formula="f(x) = 2 - relu(2 - x1 - x2) + 0.5 (x1 + x2)",
        layers=[([[-1, -1], [1, 1], [-1, -1]], [2, 1, -1]), ([[-1, 0.5, -0.5]], [1.5])],
        function=lambda x: np.minimum(x.sum(1, keepdims=True), 2.0) + x.sum(1, keepdims=True) / 2,
        rows=[(3.0, 1.0)],
        traits={"interacting", "monotone"},
        isolates="proportionality with a slope that is nowhere zero: what weighs by presence or by slope gives both columns the same",
        reference="Friedman 2004; Sundararajan & Najmi 2020",
        twins=(0, 0),
    )
