"""Each statement of a case is contradicted where it is false, and left alone where it is true."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from attrlab.case import Case
from attrlab.knowledge_tried import contradiction
from attrlab.study import prepare
from synthetic import environment_ids
from synthetic.families import dense

YES, NO = torch.tensor([[True, True]]), torch.tensor([[False, False]])


def case(layers, **known):
    network = dense(layers)
    return Case(
        name="by-hand",
        formula=network.formula,
        model=network.model,
        inputs=torch.tensor([[2.0, 1.0]], dtype=torch.float64),
        target=torch.zeros(1, dtype=torch.int64),
        baseline=torch.zeros(1, 2, dtype=torch.float64),
        feature_mask=torch.tensor([[0, 1]]),
        players=2,
        **known,
    )


SUM = [([[1, 1]], [0]), ([[1]], [0])]  # relu(x1 + x2)
CAPPED = [([[-1, -1]], [1]), ([[-1]], [1])]  # 1 - relu(1 - x1 - x2)
FIRST = [([[1, 0]], [0]), ([[1]], [0])]  # relu(x1)
UNEVEN = [([[1, -2]], [0]), ([[1]], [0])]  # relu(x1 - 2 x2)

TRUE = {
    "others": case(SUM, others={"again": dense(SUM).model}),
    "independent": case(FIRST, independent=torch.tensor([[False, True]])),
    "unreachable": case(FIRST, unreachable=torch.tensor([[False, True]])),
    "null": case(FIRST, null=torch.tensor([[False, True]])),
    "monotone": case(SUM, monotone=YES),
    "orbit": replace(case(SUM), inputs=torch.tensor([[2.0, 2.0]], dtype=torch.float64), orbit=torch.tensor([[0, 0]])),
    "summed": case(SUM, summed=YES),
    "additive": case([([[1, 0], [0, 1]], [0, 0]), ([[1, 1]], [0])], traits=frozenset({"additive"})),
    "redundant": case(CAPPED, redundant=YES),
    "branches": case(SUM, branches=((2.0, dense(SUM).model), (-1.0, dense(SUM).model))),
}
FALSE = {
    "others": replace(TRUE["others"], others={"another": dense(FIRST).model}),
    "independent": replace(TRUE["independent"], independent=YES),
    "unreachable": replace(TRUE["unreachable"], unreachable=YES),
    "null": replace(TRUE["null"], null=YES),
    "monotone": case(UNEVEN, monotone=YES),
    "orbit": replace(case(UNEVEN), inputs=torch.tensor([[2.0, 2.0]], dtype=torch.float64), orbit=torch.tensor([[0, 0]])),
    "summed": case(UNEVEN, summed=YES),
    "additive": case(UNEVEN, traits=frozenset({"additive"})),
    "redundant": case(SUM, redundant=YES),
    "branches": replace(TRUE["branches"], branches=((1.0, dense(SUM).model), (1.0, dense(SUM).model))),
}


@pytest.mark.parametrize("known", TRUE)
def test_a_true_statement_is_not_contradicted(known):
    assert contradiction(TRUE[known]) == ""


@pytest.mark.parametrize("known", FALSE)
def test_a_false_statement_is_contradicted(known):
    assert contradiction(FALSE[known]) != ""


@pytest.mark.parametrize("id", environment_ids()[::5])
def test_what_worlds_state_of_themselves_is_not_contradicted(id):
    assert contradiction(prepare(id, rows=3, seed=0).case) == ""
