"""Blocks of small networks as cases: many networks are the outputs of one, and row r explains the output of the network it is about.

A row is a network at a point of the lattice. What is known of it is decided by `synthetic.small_scope`, not sampled. Rows on a kink
are left out, so that a convention for ReLU'(0) never decides a verdict; rows that an axiom says nothing about are left out too.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from attrlab.axioms import Axiom
from attrlab.case import Case
from attrlab.claims import SMALL_SCOPE
from attrlab.games import Policy
from synthetic.environment import frozen
from synthetic.formulas import formula_of
from synthetic.gadgets import relu_network
from synthetic.small_scope import Knowledge, SmallNetworks, knowledge, small_networks

VALUES = (-2.0, -1.0, 0.0, 1.0, 2.0)
VALUES_OF_THREE = (-1.0, 0.0, 1.0)
BASELINES = (0.0, 1.0)
"""The lattice of up to two inputs, that of three, and the value of all entries of a baseline."""

WIDTH = 24
"""Networks that are put to a method at once."""

PART = 4096
"""Networks that are decided at once: those of a large size, only as far as a search comes."""

ANSWERED = frozenset({"others", "independent", "unreachable", "null", "orbit", "monotone", "summed", "redundant", "additive"})
"""What is known of enumerated networks."""


DECIDED = frozenset({"others", "independent", "orbit", "monotone", "summed", "redundant"})
"""Of these, what `synthetic.small_scope` decides of each network everywhere."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """One network of a block: as numbers, and a second one that computes the same where the axiom asks for it."""

    networks: SmallNetworks
    place: int
    second: tuple[SmallNetworks, int] | None = None

    @property
    def formula(self) -> str:
        """The function in one line of mathematics."""
        return formula_of(self.networks.layers(self.place))

    def model(self) -> nn.Module:
        """The network alone, (batch, d) -> (batch, 1)."""
        return frozen(relu_network(self.networks.layers(self.place)))


@dataclass(frozen=True, kw_only=True)
class Block:
    """Networks of one size side by side, with the rows about them; `case.target` says which network a row is about."""

    size: tuple[int, tuple[int, ...]]
    case: Case
    members: tuple[Member, ...]

    def alone(self, member: int, policy: Policy) -> Case:
        """The rows about one network, on that network alone."""
        found, rows = self.members[member], (self.case.target == member).nonzero().squeeze(1)
        case = self.case.rows(rows)
        others = {} if found.second is None else {formula_of(found.second[0].layers(found.second[1])): _second(found)}
        return replace(
            case,
            formula=found.formula,
            model=_placed(found.model(), policy),
            others={name: _placed(network, policy) for name, network in others.items()},
            target=torch.zeros_like(case.target),
        )

    def told(self, case: Case) -> Case:
        """A case of one row as it is: its point says all."""
        return case


def can_enumerate(axiom: Axiom) -> bool:
    """Whether all that the axiom needs is known of enumerated networks."""
    return ANSWERED.issuperset(axiom.needs)


def blocks(axiom: Axiom, sizes: tuple[tuple[int, tuple[int, ...]], ...], *, width: int = WIDTH, policy: Policy) -> Iterator[Block]:
    """All networks of these sizes (inputs, hidden units) that the axiom says something about, the smallest first."""
    first: dict[bytes, tuple[SmallNetworks, int]] = {}
    for inputs, hidden in sizes:
        for start in range(0, len(_enumerated(inputs, hidden)), PART):
            networks, known = _part(inputs, hidden, start, known=not DECIDED.isdisjoint(axiom.needs))
            members = _members(axiom, networks, known, first)
            for place in range(0, len(members), width):
                block = _block(axiom, members[place : place + width], networks, known, policy)
                if block is not None:
                    yield block


_enumerated = cache(small_networks)


@lru_cache(maxsize=16)
def _part(inputs: int, hidden: tuple[int, ...], start: int, *, known: bool) -> tuple[SmallNetworks, Knowledge | None]:
    """Some networks of one size, with what is known of them if that is asked for: the same for every method and axiom."""
    whole = _enumerated(inputs, hidden)
    networks = whole.rows(torch.arange(start, min(start + PART, len(whole))))
    return networks, knowledge(networks) if known else None


def _members(axiom: Axiom, networks: SmallNetworks, known: Knowledge | None, first: dict[bytes, tuple[SmallNetworks, int]]) -> list[Member]:
    """The networks that the axiom may say something about; where it compares equals, those that have a smaller one, with the smallest."""
    if known is None or "others" not in axiom.needs:
        asked = _may_be_asked(axiom, networks, known)
        return [Member(networks=networks, place=place) for place in asked.nonzero().squeeze(1).tolist()]
    found = []
    for place in range(len(networks)):
        key = known.function[place] + bytes([networks.inputs])
        if key in first:
            found.append(Member(networks=first[key][0], place=first[key][1], second=(networks, place)))
        first.setdefault(key, (networks, place))
    return found


def _may_be_asked(axiom: Axiom, networks: SmallNetworks, known: Knowledge | None) -> Tensor:  # (networks,) bool
    """Whether what the axiom needs is known of the network, at some point."""
    found = torch.ones(len(networks), dtype=torch.bool)
    if "additive" in axiom.needs:
        found &= _additive(networks)
    if "unreachable" in axiom.needs:
        found &= ~networks.reached().all(1)
    if known is None:
        return found
    of = {
        "independent": known.independent.any(1),
        "monotone": known.nondecreasing.any(1),
        "orbit": known.symmetric.sum((1, 2)) > networks.inputs,
        "summed": known.of_the_sum.sum((1, 2)) > networks.inputs,
        "redundant": known.of_the_sum.sum((1, 2)) > networks.inputs,
    }
    for need in of.keys() & set(axiom.needs):
        found &= of[need]
    return found


def _additive(networks: SmallNetworks) -> Tensor:  # (networks,) bool
    """Whether every unit reads one input, and no unit reads another."""
    if not networks.hidden:
        return torch.ones(len(networks), dtype=torch.bool)
    return ((networks.weights[0] != 0).sum(2) == 1).all(1) & (len(networks.hidden) < 2)


def _block(axiom: Axiom, members: list[Member], networks: SmallNetworks, known: Knowledge | None, policy: Policy) -> Block | None:
    """The rows about these members that the axiom says something about, off the kinks; None if there are none."""
    inputs, baseline = _lattice(networks.inputs)
    places = torch.tensor([member.place if member.second is None else member.second[1] for member in members])
    own = networks.rows(places)
    rows = _Rows(networks=own, known=None if known is None else _rows_of(known, places), inputs=inputs, baseline=baseline)
    clear = own.least_preactivation(inputs) > 0
    alone = [own.rows(torch.tensor([k])) for k in range(len(members))]
    shown = [member.networks.rows(torch.tensor([member.place])) for member in members] if "others" in axiom.needs else alone
    if "others" in axiom.needs:
        clear &= torch.cat([network.least_preactivation(inputs) for network in shown]) > 0
    facts: dict[str, Any] = {name: fact for name in axiom.needs if (fact := rows.fact(name)) is not None}
    for fact in facts.values():
        clear &= fact.any(2) if fact.dtype == torch.bool else (fact >= 0).any(2)
    member, point = clear.nonzero(as_tuple=True)
    if not len(member):
        return None
    case = Case(
        name=SMALL_SCOPE,
        formula=f"{len(members)} networks side by side",
        model=_placed(_stacked(shown), policy),
        inputs=_to(inputs[point], policy),
        target=member.to(policy.device),
        baseline=_to(baseline[point], policy),
        feature_mask=torch.arange(networks.inputs).expand(len(member), -1).to(policy.device),
        players=networks.inputs,
        reference=_to(torch.unique(inputs, dim=0), policy),
        traits=frozenset({"additive"}) if "additive" in axiom.needs else frozenset(),
        others={"networks that compute the same": _placed(_stacked(alone), policy)} if "others" in axiom.needs else {},
        **{name: fact[member, point].to(policy.device) for name, fact in facts.items()},
    )
    return Block(size=(networks.inputs, networks.hidden), case=case, members=tuple(members))


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """What is known of each network at each point, (networks, points, players)."""

    networks: SmallNetworks
    known: Knowledge | None
    inputs: Tensor  # (points, d)
    baseline: Tensor  # (points, d)

    def fact(self, name: str) -> Tensor | None:
        """The field of `Case` of that name; None for what is not stated row by row."""
        points, players = self.inputs.shape
        if name in ("null", "unreachable"):
            return self._null() if name == "null" else (~self.networks.reached()).unsqueeze(1).expand(-1, points, -1)
        if self.known is None or name not in DECIDED:
            return None
        if name == "orbit":
            return self._orbit(self.known)
        if name == "redundant":
            return self._redundant(self.known).unsqueeze(2).expand(-1, -1, players)
        of_network = {
            "independent": self.known.independent,
            "monotone": self.known.nondecreasing,
            "summed": self.known.of_the_sum.sum(2) > 1,
        }
        return None if name not in of_network else of_network[name].unsqueeze(1).expand(-1, points, -1)

    def _orbit(self, known: Knowledge) -> Tensor:
        """Players of one value and one baseline in which the function is symmetric have the number of the first of them; others -1."""
        alike = (self.inputs.unsqueeze(2) == self.inputs.unsqueeze(1)) & (self.baseline.unsqueeze(2) == self.baseline.unsqueeze(1))
        linked = known.symmetric.unsqueeze(1) & alike  # (networks, points, players, players)
        return torch.where(linked.sum(3) > 1, linked.long().argmax(3), -1)

    def _game(self, kept: tuple[bool, ...]) -> Tensor:
        return self.networks.values(torch.where(torch.tensor(kept), self.inputs, self.baseline))

    def _null(self) -> Tensor:
        """Players whose joining changes no coalition's value."""
        players = self.inputs.shape[1]
        found = []
        for player in range(players):
            gaps = [
                self._game(kept) == self._game(tuple(k or i == player for i, k in enumerate(kept)))
                for kept in itertools.product((False, True), repeat=players)
            ]
            found.append(torch.stack(gaps).all(0))
        return torch.stack(found, 2)

    def _redundant(self, known: Knowledge) -> Tensor:
        """f(x) = h(x1 + x2), h never falls, both have risen, and each alone has the effect of both, which is not nothing."""
        if self.inputs.shape[1] != 2:
            return torch.zeros(len(self.networks), len(self.inputs), dtype=torch.bool)
        both, one, other, none = (self._game(kept) for kept in ((True, True), (True, False), (False, True), (False, False)))
        risen = (self.inputs > self.baseline).all(1)
        whole = (known.of_the_sum[:, 0, 1] & known.nondecreasing.all(1)).unsqueeze(1)
        return whole & risen & (both == one) & (both == other) & (both != none)


