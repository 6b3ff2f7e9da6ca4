"""The prior of InputIBA: a mask and noise of the input, such that a critic cannot tell its layer from what passes the layer's bottleneck.

Every row plays a game of its own, and all are played at once: critics are one batched product. Where a row is padded, the layer has no
units, so that nothing there can be told.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attrlab.methods.bottleneck import Bottleneck, padding_of
from attrlab.methods.critics import Critics, critics_of, wasserstein_rounds
from attrlab.methods.positions import at_entries

LEAST, MOST = 0.01, 0.99
"""Between these the prior's mask starts, so that its logit is finite."""

CRITIC_STEPS = 5
"""Of the critics for each of the prior."""


@dataclass(frozen=True, kw_only=True)
class Prior:
    """What of the input is taken to reach the layer: a mask Λ_G, and the mean and deviation of the noise; each broadcasts to the inputs."""

    mask: Tensor  # (batch, *features)
    mean: Tensor
    deviation: Tensor


def prior_of(
    shares: Tensor,  # (batch, channels, *positions)
    inputs: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    reference: Tensor,  # (rows, *features)
) -> Prior:
    """The layer's λ, its mean over channels, at the entries of the inputs; noise as in the reference rows."""
    mask = at_entries(shares.mean(1), inputs, feature_mask).clamp(LEAST, MOST)
    known = reference.to(inputs)
    deviation = known.std(0, keepdim=True).clamp(min=LEAST)
    return Prior(mask=mask, mean=known.mean(0, keepdim=True), deviation=deviation)


def fitted_prior(
    bottleneck: Bottleneck,
    shares: Tensor,  # (batch, channels, *positions)
    start: Prior,
    seeds: Tensor,  # (batch,) int64
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    *,
    rounds: int,
    samples: int,
) -> Prior:
    """Play the game: critics tell values behind the bottleneck from values of masked inputs, and the prior learns not to be told."""
    inputs, owned = bottleneck.inputs, feature_mask >= 0
    over = [2, 3] if inputs.dim() == 4 else [1]  # noise has a mean and a deviation for each channel, or column
    amount = owned.sum(over, keepdim=True).clamp(min=1)
    parameters = {
        "mask": start.mask.logit(),
        "mean": (start.mean * owned).sum(over, keepdim=True) / amount,
        "deviation": (start.deviation * owned).sum(over, keepdim=True) / amount,
    }
    kept = (~padding_of(inputs, feature_mask, bottleneck.values)).to(inputs.dtype)

    def laid(values: Tensor) -> Tensor:  # (rows, samples, units), position by position, 0 at padding
        return (values * kept.unsqueeze(1)).movedim(2, -1).flatten(2)

    own, share = laid(bottleneck.values.unsqueeze(1)), laid(shares.unsqueeze(1))
    usual, deviation = (laid(value.expand_as(shares).unsqueeze(1)) for value in (bottleneck.mean, bottleneck.deviation))

    def made(values: dict[str, Tensor], grain: Tensor) -> Tensor:
        stays = torch.where(owned, values["mask"].sigmoid(), 1).unsqueeze(1)
        noise = values["mean"].unsqueeze(1) + values["deviation"].abs().unsqueeze(1) * grain
        shown = stays * inputs.unsqueeze(1) + (1 - stays) * noise
        seam_values = bottleneck.seam.passed(shown.flatten(0, 1))
        return laid(seam_values.view(len(inputs), samples, *seam_values.shape[1:]))

    def real(uniform: Tensor, grain: Tensor) -> Tensor:
        middle, width = 4 * uniform[:, :, 0] - 2, 5 * uniform[:, :, 1]
        noise = usual + deviation * (middle.unsqueeze(2) + width.unsqueeze(2) * grain)
        return share * own + (1 - share) * noise

    critics: Critics = critics_of(bottleneck.values[0].numel(), seeds, like=inputs, counts=bottleneck.units)
    found = wasserstein_rounds(
        critics, parameters, made, real, seeds, owned=owned, rounds=rounds, samples=samples, critic_steps=CRITIC_STEPS
    )
    return Prior(mask=found["mask"].sigmoid(), mean=found["mean"], deviation=found["deviation"].abs().clamp(min=LEAST))
