"""What theory says is violated falls to search within a minute, on networks without a name, small enough to be read."""

from __future__ import annotations

import time

import pytest

from attrlab.axioms import AXIOMS
from attrlab.games import Policy
from attrlab.registry import find_method
from evaluations.laboratory import Laboratory
from evaluations.refutation import Refutation, refute

MINUTE = 60.0

FALLING = (
    ("gradient", "completeness", 1),
    ("deeplift", "implementation_invariance", 3),
    ("deeplift", "symmetry", 4),  # none of up to three does it: tests/evaluations/test_deeplift_symmetry.py
    ("lime", "dummy", 3),
    ("rise", "dummy", 3),
    ("rise_players", "dummy", 3),
    ("integrated_gradients", "demand_monotonicity", 3),
    ("guided_backprop", "sign_consistency", 3),
    ("grad_cam", "dummy", 3),
    ("occlusion_windows", "dummy", 3),
)
"""Method, axiom, and how many units a network needs for it."""


LARGER = {("deeplift", "symmetry")}
"""What falls in the scope `large` only."""


def nowhere(axiom: str, *, scope: str, limit_s: float = 20.0, examples: int = 60) -> Laboratory:
    """A laboratory of enumerated and drawn networks alone: no environment is asked."""
    return Laboratory(
        methods=(),
        environments=(),
        policy=Policy(),
        rows=2,
        examples=examples,
        seed=0,
        seeds=1,
        unclaimed=False,
        chosen=False,
        named=False,
        refuted=(axiom,),
        scope=scope,
        limit_s=limit_s,
        everywhere=True,
        json=None,
        html=None,
    )


def by_search(method: str, axiom: str) -> Refutation:
    """A refutation on enumerated and drawn networks alone."""
    scope = "large" if (method, axiom) in LARGER else "default"
    return refute(find_method(method), AXIOMS[axiom], nowhere(axiom, scope=scope))


@pytest.mark.slow
@pytest.mark.parametrize(("method", "axiom", "units"), FALLING, ids=lambda value: str(value))
def test_search_refutes_within_a_minute_on_a_network_that_can_be_read(method: str, axiom: str, units: int):
    started = time.process_time()
    found = by_search(method, axiom)
    spent = time.process_time() - started
    assert found.refuted
    assert found.found is not None
    function, point, *_ = found.found.counterexample.splitlines()
    print(f"{method} {axiom}: {spent:.1f} s, {found.place}\n{found.found.counterexample}")
    assert spent <= MINUTE
    assert function.count("relu") <= units
    assert point.split("), x' = ")[0].count(",") <= 2


@pytest.mark.parametrize(("method", "axiom"), [("grad_cam", "dummy"), ("occlusion_windows", "dummy")])
def test_methods_of_images_are_refuted_on_drawn_convolutions(method: str, axiom: str):
    found = by_search(method, axiom)
    assert found.place == "drawn-networks"
    assert "positions read by" in found.found.counterexample
    assert "does not change f anywhere and must get 0" in found.found.counterexample
    assert found.certificate


def test_methods_of_images_are_left_in_peace_where_they_keep_an_axiom():
    found = by_search("occlusion_windows", "implementation_invariance")
    assert not found.refuted
    assert found.cases >= 100


def test_a_long_search_of_small_networks_tells_how_far_it_is(monkeypatch):
    monkeypatch.setattr("evaluations.refutation.EVERY_S", 0.0)
    said: list[str] = []
    refute(find_method("shapley"), AXIOMS["locality"], nowhere("locality", scope="tiny", examples=1), say=said.append)
    assert said[0] == "searching locality: 0 networks in 0 s, now of size graphs of 2 nodes, 1 rounds"
    counted = [int(line.split(": ")[1].split()[0].replace(",", "")) for line in said]
    assert counted == sorted(counted)
    assert counted[-1] > 0
