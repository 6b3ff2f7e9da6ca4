"""What a case states of its network is tried on rows at random: what a stranger wrote down is not believed because it was written.

Every trial stays in the box between baseline and input, where all that a case can state is meant to hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from attrlab.case import Case
from attrlab.method import players_of
from attrlab.methods.operations import outputs_at

TRIALS = 32
"""Rows at random for each row of the case."""

ROUNDING = 1e-9
"""Two values that are stated to be equal may differ by this much of their size: sums of a network in float64."""


def contradiction(case: Case) -> str:
    """The first statement of the case that a trial contradicts, in words; empty if none is contradicted."""
    generator = torch.Generator(device=case.inputs.device).manual_seed(0)
    with torch.no_grad():
        for statement, holds in _statements(case):
            if not all(holds(_shares(case, generator), _shares(case, generator)) for _ in range(TRIALS)):
                return statement
    return ""


Trial = Callable[[Tensor, Tensor], bool]
"""Two draws of how far each player stands from its baseline towards its input, each (batch, players) in [0, 1]."""


def _statements(case: Case) -> Iterator[tuple[str, Trial]]:
    """Each statement of the case with the trial that contradicts it if it is false."""
    for name, network in case.others.items():
        yield f"{name} computes the same function", partial(_equals, case, network)
    if case.branches:
        yield "the network is the sum of its branches", lambda at, _: _is_the_sum(case, at)
    for name in ("independent", "unreachable"):
        players = getattr(case, name)
        if players is not None:
            yield f"the function does not depend on the {name} players", partial(_ignores, case, players)
    if case.null is not None:
        null = case.null
        yield (
            "the null players change no coalition's value",
            lambda at, to: _stays(case, _kept(at), torch.where(null, _kept(to), _kept(at))),
        )
    if case.monotone is not None:
        yield "the function does not fall in its monotone players", lambda at, to: _does_not_fall(case, at, to)
    if case.orbit is not None and _one_entry_each(case):
        yield "the function is symmetric in the players of an orbit", lambda at, _: _stays(case, at, _turned(case.orbit, at))
    if case.summed is not None and _one_entry_each(case):
        yield "the function depends on the summed players through their sum", lambda at, _: _of_the_sum(case, at)
    if "additive" in case.traits:
        yield "the function is a sum over players", lambda at, _: _is_additive(case, _kept(at))
    if case.redundant is not None:
        yield "each redundant player alone does what all of them do", lambda *_: _each_is_enough(case)


def _shares(case: Case, generator: torch.Generator) -> Tensor:
    shape = (len(case), case.players)
    return torch.rand(shape, generator=generator, dtype=case.inputs.dtype, device=case.inputs.device)


def _kept(shares: Tensor) -> Tensor:
    """A coalition: each player at its input or at its baseline."""
    return (shares < 0.5).to(shares.dtype)


def _at(case: Case, shares: Tensor) -> Tensor:
    """The rows whose players stand that far from baseline to input."""
    owner = case.feature_mask.flatten(1)
    padded = torch.cat([shares, shares.new_zeros(len(shares), 1)], 1)
    share = padded.gather(1, torch.where(owner < 0, case.players, owner)).view(case.inputs.shape)
    return case.baseline + share * (case.inputs - case.baseline)


def _value(case: Case, shares: Tensor) -> Tensor:
    return outputs_at(case.model, _at(case, shares), case.target)


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool(((one - other).abs() <= ROUNDING * (1 + one.abs().maximum(other.abs()))).all())


def _stays(case: Case, before: Tensor, after: Tensor) -> bool:
    return _same(_value(case, before), _value(case, after))


def _equals(case: Case, network: nn.Module, at: Tensor, _: Tensor) -> bool:
    return _same(case.model(_at(case, at)), network(_at(case, at)))


def _ignores(case: Case, players: Tensor, at: Tensor, to: Tensor) -> bool:
    return _stays(case, at, torch.where(players, to, at))


def _is_the_sum(case: Case, at: Tensor) -> bool:
    rows = _at(case, at)
    total: Tensor = sum(factor * network(rows) for factor, network in case.branches)
    return _same(case.model(rows), total)


def _does_not_fall(case: Case, one: Tensor, other: Tensor) -> bool:
    assert case.monotone is not None
    rising = players_of(case.inputs - case.baseline, case.feature_mask, case.players) >= 0
    low, high = torch.where(rising, one.minimum(other), one.maximum(other)), torch.where(rising, one.maximum(other), one.minimum(other))
    before, after = _value(case, torch.where(case.monotone, low, one)), _value(case, torch.where(case.monotone, high, one))
    return bool((after - before >= -ROUNDING * (1 + before.abs())).all())


def _turned(orbit: Tensor | None, at: Tensor) -> Tensor:
    """Each player takes the place of the next of its orbit, the last that of the first."""
    assert orbit is not None
    turned = at.clone()
    for row, numbers in enumerate(orbit.tolist()):
        for number in {n for n in numbers if n >= 0}:
            members = [i for i, n in enumerate(numbers) if n == number]
            turned[row, members] = at[row, members[1:] + members[:1]]
    return turned


def _of_the_sum(case: Case, at: Tensor) -> bool:
    """The first two summed players change against each other, by as much as leaves both in the box."""
    assert case.summed is not None
    rows = _at(case, at).flatten(1)
    moved = rows.clone()
    for row, members in enumerate(case.summed):
        found = members.nonzero().squeeze(1).tolist()[:2]
        if len(found) == 2:
            one, other = (int((case.feature_mask[row].flatten() == player).nonzero()[0]) for player in found)
            moved[row, one] += 0.25
            moved[row, other] -= 0.25
    shaped = [value.view(case.inputs.shape) for value in (rows, moved)]
    return _same(*(outputs_at(case.model, value, case.target) for value in shaped))


def _is_additive(case: Case, kept: Tensor) -> bool:
    none = _value(case, torch.zeros_like(kept))
    alone = [_value(case, kept * _only(kept, player)) - none for player in range(case.players)]
    return _same(_value(case, kept) - none, torch.stack(alone).sum(0))


def _each_is_enough(case: Case) -> bool:
    assert case.redundant is not None
    whole = torch.ones_like(case.redundant, dtype=case.inputs.dtype)
    together = _value(case, whole)
    for player in range(case.players):
        asked = case.redundant[:, player]
        alone = _value(case, torch.where(case.redundant, _only(whole, player), whole))
        if not _same(alone[asked], together[asked]):
            return False
    return True


def _only(shares: Tensor, player: int) -> Tensor:
    return (torch.arange(shares.shape[1], device=shares.device) == player).to(shares.dtype).expand_as(shares)


def _one_entry_each(case: Case) -> bool:
    """Whether every player is one entry of a row without further structure."""
    return case.inputs.dim() == 2 and all(len(row.unique()) == row.numel() for row in case.feature_mask)
