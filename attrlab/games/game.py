"""Every evaluation is a question to a game: what does the network answer when only these players keep their value?

An input is cut into players (pixels, columns, nodes, edges); a coalition says which of them keep their value, and the others take
the imputer's. `feature_mask` says which player each entry of a row belongs to, -1 for none, and may differ from row to row, so that
images, tables and ragged graphs are one thing. What is not a player has baseline = input: nothing outside of the row decides the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from attrlab.errors import InvalidInput
from attrlab.games.imputers import Imputer, keep_baseline
from attrlab.games.policy import Policy

Model = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Game:
    """A model, rows, and who the players are. Made by `make_game`, which checks what is stated here.

    Attributes:
        model: maps (rows, *features) to (rows, outputs), each row on its own.
        players: how many players the widest row may have.
        present: which players own an entry of the row.
        live: which players can change their row's input by being absent; the others are null players of this game, exactly.
        found: what the engine found out about the game and need not find out again; a copy with other fields starts anew.
    """

    model: Model
    inputs: Tensor  # (batch, *features)
    target: Tensor  # (batch,) int64
    baseline: Tensor  # (batch, *features)
    feature_mask: Tensor  # (batch, *features) int64, -1 for none
    players: int
    present: Tensor  # (batch, players) bool
    live: Tensor  # (batch, players) bool
    imputer: Imputer
    policy: Policy
    found: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return self.inputs.shape[0]


def make_game(
    model: Model,
    inputs: Tensor,  # (batch, *features), floating-point
    *,
    target: Tensor,  # (batch,) int64
    baseline: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64
    players: int | None = None,
    imputer: Imputer = keep_baseline,
    policy: Policy | None = None,
) -> Game:
    """State a game and check that it is one.

    Args:
        model: maps (rows, *features) to (rows, outputs); a module's parameters must be on the policy's device, in its dtype.
        inputs: the rows that are explained.
        target: which output of each row is explained.
        baseline: the value of what is absent.
        feature_mask: the player of each entry, -1 for none.
        players: how many players the widest row may have, where these rows need not include it; by default, the largest
            player of these rows plus one.
        imputer: what stands in the place of what is absent.
        policy: how it is computed; by default, where and in what number type the inputs are.

    Raises:
        InvalidInput: if shapes, types or ranges do not fit; the message says which row and entry, and what to write.
    """
    _require_tensors(inputs=inputs, target=target, baseline=baseline, feature_mask=feature_mask)
    _require_shapes(inputs, target, baseline, feature_mask)
    policy = policy or Policy.of(inputs)
    _require_placed(model, policy)
    place = torch.device(policy.device)
    inputs, baseline = (tensor.detach().to(place, policy.dtype) for tensor in (inputs, baseline))
    target, feature_mask = target.to(place), feature_mask.to(place)
    _require_finite(inputs=inputs, baseline=baseline)
    _require_background(inputs, baseline, feature_mask)
    players = _players(feature_mask, players)
    return Game(
        model=model,
        inputs=inputs,
        target=target,
        baseline=baseline,
        feature_mask=feature_mask,
        players=players,
        present=_owners(torch.ones_like(feature_mask, dtype=torch.bool), feature_mask, players),
        live=_owners(imputer.changes(inputs, baseline), feature_mask, players),
        imputer=imputer,
        policy=policy,
    )


def _players(feature_mask: Tensor, stated: int | None) -> int:
    found = int(feature_mask.max()) + 1 if feature_mask.numel() else 0
    if stated is not None and stated < found:
        raise InvalidInput(f"feature_mask names player {found - 1}: write players={found} or leave it out (got players={stated})")
    return found if stated is None else stated


def _owners(
    entries: Tensor,  # (batch, *features) bool
    feature_mask: Tensor,  # (batch, *features) int64
    players: int,
) -> Tensor:  # (batch, players) bool
    """Which players own at least one of the `entries`."""
    owner = feature_mask.flatten(1)
    column = torch.where(owner < 0, players, owner)
    counts = torch.zeros(owner.shape[0], players + 1, dtype=torch.int64, device=owner.device)
    return counts.scatter_add_(1, column, entries.flatten(1).long())[:, :players] > 0


def _require_tensors(**tensors: object) -> None:
    for name, value in tensors.items():
        if not isinstance(value, Tensor):
            raise InvalidInput(f"{name} must be a tensor: write torch.as_tensor({name}) (got {type(value).__name__})")


def _require_shapes(inputs: Tensor, target: Tensor, baseline: Tensor, feature_mask: Tensor) -> None:
    if inputs.dim() < 2 or not inputs.is_floating_point():
        raise InvalidInput(f"inputs must be floating-point rows (batch, *features) (got {inputs.dtype} of shape {tuple(inputs.shape)})")
    for name, value in (("baseline", baseline), ("feature_mask", feature_mask)):
        if value.shape != inputs.shape:
            raise InvalidInput(
                f"{name} must be shaped like inputs, {tuple(inputs.shape)}: write {name}.expand_as(inputs) (got {tuple(value.shape)})"
            )
    if target.dtype != torch.int64 or target.shape != inputs.shape[:1]:
        raise InvalidInput(f"target must be int64 of shape ({len(inputs)},) (got {target.dtype} of shape {tuple(target.shape)})")
    if feature_mask.dtype != torch.int64 or (feature_mask.numel() and int(feature_mask.min()) < -1):
        raise InvalidInput(f"feature_mask must be int64, a player or -1 for none (got {feature_mask.dtype}, least {feature_mask.min()})")
    if bool((target < 0).any()):
        row = int((target < 0).nonzero()[0])
        raise InvalidInput(f"target {int(target[row])} of row {row} is negative: write the number of an output, counted from 0")


def _require_finite(**tensors: Tensor) -> None:
    for name, value in tensors.items():
        bad = (~value.isfinite()).nonzero()
        if len(bad):
            row, *entry = bad[0].tolist()
            raise InvalidInput(f"{name} must be finite (got {float(value[(row, *entry)])} in row {row}, entry {tuple(entry)})")


def _require_background(inputs: Tensor, baseline: Tensor, feature_mask: Tensor) -> None:
    bad = ((feature_mask < 0) & (inputs != baseline)).nonzero()
    if len(bad):
        row, *entry = bad[0].tolist()
        at = (row, *entry)
        raise InvalidInput(
            f"row {row}, entry {tuple(entry)} belongs to no player but its baseline differs from its input: write "
            f"baseline = torch.where(feature_mask < 0, inputs, baseline) (got {float(inputs[at])} and {float(baseline[at])})"
        )


def _require_placed(model: Model, policy: Policy) -> None:
    if not isinstance(model, nn.Module):
        return
    wanted = torch.device(policy.device)
    for name, value in model.named_parameters():
        elsewhere = value.device.type != wanted.type or (wanted.index is not None and value.device.index != wanted.index)
        if elsewhere or (value.is_floating_point() and value.dtype != policy.dtype):
            raise InvalidInput(
                f"the model is not where the game is: its parameter {name!r} is {value.dtype} on {value.device}; write "
                f"copy.deepcopy(model).to({policy.device!r}, {policy.dtype}), or give the game another policy"
            )
