"""A path along a kink is told from one that crosses it, and no refutation rests on one."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from attrlab.axioms import AXIOMS
from attrlab.case import Case
from attrlab.method import player_scores
from attrlab.registry import find_method
from evaluations.kinked_paths import runs_along_a_kink
from evaluations.scope import exhaust
from synthetic.environment import frozen
from synthetic.gadgets import relu_network
from synthetic.small_scope import SmallNetworks, knowledge

CLIPPED = frozen(relu_network([([[0.0, 1.0], [1.0, 0.0]], [1.0, 0.0]), ([[-1.0, -1.0]], [1.0]), ([[1.0]], [0.0])]))
ONE = SmallNetworks(
    inputs=2,
    hidden=(2, 1),
    weights=tuple(layer.weight.unsqueeze(0) for layer in CLIPPED if isinstance(layer, nn.Linear)),
    biases=tuple(layer.bias.unsqueeze(0) for layer in CLIPPED if isinstance(layer, nn.Linear)),
)
"""relu(1 - relu(x2 + 1) - relu(x1)), whose outer unit is at 0 on x1 = -x2 between (0, 0) and (1, -1)."""


def rows(*points):
    return torch.tensor(points, dtype=torch.float64)


@pytest.mark.parametrize(
    ("inputs", "baseline", "along"),
    [
        ((2.0, -2.0), (0.0, 0.0), True),  # along the kink for half of the way, and then off it
        ((2.0, -3.0), (0.0, 0.0), False),  # begins on it
        ((1.0, 1.0), (-2.0, -2.0), False),  # crosses all three
        ((2.0, -2.0), (2.0, -2.0), False),  # stays off them
    ],
)
def test_a_path_runs_along_a_kink_if_a_unit_stays_at_zero_on_a_part_of_it(inputs, baseline, along):
    assert runs_along_a_kink(CLIPPED, rows(inputs), rows(baseline)).tolist() == [along]


def test_rows_are_told_apart_and_no_hook_is_left():
    found = runs_along_a_kink(CLIPPED, rows((2.0, -2.0), (2.0, -3.0)), rows((0.0, 0.0), (0.0, 0.0)))
    assert found.tolist() == [True, False]
    assert all(not part._forward_pre_hooks for part in CLIPPED.modules())


def test_integrated_gradients_keep_what_they_keep_off_paths_along_kinks_and_are_not_refuted():
    axiom, method = AXIOMS["input_shift_invariance"], find_method("integrated_gradients")
    inputs, baseline = rows((2.0, -2.0), (2.0, -3.0)), rows((0.0, 0.0), (0.0, 0.0))
    case = Case(
        name="a unit at its kink",
        formula="f(x) = relu(1 - relu(x2 + 1) - relu(x1))",
        model=CLIPPED,
        inputs=inputs,
        target=torch.zeros(2, dtype=torch.int64),
        baseline=baseline,
        feature_mask=torch.arange(2).expand(2, -1),
        players=2,
    )
    violation = axiom.measure(lambda asked: player_scores(method, asked), case).violation
    assert float(violation[0]) > 0.01  # which side of the kink a rounded sum falls on
    assert float(violation[1]) < 1e-6


def test_a_refutation_that_rests_on_such_a_path_is_none(monkeypatch):
    size = {"tiny": ((2, (2, 1)),)}
    monkeypatch.setattr("evaluations.scope.SCOPES", size)
    monkeypatch.setattr("evaluations.small_cases._part", lambda *_, known: (ONE, knowledge(ONE) if known else None))
    monkeypatch.setattr("evaluations.small_cases._enumerated", lambda *_: ONE)
    found = exhaust(find_method("integrated_gradients"), AXIOMS["input_shift_invariance"], tolerance=1e-6, scope="tiny")
    assert found.refutation is None
    assert found.networks == 1
    monkeypatch.setattr("evaluations.scope.runs_along_a_kink", lambda model, inputs, baseline: torch.zeros(len(inputs), dtype=torch.bool))
    assert exhaust(find_method("integrated_gradients"), AXIOMS["input_shift_invariance"], tolerance=1e-6, scope="tiny").refutation


def test_paths_from_reference_rows_are_looked_at_where_a_method_reads_them(monkeypatch):
    monkeypatch.setattr("evaluations.scope.SCOPES", {"tiny": ((2, (2, 1)),)})
    monkeypatch.setattr("evaluations.small_cases._enumerated", lambda *_: ONE)
    monkeypatch.setattr("evaluations.small_cases._part", lambda *_, known: (ONE, knowledge(ONE) if known else None))
    starts = []

    def seen(model, inputs, baseline):
        starts.append(baseline[0].tolist())
        return torch.zeros(len(inputs), dtype=torch.bool)

    monkeypatch.setattr("evaluations.scope.runs_along_a_kink", seen)
    exhaust(find_method("gradient"), AXIOMS["completeness"], tolerance=1e-9, scope="tiny")
    assert starts
    assert all(start in ([0.0, 0.0], [1.0, 1.0]) for start in starts)
    starts.clear()
    exhaust(find_method("expected_gradients"), AXIOMS["completeness"], tolerance=1e-9, scope="tiny")
    assert {tuple(start) for start in starts} == set(itertools.product((-2.0, -1.0, 0.0, 1.0, 2.0), repeat=2))
