"""A case is one question put to a method: a network, rows to be explained, and what is known of them for certain.

Named environments and networks drawn at random both become cases, so that an axiom, a rule of the contract or a metric is
written once. What is known (`independent`, `orbit`, `others`, `truth`) is None where nothing is known; an axiom says what it
needs and does not apply without it.
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

    def __len__(self) -> int:
        return self.inputs.shape[0]

    def rows(self, index: Tensor) -> Case:
        """Return this case with the rows named by `index`, (rows,) int64, in that order; seeds travel with their rows."""

        def chosen(known: Tensor | None) -> Tensor | None:
            return None if known is None else known[index]

        return replace(
            self,
            inputs=self.inputs[index],
            target=self.target[index],
            baseline=self.baseline[index],
            feature_mask=self.feature_mask[index],
            independent=chosen(self.independent),
            orbit=chosen(self.orbit),
            truth=chosen(self.truth),
            seeds=self._seeds()[index],
        )

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
