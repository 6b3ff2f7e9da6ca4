"""Evidence for every class at once is evidence for none: it raises all logits alike, and no comparison of classes can see it.

Logit k is l_k = Σ w_i x_i over the columns of class k, plus Σ v_j z_j over columns that all classes share; the outputs are the contrasts
f_k = Σ_j (l_k - l_j), what softmax sees. The shared columns enter every logit through the same units with the same weights and cancel
in the last layer: the network reads them, the logits move with them, and no output depends on them anywhere.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from synthetic.environment import Environment
from synthetic.formulas import Layers
from synthetic.gadgets import linear
from synthetic.registry import register
from synthetic.tables.columns import grid, require, table_environment

LEVELS = (0, 1, 2, 3)
SHARED_WEIGHT = 3.0
"""Larger than any other weight, so that a method which explains a logit sees the shared columns first."""


@register("uncertainty-aware-v1")
def uncertainty_aware(*, id: str, classes: int = 2, per_class: int = 2, shared: int = 2) -> Environment:
    """f_k = Σ_j (l_k - l_j), l_k = Σ_i (i + 1) x_{k,i} + 3 Σ z, on columns x of class 1, of class 2, ..., then the shared z.

    Args:
        id: the environment's id.
        classes: how many outputs; a row's target is one of them, drawn.
        per_class: how many columns only one logit reads, with weights 1, 2, ...
        shared: how many columns all logits read.

    Raises:
        ValueError: if a knob is out of range.
    """
    columns = classes * per_class + shared
    require(
        classes >= 2 and per_class >= 1 and shared >= 0 and columns <= 7,
        message=f"uncertainty-aware needs two classes with a column each, and at most 7 columns, so that the lattice can be enumerated "
        f"(got classes={classes}, per_class={per_class}, shared={shared})",
    )
    logits = _logits(classes, per_class, shared)
    contrasts = classes * np.eye(classes) - 1
    first = (np.eye(columns).tolist(), [0.5] * columns)
    merged: Layers = [first, ((contrasts @ logits).tolist(), (-0.5 * (contrasts @ logits).sum(1)).tolist())]
    own = [" + ".join(f"{i + 1} x{k * per_class + i + 1}" for i in range(per_class)) for k in range(classes)]
    common = "".join(f" + {SHARED_WEIGHT:g} x{classes * per_class + j + 1}" for j in range(shared))
    return table_environment(
        id=id,
        formula="f_k(x) = Σ_j (l_k - l_j), " + ", ".join(f"l_{k + 1} = {terms}{common}" for k, terms in enumerate(own)).replace("1 x", "x"),
        layers=merged,
        specification=lambda x: _margins(x, classes, per_class),
        domain="x_i in {0, 1, 2, 3}; output k compares class k with all others",
        traits={"additive", "non_monotone", "cancelling"},
        draw=lambda n, streams: torch.randint(0, len(LEVELS), (n, columns), generator=next(streams)),
        lattice=lambda: grid([LEVELS] * columns),
        independent=[i >= classes * per_class for i in range(columns)],
        twins=[*range(classes * per_class), *[classes * per_class] * shared],
        isolates="what is common to all classes: it moves every logit and no decision",
        reference="XAI-Units (Lee et al., FAccT 2025), uncertainty-aware",
        knobs={"classes": classes, "per_class": per_class, "shared": shared},
        model=nn.Sequential(
            linear(*first), nn.ReLU(), linear(logits.tolist(), (-0.5 * logits.sum(1)).tolist()), linear(contrasts.tolist(), [0.0] * classes)
        ),
        equals={"contrast merged into the logits": merged},
        outputs=classes,
    )


def _logits(classes: int, per_class: int, shared: int) -> np.ndarray:  # (classes, columns)
    own = np.kron(np.eye(classes), np.arange(1.0, per_class + 1))
    return np.hstack([own, np.full((classes, shared), SHARED_WEIGHT)])


def _margins(x: np.ndarray, classes: int, per_class: int) -> np.ndarray:
    """Each class's own evidence against every other's; what is shared is not even read."""
    evidence = np.stack([x[:, k * per_class : (k + 1) * per_class] @ np.arange(1, per_class + 1) for k in range(classes)], 1)
    return np.asarray((evidence[:, :, None] - evidence[:, None, :]).sum(2))
