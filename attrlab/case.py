"""A case is one question put to a method: a network, rows to be explained, and what is known of them for certain.

Named environments and networks drawn at random both become cases, so that an axiom, a rule of the contract or a metric is
written once. What is known is None, or empty, where nothing is known; an axiom says what it needs and does not apply without it.
Knowledge is certain: it holds by construction, by proof, or by enumeration, and never because a sample looks so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network, rows to be explained and certain knowledge about them.

    Attributes:
        name: the environment's id, or the family the network was drawn from.
        formula: the function in one line of mathematics.
        modality: what a row is.
        players: the number of players of the widest row.
        independent: players on which the function does not depend anywhere.
        orbit: players with equal non-negative numbers are exchangeable.
        others: networks that compute the same function, by name.
        truth: exact Shapley values.
        seeds: one seed per row, which travels with the row when a batch is split or permuted.
        reference: rows of the same kind, drawn apart from `inputs`; all of them are offered to every row.
        twin: builds the equal torch-geometric module, and a map from one row to its `Data`.
        traits: properties of the network, words of `synthetic.traits`.
        unreachable: players from which no path of non-zero weights leads to the explained output.
        null: players that are null in the baseline game: v(S + i) = v(S) for every coalition S.
        monotone: players in which the explained output is non-decreasing, at least on the boxes between baselines and inputs.
        summed: players on which f depends only through the sum of their values.
        redundant: players each of which alone has the effect of all of them: f(x) = h(Σ a_i (x_i - x'_i)) with positive terms, and
            h stays where one term takes it.
        branches: (coefficient, network) of which the network is the sum, joined by a linear unit.
        supports: the players that each output depends on at most.
        learnt: networks that were trained on rows of this kind, by what they learnt: "true" labels, the "same" ones from another start, and
            "permuted" ones.
        lipschitz: |f(x) - f(y)| is at most this times the largest |x_i - y_i|.
    """

    name: str
    formula: str
    model: nn.Module
    inputs: Tensor  # (batch, *features)
    target: Tensor  # (batch,) int64
    baseline: Tensor  # (batch, *features)
    feature_mask: Tensor  # (batch, *features) int64
    players: int
    modality: str = "table"
    independent: Tensor | None = None  # (batch, players) bool
    orbit: Tensor | None = None  # (batch, players) int64
    others: Mapping[str, nn.Module] = field(default_factory=dict)
    truth: Tensor | None = None  # (batch, players)
    seeds: Tensor | None = None  # (batch,) int64
    reference: Tensor | None = None  # (rows, *features)
    twin: Callable[[], tuple[nn.Module, Callable[[Tensor], Any]]] | None = None
    traits: frozenset[str] = frozenset()
    unreachable: Tensor | None = None  # (batch, players) bool
    null: Tensor | None = None  # (batch, players) bool
    monotone: Tensor | None = None  # (batch, players) bool
    summed: Tensor | None = None  # (batch, players) bool
    redundant: Tensor | None = None  # (batch, players) bool
    branches: tuple[tuple[float, nn.Module], ...] = ()
    supports: Tensor | None = None  # (outputs, players) bool
    lipschitz: float | None = None
    learnt: Callable[[], Mapping[str, nn.Module]] | None = None

    def __len__(self) -> int:
        return self.inputs.shape[0]

    def rows(self, index: Tensor) -> Case:
        """Return this case with the rows named by `index`, (rows,) int64, in that order; seeds travel with their rows."""

        known = {name: value[index] for name in OF_ROWS if (value := getattr(self, name)) is not None}
        return replace(
            self,
            inputs=self.inputs[index],
            target=self.target[index],
            baseline=self.baseline[index],
            feature_mask=self.feature_mask[index],
            seeds=self._seeds()[index],
            **known,
        )

    def derived(self, **changes: Any) -> Case:
        """Return the case of another function or of other rows: seeds stay with their rows, and what is known of this one is not of that.

        `reference` stays where it is not among the `changes`; the twin is the network's own and goes with it.
        """
        unknown: dict[str, Any] = {name: None for name in OF_ROWS} | {
            "others": {},
            "branches": (),
            "supports": None,
            "lipschitz": None,
            "learnt": None,
        }
        return replace(self, **{**unknown, "traits": frozenset(), "twin": None, "seeds": self._seeds(), **changes})

    def offers(self, seed: int) -> dict[str, Any]:
        """The keywords offered to a method; tensors are clones, so that a method that writes into them harms nobody else."""
        device = self.inputs.device
        return {
            "target": self.target.clone(),
            "baseline": self.baseline.clone(),
            "feature_mask": self.feature_mask.clone(),
            "generator": torch.Generator(device=device).manual_seed(seed),
            "seeds": self._seeds() + (seed << 20),
            "reference": None if self.reference is None else self.reference.clone(),
            "twin": self.twin,
            "truth": None if self.truth is None else self.truth.clone(),
        }

    def _seeds(self) -> Tensor:
        return torch.arange(len(self), device=self.inputs.device) if self.seeds is None else self.seeds


OF_ROWS = ("independent", "orbit", "truth", "unreachable", "null", "monotone", "summed", "redundant")
"""What is known row by row."""
