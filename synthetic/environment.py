"""An environment is a network whose every weight was set by hand, the data it is exact on, and the truth of every sample.

A row of `inputs` carries its whole world: everything that decides the output of a row stands in that row, and what is
not a player has `baseline == inputs`. So `model(inputs)` needs no side argument, and any method may repeat, permute,
interpolate or expand the batch. `feature_mask` (Captum's name) says which player an entry belongs to, -1 for none; it
may differ from row to row. Truth is stated per *player*, keyed by convention, because defensible truths differ: on
f(x, c) = relu(wx - Mc) - relu(-wx - Mc) the Shapley value and the path integral disagree, and both are complete.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

Modality = Literal["image", "table", "graph", "sequence", "set"]

CONVENTIONS = ("shapley", "integrated_gradients", "removal")
"""Keys of `GroundTruth.attributions`: the Shapley value of the baseline game v(S) = f(x_S, x'_rest); the straight-line
path integral from baseline to input; the effect of removing one player, v(N) - v(N \\ {i})."""


@dataclass(frozen=True, kw_only=True)
class GroundTruth:
    """What is exactly true of each player of each row. Padding players are outside of the support and score 0.

    Attributes:
        support: players that are not null in the baseline game (some coalition's value changes when they join).
        sign: +1 or -1 where the Shapley value has that sign, 0 where it is zero.
        attributions: convention -> exact scores; only conventions that were derived exactly are present.
        independent: players on which the function does not depend anywhere, not only on the lattice (functional
            dummies, Sundararajan 2017's sensitivity(b)); always outside of the support.
        orbit: players with equal non-negative numbers are exchangeable in this row: the function is symmetric in them
            everywhere, and their inputs and baselines are equal; -1 where nothing is stated.
    """

    support: Tensor  # (batch, players) bool
    sign: Tensor  # (batch, players) int8
    attributions: Mapping[str, Tensor]  # each (batch, players) float64
    independent: Tensor  # (batch, players) bool
    orbit: Tensor  # (batch, players) int64

    @property
    def necessary(self) -> Tensor:  # (batch, players) bool
        r"""Players without which, all others present, the output is another: v(N) ≠ v(N \\ {i})."""
        return self.attributions["removal"] != 0

    def map(self, change: Callable[[Tensor], Tensor]) -> GroundTruth:
        """Return this truth with `change` applied to every tensor."""
        return GroundTruth(
            support=change(self.support),
            sign=change(self.sign),
            attributions={name: change(value) for name, value in self.attributions.items()},
            independent=change(self.independent),
            orbit=change(self.orbit),
        )


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rows to be explained, with everything a method may be offered and the truth it is judged by.

    `players` is how many players the widest row may have, the second dimension of every truth tensor; `derive` gives the truth.
    """

    inputs: Tensor  # (batch, *features)
    target: Tensor  # (batch,) int64: which output is explained
    baseline: Tensor  # (batch, *features)
    feature_mask: Tensor  # (batch, *features) int64: the player of each entry, -1 for none
    players: int
    derive: Callable[[], GroundTruth]

    def __len__(self) -> int:
        return self.inputs.shape[0]

    @cached_property
    def truth(self) -> GroundTruth:
        """What is exactly true of every row: derived when it is first asked for, since rows are cheap and truth may not be."""
        return self.derive()

    def rows(self, index: Tensor | slice) -> Batch:
        """Return the rows named by `index`, truth included."""
        return Batch(
            inputs=self.inputs[index],
            target=self.target[index],
            baseline=self.baseline[index],
            feature_mask=self.feature_mask[index],
            players=self.players,
            derive=lambda: self.truth.map(lambda value: value[index]),
        )

    def to(self, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Batch:
        """Return the batch on `device`; `dtype` is given to `inputs` and `baseline`, truth stays float64."""
        return Batch(
            inputs=self.inputs.to(device=device, dtype=dtype),
            target=self.target.to(device=device),
            baseline=self.baseline.to(device=device, dtype=dtype),
            feature_mask=self.feature_mask.to(device=device),
            players=self.players,
            derive=lambda: self.truth.map(lambda value: value.to(device=device)),
        )


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A hand-set network, the data it is exact on, and an executable specification that never calls the network.

    Attributes:
        id: `kebab-case-vN`; any change that can move a number raises N.
        modality: what a row is.
        formula: the function in one line of mathematics.
        model: eval mode, float64, no parameter requires a gradient; maps (batch, *features) to (batch, outputs).
        outputs: how many outputs the model has; `target` is in [0, outputs).
        domain: where formula and truth hold, in words.
        traits: properties of the network that claims may be conditioned on ("additive", "saturating", ...).
        sample: draws a batch of n rows, on the CPU in float64; same n and generator state, same batch.
        specification: the function again, in integer arithmetic on numpy arrays or networkx graphs.
        lattice: every row of the domain, where it can be enumerated; None where it cannot.
        equals: networks that compute the same function of the players on the whole box between baseline and input,
            by name; the cases of implementation invariance.
        knobs: the parameters it was built with, so that one factor can be varied at a time.
        isolates: which difficulty of attribution the world isolates, in one sentence.
        reference: where the idea is from.
        twin: for graphs, the same network as a torch-geometric module and a function from one row to its `Data`.
        components: for networks with a stated circuit, the exact truth of activation patching: for each module path, the change
            f(x; h := h(x')) - f(x) of the explained output, (batch,), when that module's output h is replaced by its output on the
            baseline row; derived from the circuit's specification, never from the network.
        monotone: players in which the one output is non-decreasing on the box between baseline and input, where this is not plain
            from the weights or the trait.
    """

    id: str
    modality: Modality
    formula: str
    model: nn.Module
    outputs: int
    domain: str
    traits: frozenset[str]
    sample: Callable[[int, torch.Generator], Batch]
    specification: Callable[[np.ndarray], np.ndarray]  # (batch, *features) -> (batch, outputs)
    lattice: Callable[[], Tensor] | None = None
    equals: Mapping[str, nn.Module] = field(default_factory=lambda: MappingProxyType({}))
    knobs: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    isolates: str = ""
    reference: str = ""
    twin: Callable[[], tuple[nn.Module, Callable[[Tensor], Any]]] | None = None
    components: Callable[[Batch], Mapping[str, Tensor]] | None = None
    monotone: tuple[bool, ...] | None = None

    def with_traits(self, *traits: str) -> Environment:
        """Return this environment with `traits` added."""
        return replace(self, traits=self.traits | frozenset(traits))


def frozen(model: nn.Module) -> nn.Module:
    """Return `model` in float64 and eval mode with no parameter requiring a gradient, as every environment ships it."""
    return model.double().eval().requires_grad_(False)
