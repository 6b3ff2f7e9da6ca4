"""Bags of instances seen by methods that need positions: an instance is a position, whatever shape it has itself.

Networks of multiple instances look at each instance alone and pool what they found, by attention for example. Where an instance is an image
or another array, its entries are laid in one row; the pooled network is then one on (batch, instances, entries), whose layers before the
pool have a position for each instance. Scores go back to the shape of the bag. Methods that need no positions (LRP, masks, pathways, the
game) explain the entries of instances through the pooled network as they are, and attention itself is `raw_attention`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from attrlab.errors import NotApplicable
from attrlab.games.game import Model
from attrlab.method import Attribute

_SHAPED = ("baseline", "feature_mask", "reference")
"""Offers that are rows, or shaped like rows."""


def over_instances(
    attribute: Attribute,
) -> Attribute:
    """Return a method for bags (batch, instances, *entries) made from one for rows with positions, (batch, positions, columns).

    Its keywords are those of `attribute`. A module of the network is called by its own dotted path.

    Raises:
        NotApplicable: when asked about rows that are no bags, and whatever `attribute` raises.

    Reference:
        Ilse, Tomczak and Welling (2018), "Attention-based deep multiple instance learning", equation 7; through the pooled network,
        Sadafi et al. (2023), "Pixel-level explanation of multiple instance learning models in biomedical single cell images".

    Example:
        >>> from attrlab.methods.class_activation import grad_cam
        >>> bags = torch.ones(1, 3, 2, 2) * torch.tensor([1.0, 2.0, 0.0]).view(1, 3, 1, 1)  # three patches of 2 x 2 pixels
        >>> pooled = lambda x: x.flatten(2).sum(2, keepdim=True).relu().sum(1)
        >>> found = over_instances(grad_cam)(pooled, bags, target=torch.tensor([0]), feature_mask=torch.arange(12).view(1, 3, 2, 2))
        >>> found[..., 0, 0]
        tensor([[4., 8., 0.]])
    """

    @functools.wraps(attribute)
    def of_bags(model: Model, inputs: Tensor, **offers: Any) -> Tensor:
        if inputs.dim() < 3:
            raise NotApplicable(f"a bag is a row (instances, *entries); write (batch, instances, *entries) (got {tuple(inputs.shape)})")
        shape = inputs.shape[2:]
        flat = {name: _flat(value) if name in _SHAPED else value for name, value in offers.items()}
        if flat.get("layer") is not None:
            flat["layer"] = f"model.{flat['layer']}"
        rows = inputs.reshape(*inputs.shape[:2], math.prod(shape))
        return attribute(_Flattened(model, shape), rows, **flat).view(inputs.shape)

    return of_bags


class _Flattened(nn.Module):
    """A network that takes each instance as one row of entries."""

    def __init__(self, model: Callable[[Tensor], Tensor], shape: torch.Size) -> None:
        super().__init__()
        self.model, self._shape = model, shape
        self.training = bool(getattr(model, "training", False))

    def forward(self, rows: Tensor) -> Tensor:
        """Give the entries their shape back, and run the network."""
        outputs: Tensor = self.model(rows.reshape(*rows.shape[:2], *self._shape))
        return outputs


def _flat(value: Tensor | None) -> Tensor | None:
    return value if value is None else value.reshape(*value.shape[:2], math.prod(value.shape[2:]))
