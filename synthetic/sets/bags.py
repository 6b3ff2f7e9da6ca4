"""A bag is one row, its instances in no order, padded with empty ones; what all set worlds share.

Players are whole instances, or the single entries of instances that may be removed; an empty slot is no player at either level, so bags
of different sizes share a batch. The truth is stated at the level that is played at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from synthetic.environment import Batch, Environment, GroundTruth, frozen
from synthetic.oracles import game_truth
from synthetic.sequences.circuit import TOKENS, Circuit, Component, patching_effects
from synthetic.sequences.world import require
from synthetic.sets.pooling import POOLINGS, BagNetwork
from synthetic.streams import Streams, streams_of

OfBags = Callable[[np.ndarray], np.ndarray]  # (batch, instances, *features) -> (batch, ...)

MOST_LIVE = 16
"""Players that may differ from the baseline in one row: 2^16 coalitions are enumerated."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """Who plays: whole instances, or the entries of instances one by one.

    Attributes:
        null: entries whose players change nothing in any coalition of their bag, (batch, instances, *features) bool: what cannot become
            evidence, whoever joins, need not be enumerated.
        entries: (*features) bool, the entries that are players of their own; None where whole instances are.
        orbit: numbers of exchangeable players of a batch of bags, (batch, players).
        independent: players on which the function does not depend, (batch, players).
        integrated_gradients: scores of entries, (batch, instances, *features), where there is a closed form.
    """

    null: OfBags
    entries: np.ndarray | None
    orbit: OfBags
    independent: OfBags
    integrated_gradients: OfBags | None


def set_environment(
    *,
    id: str,
    formula: str,
    detector: Callable[[], nn.Module],
    detect: OfBags,  # -> (batch, instances, kinds) of 0 and 1
    kinds: int,
    pooling: str,
    level: Level,
    draw: Callable[[int, Streams], tuple[Tensor, Tensor]],  # -> (n, instances, *features), (n, instances) bool: occupied
    domain: str,
    traits: Iterable[str],
    isolates: str,
    reference: str,
    knobs: Mapping[str, Any],
) -> Environment:
    """Return the environment of a bag network with one output; what is not said here is as in `Environment`.

    `detector` builds the network's detector, (batch, instances, entries) -> (batch, instances, kinds), and `detect` is its specification.
    """
    attention = pooling == "attention"

    def specification(bags: np.ndarray) -> np.ndarray:
        found = detect(bags)
        answer = np.all(np.any(found, axis=1), axis=1, keepdims=True) if attention else np.sum(found, axis=(1, 2))[:, None]
        return np.asarray(answer, dtype=np.float64)

    def sample(n: int, generator: torch.Generator) -> Batch:
        if n < 1:
            raise ValueError(f"a batch has at least one row (got n={n})")
        streams = streams_of(generator)
        inputs, occupied = draw(n, streams)
        return _batch(inputs, occupied, level, lambda batch: _truth(specification, batch, level))

    return Environment(
        id=id,
        modality="set",
        formula=formula,
        model=frozen(BagNetwork(detector(), kinds=kinds, pooling=pooling)),
        outputs=1,
        domain=domain,
        traits=frozenset(traits),
        sample=sample,
        specification=specification,
        equals=MappingProxyType({"values doubled": frozen(BagNetwork(detector(), kinds=kinds, pooling=pooling, gain=2.0))}),
        knobs=MappingProxyType(dict(knobs)),
        isolates=isolates,
        reference=reference,
        components=lambda batch: _components(_circuit(detect, attention=attention), batch),
    )


def require_pooling(pooling: str) -> None:
    """Raise ValueError unless the pooling is known."""
    require(pooling in POOLINGS, message=f"pooling must be {' or '.join(map(repr, POOLINGS))} (got {pooling!r})")


def in_random_slots(
    bags: Tensor,  # (n, instances, *features)
    size: Tensor,  # (n,) how many of the instances, from the first, are in the bag
    streams: Streams,
) -> tuple[Tensor, Tensor]:  # (n, instances, *features), (n, instances) bool
    """Shuffle the instances of each bag, and put its empty slots last."""
    n, instances = bags.shape[:2]
    inside = torch.arange(instances).expand(n, -1) < size.unsqueeze(1)
    order = (torch.rand(n, instances, generator=next(streams)) + (~inside).double()).argsort(1)
    rows = torch.arange(n).unsqueeze(1)
    bags = bags * inside.view(n, instances, *[1] * (bags.dim() - 2))
    return bags[rows, order], inside[rows, order]


def require_bits(bags: np.ndarray) -> None:
    """Raise ValueError unless every entry is 0 or 1."""
    bits = (bags == 0) | (bags == 1)
    if not bits.all():
        raise ValueError(f"the specification reads bits, 0 or 1 (got {bags[~bits][:4].tolist()})")


def contents(bags: np.ndarray) -> np.ndarray:  # (batch, instances, *features) of bits -> (batch, instances) int64
    """A number for what an instance holds: equal instances of a bag can change places."""
    flat = bags.reshape(*bags.shape[:2], -1).astype(np.int64)
    return np.asarray(flat @ (1 << np.arange(flat.shape[2])))


def _components(circuit: Circuit, batch: Batch) -> Mapping[str, Tensor]:
    """The effect of patching each component with its value on the baseline, where the batch is."""
    bags, others = (part.detach().cpu().double().numpy() for part in (batch.inputs, batch.baseline))
    effects = patching_effects(circuit, bags, others, batch.target.cpu().numpy())
    return MappingProxyType({name: torch.from_numpy(effect).to(batch.inputs.device) for name, effect in effects.items()})


def _batch(inputs: Tensor, occupied: Tensor, level: Level, truth: Callable[[Batch], GroundTruth]) -> Batch:
    n, instances, *features = inputs.shape
    slots = torch.arange(instances).view(instances, *[1] * len(features))
    if level.entries is None:
        owner, players = slots.expand(instances, *features), instances
    else:
        playing = torch.from_numpy(level.entries)
        within = torch.where(playing, playing.flatten().cumsum(0).view(playing.shape) - 1, -1)
        players = instances * int(playing.sum())
        owner = torch.where(playing, slots * int(playing.sum()) + within, -1)
    owner = torch.where(occupied.view(n, instances, *[1] * len(features)), owner, -1)
    batch = Batch(
        inputs=inputs,
        target=torch.zeros(n, dtype=torch.int64),
        baseline=torch.where(owner < 0, inputs, 0.0),
        feature_mask=owner,
        players=players,
        derive=lambda: truth(batch),
    )
    return batch


def _truth(specification: OfBags, batch: Batch, level: Level) -> GroundTruth:
    """By enumeration over the players that may matter: the others keep their value, which decides nothing."""
    bags = batch.inputs.numpy()
    present = np.zeros((len(bags), batch.players), dtype=bool)
    owner = batch.feature_mask.flatten(1).numpy()
    for row, players in zip(present, owner, strict=True):
        row[players[players >= 0]] = True
    return game_truth(
        specification,
        bags,
        np.where(level.null(bags), bags, batch.baseline.numpy()),
        batch.feature_mask,
        batch.target,
        players=batch.players,
        independent=level.independent(bags) | ~present,
        orbit=np.where(present, level.orbit(bags), -1),
        integrated_gradients=None if level.integrated_gradients is None else level.integrated_gradients(bags),
    )


def _circuit(detect: OfBags, *, attention: bool) -> Circuit:
    """The components of a bag network, on what each instance is."""
    found = Component(name="detector", reads=(TOKENS,), rule=lambda bags: detect(bags).astype(int))
    if not attention:
        return (
            found,
            Component(name="pool.value", reads=("detector",), rule=lambda d: d),
            Component(name="pool", reads=("pool.value",), rule=lambda v: v.sum(1)),
            Component(name="label", reads=("pool",), rule=lambda counts: counts.sum(1, keepdims=True)),
        )
    return (
        found,
        Component(name="pool.pattern", reads=("detector",), rule=lambda d: d),
        Component(name="pool.value", reads=("detector",), rule=lambda d: d),
        Component(name="pool.output", reads=("pool.pattern", "pool.value"), rule=lambda a, v: (a * v).max(1)),
        Component(name="pool", reads=("pool.output",), rule=lambda bits: bits),
        Component(name="label", reads=("pool",), rule=lambda bits: bits.all(1, keepdims=True).astype(int)),
    )