@cache
def _lattice(inputs: int) -> tuple[Tensor, Tensor]:
    """Every point with every baseline, the smallest point first."""
    values = VALUES if inputs < 3 else VALUES_OF_THREE
    rows = [(x, (b,) * inputs) for x in itertools.product(values, repeat=inputs) for b in BASELINES if any(value != b for value in x)]
    ordered = sorted(rows, key=lambda row: (sum(map(abs, row[0])) + sum(row[1]), row[1], [-value for value in row[0]]))
    table = torch.tensor(ordered, dtype=torch.float64)
    return table[:, 0], table[:, 1]


def _second(member: Member) -> nn.Module:
    assert member.second is not None
    return frozen(relu_network(member.second[0].layers(member.second[1])))


def _stacked(networks: list[SmallNetworks]) -> nn.Module:
    """One network whose output k is the k-th of these."""
    depths = {len(network.hidden) for network in networks}
    if len(depths) == 1:
        return _network(_joined(networks))
    return frozen(_Parts({depth: [n for n in networks if len(n.hidden) == depth] for depth in sorted(depths)}, networks))


def _joined(networks: list[SmallNetworks]) -> list[tuple[Tensor, Tensor]]:
    layers = []
    for depth in range(len(networks[0].weights)):
        weights = [network.weights[depth][0] for network in networks]
        weight = torch.cat(weights) if depth == 0 else torch.block_diag(*weights)  # type: ignore[no-untyped-call]
        layers.append((weight, torch.cat([network.biases[depth][0] for network in networks])))
    return layers


