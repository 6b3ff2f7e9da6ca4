"""Any sentence of propositional logic can be put on trial: what it needs, and what would have been enough, is decided by its truth table.

The formula is a knob; it is read and compiled by `synthetic.propositions`. Bits are drawn so that true and false rows are equally
frequent. Its Shapley value comes from enumeration, its necessary players and minimal sufficient sets (prime implicants of the row)
from `synthetic.certificates`, its path integral from the compiled network.
"""

from __future__ import annotations

import numpy as np
import torch

from synthetic.environment import Environment
from synthetic.oracles import moebius
from synthetic.propositions import columns_that_exchange, evaluate, layers_of, operators_of, parse, variables_of
from synthetic.registry import register
from synthetic.tables.columns import choose, grid, require, table_environment

MOST = 10
"""Columns up to which the truth table is enumerated: 1 024 rows."""


@register("boolean-not-v1", formula="not a")
@register("boolean-or-v1", formula="a or b or c")
@register("boolean-and-v1", formula="a and b", null_columns=3)
@register("boolean-v1")
def boolean(*, id: str, formula: str = "(a and b) or not c", null_columns: int = 1) -> Environment:
    """Here f = 1 where the formula holds and 0 elsewhere; a column per variable, in the order in which they appear, then columns in none.

    Args:
        id: the environment's id.
        formula: of variables, `and`, `or`, `xor`, `not` and parentheses; `not` binds tightest, then `and`, then `xor`.
        null_columns: how many columns the formula does not name.

    Raises:
        ValueError: if the formula cannot be read, with the position; or there are more than 10 columns.
    """
    proposition = parse(formula)
    names = variables_of(proposition)
    columns = len(names) + null_columns
    require(
        null_columns >= 0 and columns <= MOST,
        message=f"at most {MOST} columns, so that the truth table can be enumerated "
        f"(got {len(names)} variables and null_columns={null_columns})",
    )

    def holds(x: np.ndarray) -> np.ndarray:
        return evaluate(proposition, {name: x[:, i] for i, name in enumerate(names)}).astype(np.float64)[:, None]

    rows = grid([(0, 1)] * columns)
    table = holds(rows.numpy())
    padding = [f"null {k + 1}" for k in range(null_columns)]
    return table_environment(
        id=id,
        formula=f"f({', '.join(names)}) = {' '.join(formula.split())}",
        layers=layers_of(proposition, [*names, *padding]),
        specification=holds,
        domain=f"bits {', '.join([*names, *padding])}",
        traits=_traits(table[:, 0], operators_of(proposition)),
        draw=lambda n, streams: choose(n, rows, torch.from_numpy(table[:, 0]), streams),
        lattice=rows.clone,
        independent=[i >= len(names) for i in range(columns)],
        twins=[*columns_that_exchange(proposition, names), *[len(names)] * null_columns],
        isolates="logic: necessity and sufficiency come apart, and a score has to choose between them",
        reference="XAI-Units (Lee et al., FAccT 2025), boolean formulas; Darwiche & Hirth 2020 (sufficient reasons)",
        knobs={"formula": formula, "null_columns": null_columns},
    )


def _traits(table: np.ndarray, operators: frozenset[str]) -> set[str]:
    """Read the traits off the truth table, (2^columns,) in lexicographic order, and what holds off the bits off the operators.

    Whatever has a step on its way to the output is flat at every bit; steps of sums of rising values rise.
    """
    columns = len(table).bit_length() - 1
    sizes = np.array([code.bit_count() for code in range(len(table))])
    cube = table.reshape([2] * columns)
    falls = any((np.diff(cube, axis=axis) < 0).any() for axis in range(columns))
    interacting = bool((moebius(table)[sizes >= 2] != 0).any())
    found = {
        "interacting": interacting,
        "additive": not interacting,
        "monotone": not operators & {"not", "xor"},
        "non_monotone": falls,
        "flat_gradient": bool(operators - {"not"}),
    }
    return {trait for trait, shown in found.items() if shown}
