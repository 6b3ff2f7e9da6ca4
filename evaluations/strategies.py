"""Hypothesis draws networks as well as inputs: small integers that become a hand-set network, so that it shrinks to one a person can read.

Every drawn case keeps a margin: no unit's pre-activation at the input is closer than 1/8 to its kink, in any of the networks, so that the
convention for ReLU'(0) never decides a verdict. (Inputs on which the whole path lies in a kink are excluded by the same rule.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from hypothesis import assume
from hypothesis import strategies as st
from torch import nn

from attrlab.axioms import Axiom
from attrlab.case import Case
from attrlab.games import Policy
from synthetic.families import (
    DrawnNetwork,
    dense,
    difference_of_equals,
    symmetric,
    symmetric_threshold,
    threshold_pair,
    tied,
    with_null_column,
)
from synthetic.gadgets import least_preactivation

DRAWN = "drawn-networks"
"""The name that drawn networks have where an environment's id stands."""

MARGIN = 1 / 8

RESTRICTIONS = frozenset({"positively_homogeneous", "additive"})
"""The traits that drawn networks can be made to have."""

Layer = tuple[list[list[int]], list[int]]


def can_draw(axiom: Axiom, given: frozenset[str]) -> bool:
    """Whether networks can be drawn on which the axiom can be asked and that have these traits."""
    return given <= RESTRICTIONS and (not given or not axiom.needs)


@st.composite
def cases(draw: st.DrawFn, *, axiom: Axiom, given: frozenset[str], policy: Policy) -> Case:
    """A small network with what `axiom` needs known of it, an input and a baseline."""
    network = draw(_networks(axiom, given), label="network")
    columns = len(network.independent)
    values = st.integers(-3, 3)
    inputs = draw(st.lists(values, min_size=columns, max_size=columns), label="x")
    zero = "positively_homogeneous" in given
    baseline = [0] * columns if zero else draw(st.lists(values, min_size=columns, max_size=columns), label="x'")
    if "orbit" in axiom.needs:
        inputs, baseline = _equal_in_orbits(inputs, network.orbit), _equal_in_orbits(baseline, network.orbit)
    found = _case(network, inputs, baseline, policy)
    assume(all(_clear_of_kinks(model, found) for model in (found.model, *found.others.values())))
    return found


def _networks(axiom: Axiom, given: frozenset[str]) -> st.SearchStrategy[DrawnNetwork]:
    if "positively_homogeneous" in given:
        return _layers(bias=False).map(dense)
    if "additive" in given:
        return _layers(additive=True).map(dense)
    if "others" in axiom.needs:
        return st.one_of(_layers().map(dense), _thresholds(threshold_pair))
    if "independent" in axiom.needs:
        differences = st.builds(difference_of_equals, _layers(), _affine(2), st.integers(0, 2), _shifts(2))
        return st.one_of(st.builds(lambda layers, at: with_null_column(layers, at=at), _layers(), st.integers(0, 1)), differences)
    if "orbit" in axiom.needs:
        return st.one_of(_layers(least=2).map(tied), _layers(least=2).map(symmetric), _thresholds(symmetric_threshold, least=2))
    return _layers().map(dense)


@st.composite
def _layers(draw: st.DrawFn, *, least: int = 1, bias: bool = True, additive: bool = False) -> list[Layer]:
    """One or two hidden layers of up to three units on up to three inputs, weights in {-2, ..., 2}."""
    widths = [draw(st.integers(least, 3), label="inputs"), draw(st.integers(1, 3), label="units")]
    if not additive and draw(st.booleans(), label="second hidden layer"):
        widths.append(draw(st.integers(1, 2), label="units"))
    layers = [draw(_layer(before, after, bias)) for before, after in zip(widths, [*widths[1:], 1], strict=True)]
    if additive:
        weight, shift = layers[0]
        layers[0] = (
            [[entry if column == unit % widths[0] else 0 for column, entry in enumerate(row)] for unit, row in enumerate(weight)],
            shift,
        )
    return layers


@st.composite
def _layer(draw: st.DrawFn, before: int, after: int, bias: bool) -> Layer:
    weights = st.lists(st.integers(-2, 2), min_size=before, max_size=before)
    shift = st.integers(-2, 2) if bias else st.just(0)
    return draw(st.lists(weights, min_size=after, max_size=after)), draw(st.lists(shift, min_size=after, max_size=after))


def _affine(columns: int) -> st.SearchStrategy[tuple[list[int], int]]:
    return st.tuples(st.lists(st.integers(-2, 2), min_size=columns, max_size=columns), st.integers(-1, 1))


def _shifts(columns: int) -> st.SearchStrategy[list[tuple[int, tuple[list[int], int]]]]:
    """The units a_k relu(u_k) that a threshold pair subtracts."""
    return st.lists(st.tuples(st.integers(0, 2), _affine(columns)), max_size=2)


@st.composite
def _thresholds(draw: st.DrawFn, build: Callable[..., DrawnNetwork], *, least: int = 1) -> DrawnNetwork:
    """relu(relu(z) - c - Σ a_k relu(u_k)) and its equal, on up to three inputs."""
    columns = draw(st.integers(least, 3), label="inputs")
    return build(draw(_affine(columns), label="z"), draw(st.integers(0, 3), label="c"), draw(_shifts(columns), label="units"))


def _equal_in_orbits(values: Sequence[int], orbit: Sequence[int]) -> list[int]:
    """Give all columns of an orbit the value of its first."""
    first: dict[int, int] = {}
    return [value if number < 0 else first.setdefault(number, value) for value, number in zip(values, orbit, strict=True)]


def _clear_of_kinks(model: nn.Module, case: Case) -> bool:
    """Whether no unit at the input is near its kink; a network without `nn.ReLU` modules has a twin with them among the others."""
    return least_preactivation(model, case.inputs) >= MARGIN


def _case(network: DrawnNetwork, inputs: list[int], baseline: list[int], policy: Policy) -> Case:
    def row(values: Sequence[float | bool | int], dtype: torch.dtype) -> torch.Tensor:
        return torch.tensor([values], dtype=dtype, device=policy.device)

    def placed(models: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
        return {name: model.to(device=policy.device, dtype=policy.dtype) for name, model in models.items()}

    return Case(
        name=DRAWN,
        formula=network.formula,
        model=network.model.to(device=policy.device, dtype=policy.dtype),
        inputs=row(inputs, policy.dtype),
        target=row([0], torch.int64).view(1),
        baseline=row(baseline, policy.dtype),
        feature_mask=torch.arange(len(inputs), device=policy.device).view(1, -1),
        players=len(inputs),
        independent=row(network.independent, torch.bool),
        orbit=row(network.orbit, torch.int64),
        others=placed(network.equal),
    )
