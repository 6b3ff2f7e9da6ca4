"""A network that nobody designed has no property that a method could have been built for: random weights, and the exact truth all the same.

Weights are small integers drawn from the seed, and the margin holds by construction. On integers, integer weights and biases that are
odd multiples of 1/2 give pre-activations that are odd multiples of 1/2; what a ReLU makes of them is a multiple of 1/2, which even
weights turn into integers again; so every unit of every layer stays 1/2 from its kink at every integer. The output is scaled back by a
power of two. Without biases nothing keeps a row from a kink: there the rows that lie on one are left out, the baseline among them.
The truth is computed: Shapley values by enumeration, path integrals from kink to kink. A draw that is constant is drawn again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from synthetic.environment import Environment
from synthetic.families import dense
from synthetic.formulas import Layers, formula_of
from synthetic.gadgets import MARGIN
from synthetic.registry import register
from synthetic.rewritings import dead_unit, rescaled_unit
from synthetic.tables.columns import grid, require, table_environment

LEVELS = (0, 1, 2, 3)
ROWS = 8
"""The least number of rows off all kinks; half of what the smallest grid has."""

READABLE = 160
"""The longest formula that is printed with its numbers."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """From which numbers the weights and biases are drawn; all layers but the first take twice the weights."""

    weights: tuple[int, ...]
    biases: tuple[float, ...]
    output: tuple[int, ...]


SIGNED = Recipe(weights=(-2, -1, 1, 2), biases=(-1.5, -0.5, 0.5, 1.5), output=(-2, -1, 1, 2))
UNBIASED = Recipe(weights=(-2, -1, 1, 2), biases=(0.0,), output=(-2, -1, 1, 2))
RISING = Recipe(weights=(0, 1, 2), biases=(-4.5, -2.5, -1.5, -0.5, 0.5), output=(1, 2))


@register("random-dense-v1")
def random_dense(
    *,
    id: str,
    seed: int = 0,
    inputs: int = 5,
    hidden: int = 4,
    depth: int = 2,
    bias: bool = True,
    equal_columns: int = 2,
    null_columns: int = 1,
) -> Environment:
    """A dense ReLU network of `depth` hidden layers of `hidden` units on x_i in {0, 1, 2, 3}, with weights of both signs.

    Args:
        id: the environment's id.
        seed: of the weights.
        inputs: how many columns there are in all.
        hidden: units per hidden layer.
        depth: hidden layers.
        bias: whether units have biases; without them rows on a kink are left out, and the traits are those of random-homogeneous-v1.
        equal_columns: how many columns, the first ones, have the same weights and are exchangeable; 0 for none.
        null_columns: how many columns, the last ones, have weight 0.

    Raises:
        ValueError: if a knob is out of range.
    """
    return _drawn(
        id=id,
        recipe=SIGNED if bias else UNBIASED,
        knobs=_Shape(seed=seed, inputs=inputs, hidden=hidden, depth=depth, equal_columns=equal_columns, null_columns=null_columns),
        also={"bias": bias},
        isolates="nothing by design: the average network, on which no method can rely on the designer's habits",
    )


@register("random-monotone-v1")
def random_monotone(
    *, id: str, seed: int = 0, inputs: int = 5, hidden: int = 4, depth: int = 2, equal_columns: int = 2, null_columns: int = 1
) -> Environment:
    """As random-dense-v1, with no negative weight: the function rises in every column, and no score may be negative.

    Raises:
        ValueError: if a knob is out of range.
    """
    return _drawn(
        id=id,
        recipe=RISING,
        knobs=_Shape(seed=seed, inputs=inputs, hidden=hidden, depth=depth, equal_columns=equal_columns, null_columns=null_columns),
        also={},
        isolates="sign: all effects are positive, so that every negative score is an error of its method",
    )


@register("random-homogeneous-v1")
def random_homogeneous(
    *, id: str, seed: int = 0, inputs: int = 5, hidden: int = 4, depth: int = 2, equal_columns: int = 2, null_columns: int = 1
) -> Environment:
    """As random-dense-v1, without biases: f(t x) = t f(x) for t >= 0, so the gradient is constant on the way from 0 to x.

    Traits `bias_free` and `positively_homogeneous`; the rows keep their distance from kinks, while the baseline 0 is on all of them.

    Raises:
        ValueError: if a knob is out of range.
    """
    return _drawn(
        id=id,
        recipe=UNBIASED,
        knobs=_Shape(seed=seed, inputs=inputs, hidden=hidden, depth=depth, equal_columns=equal_columns, null_columns=null_columns),
        also={},
        isolates="homogeneity: gradient times input, integrated gradients and DeepLIFT are one method here; games are another",
    )


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """What is drawn, refused if it is out of range."""

    seed: int
    inputs: int
    hidden: int
    depth: int
    equal_columns: int
    null_columns: int

    def __post_init__(self) -> None:
        require(
            2 <= self.inputs <= 6 and 1 <= self.hidden <= 8 and 1 <= self.depth <= 3,
            message=f"a drawn network has 2 to 6 inputs, so that its lattice can be enumerated, and 1 to 8 units in 1 to 3 hidden layers, "
            f"so that it is exact in float32 (got inputs={self.inputs}, hidden={self.hidden}, depth={self.depth})",
        )
        require(
            self.equal_columns >= 0 and self.null_columns >= 0 and max(1, self.equal_columns) + self.null_columns <= self.inputs,
            message=f"equal and null columns are different columns, and at least one column is not null "
            f"(got equal_columns={self.equal_columns}, null_columns={self.null_columns}, inputs={self.inputs})",
        )
        require(self.seed >= 0, message=f"seed is a natural number (got {self.seed})")


def _drawn(*, id: str, recipe: Recipe, knobs: _Shape, also: dict[str, bool], isolates: str) -> Environment:
    layers, rows = _network(recipe, knobs)
    known = dense(layers)
    formula = formula_of(layers)
    nested = "x"
    for layer in range(1, knobs.depth + 1):
        nested = f"relu(W{layer} {nested} + b{layer})"
    return table_environment(
        id=id,
        formula=formula if len(formula) <= READABLE else f"f(x) = w {nested}, drawn from seed {knobs.seed}",
        layers=layers,
        specification=lambda x: _evaluated(layers, x)[0],
        domain="x_i in {0, 1, 2, 3}" + ("" if any(recipe.biases) else ", without the rows that lie on a kink"),
        traits=_traits(recipe, layers, knobs.inputs),
        draw=lambda n, streams: rows[torch.randint(0, len(rows), (n,), generator=next(streams))],
        lattice=rows.clone,
        independent=known.independent,
        twins=[column if number < 0 else number for column, number in enumerate(known.orbit)],
        isolates=isolates,
        reference="Claessen & Hughes 2000 (random testing of properties); margins as in AttributionLab (Zhang et al. 2023)",
        knobs={**vars(knobs), **also},
        equals={"unit rescaled": rescaled_unit(layers), "dead unit": dead_unit(layers)},
    )


def _network(recipe: Recipe, shape: _Shape) -> tuple[Layers, Tensor]:
    """The first network of the seed that is not constant on its rows, and these: all rows of the grid that are off its kinks.

    It ends: networks whose first column alone drives one chain of units are among the draws of every recipe, and qualify.
    """
    generator = torch.Generator().manual_seed(shape.seed)
    rows = grid([LEVELS] * shape.inputs)
    while True:
        layers = _draw(recipe, shape, generator)
        outputs, least = _evaluated(layers, rows.numpy())
        clear = least >= MARGIN
        if clear.sum() >= ROWS and len(np.unique(outputs[clear])) > 1:
            return layers, rows[torch.from_numpy(clear)]


def _draw(recipe: Recipe, shape: _Shape, generator: torch.Generator) -> Layers:
    def one_of(values: Sequence[float], *size: int) -> Tensor:
        return torch.tensor(values, dtype=torch.float64)[torch.randint(0, len(values), size, generator=generator)]

    first = one_of(recipe.weights, shape.hidden, shape.inputs)
    first[:, : shape.equal_columns] = first[:, :1]
    first[:, shape.inputs - shape.null_columns :] = 0
    layers = [(first.tolist(), one_of(recipe.biases, shape.hidden).tolist())]
    for _ in range(shape.depth - 1):
        layers.append(((2 * one_of(recipe.weights, shape.hidden, shape.hidden)).tolist(), one_of(recipe.biases, shape.hidden).tolist()))
    scale = 2.0 ** (1 - shape.depth)
    return [*layers, ((scale * one_of(recipe.output, 1, shape.hidden)).tolist(), [0.0])]


def _evaluated(layers: Layers, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # (rows, columns) -> (rows, 1), (rows,)
    """The outputs, and the least |pre-activation| of each row, by numpy."""
    least = np.full(len(x), np.inf)
    for weight, bias in layers[:-1]:
        z = x @ np.array(weight).T + np.array(bias)
        least = np.minimum(least, abs(z).min(1))
        x = np.where(z > 0, z, 0.0)
    weight, bias = layers[-1]
    return np.asarray(x @ np.array(weight).T + np.array(bias)), least


def _traits(recipe: Recipe, layers: Layers, inputs: int) -> set[str]:
    """What the recipe says, and what the values on the grid of all rows show."""
    values = _evaluated(layers, grid([LEVELS] * inputs).numpy())[0].reshape([len(LEVELS)] * inputs)
    alone = sum(values[tuple(slice(None) if i == axis else slice(0, 1) for i in range(inputs))] for axis in range(inputs))
    additive = bool((alone - (inputs - 1) * values.ravel()[0] == values).all())
    falls = any((np.diff(values, axis=axis) < 0).any() for axis in range(inputs))
    unbiased = not any(recipe.biases)
    found = {
        "additive": additive,
        "interacting": not additive,
        "monotone": min(recipe.weights + recipe.output) >= 0,
        "non_monotone": falls,
        "bias_free": unbiased,
        "positively_homogeneous": unbiased,
    }
    return {trait for trait, shown in found.items() if shown}
