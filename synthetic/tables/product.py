"""A product is where straight paths and orders of joining meet: of a multilinear function, integrated gradients are the Shapley value.

f(x) = w x_1 x_2 + x_3. The product is a named module, because no ReLU network computes it; the network is not piecewise linear, and methods
whose rules have none for a product must refuse it. Each factor of a product of two is owed half of it, by every path that treats
them alike; the gradient times the input gives each of them all of it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from synthetic.environment import Environment
from synthetic.formulas import number
from synthetic.gadgets import Product, Sum, linear
from synthetic.registry import register
from synthetic.tables.columns import Effects, grid, require, table_environment


class ProductOfUnits(nn.Module):
    """w a b + c, of three linear units a, b, c of the row: (batch, columns) -> (batch, 1)."""

    def __init__(self, columns: int, weight: float, *, order: tuple[int, int] = (0, 1)) -> None:
        super().__init__()
        self.first, self.second, self.third = (linear(torch.eye(columns)[[i]], None) for i in (*order, 2))
        self.product = Product()
        self.sum = Sum((weight, 1.0))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs."""
        outputs: Tensor = self.sum(self.product(self.first(inputs), self.second(inputs)), self.third(inputs))
        return outputs


@register("product-v1")
def product_world(*, id: str, weight: float = 1.0, reach: int = 3, null_columns: int = 1) -> Environment:
    """f(x) = w x1 x2 + x3 on integers in [-reach, reach]; trait `multilinear`: linear in each column while the others stand still.

    Args:
        id: the environment's id.
        weight: w, how much the interaction weighs beside the linear term.
        reach: the largest |x|.
        null_columns: how many columns follow that are not read.

    Raises:
        ValueError: if a knob is out of range.
    """
    require(
        1 <= reach <= 8 and 0 <= null_columns <= 2,
        message=f"product has reach 1 to 8 and at most 2 null columns, so that its lattice can be enumerated "
        f"(got reach={reach}, null_columns={null_columns})",
    )
    require(
        weight != 0 and float(4 * weight).is_integer() and abs(weight) <= 64,
        message=f"weight is a multiple of 1/4 up to 64, exact in float32, and not 0, or nothing interacts (got {weight})",
    )
    columns = 3 + null_columns
    return table_environment(
        id=id,
        formula=f"f(x) = {'' if weight == 1 else number(weight) + ' '}x1 x2 + x3",
        layers=None,
        specification=lambda x: weight * x[:, :1] * x[:, 1:2] + x[:, 2:3],
        domain=f"integers |x_i| <= {reach}",
        traits={"multilinear", "bias_free", "interacting", "non_monotone"},
        draw=lambda n, streams: torch.randint(-reach, reach + 1, (n, columns), generator=next(streams)),
        lattice=lambda: grid([range(-reach, reach + 1)] * columns),
        independent=[i > 2 for i in range(columns)],
        twins=[0, 0, 2, *[3] * null_columns],
        isolates="multiplication: each factor's slope is the other, and the two slopes add up to twice the product",
        reference="Sun & Sundararajan 2011 (multilinear functions); Sundararajan & Najmi 2020",
        knobs={"weight": weight, "reach": reach, "null_columns": null_columns},
        integrated_gradients=lambda x: _shares(x, weight),
        model=ProductOfUnits(columns, weight),
        equals={"factors exchanged": ProductOfUnits(columns, weight, order=(1, 0))},
        closed_form=lambda x: _effects(x, weight),
    )


def _shares(x: np.ndarray, weight: float) -> np.ndarray:
    """∫ w t x_2 x_1 dt = w x_1 x_2 / 2 to each factor, x_3 to the third."""
    half = weight * x[:, 0] * x[:, 1] / 2
    scores = np.zeros_like(x, dtype=np.float64)
    scores[:, 0], scores[:, 1], scores[:, 2] = half, half, x[:, 2]
    return scores


def _effects(x: np.ndarray, weight: float) -> Effects:
    """Against zero a factor counts only while the other is there, and then all of the product goes with it."""
    shares = _shares(x, weight)
    return Effects(support=shares != 0, shapley=shares, removal=shares * np.array([2.0, 2.0, *[1.0] * (x.shape[1] - 2)]))