def _network(layers: list[tuple[Tensor, Tensor]]) -> nn.Module:
    """A network of these numbers: a copy of one of its shape, since making layers costs more than most methods do."""
    network = copy.deepcopy(_of_shape(tuple((weight.shape[0], weight.shape[1]) for weight, _ in layers)))
    for part, (weight, bias) in zip((part for part in network.children() if isinstance(part, nn.Linear)), layers, strict=True):
        part.weight, part.bias = nn.Parameter(weight, requires_grad=False), nn.Parameter(bias, requires_grad=False)
    return network


@cache
def _of_shape(shape: tuple[tuple[int, int], ...]) -> nn.Module:
    return frozen(relu_network([(torch.zeros(after, before), [0.0] * after) for after, before in shape]))


class _Parts(nn.Module):
    """Networks of several depths: those of one depth side by side, their outputs put in order."""

    def __init__(self, by_depth: dict[int, list[SmallNetworks]], networks: list[SmallNetworks]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(_network(_joined(part)) for part in by_depth.values())
        met = [network for part in by_depth.values() for network in part]
        self.order = [next(i for i, other in enumerate(met) if other is network) for network in networks]

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs in the order of the networks, (batch, d) -> (batch, networks)."""
        return torch.cat([part(inputs) for part in self.parts], 1)[:, self.order]


def _rows_of(known: Knowledge, places: Tensor) -> Knowledge:
    return Knowledge(
        independent=known.independent[places],
        nondecreasing=known.nondecreasing[places],
        symmetric=known.symmetric[places],
        of_the_sum=known.of_the_sum[places],
        function=tuple(known.function[place] for place in places.tolist()),
    )


def _placed(model: nn.Module, policy: Policy) -> nn.Module:
    return model.to(device=policy.device, dtype=policy.dtype)


def _to(values: Tensor, policy: Policy) -> Tensor:
    return values.to(device=policy.device, dtype=policy.dtype)
