"""What all sequence worlds share: rows of tokens, one player per token, truth by enumeration, components by patching on paper."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from synthetic.environment import Batch, Environment, GroundTruth, frozen
from synthetic.oracles import game_truth
from synthetic.sequences.circuit import Circuit, patching_effects
from synthetic.sequences.rows import PAD, decode, encode, owners
from synthetic.streams import Streams, streams_of

LONGEST = 8
"""The longest sequence: 2^8 coalitions are enumerated for every row."""

OfTokens = Callable[[np.ndarray], np.ndarray]  # (batch, length) int -> (batch, ...)


def sequence_environment(
    *,
    id: str,
    formula: str,
    model: nn.Module,
    table: np.ndarray,  # (vocabulary, columns), the embedding of each token, pad first
    length: int,
    outputs: int,
    draw: Callable[[int, Streams], tuple[Tensor, Tensor]],  # -> (n, length) tokens, (n,) target
    function: OfTokens,  # -> (batch, outputs)
    circuit: Circuit,
    domain: str,
    traits: Iterable[str],
    isolates: str,
    reference: str,
    knobs: Mapping[str, Any],
    equals: Mapping[str, nn.Module] = MappingProxyType({}),
    lattice: Callable[[], Tensor] | None = None,
    orbit: OfTokens | None = None,  # -> (batch, length)
    integrated_gradients: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,  # tokens, target -> (batch, length)
) -> Environment:
    """Return the environment of a network on sequences of embedded tokens.

    What is not said here is as in `Environment`. `function` is the specification on token numbers; `circuit` states the components;
    `orbit` numbers exchangeable tokens; `integrated_gradients` is a closed form per token, where there is one.
    """

    def specification(rows: np.ndarray) -> np.ndarray:
        return function(decode(rows, table)).astype(np.float64)

    def sample(n: int, generator: torch.Generator) -> Batch:
        if n < 1:
            raise ValueError(f"a batch has at least one row (got n={n})")
        streams = streams_of(generator)
        tokens, target = draw(n, streams)
        return _batch(tokens, target, table, lambda batch: truth(batch, tokens.numpy()))

    def truth(batch: Batch, tokens: np.ndarray) -> GroundTruth:
        target = batch.target.numpy()
        return game_truth(
            specification,
            batch.inputs,
            batch.baseline,
            batch.feature_mask,
            target,
            players=length,
            orbit=None if orbit is None else orbit(tokens),
            integrated_gradients=None
            if integrated_gradients is None
            else _at_first_column(integrated_gradients(tokens, target), tuple(batch.inputs.shape)),
        )

    return Environment(
        id=id,
        modality="sequence",
        formula=formula,
        model=frozen(model),
        outputs=outputs,
        domain=domain,
        traits=frozenset(traits),
        sample=sample,
        specification=specification,
        lattice=lattice,
        equals=MappingProxyType({name: frozen(other) for name, other in equals.items()}),
        knobs=MappingProxyType(dict(knobs)),
        isolates=isolates,
        reference=reference,
        components=lambda batch: _components(circuit, table, batch),
    )


def require(holds: bool, *, message: str) -> None:
    """Raise ValueError with `message` unless a knob's bound holds."""
    if not holds:
        raise ValueError(message)


def facts_in_any_order(
    tokens: np.ndarray,  # (batch, length) int
) -> np.ndarray:  # (batch, length) int
    """Orbits of a network that reads all positions but the last alike: there, equal tokens are exchangeable."""
    orbit = tokens.copy()
    orbit[:, -1] = -1
    return orbit


def _components(circuit: Circuit, table: np.ndarray, batch: Batch) -> Mapping[str, Tensor]:
    """The effect of patching each component with its value on the baseline, where the batch is."""
    here, there = (decode(part.detach().cpu().double().numpy(), table) for part in (batch.inputs, batch.baseline))
    effects = patching_effects(circuit, here, there, batch.target.cpu().numpy())
    return MappingProxyType({name: torch.from_numpy(effect).to(batch.inputs.device) for name, effect in effects.items()})


def _batch(tokens: Tensor, target: Tensor, table: np.ndarray, truth: Callable[[Batch], GroundTruth]) -> Batch:
    """The rows of these tokens against rows of pads."""
    length, columns = tokens.shape[1], table.shape[1]
    batch = Batch(
        inputs=encode(tokens, table),
        target=target,
        baseline=encode(torch.full_like(tokens, PAD), table),
        feature_mask=owners(length, columns).expand(len(tokens), -1, -1).clone(),
        players=length,
        derive=lambda: truth(batch),
    )
    return batch


def _at_first_column(scores: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:  # (batch, length) -> (batch, length, columns)
    """A token's score as a score of its entries: only their sum is a truth."""
    entries = np.zeros(shape)
    entries[..., 0] = scores
    return entries
