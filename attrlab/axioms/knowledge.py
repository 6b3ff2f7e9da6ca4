"""An axiom asks about what is known of a case; this is the list of what can be known, each with the words for its absence.

Networks drawn at random know what they were built to have; named worlds know what their specification proves. An axiom that is not
conditioned on knowledge makes what it needs out of the case itself, by another network in front or behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor, nn

from attrlab.case import Case

NEAR = 1 / 256
"""Rows at most this far apart in every entry are neighbours."""

LEAST_PLAYERS = 3
"""Below three players a correlation of scores says nothing."""


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """One thing that can be known of a case: in words, and whether this case knows it of at least one row."""

    what: str
    of: Callable[[Case], bool]


def neighbours(case: Case) -> tuple[Tensor, Tensor]:
    """The pairs of rows that differ by at most `NEAR`, and have one target and one baseline: two tensors (pairs,) int64."""
    gap = (case.inputs.flatten(1).unsqueeze(1) - case.inputs.flatten(1).unsqueeze(0)).abs().amax(2)
    same = (case.baseline.flatten(1).unsqueeze(1) == case.baseline.flatten(1).unsqueeze(0)).all(2)
    near = (gap > 0) & (gap <= NEAR) & same & (case.target.unsqueeze(1) == case.target.unsqueeze(0))
    first, second = near.triu().nonzero(as_tuple=True)
    return first, second


def _orbit_of_two(case: Case) -> bool:
    if case.orbit is None:
        return False
    ordered = case.orbit.sort(1).values
    return bool(((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any())


def _some(name: str, *, least: int = 1) -> Callable[[Case], bool]:
    def of(case: Case) -> bool:
        known = getattr(case, name)
        return known is not None and bool((known.sum(1) >= least).any())

    return of


def _disjoint(case: Case) -> bool:
    if case.supports is None:
        return False
    some = case.supports[case.supports.any(1)].long()
    return bool(((some @ some.T) == 0).any())


def _has_parameters(case: Case) -> bool:
    return case.players >= LEAST_PLAYERS and any(p.is_floating_point() for p in _parameters(case.model))


def _parameters(model: nn.Module) -> list[Tensor]:
    return list(model.parameters())


KNOWLEDGE: Mapping[str, Knowledge] = MappingProxyType(
    {
        "others": Knowledge(what="a second network that computes the same function", of=lambda case: bool(case.others)),
        "independent": Knowledge(what="a player on which the function does not depend", of=_some("independent")),
        "unreachable": Knowledge(what="a player that no path of weights connects with the output", of=_some("unreachable")),
        "null": Knowledge(what="a player that is null in the baseline game", of=_some("null")),
        "orbit": Knowledge(what="two players in which the function is symmetric", of=_orbit_of_two),
        "monotone": Knowledge(what="a player in which the function is non-decreasing", of=_some("monotone")),
        "summed": Knowledge(what="two players on which the function depends through their sum only", of=_some("summed", least=2)),
        "redundant": Knowledge(what="two players each of which is enough", of=_some("redundant", least=2)),
        "additive": Knowledge(what="a function that is a sum of functions of one player each", of=lambda case: "additive" in case.traits),
        "neighbours": Knowledge(what=f"two rows at most {NEAR:g} apart", of=lambda case: len(neighbours(case)[0]) > 0),
        "lipschitz": Knowledge(what="a Lipschitz constant of the function", of=lambda case: case.lipschitz is not None),
        "supports": Knowledge(what="two outputs that depend on no player in common", of=_disjoint),
        "parameters": Knowledge(what=f"parameters to draw again, and {LEAST_PLAYERS} players", of=_has_parameters),
        "graph": Knowledge(what="a graph", of=lambda case: case.modality == "graph"),
        "twin": Knowledge(what="the network as a torch-geometric module", of=lambda case: case.twin is not None),
    }
)
"""Everything an axiom can need, by the name it is needed by."""
