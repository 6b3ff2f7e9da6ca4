"""What evaluations are judged on: worlds of every kind, a panel of methods from noise to sampled truths, and the imputers of each modality.

One world is asked three times, with a redundant channel of growing weight that reacts to a colour no data hold. The same pixels matter in
all three, so whatever an evaluation loses from one to the next it loses to the Unseen Data Effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch

from attrlab.games import Imputer, keep_baseline
from attrlab.games.imputers import fill
from attrlab.games.imputers_data import channel_mean, conditional, marginal, partner
from attrlab.games.imputers_graphs import drop_node, mean_features, rewire, zero_features
from attrlab.games.imputers_images import blur, noisy_linear
from attrlab.study import REFERENCE, REFERENCE_SEED, Stage

if TYPE_CHECKING:
    from torch import Tensor

    from synthetic import Environment

PANEL = (
    "random",
    "constant",
    "input_magnitude",
    "noisy_truth",
    "gradient",
    "absolute_gradient",
    "input_x_gradient",
    "smoothgrad",
    "integrated_gradients",
    "expected_gradients",
    "deeplift",
    "guided_backprop",
    "lrp_epsilon",
    "lrp_alpha1_beta0",
    "occlusion",
    "feature_alone",
    "shapley_sampling",
    "lime",
    "rise_players",
    "gnn_explainer",
    "degree",
    "attention_rollout",
)
"""The methods whose order is compared, those that apply: from noise to sampled exact values, of several families."""

WORLDS = (
    "additive-v1",
    "linear-v1",
    "unanimity-v1",
    "interacting-v1",
    "majority-v1",
    "redundant-evidence-v1",
    "saturated-or-v1",
    "parity-v1",
    "modulo-v1",
    "colour-count-v1",
    "colour-difference-v1",
    "colour-dominant-v1",
    "colour-or-v1",
    "colour-modulo-v1",
    "colour-continuous-v1",
    "two-class-patches-v1",
    "unseen-colour-v1 redundant=0",
    "unseen-colour-v1",
    "unseen-colour-v1 redundant_weight=4",
    "unseen-colour-baseline-v1",
    "edge-types-v1",
    "neighbour-count-features-v1",
    "house-v1",
    "xor-edges-features-v1",
    "edge-type-or-v1",
    "reach-v1",
    "neighbour-parity-v1",
    "isolated-node-v1",
    "lookup-v1",
    "copy-induction-v1",
    "token-majority-v1",
    "bag-of-instances-sum-v1",
    "bag-of-instances-v1",
)
"""Some worlds of every kind and modality; behind a space, a knob and its value."""

STATES, DRAWN = 4096, 0x9A27_4E20
"""Rows that conditional draws are taken from, and where the seeds of all drawn imputers begin, apart from those of explained rows."""

KINDS = {
    "unseen_sensitive": "reacts to unseen values",
    "saw_toothed": "saw-toothed",
    "redundant": "redundant or saturating",
    "saturating": "redundant or saturating",
    "additive": "additive",
}
"""The kind of a world by the first of these traits that it has."""


def parted(place: str) -> tuple[str, Mapping[str, Any]]:
    """An id and its knobs: "unseen-colour-v1 redundant_weight=4" sets that knob to 4."""
    id, *knobs = place.split()
    pairs = (knob.split("=", 1) for knob in knobs)
    return id, MappingProxyType({name: float(value) if "." in value else int(value) for name, value in pairs})


def kind_of(environment: Environment) -> str:
    """What kind of world it is, in words; "interacting" where it has none of the traits of `KINDS`."""
    return next((word for trait, word in KINDS.items() if trait in environment.traits), "interacting")


def imputers_of(stage: Stage, *, copies: int = 1) -> tuple[Imputer, ...]:
    """The imputers that make sense for the rows of a stage, that of its own game first.

    Where a world's rows can be enumerated, one draws from the data given exactly what is kept; sequences are corrupted from a partner. On
    worlds that react to unseen values, one fills with a value that no data hold. `copies` says how often a game repeats the rows.
    """
    modality, found = stage.environment.modality, [keep_baseline]
    reference = stage.environment.sample(REFERENCE, torch.Generator().manual_seed(REFERENCE_SEED)).inputs.to(stage.case.inputs)
    if modality in ("image", "table"):
        found += [channel_mean(reference)]
    if modality == "image":
        found += [blur(), noisy_linear()]
    if modality == "graph":
        nodes = stage.batch.inputs.shape[1]
        on_nodes = bool((stage.batch.feature_mask[..., nodes:] >= 0).any())
        found += [zero_features(), drop_node(), mean_features()] if on_nodes else [rewire()]
    if modality == "sequence":
        found += [partner(_drawn(stage, len(stage.case)).repeat(copies, *(1,) * (stage.case.inputs.dim() - 1)))]
    if stage.environment.lattice is not None:
        found += [conditional(_states(stage))]
    if modality == "image" and "unseen_sensitive" in stage.environment.traits:
        found += [fill(reference.new_ones(reference.shape[1], 1, 1), name="unseen colour", leaves="always")]
    return (*found, marginal(_drawn(stage, 1)))


def _drawn(stage: Stage, rows: int) -> Tensor:  # (rows, *features)
    """Rows of the data apart from those of the stage, others for every seed."""
    return stage.environment.sample(rows, torch.Generator().manual_seed(DRAWN + stage.seed)).inputs.to(stage.case.inputs)


def _states(stage: Stage) -> Tensor:  # (states, *features)
    """Rows as often as the world draws them, so that the first that agrees is a draw given what is kept; and the rows asked about.

    The latter are there for a kept set that no drawn row agrees with; each is one state among thousands.
    """
    return torch.cat([_drawn(stage, STATES), stage.batch.inputs.to(stage.case.inputs)])
