"""How many networks are trained at once: as many as the cache holds activations of, and never more than memory is granted for.

What a network keeps for its backward pass is counted while one of them is trained for one step, whatever it is made of.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attrlab.games.policy import CUDA_BYTES
from attrlab.retraining.networks import Network, fresh, stack
from attrlab.retraining.removal import fills_each_entry_alone
from attrlab.retraining.settings import CACHED, Settings
from attrlab.retraining.stacked import loss_of
from attrlab.retraining.views import Stand, whole

LEAST = 3
"""Fewer networks than these are not worth a stack, whatever the cache holds."""

STATES = 4
"""Copies of the parameters that training holds: themselves, gradients and two moments."""


def models_per_chunk(network: Network, stand: Stand, settings: Settings) -> int:
    """Models per chunk by the rule above, at least one."""
    batch = min(settings.training.batch, len(stand.train.labels))
    activations = kept_bytes(network, stand, batch)
    cached = CACHED if settings.device == "cpu" else CUDA_BYTES
    within_cache = max(LEAST, cached // max(1, activations))
    return int(max(1, min(within_cache, settings.memory // max(1, _held(network, stand, activations)))))


def kept_bytes(network: Network, stand: Stand, batch: int) -> int:
    """What one model keeps between its forward and backward pass on one batch."""
    total = 0

    def count(tensor: Tensor) -> Tensor:
        nonlocal total
        total += tensor.numel() * tensor.element_size()
        return tensor

    rows, labels = stand.train.inputs, stand.train.labels
    parameters = {name: value.to(rows).requires_grad_() for name, value in stack([fresh(network, 0)]).items()}
    index = torch.arange(batch, device=rows.device)
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        loss_of(network, parameters, whole(stand, 0)(index), labels[index].unsqueeze(0))
    return total


def _held(network: Network, stand: Stand, activations: int) -> int:
    """What one model takes in all: states, activations with gradients, its order of removal, and imputed rows where it needs its own."""
    parameters = sum(value.numel() for value in stack([fresh(network, 0)]).values())
    entries = stand.train.inputs.numel() + stand.test.inputs.numel()
    alone = fills_each_entry_alone(stand.imputer, stand.train.inputs, stand.train.baseline)
    return STATES * 4 * parameters + 2 * activations + 2 * entries + (0 if alone else 4 * entries)
