"""What a retraining study depends on, said once, so that it stands in every result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from attrlab.errors import InvalidInput
from attrlab.games.imputers import Imputer
from attrlab.games.policy import Policy
from attrlab.retraining.data import Data
from attrlab.retraining.jobs import KAR, ROAR, Protocol
from attrlab.retraining.networks import Network, cnn, gin, mlp, summed
from attrlab.retraining.stacked import Training

FRACTIONS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
"""Hooker et al. (2019), section 3."""

CACHED = 6 * 2**20
"""Activations of a chunk of models on a CPU at which stacking was fastest for three kinds of network."""

CONTROLS = ("random", "truth", "inverted_truth", "constant", "blurred_random", "class_coded_mask", "predicted_class_coded_mask")
"""What every study is run with beside its methods."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a study is conducted.

    Attributes:
        protocols: what is removed or kept, and on what is tested.
        fractions: of the players, removed (roar) or kept (kar).
        seeds: how many networks are trained per point; at least 3 for an interval that means something.
        leakage_seeds: how many networks that see only the mask are trained per point.
        ranking: whether players are ranked by their "absolute" or their "signed" score.
        imputer: a name of `attrlab.retraining.fills.IMPUTERS`, or any imputer of the game; results are filed under its name.
        network: what is retrained; by default a CNN for images, a GIN for graphs, an MLP for the rest.
        memory: bytes that the tensors of one chunk may take; the chunk is made as small as that needs.
        chunk: models per chunk, in place of what cache and memory say.
        workers: processes over chunks, on a CPU.
        device: "cpu", "cuda" or "cuda:N".
        seed: of the attributions' own noise.

    Raises:
        InvalidInput: if a number is out of range; the message says what to write.
    """

    protocols: tuple[Protocol, ...] = (ROAR, KAR)
    fractions: tuple[float, ...] = FRACTIONS
    seeds: int = 3
    leakage_seeds: int = 1
    ranking: Literal["absolute", "signed"] = "absolute"
    imputer: str | Imputer = "baseline"
    training: Training = field(default_factory=Training)
    network: Network | None = None
    memory: int = 2**29
    chunk: int | None = None
    workers: int = 1
    device: str = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        for fraction in self.fractions:
            if not 0 <= fraction <= 1:
                raise InvalidInput(f"a fraction of players is in [0, 1]: write 0.3 for 30 % (got {fraction})")
        if not self.fractions or not self.protocols:
            raise InvalidInput("a study needs at least one fraction and one protocol (got none)")
        for name, least in (("seeds", 1), ("leakage_seeds", 0), ("memory", 1), ("workers", 1), ("chunk", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InvalidInput(f"{name} is at least {least} (got {value})")
        if self.ranking not in ("absolute", "signed"):
            raise InvalidInput(f"ranking is 'absolute' or 'signed' (got {self.ranking!r})")
        Policy(device=self.device)

    def describe(self) -> Mapping[str, Any]:
        """The settings that results depend on, in plain values."""
        return {
            "seeds": self.seeds,
            "ranking": self.ranking,
            "imputer": self.imputer if isinstance(self.imputer, str) else self.imputer.name,
            "epochs": self.training.epochs,
            "batch": self.training.batch,
            "rate": self.training.rate,
            "optimiser": self.training.optimiser,
            "device": self.device,
        }


def network_for(data: Data, stated: Network | None) -> Network:
    """The network that is retrained."""
    if stated is not None:
        return stated
    shape = data.train.inputs.shape[1:]
    if data.modality == "image":
        return cnn(shape[0], shape[1], shape[2], data.classes)
    if data.modality == "graph":
        return gin(shape[0], shape[1] - shape[0] + (0 if data.nodes_leave else 1), data.classes)
    return mlp(data.train.inputs[0].numel(), data.classes)


def mask_network_for(data: Data, network: Network) -> Network:
    """The network that sees only masks: the one that is retrained, and of graphs also an MLP, which sees where in the row players are left.

    A network of graphs sees the shape of a mask but not the places in it, an MLP the places but not the shape; a leak may be of either.
    """
    if data.modality != "graph":
        return network
    nodes, columns = data.train.inputs.shape[1:]
    return summed(network, mlp(nodes * (columns + (0 if data.nodes_leave else 1)), data.classes))


DTYPE = torch.float32
"""Networks are trained in float32, as users train them; attributions are computed in float64."""
